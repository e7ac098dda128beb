import type { FaultKind, RunResult } from "@cubby/simulator";
import { describe, expect, test } from "vitest";
import { shrink } from "./shrink.ts";
import type { SeedTask } from "./task.ts";

const KINDS: readonly FaultKind[] = [
  "N1-loss",
  "N2-partition",
  "C1-crash",
  "C2-pause",
  "D1-power-loss",
];
const TASK: SeedTask = { kind: "seed", seed: "7" };

function resultOf(task: SeedTask, rule: string | undefined): RunResult {
  return {
    seed: task.seed,
    verdict: rule === undefined ? "passed" : "safety",
    finding: rule === undefined ? undefined : { invariant: 1, rule, detail: "", atMs: 8_000 },
    drawn: "",
    replicas: task.replicas ?? 5,
    clients: task.clients ?? 4,
    faultKinds: KINDS.filter((kind) => task.without?.includes(kind) !== true),
    coreEvents: 0,
    simulatedMs: 0,
    acknowledged: 0,
    faults: 0,
    coverage: {},
    traceHash: "",
  };
}

describe("shrinking a failure", () => {
  test("leaves a hang as it is: each try would take as long again", async () => {
    const failed = resultOf(TASK, "hang");
    const run = (): Promise<RunResult> => Promise.reject(new Error("is not tried"));
    expect(await shrink(failed, TASK, run)).toEqual({ task: TASK, result: failed, tries: 0 });
  });

  test("leaves what it takes, and nothing else", async () => {
    const run = async (task: SeedTask): Promise<RunResult> => {
      const { without = [], replicas = 5, clients = 4 } = task;
      const fails = !without.includes("C1-crash") && replicas >= 3 && clients >= 2;
      return resultOf(task, fails ? "agreement" : undefined);
    };
    const { task, tries } = await shrink(resultOf(TASK, "agreement"), TASK, run);
    expect(new Set(task.without)).toEqual(
      new Set(["N1-loss", "N2-partition", "C2-pause", "D1-power-loss"]),
    );
    expect(task).toMatchObject({ seed: "7", replicas: 3, clients: 2, safetyMs: 1_000 });
    expect(tries).toBeLessThan(25);
  });

  test("does not take another failure for the same one", async () => {
    const run = async (task: SeedTask): Promise<RunResult> => resultOf(task, "one-believer");
    const { task } = await shrink(resultOf(TASK, "agreement"), TASK, run);
    expect(task).toEqual(TASK);
  });

  test("tells crashes apart by the first line, whatever its numbers", async () => {
    const crash = (task: SeedTask, detail: string): RunResult => {
      const finding = { invariant: 0, rule: "assertion", detail, atMs: 1_000 };
      return { ...resultOf(task, undefined), verdict: "crash", finding };
    };
    const failed = crash(TASK, "slot 7 is durable\n    at one place");
    const other = await shrink(failed, TASK, async (task) => crash(task, "a lease ends"));
    expect(other.task).toEqual(TASK);
    const same = await shrink(failed, TASK, async (task) => crash(task, "slot 12 is durable\n"));
    expect(same.task.without).toEqual(KINDS);
  });

  test("leaves a run as it is that was not the same twice", async () => {
    const finding = { invariant: 25, rule: "not-repeatable", detail: "", atMs: 8_000 };
    const failed = { ...resultOf(TASK, "agreement"), finding };
    const run = async (): Promise<RunResult> => {
      throw new Error("it is not run again");
    };
    expect(await shrink(failed, TASK, run)).toMatchObject({ task: { isTwice: true }, tries: 0 });
  });
});
