import { DeltaError } from "./delta-error.ts";
import { requireArray, textOf } from "./values.ts";

/** A first value and the differences that follow, in decimal arithmetic. */
export type Deltas<T, D> = { readonly base: T; readonly deltas: readonly D[] };

const DIGITS_MAX = 15;
const IN_ARRAYS = "values and deltas come in arrays";

/**
 * The first value and the differences between neighbors. Numbers with a few decimals are subtracted
 * as decimals, so that 100.75 - 100.6 is 0.15; dates give milliseconds. `undelta` gives back the same
 * values, bit for bit: series for which no difference would do that, such as one with an infinity,
 * are refused as `out_of_range`.
 */
export function deltas(values: readonly number[]): Deltas<number, number>;
export function deltas(values: readonly bigint[]): Deltas<bigint, bigint>;
export function deltas(values: readonly Date[]): Deltas<Date, number>;
export function deltas(
  values: readonly (number | bigint | Date)[],
): Deltas<number | bigint | Date, number | bigint> {
  requireArray(values, IN_ARRAYS);
  const [base] = values;
  if (values.length === 0)
    throw new DeltaError("invalid_argument", "an empty series has no base", 0);
  if (typeof base === "bigint") {
    // `Array.from` takes holes for undefined, which is refused; `map` would pass over them.
    const whole = Array.from(values, bigint);
    return { base, deltas: whole.slice(1).map((value, i) => value - (whole[i] as bigint)) };
  }
  const numbers = Array.from(values, (value, i) => number(value, i, base instanceof Date));
  return { base: base as number | Date, deltas: decimalDeltas(numbers) };
}

/** The series that `deltas` took apart. */
export function undelta(apart: Deltas<number, number>): number[];
export function undelta(apart: Deltas<bigint, bigint>): bigint[];
export function undelta(apart: Deltas<Date, number>): Date[];
export function undelta(
  apart: Deltas<number | bigint | Date, number | bigint>,
): (number | bigint | Date)[] {
  requireArray((apart as Partial<typeof apart> | null)?.deltas, IN_ARRAYS);
  const { base, deltas: steps } = apart;
  if (typeof base === "bigint") {
    const values = [base];
    for (const step of Array.from(steps, bigint)) values.push((values.at(-1) as bigint) + step);
    return values;
  }
  const isDate = base instanceof Date;
  const numbers = restore(
    number(base, 0, isDate),
    Array.from(steps, (step, i) => number(step, i, false)),
  );
  return isDate ? numbers.map((time) => new Date(time)) : numbers;
}

function bigint(value: unknown, index: number): bigint {
  if (typeof value === "bigint") return value;
  throw new DeltaError("invalid_argument", "a series of bigints holds bigints alone", index);
}

function number(value: unknown, index: number, isDate: boolean): number {
  const result = value instanceof Date ? value.getTime() : value;
  if (typeof result !== "number" || value instanceof Date !== isDate) {
    throw new DeltaError("invalid_argument", "a series holds numbers alone, or dates alone", index);
  }
  if (Number.isFinite(result)) return result;
  throw new DeltaError("out_of_range", `${result} has no difference to its neighbors`, index);
}

function decimalDeltas(values: readonly number[]): number[] {
  const digits = mostDigits(values);
  const power = 10 ** digits;
  const scaled = values.map((value) => Math.round(value * power));
  const steps = scaled.slice(1).map((value, i) => (value - (scaled[i] as number)) / power);
  if (matches(values, restore(values[0] as number, steps))) return steps;
  const plain = values.slice(1).map((value, i) => value - (values[i] as number));
  const back = restore(values[0] as number, plain);
  const wrong = values.findIndex((value, i) => !Object.is(value, back[i]));
  if (wrong === -1) return plain;
  const [from, to] = [values[wrong - 1], values[wrong]].map((value) => textOf(value as number));
  const message = `no difference leads from ${from} to ${to} exactly: use encode`;
  throw new DeltaError("out_of_range", message, wrong);
}

function mostDigits(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, digitsOf(value)), 0);
}

function matches(values: readonly number[], back: readonly number[]): boolean {
  return values.every((value, i) => Object.is(value, back[i]));
}

/** Decimals that `value` is written with; at most 15, which doubles may fail to keep. */
function digitsOf(value: number): number {
  const [, fraction = "", exponent = "0"] =
    /^-?\d+(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(value)) ?? [];
  return Math.min(DIGITS_MAX, Math.max(0, fraction.length - Number(exponent)));
}

/** Sums in decimals as many as any of the numbers has. */
function restore(base: number, steps: readonly number[]): number[] {
  const digits = Math.max(digitsOf(base), mostDigits(steps));
  const power = 10 ** digits;
  let sum = Math.round(base * power);
  const values = [base];
  for (const step of steps) {
    sum += Math.round(step * power);
    values.push(sum / power);
  }
  return values;
}
