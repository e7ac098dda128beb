/** `npm run sim`: seeds, on all cores, and a verdict; see docs/internals/simulator.md. */

import { execFileSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { availableParallelism } from "node:os";
import type { LongHoldReport, RunResult } from "@cubby/simulator";
import { type Arguments, readArguments, USAGE } from "./arguments.ts";
import { type Hunt, hunt, isMissed, playClean } from "./bug-hunt.ts";
import { bundle } from "./bundle.ts";
import { Crew, TaskFailed } from "./crew.ts";
import { bugNamed, PLANTED_BUGS } from "./planted-bugs.ts";
import {
  EXIT_STATUSES,
  exitStatusOf,
  formatFailure,
  formatHold,
  formatHunt,
  formatMonths,
  formatRun,
  formatSeed,
  formatYear,
  headline,
  huntAsJson,
  type Run,
  runAsJson,
} from "./report.ts";
import { readSeedList } from "./seed-list.ts";
import { shrink } from "./shrink.ts";
import type { SeedTask, Task } from "./task.ts";
import { Totals } from "./totals.ts";

/** More than this are one bug, or a broken simulator. */
const FAILURES_MAX = 5;
const SHRUNK_MAX = 2;
const SAY_EVERY_MS = 10_000;
const TWICE_ONE_IN = 10;
/** The promise: a write succeeds in that part of a year. */
const SHARE_MIN = 0.9995;
const HOLD_DAYS = 30;
const QUICK_SEEDS_MAX = 100;
const BUG_SEEDS_MAX = 2_000;
const CORES = availableParallelism();

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Seeds as they are asked for, those of the list first. */
function* seedTasks(args: Arguments): Generator<SeedTask> {
  const { from = randomInt(2 ** 31), seeds, minutes, isTwice } = args;
  const listed = args.bug === undefined ? readSeedList().map(({ seed }) => seed) : [];
  for (const seed of listed) yield { kind: "seed", seed };
  say(`seeds from ${from} on, ${args.from === undefined ? "which were drawn" : "as asked for"}`);
  // The minutes are those of fresh seeds: the list takes as long as it does.
  const begunAt = performance.now();
  const isOver = (done: number): boolean =>
    seeds === undefined ? performance.now() - begunAt > minutes * 60_000 : done >= seeds;
  for (let done = 0; !isOver(done); done += 1) {
    yield { kind: "seed", seed: `${from + done}`, isTwice: isTwice && done % TWICE_ONE_IN === 0 };
  }
}

async function playSeeds(args: Arguments): Promise<number> {
  const { file, remove } = await bundle(args.bug);
  const crew = new Crew(file, CORES);
  const begunAt = performance.now();
  const totals = new Totals();
  const failed: { readonly task: SeedTask; readonly result: RunResult }[] = [];
  const tasks = seedTasks(args);
  const given = new Map<string, SeedTask>();
  const next = (): SeedTask | undefined => {
    if (failed.length >= FAILURES_MAX) return undefined;
    const { value: task, done } = tasks.next();
    if (done === true) return undefined;
    given.set(task.seed, task);
    return task;
  };
  let saidAt = begunAt;
  try {
    await crew.seeds(next, (result) => {
      totals.add(result);
      const { isTwice: _, ...task } = given.get(result.seed) ?? { kind: "seed", seed: result.seed };
      if (totals.failures.includes(result)) {
        failed.push({ task, result });
        say(`seed ${result.seed}: ${headline(result)}`);
      }
      given.delete(result.seed);
      if (performance.now() - saidAt < SAY_EVERY_MS) return;
      saidAt = performance.now();
      say(`${totals.seeds} seeds in ${Math.round((saidAt - begunAt) / 1_000)} s`);
    });
    const seconds = (performance.now() - begunAt) / 1_000;
    const run: Run = { totals, seconds, cores: CORES, commit: commit() };
    print(args.isJson ? JSON.stringify(runAsJson(run)) : formatRun(run));
    for (const { task, result } of failed.slice(0, SHRUNK_MAX)) {
      const shrunk = await shrink(result, task, (smaller) => crew.seed(smaller));
      say(formatFailure(shrunk, args.bug?.name));
    }
    return exitStatusOf(totals);
  } finally {
    await crew.leave();
    await remove();
  }
}

/** One seed, and its message chart if that is wanted. */
async function playOne(args: Arguments, task: SeedTask): Promise<number> {
  const { file, remove } = await bundle(args.bug);
  const crew = new Crew(file, 1, { onChart: (lines) => lines.forEach(print) });
  try {
    const result = await crew.seed(task);
    const where = { commit: commit(), node: process.versions.node };
    if (args.isJson) print(JSON.stringify({ ...where, ...result }));
    else print(`${formatSeed(result)}\n  at ${where.commit} on Node ${where.node}`);
    return statusOf(result);
  } finally {
    await crew.leave();
    await remove();
  }
}

function statusOf(result: RunResult): number {
  const totals = new Totals();
  totals.add(result);
  return exitStatusOf(totals);
}

/** Each planted bug must be caught, and the same seeds must pass without it. */
async function huntAll(args: Arguments): Promise<number> {
  const seedsMax = args.seeds ?? (args.isQuick ? QUICK_SEEDS_MAX : BUG_SEEDS_MAX);
  const bugs = PLANTED_BUGS.filter((bug) => !args.isQuick || bug.isQuick === true);
  const hunts: Hunt[] = [];
  for (const bug of bugs) {
    const found = await hunt(bug, seedsMax, CORES);
    hunts.push(found);
    print(args.isJson ? JSON.stringify(huntAsJson(found)) : formatHunt(found));
  }
  const needed = hunts.map(({ caught, seeds }) => (caught === undefined ? 0 : seeds));
  const cleanSeeds = Math.max(1, ...needed);
  const clean = await playClean(cleanSeeds, CORES);
  const missed = hunts.filter((each) => isMissed(each, clean));
  const passes = clean === undefined ? "passes" : `FAILS: ${clean.seed}: ${headline(clean)}`;
  const names = missed.map(({ bug }) => bug.name).join(", ");
  say(
    `${hunts.length - missed.length} of ${hunts.length} planted bugs caught${names && `, not ${names}`}`,
  );
  say(`without a bug, seeds 1 to ${cleanSeeds}: ${passes}`);
  if (missed.length > 0) return EXIT_STATUSES.notCaught;
  return clean === undefined ? EXIT_STATUSES.passed : statusOf(clean);
}

async function playAvailability(args: Arguments): Promise<number> {
  const { file, remove } = await bundle(undefined);
  const onProgress = (task: Task, done: number, all: number): void => {
    if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${task.kind}: ${done} of ${all}`);
  };
  const crew = new Crew(file, 2, { onProgress });
  const seed = `${args.from ?? 1}`;
  try {
    const answers = await crew.others([
      { kind: "year", seed, share: args.isQuick ? 0.05 : 1 },
      { kind: "hold", seed, days: args.isQuick ? 1 : HOLD_DAYS },
    ]);
    if (process.stderr.isTTY) process.stderr.write("\r\u001b[K");
    const [year, hold] = answers;
    if (year?.kind !== "year" || hold?.kind !== "hold") throw new Error("an answer is missing");
    const { report } = year;
    const json = { ...report, hold: hold.report };
    print(args.isJson ? JSON.stringify(json) : formatYear(report, hold.report));
    return report.share >= SHARE_MIN ? EXIT_STATUSES.passed : EXIT_STATUSES.unavailable;
  } finally {
    await crew.leave();
    await remove();
  }
}

/** Each month from a seed of its own: what only time brings, as far as slow timers let it. */
async function playMonths(args: Arguments, months: number): Promise<number> {
  const { file, remove } = await bundle(undefined);
  const crew = new Crew(file, CORES);
  const from = args.from ?? 1;
  try {
    const tasks = Array.from({ length: months }, (_, i) => {
      return { kind: "hold", seed: `${from + i}`, days: HOLD_DAYS } as const;
    });
    const holds: LongHoldReport[] = [];
    await crew.others(tasks, (answer, { seed }) => {
      if (answer.kind !== "hold") return;
      const { report } = answer;
      holds.push(report);
      print(args.isJson ? JSON.stringify({ seed, ...report }) : `${seed}: ${formatHold(report)}`);
    });
    if (!args.isJson) print(formatMonths(holds));
    return EXIT_STATUSES.passed;
  } finally {
    await crew.leave();
    await remove();
  }
}

/** What a failure is to be repeated on. */
function commit(): string {
  try {
    const root = new URL("../..", import.meta.url);
    const git = (args: readonly string[]): string =>
      execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim();
    const isChanged = git(["status", "--porcelain", "--", "packages"]) !== "";
    return `${git(["rev-parse", "--short", "HEAD"])}${isChanged ? " with changes" : ""}`;
  } catch {
    return "no commit";
  }
}

async function main(): Promise<number> {
  const args = readArguments(process.argv.slice(2), bugNamed);
  if (typeof args === "string") {
    say(`${args}\n\n${USAGE}`);
    return EXIT_STATUSES.usage;
  }
  if (args.isHelp) {
    print(USAGE);
    for (const { name, why } of PLANTED_BUGS) print(`  ${name.padEnd(44)} ${why}`);
    return EXIT_STATUSES.passed;
  }
  if (args.task !== undefined) return playOne(args, args.task);
  if (args.isHunt) return huntAll(args);
  if (args.isYear) return playAvailability(args);
  if (args.months !== undefined) return playMonths(args, args.months);
  return playSeeds(args);
}

// Nobody reads it any more, as with `| head`: 128 + SIGPIPE.
process.stdout.on("error", () => process.exit(141));
process.exitCode = await main().catch((error: unknown) => {
  if (!(error instanceof TaskFailed)) throw error;
  say(error.message);
  return EXIT_STATUSES[error.verdict];
});
