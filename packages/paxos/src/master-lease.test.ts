import { instant } from "@cubby/base";
import { describe, expect, it } from "vitest";
import { replicaId } from "./ballot.ts";
import { MasterLease } from "./master-lease.ts";

const [R1, R2, R3] = [replicaId(1), replicaId(2), replicaId(3)];
const LEASE_MS = 600;

function leased(): MasterLease {
  return new MasterLease(2, 100);
}

describe("the master lease", () => {
  it("counts from the sending of the round, shortened by the drift allowance", () => {
    const lease = leased();
    const round = lease.begin(instant(1_000), LEASE_MS);
    lease.onGrant(R1, round);
    expect(lease.until).toBeUndefined();
    lease.onGrant(R2, round);
    expect(lease.until).toBe(1_540);
  });

  it("does not count one granter twice", () => {
    const lease = leased();
    const round = lease.begin(instant(0), LEASE_MS);
    lease.onGrant(R1, round);
    lease.onGrant(R1, round);
    expect(lease.until).toBeUndefined();
  });

  // Guard: void() forgets the open rounds. Without it the answers below would give a lease that
  // counts from before the clock stood still.
  it("is given by no round that was begun before it was voided", () => {
    const lease = leased();
    const round = lease.begin(instant(0), LEASE_MS);
    lease.void();
    for (const from of [R1, R2, R3]) lease.onGrant(from, round);
    expect(lease.until).toBeUndefined();
  });
});

describe("a proof of leading", () => {
  it("takes a quorum's grant of a round begun after it was asked for", () => {
    const lease = leased();
    const before = lease.begin(instant(0), LEASE_MS);
    lease.confirm(7);
    for (const from of [R1, R2]) lease.onGrant(from, before);
    expect(lease.takeConfirmed()).toBeUndefined();
    const after = lease.begin(instant(10), LEASE_MS);
    lease.onGrant(R1, after);
    expect(lease.takeConfirmed()).toBeUndefined();
    lease.onGrant(R3, after);
    expect(lease.takeConfirmed()).toBe(7);
    expect(lease.takeConfirmed()).toBeUndefined();
  });

  it("serves all that were asked for before the round", () => {
    const lease = leased();
    for (const token of [1, 2, 3]) lease.confirm(token);
    const round = lease.begin(instant(0), LEASE_MS);
    lease.confirm(4);
    for (const from of [R1, R2]) lease.onGrant(from, round);
    expect(lease.takeConfirmed()).toBe(3);
    expect(lease.takeConfirmed()).toBeUndefined();
  });
});
