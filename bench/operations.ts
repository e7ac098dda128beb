/**
 * A closed loop of workers, each with a file of its own: writes of 100 bytes, reads, and pairs of an
 * uncontended acquire and its release. Kinds and depths, and a bare pipeline for comparison, take
 * turns in short rounds, so that an hour of a noisy machine is noisy for all of them alike; the
 * figures are medians over the rounds.
 */

import { type CubbySession, connect, type Handle } from "@cubby/client";
import type { BarePipeline } from "./bare-pipeline.ts";
import {
  closedLoop,
  DEPTHS,
  figuresOf,
  type OperationFigures,
  type Round,
  roundOf,
  WORKERS_MAX,
} from "./closed-loop.ts";
import type { Scope } from "./scope.ts";

const DIRECTORY = "bench";
export const BARE_PIPELINE = "bare pipeline: append";

type Operation = {
  /** On the command line. */
  readonly word: string;
  readonly name: string;
  readonly run: (file: Handle, contents: Uint8Array) => Promise<unknown>;
};

export const OPERATIONS: readonly Operation[] = [
  { word: "write", name: "write 100 B", run: (file, contents) => file.setContents(contents) },
  { word: "read", name: "read at the master", run: (file) => file.getContentsAndStat() },
  { word: "lock", name: "acquire + release", run: lockPair },
];

export async function lockPair(file: Handle): Promise<void> {
  const lock = await file.acquire();
  if (!(await lock.release())) throw new Error(`The lock on ${file.path} could not be released.`);
}

export type OperationsPlan = {
  readonly rounds: number;
  readonly roundMs: number;
  readonly warmUpMs: number;
};

/** Keeps `depth` of something under way for so long; the latency of each, in ms. */
type Load = (depth: number, durationMs: number) => Promise<number[]>;

export async function measureOperations(
  scope: Scope,
  url: string,
  pipeline: BarePipeline,
  plan: OperationsPlan,
): Promise<OperationFigures[]> {
  await using first = await connect(url);
  await using second = await connect(url);
  const files = await openFiles([first, second]);
  const loads: { name: string; run: Load }[] = OPERATIONS.map((operation) => ({
    name: operation.name,
    run: (depth, durationMs) =>
      closedLoop(files.slice(0, depth), durationMs, scope.signal, operation.run),
  }));
  loads.push({ name: BARE_PIPELINE, run: (depth, ms) => pipeline.run(depth, ms) });
  for (const { run } of loads) await run(WORKERS_MAX, plan.warmUpMs / loads.length);
  const turns = DEPTHS.flatMap((depth) =>
    loads.map(({ name, run }) => ({ name, run, depth, rounds: [] as Round[] })),
  );
  for (let round = 0; round < plan.rounds; round += 1) {
    for (const { run, depth, rounds } of turns) {
      scope.signal.throwIfAborted();
      const start = performance.now();
      const latencies = await run(depth, plan.roundMs);
      rounds.push(roundOf(latencies, performance.now() - start));
    }
  }
  return turns.map(({ name, depth, rounds }) => figuresOf(name, depth, rounds));
}

/** In turn of each session: one alone may not wait for so many locks at once. */
export async function openFiles(sessions: readonly CubbySession[]): Promise<Handle[]> {
  const directories = await Promise.all(
    sessions.map((each) =>
      each.open(`${each.root}/${DIRECTORY}`, { create: true, directory: true }),
    ),
  );
  const opened = Array.from({ length: WORKERS_MAX / sessions.length }, (_, i) =>
    directories.map((each, j) => each.open(`worker-${i}-${j}`, { create: true })),
  );
  return Promise.all(opened.flat());
}
