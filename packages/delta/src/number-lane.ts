import type { ByteReader } from "./byte-reader.ts";
import type { NumberLane, ValueType } from "./values.ts";

/** Words of 32 bits that a value of the lane takes. */
export function wordsPerValue(lane: NumberLane): 1 | 2 {
  return lane.kind === "ints" || (lane.kind === "floats" && lane.isSingle) ? 1 : 2;
}

/** The bits of all values, always as the same kind of array: loops over them stay fast. */
export function wordsOfLane(lane: NumberLane): Int32Array {
  if (lane.kind === "ints") return lane.ints;
  const { buffer, byteOffset, length } = lane.kind === "pairs" ? lane.words : lane.bits;
  return new Int32Array(buffer, byteOffset, length);
}

export function countOfLane(lane: NumberLane): number {
  return wordsOfLane(lane).length / wordsPerValue(lane);
}

/** The lane of these bits, which it shares. Doubles share their memory with their bits; singles do not. */
export function laneOfWords(like: NumberLane, ints: Int32Array): NumberLane {
  const { buffer, byteOffset, length } = ints;
  if (like.kind === "ints") return { kind: "ints", ints };
  const words = new Uint32Array(buffer, byteOffset, length);
  if (like.kind === "pairs") return { ...like, words };
  const floats = like.isSingle
    ? Float64Array.from(singlesOf(words))
    : new Float64Array(buffer, byteOffset, length / 2);
  return { ...like, floats, bits: words };
}

export function singlesOf({ buffer, byteOffset, length }: Uint32Array): Float32Array {
  return new Float32Array(buffer, byteOffset, length);
}

export function emptyLane(like: NumberLane, count: number): NumberLane {
  return laneOfWords(like, new Int32Array(count * wordsPerValue(like)));
}

const NO_INTS: NumberLane = { kind: "ints", ints: new Int32Array(0) };

/** A lane with `count` places for values of `type`. */
export function newLane(type: ValueType, count: number): NumberLane {
  const [floats, bits] = [new Float64Array(0), new Uint32Array(0)];
  switch (type) {
    case "f64":
    case "number":
    case "date":
      return emptyLane({ kind: "floats", floats, bits, isSingle: false }, count);
    case "f32":
      return emptyLane({ kind: "floats", floats, bits, isSingle: true }, count);
    case "i64":
    case "bigint":
    case "u64":
      return emptyLane({ kind: "pairs", words: bits, isSigned: type !== "u64" }, count);
    default:
      return emptyLane(NO_INTS, count);
  }
}

/** The values at these places, as a lane of their own. */
export function pick(lane: NumberLane, at: ArrayLike<number>): NumberLane {
  const words = wordsOfLane(lane);
  const width = wordsPerValue(lane);
  const picked = new Int32Array(at.length * width);
  for (let k = 0; k < picked.length; k += 1) {
    picked[k] = words[(at[Math.floor(k / width)] as number) * width + (k % width)] as number;
  }
  return laneOfWords(lane, picked);
}

/** How the raw form holds a value: in as many bytes as the caller's array does, narrow ones with a sign or not. */
export type RawForm = { readonly elementBytes: number; readonly isSigned: boolean };

/** Each value in its raw form, behind `head`. */
export function rawBytes(
  lane: NumberLane,
  { elementBytes }: RawForm,
  head: readonly number[],
): Uint8Array {
  const count = countOfLane(lane);
  const bytes = new Uint8Array(head.length + count * elementBytes);
  bytes.set(head);
  const words = wordsOfLane(lane);
  if (lane.kind !== "ints") {
    bytes.set(new Uint8Array(words.buffer, words.byteOffset, words.byteLength), head.length);
    return bytes;
  }
  for (let i = 0, at = head.length; i < count; i += 1) {
    for (let k = 0; k < elementBytes; k += 1) bytes[at++] = (words[i] as number) >>> (8 * k);
  }
  return bytes;
}

/** Fills a lane with what `rawBytes` made. */
export function readRaw(
  reader: ByteReader,
  lane: NumberLane,
  { elementBytes, isSigned }: RawForm,
): void {
  const count = countOfLane(lane);
  const bytes = reader.raw(count * elementBytes);
  const words = wordsOfLane(lane);
  if (lane.kind !== "ints") {
    new Uint8Array(words.buffer, words.byteOffset, words.byteLength).set(bytes);
    return;
  }
  // Up and down again: the sign of a narrow value fills the bits above it.
  const shift = isSigned ? 32 - 8 * elementBytes : 0;
  for (let i = 0, at = 0; i < count; i += 1) {
    let value = 0;
    for (let k = 0; k < elementBytes; k += 1) value |= (bytes[at++] as number) << (8 * k);
    words[i] = (value << shift) >> shift;
  }
}
