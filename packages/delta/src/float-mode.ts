import type { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { DeltaError } from "./delta-error.ts";

/**
 * How a double stands for an integer q: v = q × multiplier / divisor in doubles, then perhaps rounded
 * to a float32, then perhaps rounded to `printedDigits` decimals, as when a float32 was written as
 * text and read back. Integers are 1/1, cents 1/100, minutes 1/60, feet 0.3048/1.
 */
export type FloatMode = {
  readonly multiplier: number;
  readonly divisor: number;
  readonly isSingle: boolean;
  /** -1 for none. */
  readonly printedDigits: number;
};

export const DIGITS_MAX = 17;

/** Beyond this an integer is no longer exact in a double. */
const INTEGER_MAX = Number.MAX_SAFE_INTEGER;

export const POWERS_OF_TEN: readonly number[] = Array.from({ length: 23 }, (_, k) =>
  Number(`1e${k}`),
);

/** The value of integer `q`; the decoder's loops do the same in the same order. */
function floatOf(mode: FloatMode, q: number): number {
  let value = (q * mode.multiplier) / mode.divisor;
  if (mode.isSingle) value = Math.fround(value);
  if (mode.printedDigits >= 0) {
    const power = POWERS_OF_TEN[mode.printedDigits] as number;
    value = Math.round(value * power) / power;
  }
  return value;
}

/** Adding and subtracting this rounds a double below 2^51 to a whole number, faster than a call. */
const ROUNDER = 1.5 * 2 ** 52;
const ROUNDED_MAX = 2 ** 51;

/** Fills `integers` with the q of each float; answers the indexes that have none, in order. */
export function integersOf(
  mode: FloatMode,
  floats: Float64Array,
  integers: Float64Array,
): number[] {
  const exceptions: number[] = [];
  const { divisor } = mode;
  const plain = isPlain(mode);
  let last = 0;
  for (let i = 0; i < floats.length; i += 1) {
    const value = floats[i] as number;
    if (plain) {
      const scaled = value * divisor;
      const q = scaled + ROUNDER - ROUNDER;
      // Zero is looked at closely below, since -0 must keep its sign.
      if (q / divisor === value && q !== 0 && q < ROUNDED_MAX && q > -ROUNDED_MAX) {
        last = q;
        integers[i] = q;
        continue;
      }
    }
    const q = integerOf(mode, value);
    if (q === undefined) exceptions.push(i);
    else last = q;
    integers[i] = last;
  }
  return exceptions;
}

/** The integer whose float is `value`, bit for bit. */
function integerOf(mode: FloatMode, value: number): number | undefined {
  // Adding 0 makes the -0 of Math.round into 0: no match for a value of -0.
  const q = Math.round(value * (mode.divisor / mode.multiplier)) + 0;
  return Math.abs(q) <= INTEGER_MAX && Object.is(floatOf(mode, q), value) ? q : undefined;
}

export function isPlain(mode: FloatMode): boolean {
  return mode.multiplier === 1 && !mode.isSingle && mode.printedDigits < 0;
}

/** The mode in a few words; undefined stands for the bits of the floats. */
export function describeMode(mode: FloatMode | undefined): string {
  if (mode === undefined) return "float bits";
  const { multiplier, divisor, isSingle, printedDigits } = mode;
  const digits = POWERS_OF_TEN.indexOf(divisor);
  let text = digits === 0 ? "integer" : `decimal 10^-${digits}`;
  if (digits < 0) text = `multiple of 1/${divisor}`;
  if (multiplier !== 1) text = `multiple of ${multiplier}`;
  if (isSingle) text += " as float32";
  return printedDigits < 0 ? text : `${text} printed with ${printedDigits} decimals`;
}

export type Factors = { readonly high: number; readonly low: number };

/** Up to this, by the reckoning below. */
const FACTORS_DIVISOR_MAX = 2 ** 20;

/**
 * For whole divisors d that are not too great: q × high + q × low is q / d, bit for bit, for each q of
 * 32 bits, and takes half the time. `high` is 1 / d in 22 bits, so that its product is exact; `low` is
 * what is missing, so that the other product is wrong by 2^-74 of the quotient at most. A quotient
 * that lies between two doubles is nearer to one of them by at least 1 / (2^54 d) of its size, and
 * never just halfway: with d odd times a power of two, q over that odd number would need 54 bits.
 */
export function factorsOf(divisor: number): Factors | undefined {
  if (!Number.isInteger(divisor) || divisor < 1 || divisor > FACTORS_DIVISOR_MAX) return undefined;
  const near = 1 / divisor;
  const far = near * (2 ** 31 + 1);
  const high = far - (far - near);
  return { high, low: (1 - high * divisor) / divisor };
}

/** Turns each integer of `values` into its float, in place. */
export function fillFloats(mode: FloatMode, values: Float64Array): void {
  const { multiplier, divisor } = mode;
  // One loop for each step that there is, the same operations in the same order as `floatOf`.
  if (multiplier !== 1)
    for (let i = 0; i < values.length; i += 1) values[i] = (values[i] as number) * multiplier;
  if (divisor !== 1)
    for (let i = 0; i < values.length; i += 1) values[i] = (values[i] as number) / divisor;
  roundFloats(mode, values);
}

/** The roundings of a mode, of doubles that are multiplied and divided already. */
export function roundFloats(mode: FloatMode, values: Float64Array): void {
  const { isSingle, printedDigits } = mode;
  const power = printedDigits < 0 ? 0 : (POWERS_OF_TEN[printedDigits] as number);
  if (isSingle)
    for (let i = 0; i < values.length; i += 1) values[i] = Math.fround(values[i] as number);
  if (power === 0) return;
  for (let i = 0; i < values.length; i += 1) {
    values[i] = Math.round((values[i] as number) * power) / power;
  }
}

const SINGLE = 1;
const PRINTED = 2;
const MULTIPLIER = 4;
const DIVISOR = 8;

export function writeFloatMode(writer: ByteWriter, mode: FloatMode): void {
  const digits = POWERS_OF_TEN.indexOf(mode.divisor);
  const isPrinted = mode.printedDigits >= 0;
  const hasMultiplier = mode.multiplier !== 1;
  writer.u8(
    (mode.isSingle ? SINGLE : 0) |
      (isPrinted ? PRINTED : 0) |
      (hasMultiplier ? MULTIPLIER : 0) |
      (digits < 0 ? DIVISOR : 0),
  );
  if (isPrinted) writer.u8(mode.printedDigits);
  if (hasMultiplier) writer.raw(bytesOfDouble(mode.multiplier));
  if (digits < 0) writer.raw(bytesOfDouble(mode.divisor));
  else writer.u8(digits);
}

export function readFloatMode(reader: ByteReader): FloatMode {
  const at = reader.position;
  const flags = reader.u8();
  if (flags > 15) throw new DeltaError("unsupported_feature", `a float mode ${flags}`, at);
  const printedDigits = (flags & PRINTED) === 0 ? -1 : reader.u8();
  const multiplier = (flags & MULTIPLIER) === 0 ? 1 : readDouble(reader);
  const divisor = (flags & DIVISOR) === 0 ? POWERS_OF_TEN[reader.u8()] : readDouble(reader);
  if (printedDigits > DIGITS_MAX || divisor === undefined) {
    throw new DeltaError("corrupt", "a float mode with more digits than a double", at);
  }
  return { multiplier, divisor, isSingle: (flags & SINGLE) !== 0, printedDigits };
}

function bytesOfDouble(value: number): Uint8Array {
  return new Uint8Array(Float64Array.of(value).buffer);
}

function readDouble(reader: ByteReader): number {
  return new Float64Array(reader.raw(8).slice().buffer)[0] as number;
}
