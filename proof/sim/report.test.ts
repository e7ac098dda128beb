import type { RunResult, Verdict } from "@cubby/simulator";
import { describe, expect, test } from "vitest";
import { exitStatusOf, formatFailure, formatRun } from "./report.ts";
import { COVERED_FROM_SEEDS, Totals } from "./totals.ts";

function resultOf(verdict: Verdict, coverage: Record<string, number>): RunResult {
  const finding = { invariant: 1, rule: "agreement", detail: "two values", atMs: 1_500 };
  return {
    ...{ seed: "7", verdict, drawn: "replicas 3", replicas: 3, clients: 2, faultKinds: [] },
    ...{ coreEvents: 30_000, simulatedMs: 60_000, acknowledged: 200, faults: 4 },
    ...{ finding: verdict === "passed" || verdict === "void" ? undefined : finding },
    ...{ coverage, traceHash: "00112233aabbccdd" },
  };
}

function totalsOf(...results: readonly RunResult[]): Totals {
  const totals = new Totals();
  for (const result of results) totals.add(result);
  return totals;
}

describe("the verdict on many seeds", () => {
  test("is the gravest of all, and a void seed is none", () => {
    const passed = resultOf("passed", { elections: 1 });
    const crash = resultOf("crash", {});
    expect(exitStatusOf(totalsOf(passed, resultOf("void", {})))).toBe(0);
    expect(exitStatusOf(totalsOf(passed, resultOf("liveness", {})))).toBe(11);
    expect(exitStatusOf(totalsOf(crash, resultOf("liveness", {})))).toBe(12);
    expect(exitStatusOf(totalsOf(crash, resultOf("safety", {})))).toBe(10);
  });

  test("a class of coverage at zero fails so many seeds, and not a few", () => {
    const totals = totalsOf(resultOf("passed", { elections: 1, "torn tails cut": 0 }));
    expect(exitStatusOf(totals)).toBe(0);
    for (let i = totals.seeds; i < COVERED_FROM_SEEDS; i += 1) {
      totals.add(resultOf("passed", { elections: 1, "torn tails cut": 0 }));
    }
    expect(exitStatusOf(totals)).toBe(13);
    expect(formatRun({ totals, seconds: 10, cores: 2, commit: "abc" })).toContain(
      "at zero, which fails the run: torn tails cut",
    );
  });

  test("a failure names the command that repeats it, and its line for the list", () => {
    const task = { kind: "seed", seed: "7", without: ["N1-loss"], replicas: 3 } as const;
    const text = formatFailure({ task, result: resultOf("safety", {}), tries: 9 }, "retry-storm");
    expect(text).toContain(
      "npm run sim -- --seed 7 --bug retry-storm --without N1-loss --replicas 3 --trace",
    );
    expect(text).toMatch(/seeds\.txt: 7 {2}\d{4}-\d\d-\d\d {2}safety 1 agreement/);
  });
});
