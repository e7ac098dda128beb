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
import { inScope, type Scope } from "../scope.ts";
import { greatest, median } from "../statistics.ts";
import { count, fixed, textTable } from "../text-table.ts";
import { MEANINGS, OPERATION_NAMES, type OperationName } from "./clients.ts";
import {
  CONTENDERS,
  type Contender,
  type ContenderName,
  type FailOver,
  startContender,
} from "./contenders.ts";
import type { LoadAnswer, LoadTask } from "./load-process.ts";

export type PeersBenchOptions = {
  readonly json: boolean;
  readonly quick: boolean;
  /** The contenders to run; all when empty. */
  readonly only: readonly string[];
};

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

type Figures = OperationFigures & {
  readonly contender: ContenderName;
  /** Operations of all rounds that ended in an error, and are counted nowhere else. */
  readonly failed: number;
};

type Played = Extract<LoadAnswer, { readonly kind: "round" }>;

type FailOverFigures = { readonly contender: ContenderName; readonly trialsMs: readonly number[] };

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

/** False for a contender that does not exist. */
export function isContender(text: string): boolean {
  return CONTENDERS.some((name) => name === text);
}

export async function benchPeers(options: PeersBenchOptions): Promise<void> {
  const plan = options.quick ? QUICK : FULL;
  const names = CONTENDERS.filter(
    (name) => options.only.length === 0 || options.only.includes(name),
  );
  await inScope(SECONDS_MAX, async (scope) => {
    const directory = mkdtempSync(join(tmpdir(), "cubby-peers-"));
    scope.onEnd(() => rmSync(directory, { recursive: true, force: true }));
    const entrants: Entrant[] = [];
    const skipped: { readonly contender: ContenderName; readonly why: string }[] = [];
    for (const name of names) {
      console.error(`starting: ${name}`);
      try {
        entrants.push(await enter(scope, name, join(directory, name)));
      } catch (error) {
        scope.signal.throwIfAborted();
        const why = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
        console.error(`SKIPPED ${name}: ${why}`);
        skipped.push({ contender: name, why });
      }
    }
    const turns = OPERATION_NAMES.flatMap((operation) =>
      DEPTHS.flatMap((inFlight) =>
        entrants
          .filter(({ operations }) => operations.includes(operation))
          .map((entrant): Turn => ({ entrant, operation, inFlight, rounds: [], failed: 0 })),
      ),
    );
    await takeTurns(scope, turns, plan);
    const figures = turns.map(
      ({ entrant, operation, inFlight, rounds, failed }): Figures => ({
        contender: entrant.name,
        failed,
        ...figuresOf(operation, inFlight, rounds),
      }),
    );
    const failOver: FailOverFigures[] = [];
    for (let trial = 0; trial < plan.failOverTrials; trial += 1) {
      console.error(`fail-over ${trial + 1} of ${plan.failOverTrials}`);
      for (const entrant of entrants) {
        if (entrant.failOver === undefined) continue;
        const gapMs = await watchFailOver(scope, entrant, entrant.failOver);
        const known = failOver.find(({ contender }) => contender === entrant.name);
        if (known === undefined) failOver.push({ contender: entrant.name, trialsMs: [gapMs] });
        else failOver[failOver.indexOf(known)] = { ...known, trialsMs: [...known.trialsMs, gapMs] };
      }
    }
    const contenders = entrants.map(({ name, version, members }) => ({ name, version, members }));
    const report = { quick: options.quick, contenders, skipped, figures, failOver };
    console.log(options.json ? JSON.stringify(report) : textReport(report));
  });
}

async function enter(scope: Scope, name: ContenderName, directory: string): Promise<Entrant> {
  const contender = await startContender(scope, name, directory);
  const load = startProcess(scope, "peers/load-process.ts", [name, ...contender.addresses]);
  const answer = await nextMessage<LoadAnswer>(load);
  if (answer.kind !== "ready") throw new Error(answer.kind === "failed" ? answer.why : "no answer");
  return { ...contender, load, operations: answer.operations };
}

async function takeTurns(scope: Scope, turns: readonly Turn[], plan: Plan): Promise<void> {
  const deepest = turns.filter(({ inFlight }) => inFlight === WORKERS_MAX);
  console.error("warming up");
  for (const turn of deepest) await play(scope, turn, plan.warmUpMs);
  for (let round = 0; round < plan.rounds; round += 1) {
    console.error(`round ${round + 1} of ${plan.rounds}`);
    for (const turn of turns) {
      const { round: played, failed } = await play(scope, turn, plan.roundMs);
      turn.rounds.push(played);
      turn.failed += failed;
    }
  }
}

async function play(scope: Scope, turn: Turn, durationMs: number): Promise<Played> {
  scope.signal.throwIfAborted();
  const { entrant, operation, inFlight } = turn;
  const answered = nextMessage<LoadAnswer>(entrant.load);
  send(entrant, { kind: "load", operation, inFlight, durationMs });
  const answer = await answered;
  if (answer.kind === "round") return answer;
  throw unexpected(`${entrant.name}, ${operation} with ${inFlight} in flight`, answer);
}

/** How long a client that writes all the time gets no write done when the leader is killed. */
async function watchFailOver(scope: Scope, entrant: Entrant, failOver: FailOver): Promise<number> {
  const leader = await failOver.leader();
  await delay(SETTLE_MS, undefined, { signal: scope.signal });
  const answered = nextMessage<LoadAnswer>(entrant.load);
  send(entrant, { kind: "writeOn" });
  await delay(SETTLE_MS, undefined, { signal: scope.signal });
  send(entrant, { kind: "leaderDies" });
  await failOver.kill(leader);
  send(entrant, { kind: "leaderDied" });
  const answer = await answered;
  await failOver.start(leader);
  if (answer.kind === "gap") return answer.gapMs;
  throw unexpected(`${entrant.name}, fail-over`, answer);
}

function send(entrant: Entrant, task: LoadTask): void {
  entrant.load.send(task);
}

function unexpected(what: string, answer: LoadAnswer): Error {
  return new Error(`${what}: ${answer.kind === "failed" ? answer.why : "an answer out of turn"}`);
}

function textReport(report: {
  readonly quick: boolean;
  readonly contenders: readonly Pick<Contender, "name" | "version" | "members">[];
  readonly skipped: readonly { readonly contender: ContenderName; readonly why: string }[];
  readonly figures: readonly Figures[];
  readonly failOver: readonly FailOverFigures[];
}): string {
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
