import { describe, expect, it } from "vitest";
import { replicaId } from "./ballot.ts";
import { LEASE_RENEW_MS } from "./limits.ts";
import { TestingNetwork } from "./test-support/testing-network.ts";

const [r1] = [1].map(replicaId);

describe("a cell", () => {
  it("of one replica leads at once, chooses, and recovers", () => {
    const network = new TestingNetwork({ replicas: 1, seed: "one" });
    network.startAll();
    expect(network.runUntil(() => network.master() === r1, 10)).toBeLessThan(5);
    network.propose(replicaId(1), "a", "b");
    network.run(2);
    expect(network.checkers.chosen.size).toBe(2);
    network.crash(replicaId(1));
    network.start(replicaId(1));
    expect(network.runUntil(() => network.master() === r1, 10)).toBeLessThan(5);
    network.run(5);
    expect(network.events(replicaId(1)).filter((event) => event.kind === "chosen").length).toBe(4);
  });

  for (const replicas of [3, 5]) {
    it(`of ${replicas} replicas elects a leader, chooses, and fails over`, () => {
      const network = new TestingNetwork({ replicas, seed: `many-${replicas}` });
      network.startAll();
      const took = network.runUntil(() => network.master() !== undefined, 3000);
      expect(took).toBeLessThan(1500);
      const first = network.master() ?? replicaId(1);
      network.propose(first, "a", "b");
      network.run(5);
      expect(network.checkers.chosen.size).toBe(2);
      // Followers learn of it by the next lease round.
      network.run(2 * LEASE_RENEW_MS);
      for (const id of network.ids) {
        expect(network.engine(id).status().chosen).toBe(3);
      }
      network.run(2000);
      network.crash(first);
      const failOver = network.runUntil(
        () => network.master() !== undefined && network.master() !== first,
        3000,
      );
      expect(failOver).toBeLessThan(800);
      network.propose(network.master() ?? first, "c");
      network.run(5);
      expect(network.checkers.chosen.size).toBe(3);
      network.start(first);
      // It promises nothing before the longest lease that it granted is over.
      network.run(1000);
      expect(network.engine(first).status().chosen).toBe(network.checkers.lastChosen);
    });
  }
});
