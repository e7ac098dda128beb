import { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { chooseFloatMode } from "./choose-float-mode.ts";
import { comesBack, corrupt, unsupported } from "./delta-error.ts";
import {
  describeMode,
  type FloatMode,
  fillFloats,
  integersOf,
  isPlain,
  readFloatMode,
  roundFloats,
  writeFloatMode,
} from "./float-mode.ts";
import {
  type DecodeContext,
  decodeIntegers,
  decodeInts,
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
import {
  countOfLane,
  emptyLane,
  laneOfWords,
  pick,
  type RawForm,
  rawBytes,
  readRaw,
  wordsOfLane,
  wordsPerValue,
} from "./number-lane.ts";
import { scaleByWasm } from "./packed.ts";
import { fillPairRuns, fillRuns, findRuns, runAt, runEnd } from "./runs.ts";
import { sameWords } from "./same-words.ts";
import type { NumberLane } from "./values.ts";

/** What stands first in a chunk's body: how its values became integers. */
const SHAPE = {
  raw: 0,
  integers: 1,
  floatMode: 2,
  floatBits: 3,
  runs: 4,
} as const;

/** Runs must come out this much smaller, since they cost time in random access. */
const RUN_GAIN_MIN = 0.9;

export function encodeNumbers(
  writer: ByteWriter,
  lane: NumberLane,
  form: RawForm,
  options: IntegerOptions,
): void {
  const start = writer.position;
  encodeDirect(writer, lane, options);
  const runs = findRuns(lane);
  if (runs !== undefined) {
    const end = writer.position;
    encodeRuns(writer, lane, runs, options);
    if (writer.position - end < (end - start) * RUN_GAIN_MIN) writer.cut(start, end);
    else writer.cut(end);
  }
  const body = writer.finish(start);
  const rawSize = 1 + countOfLane(lane) * form.elementBytes;
  // Every chunk is read back before it is believed; what does not come back is written raw.
  const isRead = body[0] === SHAPE.integers && isPackedAsGiven(body.subarray(1));
  if (body.length < rawSize && (isRead || readsBack(body, lane, form, options))) return;
  writer.cut(start);
  writer.raw(rawBytes(lane, form, [SHAPE.raw]));
}

function encodeDirect(writer: ByteWriter, lane: NumberLane, options: IntegerOptions): void {
  const { memory } = options;
  const mode = lane.kind === "floats" ? chooseFloatMode(lane, memory.mode) : undefined;
  memory.mode = mode;
  if (lane.kind === "floats" && mode !== undefined) {
    encodeFloats(writer, lane, mode, options);
    return;
  }
  writer.u8(lane.kind === "floats" ? SHAPE.floatBits : SHAPE.integers);
  encodeIntegers(writer, integersOfBits(lane, options.backend === "fast"), options);
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
    writer.part(() => encodeIntegers(writer, integersOfInts(gaps), nested(options)));
    const width = lane.isSingle ? 1 : 2;
    const bits = new Uint32Array(exceptions.length * width);
    exceptions.forEach((at, k) => {
      bits.set(lane.bits.subarray(at * width, at * width + width), k * width);
    });
    const integers = bitIntegers(bits, lane.isSingle);
    writer.part(() => encodeIntegers(writer, integers, nested(options)));
  }
  encodeIntegers(writer, integersOfFloats(integers), options);
}

/** Side tables are read whole in any case. */
function nested(options: IntegerOptions): IntegerOptions {
  return {
    ...options,
    backend: options.backend === "handoff" ? "small" : options.backend,
    tryLags: false,
  };
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

function encodeRuns(
  writer: ByteWriter,
  lane: NumberLane,
  starts: Int32Array,
  options: IntegerOptions,
): void {
  const count = countOfLane(lane);
  const lengths = Int32Array.from(starts, (start, k) => (starts[k + 1] ?? count) - start - 1);
  writer.u8(SHAPE.runs);
  writer.varint(starts.length);
  writer.part(() => encodeIntegers(writer, integersOfInts(lengths), nested(options)));
  encodeDirect(writer, pick(lane, starts), options);
}

function readsBack(
  body: Uint8Array,
  lane: NumberLane,
  form: RawForm,
  options: IntegerOptions,
): boolean {
  const copy = spareLane(lane, countOfLane(lane));
  const context = { wasm: options.wasm, compressors: [options.compressor] };
  return comesBack(() => {
    decodeNumbers(body, copy, form, context);
    return sameWords(wordsOfLane(lane), wordsOfLane(copy));
  });
}

/** Memory for chunks that are read back: new memory would cost more than the reading. */
let spare: ArrayBuffer | undefined;

function spareLane(like: NumberLane, count: number): NumberLane {
  spare ??= new ArrayBuffer(CHUNK_VALUES_MAX * 8);
  return laneOfWords(like, new Int32Array(spare, 0, count * wordsPerValue(like)));
}

/** Fills `lane` from a body: of a lane of floats the bits, which doubles share with their numbers. */
export function decodeNumbers(
  body: Uint8Array,
  lane: NumberLane,
  form: RawForm,
  context: DecodeContext,
): void {
  const reader = new ByteReader(body);
  const shape = reader.u8();
  switch (shape) {
    case SHAPE.raw:
      readRaw(reader, lane, form);
      reader.expectEnd();
      return;
    case SHAPE.integers:
      decodeLane(reader, lane, context);
      return;
    case SHAPE.floatMode:
    case SHAPE.floatBits:
      if (lane.kind !== "floats") throw corrupt("floats", 0);
      if (shape === SHAPE.floatBits) decodeBits(reader.rest(), lane, context);
      else decodeFloats(reader, lane, context);
      return;
    case SHAPE.runs:
      decodeRuns(reader, lane, form, context);
      return;
    default:
      throw unsupported("shape", shape, 0);
  }
}

/**
 * Puts one value into a lane of one place without decoding the others: of the integers one block, of
 * side tables (runs, exceptions) all. False if the body does not allow it.
 */
export function numberAt(
  body: Uint8Array,
  lane: NumberLane,
  form: RawForm,
  context: DecodeContext,
  count: number,
  index: number,
): boolean {
  const reader = new ByteReader(body);
  const shape = reader.u8();
  if (shape === SHAPE.raw) {
    reader.raw(index * form.elementBytes);
    readRaw(reader, lane, form);
    return true;
  }
  if (shape === SHAPE.runs) {
    const runs = reader.varint(count);
    const lengths = decodeInts(reader.part(), runs, context);
    const run = runAt(lengths, count, index);
    return numberAt(notRuns(reader.rest()), lane, form, context, runs, run);
  }
  // What is not known, or is no shape of this lane, is refused where the whole chunk is decoded.
  const isOfFloats = shape === SHAPE.floatMode || shape === SHAPE.floatBits;
  if ((shape !== SHAPE.integers && !isOfFloats) || isOfFloats !== (lane.kind === "floats")) {
    return false;
  }
  const mode = shape === SHAPE.floatMode ? readFloatMode(reader) : undefined;
  if (mode !== undefined) {
    const width = wordsPerValue(lane);
    const { places, part } = readExceptions(reader, count, context);
    const k = places.indexOf(index);
    if (k >= 0) {
      const bits = readBits(part, places.length, width === 1, context);
      wordsOfLane(lane).set(bits.subarray(k * width, (k + 1) * width));
      return true;
    }
  }
  const integers = integersAt(reader.rest(), count, index);
  if (integers === undefined) return false;
  if (lane.kind === "ints") intsOf(integers, lane.ints);
  else if (lane.kind === "pairs") wordsOf(integers, lane.words);
  else if (mode !== undefined) putFloats(mode, integers, lane, false);
  else lane.bits.set(bitsOfIntegers(integers, 1, lane.isSingle));
  return true;
}

function decodeLane(reader: ByteReader, lane: NumberLane, context: DecodeContext): void {
  if (lane.kind === "floats") throw corrupt("integers", 0);
  const bytes = reader.rest();
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
  return bitsOfIntegers(decodeIntegers(bytes, count, context), count, isSingle);
}

function bitsOfIntegers(integers: Integers, count: number, isSingle: boolean): Uint32Array {
  const words = new Uint32Array(isSingle ? count : count * 2);
  if (isSingle) intsOf(integers, new Int32Array(words.buffer));
  else wordsOf(integers, words);
  return sortable(words, isSingle);
}

function decodeFloats(reader: ByteReader, lane: FloatLane, context: DecodeContext): void {
  const count = lane.floats.length;
  const mode = readFloatMode(reader);
  const width = wordsPerValue(lane);
  const { places, part } = readExceptions(reader, count, context);
  const { length } = places;
  const bits = length > 0 ? readBits(part, length, lane.isSingle, context) : new Uint32Array(0);
  scratch ??= new Int32Array(CHUNK_VALUES_MAX);
  const into = scratch.subarray(0, count);
  const integers = decodeIntegers(reader.rest(), count, context, into, true);
  putFloats(mode, integers, lane, context.wasm);
  putExceptions(lane.bits, places, bits, width);
}

type Exceptions = { readonly places: Int32Array; readonly part: Uint8Array };

/** Views of a few words each would take ten times as long. */
function putExceptions(
  target: Uint32Array,
  places: Int32Array,
  bits: Uint32Array,
  width: number,
): void {
  for (let k = 0; k < places.length; k += 1) {
    const at = (places[k] as number) * width;
    target[at] = bits[k * width] as number;
    if (width === 2) target[at + 1] = bits[k * width + 1] as number;
  }
}

/** Which of `count` values are exceptions, and the part that holds the bits of each. */
function readExceptions(reader: ByteReader, count: number, context: DecodeContext): Exceptions {
  const exceptions = reader.varint(count);
  if (exceptions === 0) return { places: new Int32Array(0), part: new Uint8Array(0) };
  const places = decodeInts(reader.part(), exceptions, context);
  let at = -1;
  for (let k = 0; k < exceptions; k += 1) {
    at = runEnd(at + 1, places[k] as number, count) - 1;
    places[k] = at;
  }
  return { places, part: reader.part() };
}

function putFloats(mode: FloatMode, integers: Integers, lane: FloatLane, wasm: boolean): void {
  const { base, step, offsets } = integers;
  const { multiplier, divisor } = mode;
  const start = Number(base);
  const isScaled =
    offsets.kind === "narrow" &&
    Number.isSafeInteger(start) &&
    scaleByWasm(offsets.ints, lane.floats, { step, start, multiplier, divisor }, { wasm });
  if (isScaled) roundFloats(mode, lane.floats);
  else {
    floatsOf(integers, lane.floats, isPlain(mode) ? divisor : 1);
    if (!isPlain(mode)) fillFloats(mode, lane.floats);
  }
  if (lane.isSingle) lane.bits.set(new Uint32Array(new Float32Array(lane.floats).buffer));
}

function decodeRuns(
  reader: ByteReader,
  lane: NumberLane,
  form: RawForm,
  context: DecodeContext,
): void {
  const count = countOfLane(lane);
  const runs = reader.varint(count);
  const lengths = decodeInts(reader.part(), runs, context);
  const heads = emptyLane(lane, runs);
  decodeNumbers(notRuns(reader.rest()), heads, form, context);
  const fill = wordsPerValue(lane) === 1 ? fillRuns : fillPairRuns;
  const at = fill(wordsOfLane(lane), wordsOfLane(heads), lengths, count);
  if (at !== count) throw corrupt("runs");
}

function notRuns(body: Uint8Array): Uint8Array {
  if (body[0] === SHAPE.runs) throw corrupt("runs", 0);
  return body;
}

export type NumberReport = Omit<IntegerReport, "step"> & { mode: string; exceptions: number };

/** How a body is written, in words. */
export function describeNumbers(body: Uint8Array, lane: NumberLane, count: number): NumberReport {
  const reader = new ByteReader(body);
  const shape = reader.u8();
  switch (shape) {
    case SHAPE.runs: {
      const runs = reader.varint(count);
      reader.part();
      const report = describeNumbers(reader.rest(), lane, runs);
      return { ...report, mode: `${runs} runs of ${report.mode}`, blocks: [] };
    }
    case SHAPE.floatMode: {
      const mode = readFloatMode(reader);
      const exceptions = reader.varint(count);
      if (exceptions > 0) {
        reader.part();
        reader.part();
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
  const { step, ...rest } = describeIntegers(reader.rest(), count);
  return { ...rest, mode: step === 1 ? mode : `${mode}, in steps of ${step}`, exceptions };
}
