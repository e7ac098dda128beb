/** Times pieces of work in turns, so that a busy second of a shared machine hits them all alike. */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { median } from "../statistics.ts";

export type Job = {
  readonly name: string;
  readonly values: number;
  readonly run: () => unknown;
};

export type Timing = {
  readonly name: string;
  /** Million values per second. */
  readonly best: number;
  readonly median: number;
  readonly rounds: number;
};

export type TimingPlan = {
  readonly rounds: number;
  /** A job that took so long in all is left out of the remaining rounds. */
  readonly jobMsMax: number;
};

const WARM_UP_MS = 250;
const WARM_UP_RUNS_MAX = 10;
/** Work that takes this long does not depend on being warm. */
const SLOW_MS = 1_000;

export async function timeInTurns(jobs: readonly Job[], plan: TimingPlan): Promise<Timing[]> {
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as () => void;
  const turns = jobs.map((job) => ({ job, times: [] as number[], spentMs: 0 }));
  const runOnce = async ({ job }: { readonly job: Job }): Promise<number> => {
    // What others left behind is not collected at this job's expense.
    collectGarbage();
    const start = performance.now();
    await job.run();
    return performance.now() - start;
  };
  const record = (turn: (typeof turns)[number], elapsedMs: number): void => {
    turn.times.push(elapsedMs);
    turn.spentMs += elapsedMs;
  };
  for (const turn of turns) {
    for (let i = 0, ms = 0; i < WARM_UP_RUNS_MAX && ms < WARM_UP_MS; i += 1) {
      const elapsedMs = await runOnce(turn);
      ms += elapsedMs;
      if (elapsedMs >= SLOW_MS) record(turn, elapsedMs);
    }
  }
  for (let round = 0; round < plan.rounds; round += 1) {
    for (const turn of turns) {
      if (turn.spentMs < plan.jobMsMax) record(turn, await runOnce(turn));
    }
  }
  return turns.map(({ job, times }) => {
    const perSecond = (ms: number): number => job.values / ms / 1_000;
    return {
      name: job.name,
      best: perSecond(Math.min(...times)),
      median: perSecond(median(times)),
      rounds: times.length,
    };
  });
}
