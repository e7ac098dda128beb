import { describe, expect, it } from "vitest";
import { ballot, formed, LoneEngine } from "./test-support/lone-engine.ts";
import { TestingNetwork } from "./test-support/testing-network.ts";

const long = { leaseMs: 60_000, leaseRenewMs: 13_500 };

describe("a lease that an operator shortens", () => {
  it("is not waited for by who restarts long after", () => {
    const network = new TestingNetwork({ replicas: 3, seed: "shortened", paxos: long });
    network.startAll();
    network.run(5_000);
    for (const id of network.ids) network.crash(id);
    network.paxos = {};
    network.startAll();
    network.run(200_000);
    for (const id of network.ids) expect(network.engine(id).status().leaseMs).toBe(600);
    for (const id of network.ids) network.crash(id);
    network.startAll();
    expect(network.runUntil(() => network.master() !== undefined, 100_000)).toBeLessThan(2_000);
  });
});

describe("a lease that an operator lengthens", () => {
  it("is renewed in time while the shorter one is still in force", () => {
    const network = new TestingNetwork({ replicas: 3, seed: "lengthened" });
    network.startAll();
    network.run(3_000);
    for (const id of network.ids) network.crash(id);
    network.paxos = long;
    for (const id of network.ids) network.slowDisk(id, 60);
    network.startAll();
    const { traces } = network;
    const start = traces.length;
    network.run(30_000);
    const leases = traces.slice(start).filter(({ event }) => event.kind.startsWith("lease"));
    expect(leases.map(({ event }) => event.kind)).toEqual(["leaseGranted"]);
    for (const id of network.ids) expect(network.engine(id).status().leaseMs).toBe(long.leaseMs);
  });

  it("is named again by a leader that adopts a shorter one, though nobody knows that one as chosen", () => {
    const lone = new LoneEngine(
      1,
      { ...formed(3), entries: [{ kind: "masterLease", leaseMs: long.leaseMs }], chosen: 1 },
      long,
    );
    const own = lone.stand();
    lone.persist();
    const adopted = lone.hear(2, {
      kind: "promise",
      ballot: own,
      acceptedBallot: ballot(1, 2),
      length: 2,
      chosen: 1,
      firstSlot: 2,
      entries: [{ kind: "masterLease", leaseMs: 600 }],
    });
    const written = [...adopted.records, ...lone.persist().records];
    expect(written.at(-1)).toEqual({
      kind: "appended",
      ballot: own,
      firstSlot: 3,
      entries: [{ kind: "masterLease", leaseMs: long.leaseMs }],
    });
  });
});
