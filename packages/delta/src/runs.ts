import { corrupt } from "./delta-error.ts";
import { countOfLane, sameValue } from "./number-lane.ts";
import type { NumberLane } from "./values.ts";

/** Runs must be this long on average to be worth a trial. */
const RUN_MEAN_MIN = 4;
/** Where each run of equal values begins, if runs are long. */
export function findRuns(lane: NumberLane): number[] | undefined {
  const count = countOfLane(lane);
  const most = Math.floor(count / RUN_MEAN_MIN);
  if (most < 2 || !looksLikeRuns(lane, count)) return undefined;
  const starts = [0];
  for (let i = 1; i < count; i += 1) {
    if (sameValue(lane, i, i - 1)) continue;
    if (starts.length === most) return undefined;
    starts.push(i);
  }
  return starts.length === 1 ? undefined : starts;
}

/** Whether most neighbors in a sample are equal. */
function looksLikeRuns(lane: NumberLane, count: number): boolean {
  const samples = Math.min(256, count - 1);
  let equal = 0;
  for (let k = 0; k < samples; k += 1) {
    const i = 1 + Math.floor((k * (count - 1)) / samples);
    if (sameValue(lane, i, i - 1)) equal += 1;
  }
  return equal * 2 > samples;
}

/** The run that holds value `index`. */
export function runAt(lengths: Int32Array, count: number, index: number): number {
  let end = 0;
  let run = -1;
  while (end <= index) {
    run += 1;
    end = runEnd(end, lengths[run] ?? -1, count);
  }
  return run;
}

export function fillRuns(
  target: Int32Array,
  heads: Int32Array,
  lengths: Int32Array,
  count: number,
): number {
  let at = 0;
  for (let k = 0; k < lengths.length; k += 1) {
    const end = runEnd(at, lengths[k] as number, count);
    const head = heads[k] as number;
    for (; at < end; at += 1) target[at] = head;
  }
  return at;
}

/** By words, since a NaN's payload may be lost on the way through a number. */
export function fillPairRuns(
  target: Int32Array,
  heads: Int32Array,
  lengths: Int32Array,
  count: number,
): number {
  let at = 0;
  for (let k = 0; k < lengths.length; k += 1) {
    const end = runEnd(at, lengths[k] as number, count);
    const low = heads[2 * k] as number;
    const high = heads[2 * k + 1] as number;
    for (; at < end; at += 1) {
      target[2 * at] = low;
      target[2 * at + 1] = high;
    }
  }
  return at;
}

export function runEnd(at: number, length: number, count: number): number {
  const end = at + length + 1;
  if (end <= at || end > count) throw corrupt("runs");
  return end;
}
