import { ascending, bitsOf, estimateBins } from "./bins.ts";
import { boundsOf, countOf, type Offsets } from "./integers.ts";
import { Lengths, type Price, WidthChoice } from "./packed-width.ts";
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
  return predictors.map((predictor) => {
    const usual =
      offsets.kind === "narrow" && predictor.lag === 0 && !wantSmall
        ? packedIntBits(offsets.ints, predictor.order)
        : undefined;
    if (usual !== undefined) {
      return { predictor, smallBits: Number.POSITIVE_INFINITY, fastBits: usual };
    }
    const residuals = sampleResiduals(at, count, predictor, wantSmall ? RUNS_MAX : RUNS_FEW);
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

const sizes = new Lengths(RUN);
const heights = new Lengths(RUN);

/** Bits a value of runs packed at their best width, by size or above their least, with exceptions. */
function packedBits(residuals: Float64Array): number {
  if (residuals.length === 0) return 0;
  let total = 0;
  for (let start = 0; start < residuals.length; start += RUN) {
    const end = Math.min(residuals.length, start + RUN);
    let least = residuals[start] as number;
    for (let i = start + 1; i < end; i += 1) least = Math.min(least, residuals[i] as number);
    sizes.clear();
    heights.clear();
    for (let i = start; i < end; i += 1) {
      const residual = residuals[i] as number;
      sizes.put(i - start, bitsOf(residual < 0 ? -2 * residual - 1 : 2 * residual));
      heights.put(i - start, bitsOf(residual - least));
    }
    total += runBits(end - start);
  }
  return total / residuals.length;
}

const runInts = new Int32Array(RUN);
/** Third differences of such are below 2^30. */
const SHORT = 2 ** 27;

/** `packedBits` of the few runs that `fast` looks at, if they are whole and their values near each other. */
function packedIntBits(ints: Int32Array, order: number): number | undefined {
  const gaps = ints.length - order - RUN;
  if (gaps <= RUN * (RUNS_FEW - 1)) return undefined;
  const run = runInts;
  let total = 0;
  for (let k = 0; k < RUNS_FEW; k += 1) {
    const start = Math.floor((k * gaps) / (RUNS_FEW - 1));
    const base = order === 0 ? 0 : (ints[start] as number);
    let size = 0;
    let overflow = 0;
    let zero = 0;
    let first = 0;
    let second = 0;
    for (let i = -order; i < RUN; i += 1) {
      const value = ints[start + order + i] as number;
      const distance = (value - base) | 0;
      size |= distance ^ (distance >> 31);
      overflow |= (value ^ base) & (value ^ distance);
      const one = (distance - zero) | 0;
      const two = (one - first) | 0;
      const three = (two - second) | 0;
      zero = distance;
      first = one;
      second = two;
      if (i >= 0) run[i] = order === 1 ? one : order === 2 ? two : order === 3 ? three : distance;
    }
    if (order > 0 && (size >= SHORT || overflow < 0)) return undefined;
    const { least, most } = boundsOf(run, 0, RUN);
    sizes.measure(run);
    heights.measureAbove(least, run, bitsOf(most - least));
    total += runBits(RUN);
  }
  return total / (RUN * RUNS_FEW);
}

const PRICE: Price = { once: 0, each: 20, perBit: 0, widthMax: 64 };
const bySize = new WidthChoice(PRICE);
const byHeight = new WidthChoice(PRICE);

function runBits(count: number): number {
  bySize.choose(sizes, count);
  byHeight.choose(heights, count);
  return Math.min(bySize.cost, byHeight.cost + 16) + 12;
}
