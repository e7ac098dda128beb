/**
 * Cubby next to what a team would take instead, in one run on one machine: all cells are up at the same
 * time, and take turns in short rounds, so that a noisy machine is noisy for all of them alike.
 */

import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { nextMessage, startProcess } from "../child-process.ts";
import {
  DEPTHS,
  figuresOf,
  type OperationFigures,
  type Round,
  WORKERS_MAX,
} from "../closed-loop.ts";
import type { PartOptions } from "../part-options.ts";
import { inScope, type Scope } from "../scope.ts";
import { greatest, median } from "../statistics.ts";
import { count, fixed, textTable } from "../text-table.ts";
import { MEANINGS, OPERATION_NAMES, type OperationName } from "./clients.ts";
import { type Contender, type ContenderName, type FailOver, startContender } from "./contenders.ts";
import type { LoadAnswer, LoadTask } from "./load-process.ts";

type Plan = {
  readonly rounds: number;
  readonly roundMs: number;
  readonly warmUpMs: number;
  readonly failOverTrials: number;
};

const FULL: Plan = { rounds: 5, roundMs: 1_500, warmUpMs: 3_000, failOverTrials: 3 };
const QUICK: Plan = { rounds: 1, roundMs: 400, warmUpMs: 500, failOverTrials: 1 };
/** Until those who were restarted have caught up and keep quiet. */
const SETTLE_MS = 3_000;
const SECONDS_MAX = 900;
/** Beyond what a round, or a fail-over, has to take. */
const ANSWER_MS_MAX = 60_000;

type Figures = OperationFigures & {
  readonly contender: ContenderName;
  /** Operations of all rounds that ended in an error, and are counted nowhere else. */
  readonly failed: number;
};

type Played = Extract<LoadAnswer, { readonly kind: "round" }>;

type FailOverFigures = { readonly contender: ContenderName; readonly trialsMs: readonly number[] };

type Skipped = { readonly contender: ContenderName; readonly why: string };

type PeersReport = {
  readonly quick: boolean;
  readonly contenders: readonly Pick<Contender, "name" | "version" | "members">[];
  readonly skipped: readonly Skipped[];
  readonly figures: readonly Figures[];
  readonly failOver: readonly FailOverFigures[];
};

type Entrant = Contender & {
  readonly load: ChildProcess;
  readonly operations: readonly OperationName[];
};

type Turn = {
  readonly entrant: Entrant;
  readonly operation: OperationName;
  readonly inFlight: number;
  readonly rounds: Round[];
  failed: number;
};

export async function benchPeers(options: PartOptions<ContenderName>): Promise<void> {
  const plan = options.quick ? QUICK : FULL;
  await inScope(SECONDS_MAX, async (scope) => {
    const directory = mkdtempSync(join(tmpdir(), "cubby-peers-"));
    const entrants: Entrant[] = [];
    const skipped: Skipped[] = [];
    const failOver = new Map<ContenderName, number[]>();
    let turns: Turn[] = [];
    // Whatever there is by then, also when the run is cut short.
    scope.onEnd(() => {
      const report = reportOf({ quick: options.quick, entrants, skipped, turns, failOver });
      console.log(options.json ? JSON.stringify(report) : textReport(report));
    });
    scope.onEnd(() => rmSync(directory, { recursive: true, force: true }));
    for (const name of options.parts) {
      console.error(`starting: ${name}`);
      const part = scope.part();
      try {
        entrants.push(await enter(part, name, join(directory, name)));
      } catch (error) {
        scope.signal.throwIfAborted();
        // Ours is always to be had.
        if (name === "cubby") throw error;
        await part.close();
        // A program that failed said why last.
        const why = String(error).trim().split("\n").at(-1) ?? "";
        console.error(`SKIPPED ${name}: ${why}`);
        skipped.push({ contender: name, why });
      }
    }
    if (entrants.length === 0) throw new Error("There is nothing to measure.");
    turns = OPERATION_NAMES.flatMap((operation) =>
      DEPTHS.flatMap((inFlight) =>
        entrants
          .filter(({ operations }) => operations.includes(operation))
          .map((entrant): Turn => ({ entrant, operation, inFlight, rounds: [], failed: 0 })),
      ),
    );
    await takeTurns(scope, turns, plan);
    for (let trial = 0; trial < plan.failOverTrials; trial += 1) {
      console.error(`fail-over ${trial + 1} of ${plan.failOverTrials}`);
      for (const entrant of entrants) {
        if (entrant.failOver === undefined) continue;
        const gapMs = await watchFailOver(scope, entrant, entrant.failOver);
        failOver.set(entrant.name, [...(failOver.get(entrant.name) ?? []), gapMs]);
      }
    }
  });
}

async function enter(scope: Scope, name: ContenderName, directory: string): Promise<Entrant> {
  const contender = await startContender(scope, name, directory);
  const load = startProcess(scope, "peers/load-process.ts", [name, ...contender.addresses]);
  const answer = await answerOf(load, name);
  if (answer.kind !== "ready") throw unexpected(name, answer);
  const onExit = (): void => scope.stop(`the clients of ${name} ended`);
  load.once("exit", onExit);
  scope.onEnd(() => {
    load.off("exit", onExit);
  });
  return { ...contender, load, operations: answer.operations };
}

async function takeTurns(scope: Scope, turns: readonly Turn[], plan: Plan): Promise<void> {
  const deepest = turns.filter(({ inFlight }) => inFlight === WORKERS_MAX);
  console.error("warming up");
  for (const turn of deepest) await play(scope, turn, plan.warmUpMs);
  for (let round = 0; round < plan.rounds; round += 1) {
    console.error(`round ${round + 1} of ${plan.rounds}`);
    // Backwards every other time: what one leaves behind is not always the same one's to bear.
    for (const turn of round % 2 === 0 ? turns : turns.toReversed()) {
      const { round: played, failed } = await play(scope, turn, plan.roundMs);
      turn.rounds.push(played);
      turn.failed += failed;
    }
  }
}

async function play(scope: Scope, turn: Turn, durationMs: number): Promise<Played> {
  scope.signal.throwIfAborted();
  const { entrant, operation, inFlight } = turn;
  const what = `${entrant.name}, ${operation} with ${inFlight} in flight`;
  const answered = answerOf(entrant.load, what);
  send(entrant, { kind: "load", operation, inFlight, durationMs });
  const answer = await answered;
  if (answer.kind === "round") return answer;
  throw unexpected(what, answer);
}

/** How long a client that writes all the time gets no write done when the leader is killed. */
async function watchFailOver(scope: Scope, entrant: Entrant, failOver: FailOver): Promise<number> {
  const what = `${entrant.name}, fail-over`;
  await failOver.leader();
  await delay(SETTLE_MS, undefined, { signal: scope.signal });
  const answered = answerOf(entrant.load, what);
  // It is looked at below, or not at all when the run is cut short before.
  answered.catch(() => undefined);
  send(entrant, { kind: "writeOn" });
  await delay(SETTLE_MS, undefined, { signal: scope.signal });
  const leader = await failOver.leader();
  send(entrant, { kind: "leaderDies" });
  await failOver.kill(leader);
  send(entrant, { kind: "leaderDied" });
  const answer = await answered;
  await failOver.start(leader);
  if (answer.kind === "gap") return answer.gapMs;
  throw unexpected(what, answer);
}

async function answerOf(load: ChildProcess, what: string): Promise<LoadAnswer> {
  const late = new AbortController();
  const tooLate = delay(ANSWER_MS_MAX, undefined, { signal: late.signal }).then(() => {
    throw new Error(`${what}: no answer in ${ANSWER_MS_MAX} ms`);
  });
  // Called off, it ends in an error that means nothing.
  tooLate.catch(() => undefined);
  try {
    return await Promise.race([nextMessage<LoadAnswer>(load), tooLate]);
  } finally {
    late.abort();
  }
}

function send(entrant: Entrant, task: LoadTask): void {
  // That its process is gone is told by its end.
  entrant.load.send(task, () => undefined);
}

function unexpected(what: string, answer: LoadAnswer): Error {
  return new Error(`${what}: ${answer.kind === "failed" ? answer.why : "an answer out of turn"}`);
}

function reportOf(measured: {
  readonly quick: boolean;
  readonly entrants: readonly Entrant[];
  readonly skipped: readonly Skipped[];
  readonly turns: readonly Turn[];
  readonly failOver: ReadonlyMap<ContenderName, readonly number[]>;
}): PeersReport {
  const { quick, entrants, skipped, turns, failOver } = measured;
  return {
    quick,
    contenders: entrants.map(({ name, version, members }) => ({ name, version, members })),
    skipped,
    figures: turns.map(({ entrant, operation, inFlight, rounds, failed }) => ({
      contender: entrant.name,
      failed,
      ...figuresOf(operation, inFlight, rounds),
    })),
    failOver: [...failOver].map(([contender, trialsMs]) => ({ contender, trialsMs })),
  };
}

function textReport(report: PeersReport): string {
  const { contenders, skipped, figures, failOver } = report;
  const rows = figures.map((each) => {
    const { contender, operation, inFlight, perSecond } = each;
    const own = figures.find(
      (other) =>
        other.contender === "cubby" && other.operation === operation && other.inFlight === inFlight,
    );
    const times = own === undefined || own === each ? "" : fixed(own.perSecond / perSecond, 2);
    const latencies = [fixed(each.p50Ms, 2), fixed(each.p99Ms, 2)];
    const failures = each.failed === 0 ? "" : count(each.failed);
    return [operation, `${inFlight}`, contender, count(perSecond), ...latencies, failures, times];
  });
  const meanings = contenders.flatMap(({ name, version, members }) =>
    OPERATION_NAMES.map((operation, i) => [
      i === 0 ? `${name} ${version}, ${members}` : "",
      operation,
      MEANINGS[name][operation],
    ]),
  );
  const head = [
    "operation",
    "in flight",
    "",
    "per second",
    "p50 ms",
    "p99 ms",
    "failed",
    "Cubby, times",
  ];
  const parts = [
    textTable(head, rows),
    textTable(["version, members", "operation", "is"], meanings),
    textTable(
      ["kill -9 of the leader", "trials", "p50 s", "max s"],
      failOver.map(({ contender, trialsMs }) => [
        contender,
        `${trialsMs.length}`,
        fixed(median(trialsMs) / 1_000, 2),
        fixed(greatest(trialsMs) / 1_000, 2),
      ]),
    ),
    `medians of ${figures[0]?.rounds ?? 0} interleaved rounds; all cells were up all the time`,
    ...skipped.map(({ contender, why }) => `SKIPPED ${contender}: ${why}`),
  ];
  if (report.quick) parts.push("A quick run: too short for figures to be quoted.");
  return parts.join("\n\n");
}
