import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import {
  countOfLane,
  laneOfWords,
  newLane,
  pick,
  rawBytes,
  readRaw,
  singlesOf,
  wordsOfLane,
} from "./number-lane.ts";
import type { ValueType } from "./values.ts";
import { type Element, elementBytes, type NumberLane, plainValues, type Taken } from "./values.ts";

/** What a file's index says of a chunk, so that a reader need not open it to pass over it. */
export type ChunkStatistics = {
  readonly nulls: number;
  /** Least and greatest value, which NaN is not; undefined for strings and where there is none. */
  readonly min: Element | undefined;
  readonly max: Element | undefined;
};

/** As they stand in the index. */
export function encodeStatistics({ type, count, lane, validity }: Taken): Uint8Array {
  const nulls = validity === undefined ? 0 : count - validity.reduce((sum, each) => sum + each, 0);
  const writer = new ByteWriter();
  writer.varint(nulls);
  if (lane.kind === "strings") return writer.finish();
  // What holds a null's place means nothing.
  const present = validity === undefined ? lane : pick(lane, placesOf(validity));
  const bounds = countOfLane(present) === 0 ? undefined : boundsOf(present, type);
  if (bounds !== undefined) writer.raw(rawBytes(bounds, elementBytes(type), []));
  return writer.finish();
}

/** Of bytes that may say anything: whether it is true, only the chunk can tell. */
export function readStatistics(bytes: Uint8Array, type: ValueType, count: number): ChunkStatistics {
  const reader = new ByteReader(bytes);
  const nulls = reader.varint(count);
  if (reader.remaining === 0) return { nulls, min: undefined, max: undefined };
  const bounds = newLane(type, 2);
  readRaw(reader, bounds, elementBytes(type));
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
function boundsOf(lane: NumberLane, type: ValueType): NumberLane | undefined {
  if (lane.kind === "pairs") return pairBounds(lane, lane.isSigned);
  if (lane.kind === "ints") {
    const { buffer, byteOffset, length } = lane.ints;
    const ints = type === "u32" ? new Uint32Array(buffer, byteOffset, length) : lane.ints;
    return { kind: "ints", ints: Int32Array.from(extremes(ints) ?? []) };
  }
  const found = extremes(lane.isSingle ? singlesOf(lane.bits) : lane.floats);
  if (found === undefined) return undefined;
  const floats = lane.isSingle ? Float32Array.from(found) : Float64Array.from(found);
  return laneOfWords(lane, new Int32Array(floats.buffer));
}

function extremes(
  values: Int32Array | Uint32Array | Float32Array | Float64Array,
): [least: number, most: number] | undefined {
  const first = values.findIndex((value) => !Number.isNaN(value));
  if (first < 0) return undefined;
  let least = values[first] as number;
  let most = least;
  for (let i = first + 1; i < values.length; i += 1) {
    const value = values[i] as number;
    if (value < least) least = value;
    if (value > most) most = value;
  }
  // Zero stands without its sign: which one came first says nothing.
  return [least + 0, most + 0];
}

function pairBounds(lane: NumberLane, isSigned: boolean): NumberLane {
  const words = wordsOfLane(lane);
  // With the top bit turned over, signed words are in order as the others are.
  const flip = isSigned ? 0 : -0x80000000;
  const isBelow = (i: number, j: number): boolean => {
    const high = (words[2 * i + 1] as number) ^ flip;
    const other = (words[2 * j + 1] as number) ^ flip;
    return (
      high < other ||
      (high === other && (words[2 * i] as number) >>> 0 < (words[2 * j] as number) >>> 0)
    );
  };
  let least = 0;
  let most = 0;
  for (let i = 1; i < words.length / 2; i += 1) {
    if (isBelow(i, least)) least = i;
    else if (isBelow(most, i)) most = i;
  }
  return pick(lane, [least, most]);
}
