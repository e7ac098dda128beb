import { ascending, estimateBins } from "./bins.ts";
import { DIGITS_MAX, type FloatMode, integersOf, POWERS_OF_TEN } from "./float-mode.ts";
import type { NumberLane } from "./values.ts";

export type FloatEstimate = { readonly mode: FloatMode | undefined; readonly bits: number };

/** What an exception costs: its 64 bits, and where it stands. */
const EXCEPTION_BITS = 72;
const RUN = 64;
const RUNS_MAX = 64;

/**
 * The mode that costs least on a sample; undefined stands for the bits of the floats themselves. One
 * that is `known` is kept while it fits every value of the sample.
 */
export function chooseFloatMode(
  lane: NumberLane & { kind: "floats" },
  known?: FloatMode,
): FloatMode | undefined {
  if (known !== undefined && shareOf(known, sampleRuns(lane.floats)) === 1) return known;
  return estimateFloatModes(lane).reduce((best, each) =>
    each.bits < best.bits * 0.99 ? each : best,
  ).mode;
}

/** Simple modes first: a later one must be smaller by 1 %. */
export function estimateFloatModes(lane: NumberLane & { kind: "floats" }): FloatEstimate[] {
  const sample = sampleRuns(lane.floats);
  const count = lane.floats.length;
  const estimates: FloatEstimate[] = candidateModes(sample, lane.isSingle).map((mode) => {
    const integers = new Float64Array(sample.length);
    const exceptions = integersOf(mode, sample, integers).length;
    const bits = differenceBits(integers, count);
    return { mode, bits: bits + (exceptions * EXCEPTION_BITS) / sample.length };
  });
  estimates.push({ mode: undefined, bits: differenceBits(sortKeys(sample, lane.isSingle), count) });
  return estimates;
}

function sampleRuns(floats: Float64Array): Float64Array {
  const count = floats.length;
  if (count <= RUN * RUNS_MAX) return floats;
  const sample = new Float64Array(RUN * RUNS_MAX);
  for (let run = 0; run < RUNS_MAX; run += 1) {
    const start = Math.floor((run * (count - RUN)) / (RUNS_MAX - 1));
    sample.set(floats.subarray(start, start + RUN), run * RUN);
  }
  return sample;
}

/** Bits a value of the better of values and first differences, which are taken within runs. */
function differenceBits(integers: Float64Array, count: number): number {
  const first = new Float64Array(integers.length);
  for (let i = 0; i < integers.length; i += 1) {
    first[i] = i % RUN === 0 ? 0 : (integers[i] as number) - (integers[i - 1] as number);
  }
  return Math.min(
    estimateBins(ascending(integers.slice()), count),
    estimateBins(ascending(first), count),
  );
}

/** Numbers that lie as far apart as the bits of the floats do, to the precision of a double. */
function sortKeys(floats: Float64Array, isSingle: boolean): Float64Array {
  if (isSingle) {
    const bits = new Int32Array(Float32Array.from(floats).buffer);
    return Float64Array.from(bits, (word) => (word < 0 ? word ^ 0x7fffffff : word));
  }
  const words = new Uint32Array(floats.slice().buffer);
  return Float64Array.from(floats, (_, i) => {
    const high = words[2 * i + 1] as number;
    const size = (high & 0x7fffffff) * 0x100000000 + (words[2 * i] as number);
    return high >= 0x80000000 ? -size : size;
  });
}

/** Modes worth a trial for these sample values, the simplest first. */
function candidateModes(sample: Float64Array, isSingle: boolean): FloatMode[] {
  const modes: FloatMode[] = [];
  const finite = sample.filter((value) => Number.isFinite(value));
  const decimal = bestDecimal(finite, isSingle);
  if (decimal !== undefined) modes.push(decimal);
  for (const mode of scaledModes(finite, isSingle)) {
    const isKnown = mode.multiplier === 1 && mode.divisor === decimal?.divisor;
    if (!isKnown) modes.push(mode);
  }
  if (!isSingle) modes.push(...singleModes(finite));
  return modes;
}

function decimalMode(digits: number, isSingle: boolean): FloatMode {
  const divisor = POWERS_OF_TEN[digits] as number;
  return { multiplier: 1, divisor, isSingle, printedDigits: -1 };
}

/** Share of the sample that a mode must reach to be tried. */
const SHARE_MIN = 0.5;

function shareOf(mode: FloatMode, sample: Float64Array): number {
  if (sample.length === 0) return 0;
  const failures = integersOf(mode, sample, new Float64Array(sample.length)).length;
  return 1 - failures / sample.length;
}

/** Fewest digits at which no more digits would win much. */
function bestDecimal(sample: Float64Array, isSingle: boolean): FloatMode | undefined {
  let best: FloatMode | undefined;
  let bestShare = SHARE_MIN;
  for (let digits = 0; digits <= DIGITS_MAX; digits += 1) {
    const mode = decimalMode(digits, isSingle);
    const share = shareOf(mode, sample);
    // A digit costs 3.3 bits a value, an exception about 80.
    if (share > bestShare + (best === undefined ? 0 : 0.04)) {
      best = mode;
      bestShare = share;
    }
    if (share === 1) break;
  }
  return best;
}

/** Doubles that are float32 numbers, or float32 numbers printed with a few decimals. */
function singleModes(sample: Float64Array): FloatMode[] {
  const modes: FloatMode[] = [];
  for (let printed = -1; printed <= 9; printed += 1) {
    let mode: FloatMode | undefined;
    let share = 0.9;
    for (let digits = 0; digits <= 7 && share < 1; digits += 1) {
      const trial = { ...decimalMode(digits, true), printedDigits: printed };
      const trialShare = shareOf(trial, sample);
      if (trialShare > share) {
        mode = trial;
        share = trialShare;
      }
    }
    if (mode !== undefined) modes.push(mode);
    if (share === 1) break;
  }
  return modes;
}

/** Multiples of some number that is no power of ten: found as the common divisor of differences. */
function scaledModes(sample: Float64Array, isSingle: boolean): FloatMode[] {
  const step = commonStep(sample);
  if (step === undefined) return [];
  const base = { isSingle, printedDigits: -1 };
  const modes: FloatMode[] = [];
  const inverse = Math.round(1 / step);
  if (inverse > 1) modes.push({ ...base, multiplier: 1, divisor: inverse });
  for (let digits = 1; digits <= DIGITS_MAX; digits += 1) {
    modes.push({ ...base, multiplier: Number(step.toPrecision(digits)), divisor: 1 });
  }
  let best: FloatMode | undefined;
  let bestShare = SHARE_MIN;
  for (const mode of modes) {
    const share = shareOf(mode, sample);
    if (share <= bestShare) continue;
    best = mode;
    bestShare = share;
  }
  return best === undefined ? [] : [best];
}

/** The greatest step of which all values in the sample are multiples, as far as doubles tell. */
function commonStep(sample: Float64Array): number | undefined {
  let largest = 0;
  for (const value of sample) largest = Math.max(largest, Math.abs(value));
  const noise = largest * 2 ** -38;
  let step = largest;
  for (const value of sample) {
    let a = step;
    let b = Math.abs(value);
    while (b > noise) {
      const rest = Math.abs(a - b * Math.round(a / b));
      a = b;
      b = rest;
    }
    // Rounding errors add up in the remainders: the largest value tells the step better.
    step = largest / Math.round(largest / a);
    if (!(step > noise * 64)) return undefined;
  }
  return step;
}
