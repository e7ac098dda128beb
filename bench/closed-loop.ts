/** Workers that begin the next operation when the last one is answered, and what came of it. */

import { median, quantile } from "./statistics.ts";

const CONTENTS_BYTES = 100;
export const DEPTHS = [1, 16, 128] as const;
export const WORKERS_MAX = 128;

export type Round = { readonly perSecond: number; readonly p50Ms: number; readonly p99Ms: number };

export type OperationFigures = Round & {
  readonly operation: string;
  readonly inFlight: number;
  readonly rounds: number;
};

/** What an operation gives that failed: it is not counted. */
export const FAILED = Symbol("failed");

/** Keeps an operation under way on each of `items` for so long; the latency of each, in ms. */
export async function closedLoop<Item>(
  items: readonly Item[],
  durationMs: number,
  signal: AbortSignal,
  operation: (item: Item, contents: Uint8Array) => Promise<unknown>,
): Promise<number[]> {
  const latencies: number[] = [];
  const end = performance.now() + durationMs;
  const work = async (item: Item, worker: number): Promise<void> => {
    const contents = new Uint8Array(CONTENTS_BYTES).fill(worker);
    for (let at = performance.now(); at < end && !signal.aborted; ) {
      // Another value each time: nothing may be skipped because it is there already.
      contents[latencies.length % CONTENTS_BYTES] = latencies.length & 0xff;
      const answer = await operation(item, contents);
      const now = performance.now();
      if (answer !== FAILED) latencies.push(now - at);
      at = now;
    }
  };
  await Promise.all(items.map(work));
  return latencies;
}

export function roundOf(latencies: readonly number[], elapsedMs: number): Round {
  return {
    perSecond: latencies.length / (elapsedMs / 1_000),
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
  };
}

/** Medians over the rounds. */
export function figuresOf(
  operation: string,
  inFlight: number,
  rounds: readonly Round[],
): OperationFigures {
  return {
    operation,
    inFlight,
    perSecond: median(rounds.map((each) => each.perSecond)),
    p50Ms: median(rounds.map((each) => each.p50Ms)),
    p99Ms: median(rounds.map((each) => each.p99Ms)),
    rounds: rounds.length,
  };
}
