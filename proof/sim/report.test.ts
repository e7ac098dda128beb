import type { RunResult, Verdict } from "@cubby/simulator";
import { describe, expect, test } from "vitest";
import { type Hunt, isCatch, isMissed } from "./bug-hunt.ts";
import { bugNamed } from "./planted-bugs.ts";
import { exitStatusOf, formatFailure, formatHunt, formatRun } from "./report.ts";
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

  test("is no pass where nothing passed", () => {
    expect(exitStatusOf(totalsOf())).toBe(13);
    expect(exitStatusOf(totalsOf(resultOf("void", {}), resultOf("void", {})))).toBe(13);
  });

  test("is no pass where one seed in ten or more is void", () => {
    const totals = totalsOf();
    const add = (verdict: Verdict, n: number) => {
      for (let i = 0; i < n; i += 1) totals.add(resultOf(verdict, { elections: 1 }));
    };
    add("passed", 40);
    add("void", 4);
    expect(exitStatusOf(totals)).toBe(0);
    add("void", 6);
    expect(exitStatusOf(totals)).toBe(13);
    add("passed", 60);
    expect(exitStatusOf(totals)).toBe(0);
  });

  test("adds nothing of a void seed but its count", () => {
    const totals = totalsOf(
      resultOf("passed", { elections: 1 }),
      resultOf("void", { elections: 2 }),
    );
    expect(totals).toMatchObject({ seeds: 1, coreEvents: 30_000, simulatedMs: 60_000, faults: 4 });
    expect(totals.of("void")).toBe(1);
    expect(totals.coverage.get("elections")).toBe(1);
  });

  test("a class of coverage at zero fails so many seeds, and not a few", () => {
    const totals = totalsOf(resultOf("passed", { elections: 1, "torn tails cut": 0 }));
    expect(exitStatusOf(totals)).toBe(0);
    for (let i = totals.seeds; i < COVERED_FROM_SEEDS; i += 1) {
      totals.add(resultOf(i % 50 === 0 ? "void" : "passed", { elections: 1, "torn tails cut": 0 }));
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
    const twice = { task: { ...task, isTwice: true }, result: resultOf("safety", {}), tries: 0 };
    expect(formatFailure(twice, undefined)).toContain("--replicas 3 --twice --trace");
  });
});

describe("the hunt for a planted bug", () => {
  const bug = bugNamed("quorum-off-by-one");
  if (bug === undefined) throw new Error("there is no such bug");

  test("marks what caught it and was not expected to", () => {
    const caught = resultOf("safety", {});
    const hunt: Hunt = { bug, caught, seeds: 2, seconds: 1 };
    expect(formatHunt(hunt)).toMatch(/ {2}2 seeds {2}safety 1 agreement +1\.0 s$/);
    const other: Hunt = { ...hunt, bug: { ...bug, expects: [24] } };
    expect(formatHunt(other)).toMatch(/safety 1 agreement +1\.0 s {2}by other means$/);
  });

  test("takes for no catch what the same seed finds without the bug", () => {
    const caught = { ...resultOf("safety", {}), seed: "7" };
    const hunt: Hunt = { bug, caught, seeds: 7, seconds: 1 };
    expect(isMissed(hunt, undefined)).toBe(false);
    expect(isMissed(hunt, { ...caught, seed: "9" })).toBe(false);
    expect(isMissed(hunt, caught)).toBe(true);
    expect(isMissed({ ...hunt, caught: undefined }, undefined)).toBe(true);
  });

  test("takes a hang for a catch only where a crash is expected", () => {
    const finding = { invariant: 0, rule: "hang", detail: "no verdict", atMs: 0 };
    const hung: RunResult = { ...resultOf("crash", {}), finding };
    expect(isCatch(bug, hung)).toBe(false);
    expect(isCatch({ ...bug, expects: [0] }, hung)).toBe(true);
    const failed = { ...hung, finding: { ...finding, rule: "assertion" } };
    expect(isCatch(bug, failed)).toBe(true);
    expect(isCatch(bug, resultOf("void", {}))).toBe(false);
  });
});
