import { formatTable } from "../../packages/cli/src/table.ts";
import { type FaultWindow, outcomeOf } from "./faults.ts";
import type { History, Tally } from "./history.ts";
import type { Crash } from "./program.ts";
import { CLIENT_FAULTS, type FaultKind, REPLICA_FAULTS } from "./schedule.ts";
import type { Judgment } from "./verdict.ts";

/** Below it a run has shown nothing: operations that succeeded, per second of the whole run. */
const RATE_MIN = 20;
const FAULTS_MIN = 3;
/**
 * From this length on every kind must have happened. By the schedule each has had its turn by the 45th
 * second, and five times in this; on a machine on which faults take twice as long, twice. One turn may
 * find nothing to damage, or no need for room, so that a minute of CI is not held to it.
 */
export const EVERY_KIND_FROM_S = 180;
/** Whatever is hit, a cell that nobody is served by for so long has not gone on. */
const GAP_MS_MAX = 20_000;
/** Files alone make the rate: what holders wrote to what their locks protect is counted by itself. */
const GUARDED_WRITES_MIN = 10;

export type Verdict = "passed" | "violation" | "invalid" | "crash";

/** Distinct, so that a script can tell them apart; 2 is a mistake in the call. */
export const EXIT_STATUSES: Readonly<Record<Verdict, number>> = {
  passed: 0,
  violation: 1,
  invalid: 3,
  crash: 4,
};

export type RunFacts = {
  readonly seed: string;
  readonly network: string;
  readonly skipped: ReadonlyMap<FaultKind, string>;
  /** Why faults of the network may have been none. */
  readonly networkProblem: string | undefined;
  /** The time under fault. */
  readonly from: number;
  readonly until: number;
  readonly windows: readonly FaultWindow[];
  readonly crashes: readonly Crash[];
  readonly resource: {
    readonly accepted: number;
    readonly refused: number;
    readonly violations: readonly string[];
  };
  /** Who did not come back from a fault, did not mend it, or was missing when all had been healed. */
  readonly notRecovered: readonly string[];
};

export type FaultSummary = {
  readonly kind: FaultKind;
  /** Those that had nothing to hit, or made nobody notice, are in the notes alone. */
  readonly count: number;
  /** The longest time without any success while one was there. */
  readonly longestGapMs: number;
  readonly notes: Readonly<Record<string, number>>;
};

export type Report = {
  readonly verdict: Verdict;
  readonly reasons: readonly string[];
  readonly seed: string;
  readonly seconds: number;
  readonly network: string;
  readonly skipped: Readonly<Record<string, string>>;
  readonly operations: Readonly<Record<string, Tally>>;
  readonly errors: Readonly<Record<string, number>>;
  readonly okPerSecond: number;
  readonly faults: readonly FaultSummary[];
  readonly longestGapMs: number;
  readonly checked: { readonly nodes: number; readonly operations: number };
  readonly beliefs: number;
  readonly behindWaiters: number;
  readonly resource: { readonly accepted: number; readonly refused: number };
};

export function createReport(facts: RunFacts, history: History, judgment: Judgment): Report {
  const seconds = (facts.until - facts.from) / 1_000;
  const during = history.successes.filter((at) => at >= facts.from && at <= facts.until);
  const okPerSecond = during.length / seconds;
  const gaps = gapsOf([facts.from, ...during, facts.until]);
  const longestGapMs = Math.round(
    gaps.reduce((most, { from, until }) => Math.max(most, until - from), 0),
  );
  const kinds = [...REPLICA_FAULTS, ...CLIENT_FAULTS];
  const faults = kinds.map((kind) => summarize(kind, facts.windows, gaps));
  const { verdict, reasons } = judgeRun(facts, judgment, { okPerSecond, longestGapMs, faults });
  return {
    verdict,
    reasons,
    seed: facts.seed,
    seconds: Math.round(seconds),
    network: facts.network,
    skipped: Object.fromEntries(facts.skipped),
    operations: Object.fromEntries(history.tallies),
    errors: Object.fromEntries(history.errors),
    okPerSecond: Math.round(okPerSecond),
    faults,
    longestGapMs,
    checked: { nodes: judgment.nodes, operations: judgment.operations },
    beliefs: [...history.beliefs.values()].reduce((sum, { length }) => sum + length, 0),
    behindWaiters: history.behindWaiters,
    resource: { accepted: facts.resource.accepted, refused: facts.resource.refused },
  };
}

function judgeRun(
  facts: RunFacts,
  judgment: Judgment,
  seen: Pick<Report, "okPerSecond" | "longestGapMs" | "faults">,
): { verdict: Verdict; reasons: string[] } {
  const { okPerSecond, longestGapMs, faults } = seen;
  const violations = [...judgment.violations, ...facts.resource.violations];
  if (violations.length > 0) return { verdict: "violation", reasons: violations };
  const crashes = facts.crashes.map(
    ({ process, exit, said }) =>
      `${process} ended with ${exit.code ?? exit.signal}, which nobody asked for. It said:\n${said}`,
  );
  if (crashes.length > 0) return { verdict: "crash", reasons: crashes };
  const stuck = [...facts.notRecovered];
  if (longestGapMs > GAP_MS_MAX) stuck.push(`Nobody was served for ${longestGapMs} ms.`);
  const { networkProblem } = facts;
  if (stuck.length > 0 && networkProblem === undefined) {
    return { verdict: "violation", reasons: stuck };
  }
  const reasons = judgment.undecided.map((each) => `Not decided: ${each}`);
  if (networkProblem !== undefined) {
    // A link that stays cut lets nobody come back.
    reasons.push(`Not all links were cut and healed as told: ${networkProblem}.`, ...stuck);
  }
  if (okPerSecond < RATE_MIN) {
    reasons.push(`${okPerSecond.toFixed(1)} successes a second: at least ${RATE_MIN} are wanted.`);
  }
  const happened = faults.reduce((sum, { count }) => sum + count, 0);
  if (happened < FAULTS_MIN) reasons.push(`${happened} faults: at least ${FAULTS_MIN} are wanted.`);
  const seconds = (facts.until - facts.from) / 1_000;
  const missing = faults.filter(({ kind, count }) => count === 0 && !facts.skipped.has(kind));
  if (seconds >= EVERY_KIND_FROM_S && missing.length > 0) {
    const kinds = missing.map(({ kind }) => kind).join(", ");
    reasons.push(`In ${Math.round(seconds)} s these faults never happened: ${kinds}.`);
  }
  if (facts.resource.accepted < GUARDED_WRITES_MIN) {
    reasons.push(
      `${facts.resource.accepted} writes by holders of locks: at least ${GUARDED_WRITES_MIN} are wanted.`,
    );
  }
  return { verdict: reasons.length > 0 ? "invalid" : "passed", reasons };
}

type Gap = { readonly from: number; readonly until: number };

function gapsOf(times: readonly number[]): Gap[] {
  return times.slice(1).map((until, index) => ({ from: times[index] ?? until, until }));
}

function summarize(
  kind: FaultKind,
  windows: readonly FaultWindow[],
  gaps: readonly Gap[],
): FaultSummary {
  const own = windows.filter((window) => window.kind === kind);
  const happened = own.filter(({ hasHappened }) => hasHappened);
  let longest = 0;
  for (const { from, until } of happened) {
    // Gaps are in order, but a window meets few of them: a scan is short enough.
    for (const gap of gaps) {
      if (gap.until >= from && gap.from <= until) longest = Math.max(longest, gap.until - gap.from);
    }
  }
  const notes: Record<string, number> = {};
  for (const each of own) {
    const what = outcomeOf(each);
    if (what !== "") notes[what] = (notes[what] ?? 0) + 1;
  }
  return { kind, count: happened.length, longestGapMs: Math.round(longest), notes };
}

const OPERATION_COLUMNS = ["operation", "ok", "unknown", "not applied"];
const FAULT_COLUMNS = ["fault", "times", "longest gap", "what came of it"];

export function formatReport(report: Report): string {
  const { checked, resource } = report;
  const operations = Object.entries(report.operations).map(([kind, tally]) => [
    kind,
    ...[tally.ok, tally.unknown, tally["not-applied"]].map(String),
  ]);
  const faults = report.faults.map(({ kind, count, longestGapMs, notes }) => {
    const why = report.skipped[kind];
    const said = Object.entries(notes).map(([what, times]) => `${times} ${what}`);
    const note = why === undefined ? said.join(", ") : `SKIPPED: ${why}`;
    return [kind, String(count), count === 0 ? "" : `${longestGapMs} ms`, note];
  });
  return [
    `seed ${report.seed}, ${report.seconds} s, ${report.network}`,
    "",
    formatTable(OPERATION_COLUMNS, operations, { rightAligned: OPERATION_COLUMNS.slice(1) }),
    `${report.okPerSecond} succeeded a second; longest time without a success ${report.longestGapMs} ms`,
    `errors: ${JSON.stringify(report.errors)}`,
    "",
    formatTable(FAULT_COLUMNS, faults, { rightAligned: FAULT_COLUMNS.slice(1, 3) }),
    "",
    `${checked.operations} operations on ${checked.nodes} nodes checked for linearizability`,
    `${report.behindWaiters} tries refused while others waited, or may have: right of a free lock too`,
    `${report.beliefs} times a client was told that it holds a lock: checked that no two overlap`,
    `fenced writes: ${resource.accepted} taken; ${resource.refused} came too late, which a resource that does not look would have taken`,
    "",
    ...report.reasons,
    `verdict: ${report.verdict}`,
  ].join("\n");
}
