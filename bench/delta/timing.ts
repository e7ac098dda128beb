/** Times pieces of work in turns, so that a busy second of a shared machine hits them all alike. */

import { median } from "../statistics.ts";

export type Job = {
  readonly name: string;
  readonly values: number;
  /** How long one run took, in ms. */
  readonly run: () => Promise<number>;
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

const WARM_UP_MS = 400;
const WARM_UP_RUNS_MAX = 60;
/** Work that takes this long does not depend on being warm. */
const SLOW_MS = 1_000;

export async function timeInTurns(jobs: readonly Job[], plan: TimingPlan): Promise<Timing[]> {
  const turns = jobs.map((job) => ({ job, times: [] as number[], spentMs: 0 }));
  const record = (turn: (typeof turns)[number], elapsedMs: number): void => {
    turn.times.push(elapsedMs);
    turn.spentMs += elapsedMs;
  };
  for (const turn of turns) {
    for (let i = 0, ms = 0; i < WARM_UP_RUNS_MAX && ms < WARM_UP_MS; i += 1) {
      const elapsedMs = await turn.job.run();
      ms += elapsedMs;
      if (elapsedMs >= SLOW_MS) record(turn, elapsedMs);
    }
  }
  for (let round = 0; round < plan.rounds; round += 1) {
    for (const turn of turns) {
      if (turn.spentMs < plan.jobMsMax) record(turn, await turn.job.run());
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
