import type { AvailabilityReport, LongHoldReport, RunResult, Verdict } from "@cubby/simulator";
import { type Hunt, isExpected } from "./bug-hunt.ts";
import { seedLine } from "./seed-list.ts";
import type { Shrunk } from "./shrink.ts";
import type { SeedTask } from "./task.ts";
import type { Totals } from "./totals.ts";

export const EXIT_STATUSES = {
  passed: 0,
  usage: 1,
  safety: 10,
  liveness: 11,
  crash: 12,
  coverage: 13,
  notCaught: 14,
  unavailable: 15,
} as const;

/** Wrong beats broken, and broken beats stuck. */
const GRAVEST: readonly (Verdict & keyof typeof EXIT_STATUSES)[] = ["safety", "crash", "liveness"];

export type Run = {
  readonly totals: Totals;
  readonly seconds: number;
  readonly cores: number;
  readonly commit: string;
};

export function exitStatusOf(totals: Totals): number {
  for (const verdict of GRAVEST) if (totals.of(verdict) > 0) return EXIT_STATUSES[verdict];
  // Neither green nor red: a run that showed nothing covered nothing.
  if (totals.of("passed") === 0 || totals.hasManyVoid) return EXIT_STATUSES.coverage;
  const isUncovered = totals.mustCover && totals.uncovered.length > 0;
  return isUncovered ? EXIT_STATUSES.coverage : EXIT_STATUSES.passed;
}

/** One run in full: what it drew, and how it went. */
export function formatSeed(result: RunResult): string {
  const { seed, drawn, coreEvents, simulatedMs, acknowledged, faults, traceHash } = result;
  return [
    `seed ${seed}: ${headline(result)}`,
    `  drawn: ${drawn}`,
    `  ${count(coreEvents)} core events, ${count(acknowledged)} calls answered, ` +
      `${count(faults)} faults in ${(simulatedMs / 1_000).toFixed(1)} simulated seconds`,
    `  trace hash ${traceHash}`,
  ].join("\n");
}

/** A failure with the command that repeats it, and its line for seeds.txt. */
export function formatFailure({ task, result, tries }: Shrunk, bug: string | undefined): string {
  const date = new Date().toISOString().slice(0, 10);
  const why = `${result.verdict} ${result.finding?.invariant ?? 0} ${result.finding?.rule ?? ""}`;
  return [
    formatSeed(result),
    `  repeat it: ${commandFor(task, bug)} --trace`,
    `  shrunk in ${tries} tries; for seeds.txt: ${seedLine({ seed: result.seed, date, why })}`,
  ].join("\n");
}

export function headline({ verdict, finding }: RunResult): string {
  if (finding === undefined) return verdict;
  const { invariant, rule, detail, atMs } = finding;
  const number = invariant === 0 ? "" : `, invariant ${invariant}`;
  return `${verdict}${number}, ${rule}, at ${(atMs / 1_000).toFixed(1)} s: ${detail}`;
}

function commandFor(task: SeedTask, bug: string | undefined): string {
  const { seed, without = [], replicas, clients, safetyMs, isTwice } = task;
  const options = [
    bug === undefined ? "" : `--bug ${bug}`,
    without.length === 0 ? "" : `--without ${without.join(",")}`,
    replicas === undefined ? "" : `--replicas ${replicas}`,
    clients === undefined ? "" : `--clients ${clients}`,
    safetyMs === undefined ? "" : `--safety-ms ${safetyMs}`,
    isTwice === true ? "--twice" : "",
  ];
  const given = options.filter((option) => option !== "").map((option) => ` ${option}`);
  return `npm run sim -- --seed ${seed}${given.join("")}`;
}

export function formatRun(run: Run): string {
  const { totals, seconds, cores, commit } = run;
  const { seeds, coreEvents, simulatedMs, acknowledged, faults } = totals;
  const perSecond = (value: number): string => count(Math.round(value / seconds));
  const simulated = simulatedMs / 1_000;
  const failed = totals.failures.length;
  return [
    `${count(totals.of("passed"))} seeds passed, ${count(failed)} failed, ` +
      `${count(totals.of("void"))} void, at ${commit} on Node ${process.versions.node}`,
    `${(seeds / seconds).toFixed(1)} seeds/s, ${perSecond(coreEvents)} core events/s, ` +
      `${count(Math.round(simulated / seconds))} simulated seconds/s on ${cores} cores; ` +
      `${(simulated / 3_600).toFixed(2)} simulated hours in ${seconds.toFixed(0)} s`,
    `${count(coreEvents)} core events, ${count(acknowledged)} calls answered, ${count(faults)} faults`,
    formatCoverage(totals),
  ].join("\n");
}

function formatCoverage(totals: Totals): string {
  const rows = [...totals.coverage].map(([name, times]) => {
    return `  ${name.padEnd(40)} ${count(times).padStart(11)}`;
  });
  const { uncovered } = totals;
  const verdict = totals.mustCover ? "which fails the run" : "which so few seeds may miss";
  const missing = uncovered.length === 0 ? [] : [`at zero, ${verdict}: ${uncovered.join(", ")}`];
  return ["coverage, over all seeds", ...rows, ...missing].join("\n");
}

export function runAsJson({ totals, seconds, cores, commit }: Run): object {
  const { seeds, coreEvents, simulatedMs, acknowledged, faults, failures, uncovered } = totals;
  return {
    ...{ commit, node: process.versions.node, cores, seconds, seeds },
    ...{ passed: totals.of("passed"), void: totals.of("void"), failed: failures.length },
    ...{ coreEvents, simulatedMs, acknowledged, faults },
    coverage: Object.fromEntries(totals.coverage),
    uncovered,
    failures: failures.map(({ seed, verdict, finding, traceHash }) => {
      return { seed, verdict, finding, traceHash };
    }),
  };
}

/** What is not in `expects` is caught as well, but perhaps by luck: a mark at the end says so. */
export function formatHunt({ bug, caught, seeds, seconds }: Hunt): string {
  const name = `${bug.name} (${bug.class})`.padEnd(56);
  const took = `${seconds.toFixed(1).padStart(6)} s`;
  if (caught === undefined) return `${name} NOT CAUGHT in ${seeds} seeds  ${took}`;
  const { verdict, finding } = caught;
  const by = `${verdict} ${finding?.invariant ?? 0} ${finding?.rule ?? ""}`;
  const mark = isExpected(bug, caught) ? "" : "  by other means";
  return `${name} ${`${seeds}`.padStart(5)} seeds  ${by.padEnd(36)} ${took}${mark}`;
}

export function huntAsJson({ bug, caught, seeds, seconds }: Hunt): object {
  const { name, why, expects } = bug;
  const by =
    caught === undefined
      ? undefined
      : { verdict: caught.verdict, ...caught.finding, isExpected: isExpected(bug, caught) };
  return { name, class: bug.class, why, expects, caught: caught !== undefined, seeds, by, seconds };
}

export function formatYear(report: AvailabilityReport, hold: LongHoldReport): string {
  const rows = report.classes.map((each) => {
    const { name, perYear, meanGapMs, worstGapMs, minutesPerYear } = each;
    const mean = `${(meanGapMs / 1_000).toFixed(2)} s`.padStart(10);
    const worst = `${(worstGapMs / 1_000).toFixed(2)} s`.padStart(10);
    const minutes = `${minutesPerYear.toFixed(2)} min`.padStart(10);
    return `  ${name.padEnd(60)} ${`${perYear}`.padStart(4)} ${mean} ${worst} ${minutes}`;
  });
  const share = (report.share * 100).toFixed(4);
  return [
    `  ${"fault".padEnd(60)} ${"/yr".padStart(4)} ${"mean gap".padStart(10)} ` +
      `${"worst".padStart(10)} ${"a year".padStart(10)}`,
    ...rows,
    `a write succeeds in ${share} % of a year: ${report.unavailableMinutes.toFixed(1)} minutes are ` +
      `missing, in ${count(report.windows)} faults`,
    formatHold(hold),
  ].join("\n");
}

export function formatHold(hold: LongHoldReport): string {
  return (
    `one lock was held for ${hold.days} days with one sequencer, generation ${hold.generation}: ` +
    `${count(hold.checks)} checks, ${hold.faults} faults, ${hold.failOvers} fail-overs, ` +
    `${hold.restarts} restarts, ${count(hold.snapshots)} snapshots`
  );
}

export function formatMonths(holds: readonly LongHoldReport[]): string {
  const sum = (of: (hold: LongHoldReport) => number): string =>
    count(holds.reduce((total, hold) => total + of(hold), 0));
  return (
    `${holds.length} months, ${sum(({ days }) => days)} days in all: ${sum(({ faults }) => faults)} faults, ` +
    `${sum(({ failOvers }) => failOvers)} fail-overs, ${sum(({ restarts }) => restarts)} restarts, ` +
    `${sum(({ snapshots }) => snapshots)} snapshots, ${sum(({ coreEvents }) => coreEvents)} core events`
  );
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}
