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
  /** A slow job stops early once it took so long in all, but not before its second round. */
  readonly jobMsMax: number;
};

const WARM_UP_MS = 250;

export async function timeInTurns(jobs: readonly Job[], plan: TimingPlan): Promise<Timing[]> {
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as () => void;
  const turns = jobs.map((job) => ({ job, times: [] as number[], spentMs: 0 }));
  for (const { job } of turns) {
    const start = performance.now();
    for (let i = 0; i < 10 && performance.now() - start < WARM_UP_MS; i += 1) await job.run();
  }
  for (let round = 0; round < plan.rounds; round += 1) {
    for (const turn of turns) {
      if (round >= 2 && turn.spentMs > plan.jobMsMax) continue;
      // What others left behind is not collected at this job's expense.
      collectGarbage();
      const start = performance.now();
      await turn.job.run();
      const elapsedMs = performance.now() - start;
      turn.times.push(elapsedMs);
      turn.spentMs += elapsedMs;
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
