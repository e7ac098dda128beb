import { describe, expect, it } from "vitest";
import { randomRun } from "./test-support/random-run.ts";

/**
 * Random runs: loss, duplication (some copies minutes late), reordering, cut links one way and both,
 * crashes that keep some of the records under way, pauses, stuck disks, clocks that drift, snapshots,
 * hand-overs, voided leases. The checkers stop a run at the first slot with two values, chosen slot
 * that is not on a quorum's disks, ballot of two lives, promise broken, or moment with two leases.
 */
const RUNS_PER_TEST = 100;
const TESTS = 20;
const FAULTS_MS = 2_500;

describe("in random runs, invariants 1 to 4 and 8 hold, and the cell recovers (22, 23)", () => {
  const seen = new Map<string, number>();
  for (let test = 0; test < TESTS; test += 1) {
    const first = test * RUNS_PER_TEST;
    it(`seeds ${first} to ${first + RUNS_PER_TEST - 1}`, { timeout: 60_000 }, () => {
      for (let seed = first; seed < first + RUNS_PER_TEST; seed += 1) {
        try {
          const { kinds, confirmed } = randomRun(`safety-${seed}`, FAULTS_MS);
          seen.set("confirmed", (seen.get("confirmed") ?? 0) + confirmed);
          for (const [kind, count] of kinds) seen.set(kind, (seen.get(kind) ?? 0) + count);
        } catch (cause) {
          throw new Error(`seed safety-${seed} of ${FAULTS_MS} ms`, { cause });
        }
      }
    });
  }

  it("every kind of event that matters came about", () => {
    for (const kind of [
      "adopted",
      "ballotConflict",
      "confirmed",
      "diskStalled",
      "handedOver",
      "leaseLapsed",
      "leaseVoided",
      "learned",
      "prepareKept",
      "snapshotInstalled",
      "steppedDown",
      "synchronised",
      "tookOver",
    ]) {
      expect(seen.get(kind) ?? 0, kind).toBeGreaterThan(10);
    }
  });

  it("one seed is one run, to the message", () => {
    for (const seed of ["a", "b", "c"]) {
      expect(randomRun(seed, FAULTS_MS)).toEqual(randomRun(seed, FAULTS_MS));
    }
  });
});
