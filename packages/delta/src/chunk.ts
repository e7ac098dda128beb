import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { chooseFloatMode } from "./choose-float-mode.ts";
import { DeltaError } from "./delta-error.ts";
import {
  describeMode,
  type FloatMode,
  fillFloats,
  integersOf,
  isPlain,
  readFloatMode,
  writeFloatMode,
} from "./float-mode.ts";
import {
  type DecodeContext,
  decodeIntegers,
  describeIntegers,
  encodeIntegers,
  type IntegerOptions,
  type IntegerReport,
  integersAt,
  isPackedAsGiven,
} from "./integer-coder.ts";
import {
  floatsOf,
  type Integers,
  integersOfFloats,
  integersOfInts,
  integersOfWords,
  intsOf,
  wordsOf,
} from "./integers.ts";
import { CHUNK_VALUES_MAX } from "./limits.ts";
import type { NumberLane } from "./values.ts";

/** What stands first in a chunk's body: how its values became integers. */
const SHAPE = {
  raw: 0,
  integers: 1,
  floatMode: 2,
  floatBits: 3,
  runs: 4,
} as const;

/** Runs must be this long on average to be worth a trial. */
const RUN_MEAN_MIN = 4;
/** And come out this much smaller, since they cost random access. */
const RUN_GAIN_MIN = 0.9;

/** `elementBytes` is the size of a value as the caller's array holds it, for the raw form. */
export function encodeNumbers(
  lane: NumberLane,
  elementBytes: number,
  options: IntegerOptions,
): Uint8Array {
  const direct = encodeDirect(lane, options);
  const runs = findRuns(lane);
  let best = direct;
  if (runs !== undefined) {
    const body = encodeRuns(lane, runs, options);
    if (body.length < direct.length * RUN_GAIN_MIN) best = body;
  }
  const rawSize = 1 + countOfLane(lane) * elementBytes;
  // Every chunk is read back before it is believed; what does not come back is written raw.
  const isRead = best[0] === SHAPE.integers && isPackedAsGiven(best.subarray(1));
  if (best.length >= rawSize || !(isRead || readsBack(best, lane, options)))
    return encodeRaw(lane, elementBytes);
  return best;
}

function countOfLane(lane: NumberLane): number {
  switch (lane.kind) {
    case "ints":
      return lane.ints.length;
    case "pairs":
      return lane.words.length / 2;
    default:
      return lane.floats.length;
  }
}

function encodeDirect(lane: NumberLane, options: IntegerOptions): Uint8Array {
  const writer = new ByteWriter();
  const { memory } = options;
  const mode = lane.kind === "floats" ? chooseFloatMode(lane, memory.mode) : undefined;
  memory.mode = mode;
  if (lane.kind === "floats" && mode !== undefined) {
    encodeFloats(writer, lane, mode, options);
    return writer.finish();
  }
  writer.u8(lane.kind === "floats" ? SHAPE.floatBits : SHAPE.integers);
  writer.raw(encodeIntegers(integersOfBits(lane, options.backend === "fast"), options));
  return writer.finish();
}

/** A lane's values as integers; of floats their bits, in the floats' order. */
function integersOfBits(lane: NumberLane, isFast: boolean): Integers {
  if (lane.kind === "ints") return integersOfInts(lane.ints);
  // Packed pairs decode faster than packed halves that are put together afterwards.
  const onlyBySteps = isFast;
  if (lane.kind === "pairs") return integersOfWords(lane.words, lane.isSigned, { onlyBySteps });
  return bitIntegers(lane.bits, lane.isSingle);
}

/** The integers that the encoder weighs predictors for. */
export function integersOfLane(lane: NumberLane): Integers {
  const mode = lane.kind === "floats" ? chooseFloatMode(lane) : undefined;
  if (lane.kind !== "floats" || mode === undefined) return integersOfBits(lane, false);
  const integers = new Float64Array(lane.floats.length);
  integersOf(mode, lane.floats, integers);
  return integersOfFloats(integers);
}

function encodeFloats(
  writer: ByteWriter,
  lane: NumberLane & { kind: "floats" },
  mode: FloatMode,
  options: IntegerOptions,
): void {
  const integers = new Float64Array(lane.floats.length);
  const exceptions = integersOf(mode, lane.floats, integers);
  writer.u8(SHAPE.floatMode);
  writeFloatMode(writer, mode);
  writer.varint(exceptions.length);
  if (exceptions.length > 0) {
    const gaps = Int32Array.from(exceptions, (at, k) => at - (exceptions[k - 1] ?? -1) - 1);
    writePart(writer, encodeIntegers(integersOfInts(gaps), nested(options)));
    const width = lane.isSingle ? 1 : 2;
    const bits = new Uint32Array(exceptions.length * width);
    exceptions.forEach((at, k) => {
      bits.set(lane.bits.subarray(at * width, at * width + width), k * width);
    });
    writePart(writer, encodeIntegers(bitIntegers(bits, lane.isSingle), nested(options)));
  }
  writer.raw(encodeIntegers(integersOfFloats(integers), options));
}

/** Side tables are read whole in any case. */
function nested(options: IntegerOptions): IntegerOptions {
  return {
    ...options,
    backend: options.backend === "handoff" ? "small" : options.backend,
    tryLags: false,
  };
}

function writePart(writer: ByteWriter, part: Uint8Array): void {
  writer.varint(part.length);
  writer.raw(part);
}

/** Bits as integers that rise as the floats do; the same function undoes it. */
function sortable(bits: Uint32Array, isSingle: boolean): Uint32Array {
  const result = bits.slice();
  if (isSingle) {
    for (let i = 0; i < result.length; i += 1) {
      const word = result[i] as number;
      if (word >= 0x80000000) result[i] = word ^ 0x7fffffff;
    }
    return result;
  }
  for (let i = 0; i < result.length; i += 2) {
    const high = result[i + 1] as number;
    if (high < 0x80000000) continue;
    result[i] = ~(result[i] as number);
    result[i + 1] = high ^ 0x7fffffff;
  }
  return result;
}

function bitIntegers(bits: Uint32Array, isSingle: boolean): Integers {
  const words = sortable(bits, isSingle);
  if (isSingle) return integersOfInts(new Int32Array(words.buffer));
  return integersOfWords(words, true);
}

function sameValue(lane: NumberLane, i: number, j: number): boolean {
  if (lane.kind === "ints") return lane.ints[i] === lane.ints[j];
  const words = lane.kind === "pairs" ? lane.words : lane.bits;
  if (lane.kind === "floats" && lane.isSingle) return words[i] === words[j];
  return words[2 * i] === words[2 * j] && words[2 * i + 1] === words[2 * j + 1];
}

/** Whether most neighbors in a sample are equal. */
function looksLikeRuns(lane: NumberLane, count: number): boolean {
  const samples = Math.min(256, count - 1);
  let equal = 0;
  for (let k = 0; k < samples; k += 1) {
    const i = 1 + Math.floor((k * (count - 1)) / samples);
    if (sameValue(lane, i, i - 1)) equal += 1;
  }
  return equal * 2 > samples;
}

/** Where each run of equal values begins, if runs are long. */
function findRuns(lane: NumberLane): number[] | undefined {
  const count = countOfLane(lane);
  const most = Math.floor(count / RUN_MEAN_MIN);
  if (most < 2 || !looksLikeRuns(lane, count)) return undefined;
  const starts = [0];
  for (let i = 1; i < count; i += 1) {
    if (sameValue(lane, i, i - 1)) continue;
    if (starts.length === most) return undefined;
    starts.push(i);
  }
  return starts.length === 1 ? undefined : starts;
}

function encodeRuns(
  lane: NumberLane,
  starts: readonly number[],
  options: IntegerOptions,
): Uint8Array {
  const count = countOfLane(lane);
  const lengths = Int32Array.from(starts, (start, k) => (starts[k + 1] ?? count) - start - 1);
  const writer = new ByteWriter();
  writer.u8(SHAPE.runs);
  writer.varint(starts.length);
  writePart(writer, encodeIntegers(integersOfInts(lengths), nested(options)));
  writer.raw(encodeDirect(pick(lane, starts), options));
  return writer.finish();
}

function pick(lane: NumberLane, at: readonly number[]): NumberLane {
  const pairs = (words: Uint32Array): Uint32Array => {
    const picked = new Uint32Array(at.length * 2);
    at.forEach((i, k) => {
      picked[2 * k] = words[2 * i] as number;
      picked[2 * k + 1] = words[2 * i + 1] as number;
    });
    return picked;
  };
  if (lane.kind === "ints") {
    return { kind: "ints", ints: Int32Array.from(at, (i) => lane.ints[i] as number) };
  }
  if (lane.kind === "pairs") return { ...lane, words: pairs(lane.words) };
  const floats = Float64Array.from(at, (i) => lane.floats[i] as number);
  const bits = lane.isSingle
    ? Uint32Array.from(at, (i) => lane.bits[i] as number)
    : pairs(lane.bits);
  return { ...lane, floats, bits };
}

function encodeRaw(lane: NumberLane, elementBytes: number): Uint8Array {
  const count = countOfLane(lane);
  const body = new Uint8Array(1 + count * elementBytes);
  body[0] = SHAPE.raw;
  if (lane.kind === "ints") {
    for (let i = 0; i < count; i += 1) {
      const value = lane.ints[i] as number;
      for (let k = 0; k < elementBytes; k += 1) {
        body[1 + i * elementBytes + k] = value >>> (8 * k);
      }
    }
    return body;
  }
  const words = lane.kind === "pairs" ? lane.words : lane.bits;
  body.set(new Uint8Array(words.buffer, words.byteOffset, words.byteLength), 1);
  return body;
}

function readsBack(body: Uint8Array, lane: NumberLane, options: IntegerOptions): boolean {
  const copy = spareLane(lane, countOfLane(lane));
  const context = { wasm: options.wasm, compressors: [options.compressor] };
  decodeNumbers(body, copy, 0, context);
  return sameWords(wordsOfLane(lane), wordsOfLane(copy));
}

/** A loop of its own, so that it is compiled once and stays compiled. */
function sameWords(a: Int32Array, b: Int32Array): boolean {
  let difference = 0;
  for (let i = 0; i < a.length; i += 1) difference |= (a[i] as number) ^ (b[i] as number);
  return difference === 0;
}

/** Memory for chunks that are read back: new memory would cost more than the reading. */
let spare: ArrayBuffer | undefined;

function spareLane(like: NumberLane, count: number): NumberLane {
  spare ??= new ArrayBuffer(CHUNK_VALUES_MAX * 8);
  if (like.kind === "ints") return { kind: "ints", ints: new Int32Array(spare, 0, count) };
  if (like.kind === "pairs") return { ...like, words: new Uint32Array(spare, 0, count * 2) };
  if (like.isSingle) return emptyLane(like, count);
  const floats = new Float64Array(spare, 0, count);
  return { ...like, floats, bits: new Uint32Array(spare, 0, count * 2) };
}

function emptyLane(like: NumberLane, count: number): NumberLane {
  switch (like.kind) {
    case "ints":
      return { kind: "ints", ints: new Int32Array(count) };
    case "pairs":
      return { ...like, words: new Uint32Array(count * 2) };
    default:
      return newFloatLane(count, like.isSingle);
  }
}

/** A lane of doubles shares its memory with its bits; one of singles does not. */
export function newFloatLane(count: number, isSingle: boolean): NumberLane & { kind: "floats" } {
  const floats = new Float64Array(count);
  const bits = isSingle ? new Uint32Array(count) : new Uint32Array(floats.buffer);
  return { kind: "floats", floats, bits, isSingle };
}

/** The bits of all values, always as the same kind of array: loops over them stay fast. */
function wordsOfLane(lane: NumberLane): Int32Array {
  if (lane.kind === "ints") return lane.ints;
  const { buffer, byteOffset, length } = lane.kind === "pairs" ? lane.words : lane.bits;
  return new Int32Array(buffer, byteOffset, length);
}

/** Fills `lane` from a body: of a lane of floats the bits, which doubles share with their numbers. */
export function decodeNumbers(
  body: Uint8Array,
  lane: NumberLane,
  elementBytes: number,
  context: DecodeContext,
): void {
  const reader = new ByteReader(body);
  const shape = reader.u8();
  switch (shape) {
    case SHAPE.raw:
      decodeRaw(reader, lane, elementBytes);
      return;
    case SHAPE.integers:
      decodeInts(reader, lane, context);
      return;
    case SHAPE.floatMode:
    case SHAPE.floatBits:
      if (lane.kind !== "floats")
        throw new DeltaError("corrupt", "floats where integers belong", 0);
      if (shape === SHAPE.floatBits) decodeBits(reader.raw(reader.remaining), lane, context);
      else decodeFloats(reader, lane, context);
      return;
    case SHAPE.runs:
      decodeRuns(reader, lane, elementBytes, context);
      return;
    default:
      throw new DeltaError("unsupported_feature", `a chunk of shape ${shape}`, 0);
  }
}

/** Puts one value into a lane of one place without decoding the rest; false if the body does not allow it. */
export function numberAt(
  body: Uint8Array,
  lane: NumberLane,
  count: number,
  index: number,
): boolean {
  const reader = new ByteReader(body);
  const shape = reader.u8();
  if (shape === SHAPE.integers && lane.kind !== "floats") {
    const integers = integersAt(reader.raw(reader.remaining), count, index);
    if (integers === undefined) return false;
    if (lane.kind === "ints") intsOf(integers, lane.ints);
    else wordsOf(integers, lane.words);
    return true;
  }
  if (shape !== SHAPE.floatMode || lane.kind !== "floats") return false;
  const mode = readFloatMode(reader);
  if (reader.varint(count) > 0) return false;
  const integers = integersAt(reader.raw(reader.remaining), count, index);
  if (integers === undefined) return false;
  putFloats(mode, integers, lane);
  return true;
}

function decodeRaw(reader: ByteReader, lane: NumberLane, elementBytes: number): void {
  const count = countOfLane(lane);
  if (lane.kind === "ints") {
    const bytes = reader.raw(count * elementBytes);
    for (let i = 0; i < count; i += 1) {
      let value = 0;
      for (let k = 0; k < elementBytes; k += 1) {
        value |= (bytes[i * elementBytes + k] as number) << (8 * k);
      }
      lane.ints[i] = value;
    }
  } else {
    const words = lane.kind === "pairs" ? lane.words : lane.bits;
    const target = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
    target.set(reader.raw(target.length));
  }
  reader.expectEnd();
}

function decodeInts(reader: ByteReader, lane: NumberLane, context: DecodeContext): void {
  if (lane.kind === "floats") throw new DeltaError("corrupt", "integers where floats belong", 0);
  const bytes = reader.raw(reader.remaining);
  if (lane.kind === "ints") {
    intsOf(decodeIntegers(bytes, lane.ints.length, context, lane.ints), lane.ints);
  } else wordsOf(decodeIntegers(bytes, lane.words.length / 2, context, lane.words), lane.words);
}

/** Integers on their way to floats; nobody else's between two statements. */
let scratch: Int32Array | undefined;

type FloatLane = NumberLane & { kind: "floats" };

function decodeBits(bytes: Uint8Array, lane: FloatLane, context: DecodeContext): void {
  lane.bits.set(readBits(bytes, lane.floats.length, lane.isSingle, context));
}

function readBits(
  bytes: Uint8Array,
  count: number,
  isSingle: boolean,
  context: DecodeContext,
): Uint32Array {
  const integers = decodeIntegers(bytes, count, context);
  const words = new Uint32Array(isSingle ? count : count * 2);
  if (isSingle) intsOf(integers, new Int32Array(words.buffer));
  else wordsOf(integers, words);
  return sortable(words, isSingle);
}

function decodeFloats(reader: ByteReader, lane: FloatLane, context: DecodeContext): void {
  const count = lane.floats.length;
  const mode = readFloatMode(reader);
  const exceptionCount = reader.varint(count);
  let gaps = new Int32Array(0);
  let bits = new Uint32Array(0);
  if (exceptionCount > 0) {
    const part = reader.raw(reader.varint(reader.remaining));
    gaps = new Int32Array(exceptionCount);
    intsOf(decodeIntegers(part, exceptionCount, context, gaps), gaps);
    const values = reader.raw(reader.varint(reader.remaining));
    bits = new Uint32Array(readBits(values, exceptionCount, lane.isSingle, context));
  }
  scratch ??= new Int32Array(CHUNK_VALUES_MAX);
  const into = scratch.subarray(0, count);
  putFloats(mode, decodeIntegers(reader.raw(reader.remaining), count, context, into), lane);
  const width = lane.isSingle ? 1 : 2;
  let at = -1;
  for (let k = 0; k < exceptionCount; k += 1) {
    at += (gaps[k] as number) + 1;
    if ((gaps[k] as number) < 0 || at >= count) {
      throw new DeltaError("corrupt", `an exception at ${at} of ${count} values`);
    }
    lane.bits[at * width] = bits[k * width] as number;
    if (width === 2) lane.bits[2 * at + 1] = bits[2 * k + 1] as number;
  }
}

function putFloats(mode: FloatMode, integers: Integers, lane: FloatLane): void {
  floatsOf(integers, lane.floats, isPlain(mode) ? mode.divisor : 1);
  if (!isPlain(mode)) fillFloats(mode, lane.floats);
  if (lane.isSingle) lane.bits.set(new Uint32Array(Float32Array.from(lane.floats).buffer));
}

function decodeRuns(
  reader: ByteReader,
  lane: NumberLane,
  elementBytes: number,
  context: DecodeContext,
): void {
  const count = countOfLane(lane);
  const runs = reader.varint(count);
  const lengths = new Int32Array(runs);
  intsOf(
    decodeIntegers(reader.raw(reader.varint(reader.remaining)), runs, context, lengths),
    lengths,
  );
  const heads = emptyLane(lane, runs);
  const rest = reader.raw(reader.remaining);
  if (rest[0] === SHAPE.runs) throw new DeltaError("corrupt", "runs of runs", 0);
  decodeNumbers(rest, heads, elementBytes, context);
  let at = 0;
  for (let k = 0; k < runs; k += 1) {
    const end = at + (lengths[k] as number) + 1;
    if (end <= at || end > count)
      throw new DeltaError("corrupt", `a run up to ${end} of ${count} values`);
    fillRun(lane, heads, k, at, end);
    at = end;
  }
  if (at !== count) throw new DeltaError("corrupt", `runs of ${at} values where ${count} belong`);
}

function fillRun(lane: NumberLane, heads: NumberLane, k: number, at: number, end: number): void {
  const target = wordsOfLane(lane);
  const source = wordsOfLane(heads);
  if (lane.kind === "ints" || (lane.kind === "floats" && lane.isSingle)) {
    target.fill(source[k] as number, at, end);
    return;
  }
  for (let i = at; i < end; i += 1) {
    target[2 * i] = source[2 * k] as number;
    target[2 * i + 1] = source[2 * k + 1] as number;
  }
}

export type NumberReport = Omit<IntegerReport, "step"> & { mode: string; exceptions: number };

/** How a body is written, in words. */
export function describeNumbers(body: Uint8Array, lane: NumberLane, count: number): NumberReport {
  const reader = new ByteReader(body);
  const shape = reader.u8();
  switch (shape) {
    case SHAPE.runs: {
      const runs = reader.varint(count);
      reader.raw(reader.varint(reader.remaining));
      const report = describeNumbers(reader.raw(reader.remaining), lane, runs);
      return { ...report, mode: `${runs} runs of ${report.mode}`, blocks: [] };
    }
    case SHAPE.floatMode: {
      const mode = readFloatMode(reader);
      const exceptions = reader.varint(count);
      if (exceptions > 0) {
        reader.raw(reader.varint(reader.remaining));
        reader.raw(reader.varint(reader.remaining));
      }
      return report(reader, count, describeMode(mode), exceptions);
    }
    case SHAPE.raw:
      return { mode: "raw", backend: "raw", predictor: "-", exceptions: 0, blocks: [] };
    default:
      return report(reader, count, shape === SHAPE.floatBits ? "float bits" : "integer", 0);
  }
}

function report(reader: ByteReader, count: number, mode: string, exceptions: number): NumberReport {
  const { step, ...rest } = describeIntegers(reader.raw(reader.remaining), count);
  return { ...rest, mode: step === 1 ? mode : `${mode}, in steps of ${step}`, exceptions };
}
