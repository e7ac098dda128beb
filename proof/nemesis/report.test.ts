import { describe, expect, it } from "vitest";
import type { FaultWindow } from "./faults.ts";
import { readHistory } from "./history.ts";
import { createReport, EVERY_KIND_FROM_S, EXIT_STATUSES, type RunFacts } from "./report.ts";
import { FencedResource } from "./resource.ts";
import { CLIENT_FAULTS, type FaultKind, REPLICA_FAULTS } from "./schedule.ts";

const NOTHING_WRONG = { violations: [], undecided: [], nodes: 1, operations: 1 };

const NO_ROOM: FaultWindow = {
  ...{ kind: "full disk", target: 1, from: 400, until: 500 },
  ...{ note: "did not need room", hasHappened: false },
};

function facts(changes: Partial<RunFacts> = {}): RunFacts {
  const window = { ...NO_ROOM, kind: "kill", note: "", hasHappened: true } as const;
  return {
    seed: "s",
    network: "",
    skipped: new Map(),
    networkProblem: undefined,
    from: 0,
    until: 1_000,
    windows: [window, window, window],
    crashes: [],
    resource: { accepted: 10, refused: 0, violations: [] },
    notRecovered: [],
    ...changes,
  };
}

/** One success every 10 ms, but for a time without any. */
function history(silentFrom: number, silentUntil: number, until = 1_000) {
  const lines = [];
  for (let at = 0; at <= until; at += 10) {
    if (at > silentFrom && at < silentUntil) continue;
    const id = `1-1.${at}`;
    const input = { kind: "read" } as const;
    lines.push({ event: "call", id, at, session: "s", node: "f", input } as const);
    const output = { kind: "contents", value: "", generation: 1 } as const;
    lines.push({ event: "return", id, at, outcome: "ok", output } as const);
  }
  return readHistory(lines, () => 0);
}

describe("a report", () => {
  it("passes, and names the longest time without a success for the fault that was there", () => {
    const report = createReport(facts(), history(420, 620), NOTHING_WRONG);
    expect(report).toMatchObject({ verdict: "passed", longestGapMs: 200, okPerSecond: 82 });
    const kill = report.faults.find(({ kind }) => kind === "kill");
    expect(kill).toEqual({ kind: "kill", count: 3, longestGapMs: 200, notes: {} });
  });

  it("counts no fault that nobody noticed, and notes it", () => {
    const report = createReport(facts({ windows: [NO_ROOM] }), history(0, 0), NOTHING_WRONG);
    const full = report.faults.find(({ kind }) => kind === "full disk");
    const notes = { "did not need room": 1 };
    expect(full).toEqual({ kind: "full disk", count: 0, longestGapMs: 0, notes });
  });

  it("is invalid, not passed, when too little succeeded, happened, or was decided", () => {
    const verdictOf = (...args: Parameters<typeof createReport>) => createReport(...args).verdict;
    expect(verdictOf(facts(), history(100, 1_000), NOTHING_WRONG)).toBe("invalid");
    expect(verdictOf(facts({ windows: [] }), history(0, 0), NOTHING_WRONG)).toBe("invalid");
    const windows = [NO_ROOM, NO_ROOM, NO_ROOM];
    expect(verdictOf(facts({ windows }), history(0, 0), NOTHING_WRONG)).toBe("invalid");
    const resource = new FencedResource();
    expect(verdictOf(facts({ resource }), history(0, 0), NOTHING_WRONG)).toBe("invalid");
    const networkProblem = "the ip of endpoint 1 ended";
    expect(verdictOf(facts({ networkProblem }), history(0, 0), NOTHING_WRONG)).toBe("invalid");
    const stuck = { networkProblem, notRecovered: ["Replica 1"] };
    expect(verdictOf(facts(stuck), history(0, 0), NOTHING_WRONG)).toBe("invalid");
    const undecided = { ...NOTHING_WRONG, undecided: ["f"] };
    expect(verdictOf(facts(), history(0, 0), undecided)).toBe("invalid");
  });

  it("is invalid when it was long enough for every kind and one never happened, and names it", () => {
    const until = 1_000 * EVERY_KIND_FROM_S;
    const served = history(0, 0, until);
    const reportOf = (changes: Partial<RunFacts>) =>
      createReport(facts({ until, ...changes }), served, NOTHING_WRONG);
    const kinds: FaultKind[] = [...REPLICA_FAULTS, ...CLIENT_FAULTS];
    const windows = kinds.map((kind) => ({ ...NO_ROOM, kind, hasHappened: kind !== "full disk" }));
    const { verdict, reasons } = reportOf({ windows });
    expect(verdict).toBe("invalid");
    expect(reasons).toEqual([`In ${EVERY_KIND_FROM_S} s these faults never happened: full disk.`]);
    expect(reportOf({ windows, skipped: new Map([["full disk", "not root"]]) }).verdict).toBe(
      "passed",
    );
    expect(reportOf({ windows: [...windows, { ...NO_ROOM, hasHappened: true }] }).verdict).toBe(
      "passed",
    );
    expect(reportOf({ windows, until: until - 1 }).verdict).toBe("passed");
  });

  it("counts what took effect or was read, and not that a lock was busy", () => {
    const about = { session: "s", node: "l" } as const;
    const acquire = { kind: "acquire", holder: "a", wait: false } as const;
    const outputs = [
      { kind: "busy" },
      { kind: "granted", generation: 2 },
      { kind: "mismatch" },
    ] as const;
    const lines = outputs.flatMap((output, at) => [
      { event: "call", id: `1-1.${at}`, at, ...about, input: acquire } as const,
      { event: "return", id: `1-1.${at}`, at, outcome: "ok", output } as const,
    ]);
    expect(readHistory(lines, () => 0).successes).toEqual([1]);
  });

  it("puts a broken promise before a crash, and a crash before too little", () => {
    const crash = { process: "Client 11-1", exit: { code: 1, signal: null }, said: "TypeError" };
    const crashed = facts({ crashes: [crash], windows: [] });
    const { verdict, reasons } = createReport(crashed, history(0, 0), NOTHING_WRONG);
    expect(verdict).toBe("crash");
    expect(reasons[0]).toMatch(/^Client 11-1 ended with 1, which nobody asked for/);
    const broken = { ...NOTHING_WRONG, violations: ["f"] };
    expect(createReport(crashed, history(0, 0), broken).verdict).toBe("violation");
    const stuck = facts({ notRecovered: ["a client is not served"] });
    expect(createReport(stuck, history(0, 0), NOTHING_WRONG).verdict).toBe("violation");
  });

  it("does not pass when nobody was served for long, however many were before and after", () => {
    const verdictOf = (silentUntil: number) => {
      const served = history(10_000, silentUntil, 60_000);
      return createReport(facts({ until: 60_000 }), served, NOTHING_WRONG);
    };
    expect(verdictOf(30_000).verdict).toBe("passed");
    const { verdict, reasons } = verdictOf(30_010);
    expect(verdict).toBe("violation");
    expect(reasons).toEqual(["Nobody was served for 20010 ms."]);
  });

  it("has an exit status of its own for every verdict, and 2 is left for usage", () => {
    const statuses = Object.values(EXIT_STATUSES);
    expect(new Set([...statuses, 2]).size).toBe(statuses.length + 1);
  });
});

describe("a fenced resource", () => {
  it("refuses what is older than the newest, and takes one generation from one holder only", () => {
    const resource = new FencedResource();
    resource.write({ lock: "l", holder: "a", generation: 1 });
    resource.write({ lock: "l", holder: "b", generation: 2 });
    resource.write({ lock: "l", holder: "a", generation: 1 });
    expect(resource).toMatchObject({ accepted: 2, refused: 1, violations: [] });
    resource.write({ lock: "l", holder: "c", generation: 2 });
    expect(resource.violations).toEqual(["l: b and c both have generation 2."]);
  });
});
