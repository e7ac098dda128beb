import { corrupt } from "./delta-error.ts";

/** Differences of `order`, and then differences at distance `lag` (0 for none), as in a grid's rows. */
export type Predictor = { readonly order: 0 | 1 | 2 | 3; readonly lag: number };

export const LAG_MAX = 65_536;

/** Differences modulo 2^32. The first `order` of them are 0: the seeds stand in their place. */
export function differences32(
  values: Int32Array,
  { order, lag }: Predictor,
): { residuals: Int32Array; seeds: bigint[] } {
  const residuals = values.slice();
  const seeds: bigint[] = [];
  const count = residuals.length;
  for (let d = 0; d < order && d < count; d += 1) {
    seeds.push(BigInt(residuals[d] as number));
    for (let i = count - 1; i > d; i -= 1) {
      residuals[i] = (residuals[i] as number) - (residuals[i - 1] as number);
    }
    residuals[d] = 0;
  }
  if (lag > 0) {
    for (let i = count - 1; i >= order + lag; i -= 1) {
      residuals[i] = (residuals[i] as number) - (residuals[i - lag] as number);
    }
  }
  return { residuals, seeds };
}

/** Undoes `differences32` in place: the lag, and as many differences as there are seeds. */
export function integrate32(
  residuals: Int32Array,
  { order, lag }: Predictor,
  seeds: readonly bigint[],
): void {
  const count = residuals.length;
  if (lag > 0) {
    for (let i = order + lag; i < count; i += 1) {
      residuals[i] = (residuals[i] as number) + (residuals[i - lag] as number);
    }
  }
  for (let d = Math.min(seeds.length, count) - 1; d >= 0; d -= 1) {
    let sum = Number(BigInt.asIntN(32, seeds[d] as bigint));
    residuals[d] = sum;
    for (let i = d + 1; i < count; i += 1) {
      sum = (sum + (residuals[i] as number)) | 0;
      residuals[i] = sum;
    }
  }
}

/** Of 64-bit values as words, modulo 2^64; undefined if a residual needs more than 52 bits. */
export function differences64(
  values: Uint32Array,
  { order, lag }: Predictor,
): { residuals: Float64Array; seeds: bigint[] } | undefined {
  const words = values.slice();
  const count = words.length / 2;
  const seeds: bigint[] = [];
  for (let d = 0; d < order && d < count; d += 1) {
    seeds.push(bigintAt(words, d));
    subtract(words, 1, d + 1);
    words[2 * d] = 0;
    words[2 * d + 1] = 0;
  }
  if (lag > 0) subtract(words, lag, order + lag);
  const residuals = new Float64Array(count);
  for (let i = 0; i < count; i += 1) {
    const high = (words[2 * i + 1] as number) | 0;
    if (high >= 0x80000 || high < -0x80000) return undefined;
    residuals[i] = high * 0x100000000 + (words[2 * i] as number);
  }
  return { residuals, seeds };
}

function bigintAt(words: Uint32Array, index: number): bigint {
  const high = BigInt((words[2 * index + 1] as number) | 0);
  return (high << 32n) | BigInt(words[2 * index] as number);
}

function subtract(words: Uint32Array, lag: number, start: number): void {
  for (let i = words.length - 2; i >= 2 * start; i -= 2) {
    const low = (words[i] as number) - (words[i - 2 * lag] as number);
    words[i] = low;
    words[i + 1] =
      (words[i + 1] as number) - (words[i + 1 - 2 * lag] as number) - (low < 0 ? 1 : 0);
  }
}

/** Undoes `differences64`, into `words`. */
export function integrate64(
  residuals: Float64Array,
  { order, lag }: Predictor,
  seeds: readonly bigint[],
  words: Uint32Array,
): void {
  const count = residuals.length;
  for (let i = 0; i < count; i += 1) {
    const residual = residuals[i] as number;
    const high = Math.floor(residual / 0x100000000);
    words[2 * i] = residual - high * 0x100000000;
    words[2 * i + 1] = high;
  }
  if (lag > 0) add(words, lag, order + lag);
  for (let d = Math.min(order, count) - 1; d >= 0; d -= 1) {
    const seed = BigInt.asUintN(64, seeds[d] as bigint);
    words[2 * d] = Number(seed & 0xffffffffn);
    words[2 * d + 1] = Number(seed >> 32n);
    add(words, 1, d + 1);
  }
}

function add(words: Uint32Array, lag: number, start: number): void {
  for (let i = 2 * start; i < words.length; i += 2) {
    const low = (words[i] as number) + (words[i - 2 * lag] as number);
    words[i] = low;
    words[i + 1] =
      (words[i + 1] as number) + (words[i + 1 - 2 * lag] as number) + (low > 0xffffffff ? 1 : 0);
  }
}

export function checkPredictor(order: number, lag: number, offset: number): Predictor {
  if (order !== 0 && order !== 1 && order !== 2 && order !== 3) {
    throw corrupt("orders", offset);
  }
  return { order, lag };
}
