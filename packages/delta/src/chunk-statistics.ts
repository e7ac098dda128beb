import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { boundsOf } from "./integers.ts";
import {
  countOfLane,
  laneOfWords,
  newLane,
  pick,
  rawBytes,
  readRaw,
  wordsOfLane,
} from "./number-lane.ts";
import { boundsByWasm } from "./packed.ts";
import type { ValueType } from "./values.ts";
import { type Element, type NumberLane, plainValues, rawForm, type Taken } from "./values.ts";

/** What a file's index says of a chunk, so that a reader need not open it to pass over it. */
export type ChunkStatistics = {
  readonly nulls: number;
  /** Least and greatest value, which NaN is not; undefined for strings and where there is none. */
  readonly min: Element | undefined;
  readonly max: Element | undefined;
};

/** As they stand in the index. */
export function encodeStatistics(
  { type, count, lane, validity }: Taken,
  options: { readonly wasm: boolean },
): Uint8Array {
  const nulls = validity === undefined ? 0 : count - validity.reduce((sum, each) => sum + each, 0);
  const writer = new ByteWriter();
  writer.varint(nulls);
  if (lane.kind === "strings") return writer.finish();
  // What holds a null's place means nothing.
  const present = validity === undefined ? lane : pick(lane, placesOf(validity));
  const bounds = countOfLane(present) === 0 ? undefined : laneBounds(present, type, options.wasm);
  if (bounds !== undefined) writer.raw(rawBytes(bounds, rawForm(type), []));
  return writer.finish();
}

/** Of bytes that may say anything: whether it is true, only the chunk can tell. */
export function readStatistics(bytes: Uint8Array, type: ValueType, count: number): ChunkStatistics {
  const reader = new ByteReader(bytes);
  const nulls = reader.varint(count);
  if (reader.remaining === 0) return { nulls, min: undefined, max: undefined };
  const bounds = newLane(type, 2);
  readRaw(reader, bounds, rawForm(type));
  reader.expectEnd();
  const [min, max] = plainValues(type, bounds);
  return { nulls, min, max };
}

function placesOf(validity: Uint8Array): number[] {
  const places: number[] = [];
  for (let i = 0; i < validity.length; i += 1) if (validity[i] === 1) places.push(i);
  return places;
}

/** Least and greatest of at least one value, as a lane of two; undefined if all are NaN. */
function laneBounds(lane: NumberLane, type: ValueType, wasm: boolean): NumberLane | undefined {
  switch (lane.kind) {
    case "ints": {
      const { ints } = lane;
      const known = type !== "u32" && wasm ? boundsByWasm(ints) : undefined;
      if (known !== undefined) return { kind: "ints", ints: known };
      const { least, most } = boundsOf(
        type === "u32" ? new Uint32Array(ints.buffer, ints.byteOffset, ints.length) : ints,
      );
      return { kind: "ints", ints: Int32Array.of(least, most) };
    }
    case "pairs":
      return laneOfWords(lane, pairBounds(wordsOfLane(lane), lane.isSigned ? 0 : SIGN));
    default: {
      const bounds = floatBounds(lane.floats);
      if (bounds === undefined) return undefined;
      const typed = lane.isSingle ? Float32Array.from(bounds) : bounds;
      return laneOfWords(lane, new Int32Array(typed.buffer));
    }
  }
}

/** Turned over, it puts unsigned numbers into the order of signed ones. */
const SIGN = -0x80000000;

function pairBounds(words: Int32Array, flip: number): Int32Array {
  let leastLow = (words[0] as number) ^ SIGN;
  let leastHigh = (words[1] as number) ^ flip;
  let mostLow = leastLow;
  let mostHigh = leastHigh;
  for (let i = 2; i < words.length; i += 2) {
    const low = (words[i] as number) ^ SIGN;
    const high = (words[i + 1] as number) ^ flip;
    if (high < leastHigh || (high === leastHigh && low < leastLow)) {
      leastLow = low;
      leastHigh = high;
    } else if (high > mostHigh || (high === mostHigh && low > mostLow)) {
      mostLow = low;
      mostHigh = high;
    }
  }
  return Int32Array.of(leastLow ^ SIGN, leastHigh ^ flip, mostLow ^ SIGN, mostHigh ^ flip);
}

function floatBounds(floats: Float64Array): Float64Array | undefined {
  let least = Number.POSITIVE_INFINITY;
  let most = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < floats.length; i += 1) {
    const value = floats[i] as number;
    if (value < least) least = value;
    if (value > most) most = value;
  }
  // Infinities compare as they should; only if all are NaN nothing was found.
  if (least > most) return undefined;
  // Zero stands without its sign: which one came first says nothing.
  return Float64Array.of(least + 0, most + 0);
}
