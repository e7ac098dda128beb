import { ascending, bitsOf, estimateBins } from "./bins.ts";
import { countOf, type Offsets } from "./integers.ts";
import type { Predictor } from "./predictor.ts";

/** What a predictor would cost, in bits a value, with each back end. */
export type Estimate = {
  readonly predictor: Predictor;
  readonly smallBits: number;
  readonly fastBits: number;
};

const RUN = 64;
const RUNS_MAX = 64;
const RUNS_FEW = 8;
/** All lags are tried on few samples, the best of them on many. */
const LAG_SAMPLES_FEW = 48;
const LAG_SAMPLES_MANY = 512;
const LAGS_KEPT = 12;
const LAG_SEARCH_MAX = 2048;

/**
 * Estimates on a sample for the orders 0 to 3 and, if `tryLags`, for the most promising lag. Without
 * `wantSmall` the estimate for `small`, which takes longest, is left out.
 */
export function estimatePredictors(
  offsets: Offsets,
  { tryLags, wantSmall }: { readonly tryLags: boolean; readonly wantSmall: boolean },
): Estimate[] {
  const count = countOf(offsets);
  const at = accessor(offsets);
  const predictors: Predictor[] = [];
  for (const order of [0, 1, 2, 3] as const) {
    if (order < count) predictors.push({ order, lag: 0 });
  }
  if (tryLags && offsets.kind === "narrow") {
    for (const order of [0, 1] as const) {
      const lag = promisingLag(offsets.ints, order);
      if (lag > 0) predictors.push({ order, lag });
    }
  }
  const runs = wantSmall ? RUNS_MAX : RUNS_FEW;
  return predictors.map((predictor) => {
    const residuals =
      offsets.kind === "narrow" && predictor.lag === 0
        ? sampleDifferences(offsets.ints, predictor.order, runs)
        : sampleResiduals(at, count, predictor, runs);
    const fastBits = packedBits(residuals);
    const smallBits = wantSmall
      ? estimateBins(ascending(residuals), count)
      : Number.POSITIVE_INFINITY;
    return { predictor, smallBits, fastBits };
  });
}

type Accessor = (index: number) => number;

/** Exact for narrow offsets; for wide ones as near as a double comes. */
function accessor(offsets: Offsets): Accessor {
  if (offsets.kind === "narrow") {
    const { ints } = offsets;
    return (index) => ints[index] as number;
  }
  const { words } = offsets;
  return (index) =>
    ((words[2 * index + 1] as number) | 0) * 0x100000000 + (words[2 * index] as number);
}

function difference(at: Accessor, i: number, order: number): number {
  switch (order) {
    case 0:
      return at(i);
    case 1:
      return at(i) - at(i - 1);
    case 2:
      return at(i) - 2 * at(i - 1) + at(i - 2);
    default:
      return at(i) - 3 * at(i - 1) + 3 * at(i - 2) - at(i - 3);
  }
}

/** Runs from all over the series, so that blocks of a series that changes its nature are seen. */
function sampleResiduals(
  at: Accessor,
  count: number,
  { order, lag }: Predictor,
  runs: number,
): Float64Array {
  const first = order + lag;
  const available = count - first;
  if (available <= RUN * runs) {
    return Float64Array.from({ length: Math.max(available, 0) }, (_, i) =>
      residualAt(at, first + i, order, lag),
    );
  }
  const residuals = new Float64Array(RUN * runs);
  for (let run = 0; run < runs; run += 1) {
    const start = first + Math.floor((run * (available - RUN)) / (runs - 1));
    for (let i = 0; i < RUN; i += 1) {
      residuals[run * RUN + i] = residualAt(at, start + i, order, lag);
    }
  }
  return residuals;
}

// A run and what stands before it.
const run = new Float64Array(RUN + 3);

/** `sampleResiduals` without a lag, for most of its callers. */
function sampleDifferences(ints: Int32Array, order: number, runs: number): Float64Array {
  const available = ints.length - order;
  if (available <= RUN * runs) return differencesFrom(ints, 0, order, Float64Array.from(ints));
  const residuals = new Float64Array(RUN * runs);
  for (let k = 0; k < runs; k += 1) {
    const start = Math.floor((k * (available - RUN)) / (runs - 1));
    residuals.set(differencesFrom(ints, start, order, run.subarray(0, RUN + order)), k * RUN);
  }
  return residuals;
}

/** Differences of as many integers from `start` on as `values` has places, which it lends for them. */
function differencesFrom(
  ints: Int32Array,
  start: number,
  order: number,
  values: Float64Array,
): Float64Array {
  for (let i = 0; i < values.length; i += 1) values[i] = ints[start + i] as number;
  for (let d = 0; d < order; d += 1) {
    for (let i = values.length - 1; i > d; i -= 1) {
      values[i] = (values[i] as number) - (values[i - 1] as number);
    }
  }
  return values.subarray(order);
}

function residualAt(at: Accessor, i: number, order: number, lag: number): number {
  const own = difference(at, i, order);
  return lag === 0 ? own : own - difference(at, i - lag, order);
}

/** The lag at which differences are shortest, if they are shorter than without; else 0. */
function promisingLag(ints: Int32Array, order: 0 | 1): number {
  const lagMax = Math.min(LAG_SEARCH_MAX, Math.floor(ints.length / 4));
  const few = positions(ints.length, lagMax, LAG_SAMPLES_FEW);
  const costs = new Uint32Array(lagMax + 1);
  for (let lag = 2; lag <= lagMax; lag += 1) costs[lag] = lagCost(ints, few, lag, order);
  const lags = Array.from({ length: Math.max(0, lagMax - 1) }, (_, i) => i + 2);
  lags.sort((a, b) => (costs[a] as number) - (costs[b] as number));
  const many = positions(ints.length, lagMax, LAG_SAMPLES_MANY);
  const at: Accessor = (index) => ints[index] as number;
  let best = 0;
  let least = lengths(Int32Array.from(many, (i) => difference(at, i, order))) * 0.97;
  for (const lag of lags.slice(0, LAGS_KEPT)) {
    const cost = lagCost(ints, many, lag, order);
    if (cost >= least) continue;
    least = cost;
    best = lag;
  }
  return best;
}

function positions(count: number, lagMax: number, samples: number): Uint32Array {
  return Uint32Array.from({ length: samples }, (_, k) =>
    Math.floor(lagMax + 1 + ((count - lagMax - 2) * k) / samples),
  );
}

/** Bits of the differences at `lag`, of values or of first differences. */
function lagCost(ints: Int32Array, places: Uint32Array, lag: number, order: 0 | 1): number {
  let bits = 0;
  for (let k = 0; k < places.length; k += 1) {
    const i = places[k] as number;
    let difference = (ints[i] as number) - (ints[i - lag] as number);
    if (order === 1) difference -= (ints[i - 1] as number) - (ints[i - lag - 1] as number);
    bits += 32 - Math.clz32(Math.abs(difference));
  }
  return bits;
}

function lengths(values: Int32Array): number {
  let bits = 0;
  for (const value of values) bits += 32 - Math.clz32(Math.abs(value));
  return bits;
}

/** Bits a value of runs packed at their best width, by size or above their least, with exceptions. */
function packedBits(residuals: Float64Array): number {
  if (residuals.length === 0) return 0;
  let total = 0;
  const sizes = new Uint32Array(65);
  const heights = new Uint32Array(65);
  for (let start = 0; start < residuals.length; start += RUN) {
    const end = Math.min(residuals.length, start + RUN);
    let least = residuals[start] as number;
    let most = least;
    for (let i = start + 1; i < end; i += 1) {
      const residual = residuals[i] as number;
      if (residual < least) least = residual;
      if (residual > most) most = residual;
    }
    sizes.fill(0);
    heights.fill(0);
    let longest = 64;
    if (least > -INT_MAX && most < INT_MAX) {
      longest = Math.max(sizeOf(least), sizeOf(most), bitsOf(most - least));
      countInts(residuals, start, end, least, sizes, heights);
    } else countNumbers(residuals, start, end, least, sizes, heights);
    const count = end - start;
    const own = cheapest(heights, count, longest) + 16;
    total += Math.min(cheapest(sizes, count, longest), own) + 12;
  }
  return total / residuals.length;
}

/** Of these neither zigzag form nor height is above 31 bits. */
const INT_MAX = 2 ** 30;

function sizeOf(residual: number): number {
  return bitsOf(residual < 0 ? -2 * residual - 1 : 2 * residual);
}

function countInts(
  residuals: Float64Array,
  start: number,
  end: number,
  least: number,
  sizes: Uint32Array,
  heights: Uint32Array,
): void {
  const bottom = least | 0;
  for (let i = start; i < end; i += 1) {
    const residual = (residuals[i] as number) | 0;
    const size = 32 - Math.clz32((residual << 1) ^ (residual >> 31));
    const height = 32 - Math.clz32(residual - bottom);
    sizes[size] = (sizes[size] as number) + 1;
    heights[height] = (heights[height] as number) + 1;
  }
}

function countNumbers(
  residuals: Float64Array,
  start: number,
  end: number,
  least: number,
  sizes: Uint32Array,
  heights: Uint32Array,
): void {
  for (let i = start; i < end; i += 1) {
    const residual = residuals[i] as number;
    const size = sizeOf(residual);
    const height = bitsOf(residual - least);
    sizes[size] = (sizes[size] as number) + 1;
    heights[height] = (heights[height] as number) + 1;
  }
}

/** What `count` values of these lengths take at the best width, of which none is above `longest`. */
function cheapest(histogram: Uint32Array, count: number, longest: number): number {
  let least = longest * count;
  let above = 0;
  for (let width = longest; width > 0 && above * 20 < least; ) {
    above += histogram[width] as number;
    width -= 1;
    least = Math.min(least, width * count + above * 20);
  }
  return least;
}
