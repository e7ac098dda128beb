import { describe, expect, it, vi } from "vitest";
import { COVERAGE_CLASSES } from "./coverage.ts";
import { runSeed } from "./run.ts";
import { FAULT_KINDS } from "./run-result.ts";

// On a core that others use too; alone each run takes less than a second.
vi.setConfig({ testTimeout: 120_000 });

describe("a seed", () => {
  it("gives the same run twice, and another seed another one", () => {
    const first = runSeed({ seed: "68" });
    expect(runSeed({ seed: "68" })).toEqual(first);
    expect(runSeed({ seed: "7" }).traceHash).not.toBe(first.traceHash);
  });

  it("counts only with 20,000 core events, 100 answered calls and 3 faults", () => {
    const run = runSeed({ seed: "36" });
    expect(run.verdict).toBe("passed");
    expect(run.coreEvents).toBeGreaterThanOrEqual(20_000);
    expect(run.acknowledged).toBeGreaterThanOrEqual(100);
    expect(run.faults).toBeGreaterThanOrEqual(3);
    const short = runSeed({ seed: "9", clients: 1, without: FAULT_KINDS, safetyMs: 100 });
    expect(short.verdict).toBe("void");
  });

  it("draws what it says: without a kind of fault it has none of that kind", () => {
    const kind = "C1-crash";
    const seed = "74";
    expect(runSeed({ seed }).faultKinds).toContain(kind);
    expect(runSeed({ seed, without: [kind] }).faultKinds).not.toContain(kind);
    expect(runSeed({ seed, replicas: 3, clients: 2 })).toMatchObject({ replicas: 3, clients: 2 });
  });

  it("shows every message in its chart, and runs the same with a chart as without", () => {
    const lines: string[] = [];
    const charted = runSeed({ seed: "68", chart: (line) => lines.push(line) });
    expect(charted.traceHash).toBe(runSeed({ seed: "68" }).traceHash);
    expect(lines.length).toBeGreaterThan(5_000);
    expect(lines.some((line) => / r\d --> r\d {2}accept /.test(line))).toBe(true);
    expect(lines.some((line) => /c\d+ --> setContents /.test(line))).toBe(true);
  });

  it("reports every class of coverage, those at zero too", () => {
    const { coverage } = runSeed({ seed: "36" });
    expect(Object.keys(coverage)).toEqual([...COVERAGE_CLASSES]);
  });
});
