import { Rng } from "@cubby/base";
import { describe, expect, it } from "vitest";
import { type ReplicaId, replicaId } from "./ballot.ts";
import { ELECTION_TIMEOUT_MS, LEASE_MS } from "./limits.ts";
import { TestingNetwork } from "./test-support/testing-network.ts";

/** One lease and four election timeouts: what Omni-Paxos claims, on top of our lease (DESIGN §3). */
const RECOVERY_MS = LEASE_MS * 1.1 + 4 * ELECTION_TIMEOUT_MS;
const STABLE_MS = 60_000;

const r1 = replicaId(1);
const r2 = replicaId(2);
const r3 = replicaId(3);
const r4 = replicaId(4);
const r5 = replicaId(5);

/** A cell that `leader` leads, and has led for a random while. */
function cellLedBy(leader: ReplicaId, replicas: number, seed: string): TestingNetwork {
  const network = new TestingNetwork({ replicas, seed, driftPerMille: 20 });
  network.startAll();
  const rng = new Rng(seed).fork("warm-up");
  for (let tries = 0; network.master() !== leader; tries += 1) {
    expect(tries, "the wished leader comes about").toBeLessThan(60);
    network.run(300);
    const master = network.master();
    if (master === undefined || master === leader) continue;
    // The heir is who has most of the log: the wished one alone hears of this command.
    for (const id of network.ids) if (id !== leader && id !== master) network.cutBoth(id, master);
    network.propose(master, "for the heir");
    network.run(5);
    network.input(master, { kind: "handOver" });
    network.run(5);
    network.heal();
  }
  network.run(500 + rng.below(1000));
  expect(network.master()).toBe(leader);
  return network;
}

/** Keeps the links named, both ways, and cuts all others. */
function keepOnly(network: TestingNetwork, links: readonly (readonly [ReplicaId, ReplicaId])[]) {
  for (const a of network.ids) {
    for (const b of network.ids) {
      const kept = links.some(([x, y]) => (x === a && y === b) || (x === b && y === a));
      if (a < b && !kept) network.cutBoth(a, b);
    }
  }
}

/** A client that finds the master again and again until its write is chosen. */
function timeToWrite(network: TestingNetwork, quorumConnected: readonly ReplicaId[]): number {
  const start = network.now;
  const before = network.checkers.lastChosen;
  const text = `write at ${start}`;
  let at: ReplicaId | undefined;
  while (network.now - start < 10_000) {
    const master = network.master();
    if (master !== undefined && quorumConnected.includes(master) && at !== master) {
      network.propose(master, text);
      at = master;
    }
    network.run(1);
    if (network.checkers.lastChosen > before) return network.now - start;
  }
  return Number.POSITIVE_INFINITY;
}

function expectRecovery(network: TestingNetwork, quorumConnected: readonly ReplicaId[]): void {
  expect(timeToWrite(network, quorumConnected)).toBeLessThan(RECOVERY_MS);
  const { epochs } = network.checkers;
  network.run(STABLE_MS);
  expect(network.checkers.epochs - epochs, "changes of leader afterwards").toBeLessThanOrEqual(1);
  expect(network.master()).toBeDefined();
}

const SEEDS = ["a", "b", "c", "d", "e", "f"];

describe("invariant 22: with a quorum-connected replica there is a stable leader", () => {
  for (const seed of SEEDS) {
    for (const replicas of [3, 5]) {
      it(`after a plain kill of the leader of ${replicas} (${seed})`, () => {
        const network = cellLedBy(r1, replicas, `kill-${seed}`);
        network.crash(r1);
        expectRecovery(network, [r2, r3, r4, r5]);
      });
    }

    it(`in quorum-loss: the leader of 5 keeps one link, and only the hub has all (${seed})`, () => {
      const network = cellLedBy(r1, 5, `quorum-loss-${seed}`);
      keepOnly(network, [
        [r2, r1],
        [r2, r3],
        [r2, r4],
        [r2, r5],
      ]);
      expectRecovery(network, [r2]);
    });

    it(`in a constrained election: the one candidate's log is behind (${seed})`, () => {
      const network = cellLedBy(r1, 5, `constrained-${seed}`);
      network.cutBoth(r1, r2);
      network.propose(r1, "unknown", "to", "the", "hub");
      network.run(20);
      expect(network.engine(r2).status().length).toBeLessThan(network.engine(r3).status().length);
      keepOnly(network, [
        [r2, r3],
        [r2, r4],
        [r2, r5],
      ]);
      expectRecovery(network, [r2]);
    });

    it(`in a chain of 3, led from one end (${seed})`, () => {
      const network = cellLedBy(r1, 3, `chain-3-${seed}`);
      network.cutBoth(r1, r3);
      expectRecovery(network, [r1, r2, r3]);
    });

    for (const leader of [r1, r2, r3]) {
      it(`in a chain of 5, led from place ${leader} (${seed})`, () => {
        const network = cellLedBy(leader, 5, `chain-5-${leader}-${seed}`);
        keepOnly(network, [
          [r1, r2],
          [r2, r3],
          [r3, r4],
          [r4, r5],
        ]);
        expectRecovery(network, [r2, r3, r4]);
      });
    }

    it(`in the network of Howard and Abraham, led by 3 (${seed})`, () => {
      const network = cellLedBy(r3, 5, `howard-${seed}`);
      keepOnly(network, [
        [r1, r2],
        [r1, r3],
        [r2, r3],
        [r4, r2],
        [r5, r3],
      ]);
      expectRecovery(network, [r2, r3]);
    });
  }
});

describe("on each of the 64 graphs of one-way links between 3 replicas", () => {
  const links = [
    [r1, r2],
    [r2, r1],
    [r1, r3],
    [r3, r1],
    [r2, r3],
    [r3, r2],
  ] as const;
  for (let graph = 0; graph < 64; graph += 1) {
    const up = links.filter((_, bit) => (graph >> bit) % 2 === 1);
    const isUp = (a: ReplicaId, b: ReplicaId) => up.some(([x, y]) => x === a && y === b);
    const pairs = [
      [r1, r2],
      [r1, r3],
      [r2, r3],
    ] as const;
    // Of three, a quorum is two: one link that carries both ways.
    const connected = pairs.some(([a, b]) => isUp(a, b) && isUp(b, a));
    const name = up.map(([a, b]) => `${a}→${b}`).join(" ") || "no link";
    it(`${connected ? "a leader stays" : "nobody leads"}: ${name}`, () => {
      for (const seed of ["a", "b"]) {
        const network = new TestingNetwork({ replicas: 3, seed: `graph-${graph}-${seed}` });
        network.startAll();
        network.run(500 + new Rng(seed).below(1500));
        for (const [a, b] of links) if (!isUp(a, b)) network.cut(a, b);
        network.run(RECOVERY_MS + 1000);
        const { epochs } = network.checkers;
        for (let i = 0; i < 50; i += 1) {
          network.run(100);
          expect(network.master() !== undefined).toBe(connected);
        }
        expect(network.checkers.epochs).toBe(epochs);
      }
    });
  }
});

describe("on sampled graphs of links between 5 replicas", () => {
  // Each pair has a link both ways, one way, or none; drawn, as all are too many for every push.
  const GRAPHS = 60;
  for (let graph = 0; graph < GRAPHS; graph += 10) {
    it(`a leader stays exactly if one replica has two good links (${graph} to ${graph + 9})`, () => {
      for (let i = graph; i < graph + 10; i += 1) {
        const seed = `five-${i}`;
        const rng = new Rng(seed).fork("graph");
        const network = new TestingNetwork({ replicas: 5, seed, driftPerMille: 20 });
        network.startAll();
        network.run(500 + rng.below(1000));
        const goodLinks = new Map<ReplicaId, number>();
        for (const a of network.ids) {
          for (const b of network.ids) {
            if (a >= b) continue;
            const [there, back] = [rng.chance(0.6), rng.chance(0.6)];
            if (!there) network.cut(a, b);
            if (!back) network.cut(b, a);
            if (!there || !back) continue;
            for (const id of [a, b]) goodLinks.set(id, (goodLinks.get(id) ?? 0) + 1);
          }
        }
        const connected = [...goodLinks.values()].some((links) => links >= 2);
        network.run(RECOVERY_MS);
        expect(network.master() !== undefined, `graph ${i}`).toBe(connected);
        const { epochs } = network.checkers;
        network.run(10_000);
        expect(network.master() !== undefined, `graph ${i}`).toBe(connected);
        expect(network.checkers.epochs - epochs).toBeLessThanOrEqual(1);
      }
    });
  }
});
