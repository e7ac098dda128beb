import { after, instant } from "@cubby/base";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { replicaId } from "./ballot.ts";
import { grantBindsMs, LeaseGrantor, leaseHoldsMs } from "./lease-grantor.ts";
import { MasterLease } from "./master-lease.ts";
import { ballot } from "./test-support/lone-engine.ts";

const [r1, r2, r3] = [replicaId(1), replicaId(2), replicaId(3)];
const at = instant;

describe("the lengths of lease and grant", () => {
  it("leave the holder less than the giver, for any two clocks within the drift", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60_000 }),
        fc.integer({ min: 0, max: 500 }),
        fc.integer({ min: -1000, max: 1000 }),
        fc.integer({ min: -1000, max: 1000 }),
        (leaseMs, drift, holder, giver) => {
          const holderRate = 1 + (holder / 1000) * (drift / 1000);
          const giverRate = 1 + (giver / 1000) * (drift / 1000);
          const held = leaseHoldsMs(leaseMs, drift) / holderRate;
          // An instant is a clock rounded down: the grant may have been given up to 1 ms later.
          const bound = (grantBindsMs(leaseMs, drift) - 1) / giverRate;
          expect(held).toBeLessThanOrEqual(bound + 1e-6);
        },
      ),
    );
  });

  it("are 540 and 661 ms for the default of 600 ms and a tenth", () => {
    expect(leaseHoldsMs(600, 100)).toBe(540);
    expect(grantBindsMs(600, 100)).toBe(661);
  });
});

describe("the leader's lease", () => {
  it("is held when a quorum granted one round, and counts from its sending", () => {
    const lease = new MasterLease(2, 100);
    const round = lease.begin(at(1000), 600);
    lease.onGrant(r1, round);
    expect(lease.until).toBeUndefined();
    lease.onGrant(r1, round);
    expect(lease.until, "one replica is no quorum, however often it answers").toBeUndefined();
    lease.onGrant(r2, round);
    expect(lease.until).toBe(1540);
    expect(lease.held(at(1539))).toBe(true);
    expect(lease.held(at(1540))).toBe(false);
  });

  it("never adds up answers to different rounds", () => {
    const lease = new MasterLease(2, 100);
    const first = lease.begin(at(1000), 600);
    const second = lease.begin(at(1100), 600);
    lease.onGrant(r1, first);
    lease.onGrant(r2, second);
    expect(lease.until).toBeUndefined();
  });

  it("gets from a late answer no more than the old round could give", () => {
    const lease = new MasterLease(2, 100);
    const first = lease.begin(at(1000), 600);
    lease.onGrant(r1, first);
    const second = lease.begin(at(1400), 600);
    lease.onGrant(r1, second);
    lease.onGrant(r3, first);
    expect(lease.until).toBe(1540);
    lease.onGrant(r2, second);
    expect(lease.until).toBe(1940);
    lease.onGrant(r2, first);
    expect(lease.until).toBe(1940);
  });

  it("keeps no round that is over, and every other, however late its answer and short the renewal", () => {
    const lease = new MasterLease(2, 100);
    const over = lease.begin(at(1000), 6_000);
    const first = lease.begin(at(7_000), 6_000);
    for (let ms = 7_010; ms < 12_000; ms += 10) lease.begin(at(ms), 6_000);
    for (const from of [r1, r2]) lease.onGrant(from, over);
    expect(lease.until).toBeUndefined();
    for (const from of [r1, r2]) lease.onGrant(from, first);
    expect(lease.until).toBe(12_400);
  });

  it("proves by a round of a lease that has become shorter, however late its answer", () => {
    const lease = new MasterLease(2, 100);
    const long = lease.begin(at(1000), 60_000);
    for (const from of [r1, r2]) lease.onGrant(from, long);
    lease.confirm(1);
    const short = lease.begin(at(2000), 600);
    lease.begin(at(2100), 600);
    for (const from of [r1, r2]) lease.onGrant(from, short);
    expect(lease.takeConfirmed()).toBe(1);
  });

  it("is not revived by answers that were under way when it was voided", () => {
    const lease = new MasterLease(2, 100);
    const round = lease.begin(at(1000), 600);
    lease.onGrant(r1, round);
    lease.void();
    lease.onGrant(r2, round);
    lease.onGrant(r3, round);
    expect(lease.until).toBeUndefined();
    expect(lease.begin(at(1100), 600)).toBe(round + 1);
  });
});

describe("the giver of grants", () => {
  const one = ballot(1, 1);

  function granted(): LeaseGrantor {
    const grantor = new LeaseGrantor(100, 600, at(0), true);
    grantor.grant(at(1000), one, 3, 600);
    return grantor;
  }

  it("is bound to everybody but the holder until the grant is over", () => {
    const grantor = granted();
    expect(grantor.boundUntil(ballot(2, 2))).toBe(1661);
    expect(grantor.boundUntil(ballot(2, 1))).toBeLessThanOrEqual(1000);
    expect(grantor.holder(at(1660))).toEqual(one);
    expect(grantor.holder(at(1661))).toBeUndefined();
  });

  it("is bound by the longest of its grants, when the length goes down", () => {
    const grantor = granted();
    grantor.grant(at(1100), one, 4, 100);
    expect(grantor.boundUntil(ballot(2, 2))).toBe(1661);
  });

  it("is free when the holder releases that round, but not by the release of an earlier one", () => {
    const grantor = granted();
    grantor.release(one, 2);
    expect(grantor.boundUntil(ballot(2, 2))).toBe(1661);
    grantor.release(ballot(2, 1), 9);
    expect(grantor.boundUntil(ballot(2, 2))).toBe(1661);
    const other = granted();
    other.release(one, 3);
    expect(other.boundUntil(ballot(2, 2))).toBe(0);
  });

  it("grants no round that was released before it was asked for", () => {
    const grantor = granted();
    grantor.release(one, 5);
    expect(grantor.mayGrant(one, 4)).toBe(false);
    expect(grantor.mayGrant(one, 5)).toBe(false);
    expect(grantor.mayGrant(one, 6)).toBe(true);
    expect(grantor.mayGrant(ballot(2, 2), 1)).toBe(true);
  });

  it("grants no round that was released, though the release of an older ballot comes behind", () => {
    const grantor = granted();
    grantor.release(ballot(2, 1), 5);
    grantor.release(one, 9);
    expect(grantor.mayGrant(ballot(2, 1), 5)).toBe(false);
  });

  it("is free when the holder releases, though the release of a greater ballot came before", () => {
    const grantor = granted();
    grantor.release(ballot(2, 2), 1);
    expect(grantor.boundUntil(ballot(2, 2)), "another's release").toBe(1661);
    grantor.release(one, 3);
    expect(grantor.boundUntil(ballot(2, 2))).toBe(0);
  });

  it("is bound by what earlier lives may have granted, though its own grant ends before", () => {
    const grantor = new LeaseGrantor(100, 600, at(5000), false);
    grantor.grant(at(5001), one, 1, 100);
    expect(grantor.boundUntil(ballot(2, 2))).toBe(5661);
    expect(grantor.lastBound).toBe(5661);
  });

  it("is bound from its start by what earlier lives may have granted, to whomever", () => {
    const grantor = new LeaseGrantor(100, 600, at(5000), false);
    expect(grantor.boundUntil(ballot(2, 2))).toBe(5661);
    expect(grantor.boundUntil(ballot(1, 1))).toBe(5661);
    expect(new LeaseGrantor(100, 0, at(5000), false).boundUntil(one)).toBe(5000);
  });

  it("never grants more than is on record", () => {
    const grantor = granted();
    expect(() => grantor.grant(at(2000), one, 9, 601)).toThrow("on record");
    grantor.raiseGrantMax(601);
    grantor.grant(at(2000), one, 9, 601);
    expect(() => grantor.raiseGrantMax(601)).toThrow("longer one");
  });

  it("forgets a long grant once that is over, and not before", () => {
    const grantor = granted();
    grantor.raiseGrantMax(60_000);
    grantor.grant(at(2000), one, 9, 60_000);
    const over = 2000 + grantBindsMs(60_000, 100);
    let lowered: number | undefined;
    for (let now = 2100; now < 200_000 && lowered === undefined; now += 100) {
      grantor.grant(at(now), one, now, 600);
      if (grantor.lowerGrantMax(at(now))) lowered = now;
    }
    expect(lowered).toBeGreaterThanOrEqual(over);
    expect(lowered).toBeLessThanOrEqual(2 * over);
    expect(grantor.grantMaxMs).toBe(600);
  });

  it("is never bound beyond what a restart waits for, whatever was granted when", () => {
    const step = fc.record({
      afterMs: fc.nat({ max: 40_000 }),
      leaseMs: fc.constantFrom(1, 600, 2_000, 60_000),
      restart: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let now = at(0);
        let boundUntil = 0;
        let recorded = 0;
        let grantor = new LeaseGrantor(100, recorded, now, false);
        for (const [round, { afterMs, leaseMs, restart }] of steps.entries()) {
          now = after(now, afterMs);
          if (restart) grantor = new LeaseGrantor(100, recorded, now, false);
          expect(grantor.boundToUntil(r2)).toBeGreaterThanOrEqual(restart ? boundUntil : 0);
          if (leaseMs > grantor.grantMaxMs) grantor.raiseGrantMax(leaseMs);
          grantor.grant(now, one, round, leaseMs);
          grantor.lowerGrantMax(now);
          recorded = grantor.grantMaxMs;
          boundUntil = Math.max(boundUntil, after(now, grantBindsMs(leaseMs, 100)));
        }
      }),
    );
  });
});
