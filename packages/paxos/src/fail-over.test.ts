import { describe, expect, it } from "vitest";
import { replicaId } from "./ballot.ts";
import { TestingNetwork } from "./test-support/testing-network.ts";

function running(seed: string, replicas = 5): TestingNetwork {
  const network = new TestingNetwork({ replicas, seed });
  network.startAll();
  expect(network.runUntil(() => network.master() !== undefined, 3000)).toBeDefined();
  network.run(1000);
  return network;
}

const masterOf = (network: TestingNetwork) => network.master() ?? replicaId(1);
const SEEDS = Array.from({ length: 10 }, (_, i) => `${i}`);

describe("a new master", () => {
  it("leads a new cell within two election timeouts of its start", () => {
    for (const seed of SEEDS) {
      const network = new TestingNetwork({ replicas: 5, seed: `start-${seed}` });
      network.startAll();
      const took = network.runUntil(() => network.master() !== undefined, 3000);
      expect(took).toBeLessThan(600);
    }
  });

  it("leads one lease after the last grant of a leader that was killed, and little more", () => {
    for (const seed of SEEDS) {
      const network = running(`kill-${seed}`);
      const master = masterOf(network);
      network.crash(master);
      const took = network.runUntil(() => network.master() !== undefined, 3000);
      // The last grants were given at most a renewal before the kill, and bind for 661 ms.
      expect(took).toBeGreaterThan(500);
      expect(took).toBeLessThan(700);
    }
  });

  it("leads at once when the old one hands over, and all it has proposed is kept", () => {
    for (const seed of SEEDS) {
      const network = running(`hand-over-${seed}`);
      const master = masterOf(network);
      network.propose(master, "before");
      network.input(master, { kind: "handOver" });
      const took = network.runUntil(
        () => network.master() !== undefined && network.master() !== master,
        3000,
      );
      expect(took).toBeLessThan(10);
      network.propose(masterOf(network), "after");
      network.run(20);
      expect(network.checkers.chosen.size).toBe(2);
    }
  });

  it("is nobody who has just restarted, and may promise nothing for as long as the longest lease", () => {
    for (const seed of SEEDS) {
      const paxos = { leaseMs: 24_000, leaseRenewMs: 5_000 };
      const network = new TestingNetwork({ replicas: 5, seed: `restarted-${seed}`, paxos });
      network.startAll();
      expect(network.runUntil(() => network.master() !== undefined, 3000)).toBeDefined();
      network.run(1000);
      const master = masterOf(network);
      // The one that is the heir where all have the same log.
      const restarted = network.ids.find((id) => id !== master) ?? master;
      network.crash(restarted);
      network.start(restarted);
      network.run(1000);
      network.input(master, { kind: "handOver" });
      network.run(20);
      expect(network.runUntil(() => network.master() !== undefined, 30_000)).toBeLessThan(1500);
    }
  });

  it("leads as soon as it hears of the lease that was given up, though it did not hear so at first", () => {
    for (const replicas of [3, 5]) {
      const paxos = { leaseMs: 60_000, leaseRenewMs: 13_000 };
      const network = new TestingNetwork({ replicas, seed: "lost-release", paxos });
      network.startAll();
      network.run(45_000);
      const old = masterOf(network);
      const others = network.ids.filter((id) => id !== old);
      for (const id of others) network.cutBoth(old, id);
      network.run(5_000);
      const heir = others.find((id) => {
        const { own, follows } = network.engine(id).status().election;
        return own.round > 0 && own.round === follows.round && own.replica === follows.replica;
      });
      network.heal();
      network.cutBoth(old, heir ?? old);
      network.run(1_000);
      network.heal();
      const isReplaced = () => ![undefined, old].includes(network.master());
      expect(network.runUntil(isReplaced, 70_000)).toBeLessThan(1_000);
    }
  });

  it("is one that has the log, and not one that is still fetching it", () => {
    for (const seed of SEEDS) {
      const paxos = { snapshotPartBytes: 64, windowEntriesMax: 16, batchEntriesMax: 16 };
      const network = new TestingNetwork({ replicas: 3, seed: `laggard-${seed}`, paxos });
      network.faults = { lossRate: 0, duplicateRate: 0, delayMsMin: 20, delayMsMax: 21 };
      network.startAll();
      network.run(3_000);
      const old = masterOf(network);
      const laggard = network.ids.find((id) => id !== old) ?? old;
      network.crash(laggard);
      network.propose(old, ...Array.from({ length: 1_000 }, (_, i) => `c${i}`));
      network.run(5_000);
      network.start(laggard);
      network.run(700);
      network.crash(old);
      const isReplaced = () => ![undefined, old].includes(network.master());
      expect(network.runUntil(isReplaced, 30_000)).toBeLessThan(1_500);
    }
  });

  it("leads in place of one whose disk is stuck while its network is fine", () => {
    for (const seed of SEEDS) {
      const network = running(`stuck-${seed}`);
      const master = masterOf(network);
      network.slowDisk(master, 1_000_000);
      network.propose(master, "stuck");
      const took = network.runUntil(
        () => network.master() !== undefined && network.master() !== master,
        5000,
      );
      expect(took).toBeLessThan(1860);
      const { epochs } = network.checkers;
      network.run(10_000);
      expect(network.checkers.epochs).toBe(epochs);
    }
  });

  it("is not displaced by one that comes back, nor by a follower's pause", () => {
    for (const seed of SEEDS) {
      const network = running(`return-${seed}`);
      const old = masterOf(network);
      network.crash(old);
      network.runUntil(() => network.master() !== undefined, 3000);
      const { epochs } = network.checkers;
      const master = masterOf(network);
      network.start(old);
      network.run(3000);
      for (const id of network.ids) if (id !== master) network.pause(id, 2000);
      network.run(1);
      network.pause(network.ids.find((id) => id !== master) ?? old, 0);
      for (const id of network.ids) network.pause(id, 0);
      network.run(3000);
      network.pause(old, 2500);
      network.run(6000);
      expect(network.master()).toBe(master);
      expect(network.checkers.epochs).toBe(epochs);
    }
  });

  it("wins back a follower that promised more than its ballot", () => {
    const network = running("stranded", 3);
    const master = masterOf(network);
    const follower = network.ids.find((id) => id !== master) ?? replicaId(1);
    const third = network.ids.find((id) => id !== master && id !== follower) ?? replicaId(1);
    const { promised } = network.engine(master).status();
    // A prepare of an attempt that never came to anything.
    network.replay(third, follower, {
      kind: "prepare",
      ballot: { round: promised.round + 5, priority: 0, replica: third },
      acceptedBallot: promised,
      length: 1,
      chosen: 1,
    });
    network.run(5000);
    const now = masterOf(network);
    for (const id of network.ids) {
      expect(network.engine(id).status().promised).toEqual(network.engine(now).status().promised);
    }
    expect(network.engine(now).status().promised.round).toBeGreaterThan(promised.round + 5);
  });

  it("of one replica alone leads within milliseconds of its start, and of its restart", () => {
    const network = new TestingNetwork({ replicas: 1, seed: "alone" });
    network.startAll();
    const alone = replicaId(1);
    expect(network.runUntil(() => network.master() === alone, 100)).toBeLessThan(5);
    for (let i = 1; i <= 5; i += 1) {
      network.propose(alone, `c${i}`);
      network.run(5);
      expect(network.checkers.chosen.size).toBe(i);
      network.crash(alone);
      network.start(alone);
      expect(network.runUntil(() => network.master() === alone, 100)).toBeLessThan(5);
    }
    network.slowDisk(alone, 2000);
    network.propose(alone, "slow");
    network.run(1999);
    // Nobody could do better than to wait for this disk.
    expect(network.master()).toBe(alone);
  });
});
