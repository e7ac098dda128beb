import { corrupt } from "./delta-error.ts";
import { wordsOfLane, wordsPerValue } from "./number-lane.ts";
import type { NumberLane } from "./values.ts";

/** Runs must be this long on average to be worth a trial. */
const RUN_MEAN_MIN = 4;

/** Where each run of equal values begins, if runs are long. */
export function findRuns(lane: NumberLane): Int32Array | undefined {
  const words = wordsOfLane(lane);
  const width = wordsPerValue(lane);
  const count = words.length / width;
  const most = Math.floor(count / RUN_MEAN_MIN);
  if (most < 2 || !looksLikeRuns(words, width, count)) return undefined;
  let runs = 1;
  for (let i = 1; i < count; i += 1) runs += isNew(words, width, i);
  if (runs > most || runs === 1) return undefined;
  const starts = new Int32Array(runs);
  for (let i = 1, k = 1; i < count; i += 1) if (isNew(words, width, i) === 1) starts[k++] = i;
  return starts;
}

/** 1 if value `i` is not the one before it, bit for bit: without a branch, which nobody could guess. */
function isNew(words: Int32Array, width: number, i: number): 0 | 1 {
  const at = width * i;
  let difference = (words[at] as number) ^ (words[at - width] as number);
  if (width === 2) difference |= (words[at + 1] as number) ^ (words[at - 1] as number);
  return ((difference | -difference) >>> 31) as 0 | 1;
}

/** Whether most neighbors in a sample are equal. */
function looksLikeRuns(words: Int32Array, width: number, count: number): boolean {
  const samples = Math.min(256, count - 1);
  let changes = 0;
  for (let k = 0; k < samples; k += 1) {
    changes += isNew(words, width, 1 + Math.floor((k * (count - 1)) / samples));
  }
  return changes * 2 < samples;
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
