import type { ByteReader } from "./byte-reader.ts";
import { corrupt } from "./delta-error.ts";
import { factorsOf } from "./float-mode.ts";

/**
 * Integers of up to 64 bits as base + step × offset. `narrow`: offsets of 32 bits with a sign.
 * `wide`: any 64-bit offsets, as words, low then high; base 0, step 1.
 */
export type Integers = {
  readonly base: bigint;
  /** Greatest common divisor of the offsets, below 2^53. */
  readonly step: number;
  readonly offsets: Offsets;
};

export type Offsets =
  | { readonly kind: "narrow"; readonly ints: Int32Array }
  | { readonly kind: "wide"; readonly words: Uint32Array };

export function countOf(offsets: Offsets): number {
  return offsets.kind === "narrow" ? offsets.ints.length : offsets.words.length / 2;
}

/** Of 32-bit integers, signed or not: arithmetic modulo 2^32 does not tell them apart. */
export function integersOfInts(ints: Int32Array): Integers {
  const plain: Integers = { base: 0n, step: 1, offsets: { kind: "narrow", ints } };
  if (ints.length < 2) return plain;
  let least = ints[0] as number;
  let step = 0;
  for (let i = 1; i < ints.length; i += 1) {
    const value = ints[i] as number;
    step = divisor(step, Math.abs(value - (ints[i - 1] as number)));
    if (step === 1) return plain;
    if (value < least) least = value;
  }
  if (step === 0) return plain;
  const offsets = Int32Array.from(ints, (value) => (value - least) / step);
  return { base: BigInt(least), step, offsets: { kind: "narrow", ints: offsets } };
}

/** Least and greatest of those from `first` on, of which there is one. */
export function boundsOf(
  ints: Int32Array | Uint32Array,
  first = 0,
  end = ints.length,
): { least: number; most: number } {
  let least = ints[first] as number;
  let most = least;
  let i = first;
  // Most often none of four changes anything.
  for (; i + 3 < end; i += 4) {
    const a = ints[i] as number;
    const b = ints[i + 1] as number;
    const c = ints[i + 2] as number;
    const d = ints[i + 3] as number;
    const isLess = a < least || b < least || c < least || d < least;
    if (isLess || a > most || b > most || c > most || d > most) {
      least = Math.min(least, a, b, c, d);
      most = Math.max(most, a, b, c, d);
    }
  }
  for (; i < end; i += 1) {
    const value = ints[i] as number;
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return { least, most };
}

/** Of whole numbers below 2^53. */
export function integersOfFloats(values: Float64Array): Integers {
  if (values.length === 0) return integersOfInts(new Int32Array(0));
  let least = values[0] as number;
  let most = least;
  for (let i = 1; i < values.length; i += 1) {
    const value = values[i] as number;
    if (value < least) least = value;
    if (value > most) most = value;
  }
  // Numbers of opposite signs may lie more than 2^53 apart, where differences are no longer exact.
  const step = most - least <= Number.MAX_SAFE_INTEGER ? commonStep(values) : 1;
  if ((most - least) / step < 2 ** 32) {
    const isPlain = step === 1 && least >= -0x80000000 && most <= 0x7fffffff;
    const base = isPlain ? 0 : least + ((most - least) / step < 2 ** 31 ? 0 : step * 2 ** 31);
    const ints = new Int32Array(values.length);
    if (isPlain) for (let i = 0; i < ints.length; i += 1) ints[i] = values[i] as number;
    else for (let i = 0; i < ints.length; i += 1) ints[i] = ((values[i] as number) - base) / step;
    return { base: BigInt(base), step, offsets: { kind: "narrow", ints } };
  }
  const words = new Uint32Array(values.length * 2);
  for (let i = 0; i < values.length; i += 1) {
    const high = Math.floor((values[i] as number) / 0x100000000);
    words[2 * i] = (values[i] as number) - high * 0x100000000;
    words[2 * i + 1] = high;
  }
  return { base: 0n, step: 1, offsets: { kind: "wide", words } };
}

/** So many show whether there is a step, most often. */
const STEP_SAMPLE = 1024;

/** Of 64-bit integers as words; narrow if they lie near each other, or if only a step makes them so. */
export function integersOfWords(
  words: Uint32Array,
  isSigned: boolean,
  options: { readonly onlyBySteps: boolean } = { onlyBySteps: false },
): Integers {
  const wide: Integers = { base: 0n, step: 1, offsets: { kind: "wide", words } };
  const floats = new Float64Array(words.length / 2);
  const base = words.length === 0 ? 0n : bigintOf(words, 0, isSigned);
  const baseLow = words[0] ?? 0;
  const baseHigh = words[1] ?? 0;
  let step = 0;
  for (let i = 0; i < floats.length; i += 1) {
    const low = (words[2 * i] as number) - baseLow;
    const high = ((words[2 * i + 1] as number) - baseHigh - (low < 0 ? 1 : 0)) | 0;
    if (high >= 0x100000 || high < -0x100000) return wide;
    floats[i] = high * 0x100000000 + (low < 0 ? low + 0x100000000 : low);
    if (options.onlyBySteps && i > 0 && i < STEP_SAMPLE) {
      step = divisor(step, Math.abs((floats[i] as number) - (floats[i - 1] as number)));
      if (step === 1) return wide;
    }
  }
  const relative = integersOfFloats(floats);
  if (relative.offsets.kind === "wide" || (options.onlyBySteps && relative.step === 1)) return wide;
  return { ...relative, base: base + relative.base };
}

function bigintOf(words: Uint32Array, index: number, isSigned: boolean): bigint {
  const high = BigInt(words[2 * index + 1] as number);
  const value = (high << 32n) | BigInt(words[2 * index] as number);
  return isSigned ? BigInt.asIntN(64, value) : value;
}

function commonStep(values: Float64Array): number {
  let step = 0;
  for (let i = 1; i < values.length; i += 1) {
    step = divisor(step, Math.abs((values[i] as number) - (values[i - 1] as number)));
    if (step === 1) return 1;
  }
  return step === 0 ? 1 : step;
}

/** Greatest common divisor; that of 0 and b is b. */
function divisor(a: number, b: number): number {
  if (a !== 0 && b % a === 0) return a;
  let [x, y] = [a, b];
  while (y !== 0) [x, y] = [y, x % y];
  return x;
}

/** Fills `out` with the low 32 bits of each integer. */
export function intsOf({ base, step, offsets }: Integers, out: Int32Array): void {
  const start = Number(BigInt.asIntN(32, base));
  if (offsets.kind === "narrow") {
    const { ints } = offsets;
    if (step === 1 && start === 0) {
      if (ints !== out) out.set(ints);
    } else if (step === 1)
      for (let i = 0; i < out.length; i += 1) out[i] = (ints[i] as number) + start;
    else {
      const factor = step | 0;
      for (let i = 0; i < out.length; i += 1) {
        out[i] = Math.imul(ints[i] as number, factor) + start;
      }
    }
    return;
  }
  const { words } = offsets;
  for (let i = 0; i < out.length; i += 1) out[i] = words[2 * i] as number;
}

/** Fills `out` with each integer divided by `divisor`. */
export function floatsOf(
  { base, step, offsets }: Integers,
  out: Float64Array,
  divisor: number,
): void {
  const start = Number(base);
  if (!Number.isSafeInteger(start)) {
    throw corrupt("integers beyond 2^53");
  }
  if (offsets.kind === "wide") {
    const { words } = offsets;
    for (let i = 0; i < out.length; i += 1) {
      const high = (words[2 * i + 1] as number) | 0;
      out[i] = (high * 0x100000000 + (words[2 * i] as number)) / divisor;
    }
    return;
  }
  const { ints } = offsets;
  const factors = step === 1 && start === 0 ? factorsOf(divisor) : undefined;
  if (factors === undefined) {
    for (let i = 0; i < out.length; i += 1) out[i] = ((ints[i] as number) * step + start) / divisor;
    return;
  }
  const { high, low } = factors;
  for (let i = 0; i < out.length; i += 1) {
    const q = ints[i] as number;
    out[i] = q * high + q * low;
  }
}

/** Fills `out` with the 64-bit words of each integer. */
export function wordsOf({ base, step, offsets }: Integers, out: Uint32Array): void {
  const start = BigInt.asUintN(64, base);
  const startLow = Number(start & 0xffffffffn);
  const startHigh = Number(start >> 32n);
  if (offsets.kind === "wide") {
    if (offsets.words !== out) out.set(offsets.words);
    return;
  }
  const { ints } = offsets;
  if (step === 1) {
    // All in 32-bit integers: the sign extended, and a carry where the low sum wraps around.
    const signed = new Int32Array(out.buffer, out.byteOffset, out.length);
    const first = startLow | 0;
    const bound = first ^ -0x80000000;
    for (let i = 0; i < ints.length; i += 1) {
      const offset = ints[i] as number;
      const low = (offset + first) | 0;
      signed[2 * i] = low;
      signed[2 * i + 1] = startHigh + (offset >> 31) + ((low ^ -0x80000000) < bound ? 1 : 0);
    }
    return;
  }
  for (let i = 0; i < ints.length; i += 1) {
    const offset = (ints[i] as number) * step;
    const high = Math.floor(offset / 0x100000000);
    const low = offset - high * 0x100000000 + startLow;
    out[2 * i] = low;
    out[2 * i + 1] = high + startHigh + (low > 0xffffffff ? 1 : 0);
  }
}

/** Numbers of either sign in headers, of 64 bits and a little more: zigzag, seven bits a byte. */
export function bigVarint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = value < 0n ? -2n * value - 1n : 2n * value;
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

export function readBigVarint(reader: ByteReader): bigint {
  const start = reader.position;
  let value = 0n;
  for (let shift = 0n; shift <= 63n; shift += 7n) {
    const byte = reader.u8();
    value |= BigInt(byte & 0x7f) << shift;
    // One value, one encoding.
    if (byte === 0 && shift > 0n) break;
    if (byte < 0x80) return value & 1n ? -((value + 1n) >> 1n) : value >> 1n;
  }
  throw corrupt("numbers", start);
}
