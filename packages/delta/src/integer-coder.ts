import { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { type Estimate, estimatePredictors } from "./choose-predictor.ts";
import { comesBack, corrupt, unsupported } from "./delta-error.ts";
import type { FloatMode } from "./float-mode.ts";
import type { TextRoom } from "./front-coding.ts";
import {
  type Compressor,
  compressed,
  compressorOf,
  decompressed,
  joinPlanes,
  splitPlanes,
} from "./handoff.ts";
import {
  bigVarint,
  countOf,
  type Integers,
  integersOfInts,
  intsOf,
  type Offsets,
  readBigVarint,
} from "./integers.ts";
import { BLOCK_VALUES } from "./limits.ts";
import {
  decodePacked32,
  decodePacked32Resident,
  decodePacked64,
  decodePackedBlock32,
  decodePackedBlock64,
  describePacked,
  encodePacked32,
  encodePacked64,
} from "./packed.ts";
import {
  checkPredictor,
  differences32,
  differences64,
  integrate32,
  integrate64,
  LAG_MAX,
  type Predictor,
} from "./predictor.ts";
import { sameWords } from "./same-words.ts";
import { decodeSmall32, decodeSmall64, encodeSmall } from "./small.ts";

/** How a run of integers is written; the number is the one in the file. */
export const METHOD = {
  constant: 0,
  varints: 1,
  fast: 2,
  small: 3,
  handoff: 4,
  split: 5,
} as const;

export type Backend = "fast" | "small" | "handoff";

export type IntegerOptions = {
  /** Undefined: the smaller of `fast` and `small`, but `fast` if it is nearly as small. */
  readonly backend: Backend | undefined;
  readonly tryLags: boolean;
  readonly wasm: boolean;
  readonly compressor: Compressor;
  /** What the chunk before came to: most often it suits the next one too, and the search is saved. */
  readonly memory: { mode: FloatMode | undefined };
};

export type DecodeContext = {
  readonly wasm: boolean;
  readonly compressors: readonly Compressor[];
  /** Where it ends with a call; else each chunk's text has its own limit alone. */
  readonly text?: TextRoom | undefined;
};

/** So few are written one by one. */
const VARINTS_MAX = 24;
/** `fast` is taken up to this many times the size of `small`. */
const FAST_ENOUGH = 1.03;

const WIDE = 8;
const LAG = 64;
const FRAME = 128;

/** Self-describing but for the count and the end. */
export function encodeIntegers(
  writer: ByteWriter,
  integers: Integers,
  options: IntegerOptions,
): void {
  const { base, step, offsets } = integers;
  const count = countOf(offsets);
  const hasFrame = base !== 0n || step !== 1;
  const begin = (method: number, { order, lag }: Predictor): void => {
    const width = offsets.kind === "wide" ? WIDE : 0;
    writer.u8(method | width | (order << 4) | (lag > 0 ? LAG : 0) | (hasFrame ? FRAME : 0));
    if (hasFrame) {
      writer.raw(bigVarint(base));
      writer.varint(step);
    }
    if (lag > 0) writer.varint(lag);
  };
  if (count === 0 || isConstant(offsets)) {
    begin(METHOD.constant, PLAIN);
    if (count > 0) writer.raw(bigVarint(offsetAt(offsets, 0)));
    return;
  }
  if (count <= VARINTS_MAX) {
    begin(METHOD.varints, PLAIN);
    for (let i = 0; i < count; i += 1) writer.raw(bigVarint(differenceAt(offsets, i)));
    return;
  }
  const { backend, predictor } = choose(offsets, options);
  const start = writer.position;
  begin(METHOD[backend], predictor);
  if (encodePayload(writer, offsets, backend, predictor, options)) return;
  writer.cut(start);
  begin(METHOD.split, PLAIN);
  encodeSplit(writer, offsets, options);
}

/** What `decodeInts` reads: read back here, and packed if they do not come back. */
export function encodeInts(writer: ByteWriter, ints: Int32Array, options: IntegerOptions): void {
  const start = writer.position;
  encodeIntegers(writer, integersOfInts(ints), options);
  const bytes = writer.finish(start);
  if (isPackedAsGiven(bytes)) return;
  const context = { wasm: options.wasm, compressors: [options.compressor] };
  if (comesBack(() => sameWords(decodeInts(bytes, ints.length, context), ints))) return;
  writer.cut(start);
  encodeIntegers(writer, integersOfInts(ints), { ...options, backend: "fast" });
}

/** Whether integers stand in packed blocks just as they were given: the packer has read them back. */
export function isPackedAsGiven(bytes: Uint8Array): boolean {
  const head = bytes[0] as number;
  return (head & 7) === METHOD.fast && (head & FRAME) === 0;
}

const PLAIN: Predictor = { order: 0, lag: 0 };

function isConstant(offsets: Offsets): boolean {
  if (offsets.kind === "narrow") {
    const first = offsets.ints[0];
    return offsets.ints.every((value) => value === first);
  }
  const [low, high] = offsets.words;
  return offsets.words.every((word, i) => word === (i % 2 === 0 ? low : high));
}

function offsetAt(offsets: Offsets, index: number): bigint {
  if (offsets.kind === "narrow") return BigInt(offsets.ints[index] as number);
  const high = BigInt((offsets.words[2 * index + 1] as number) | 0);
  return (high << 32n) | BigInt(offsets.words[2 * index] as number);
}

function differenceAt(offsets: Offsets, index: number): bigint {
  const value = offsetAt(offsets, index);
  return index === 0 ? value : BigInt.asIntN(64, value - offsetAt(offsets, index - 1));
}

/** The back end and predictor that cost least, by estimate on a sample. */
export function choose(
  offsets: Offsets,
  options: IntegerOptions,
): { backend: Backend; predictor: Predictor; estimates: Estimate[] } {
  const wantSmall = options.backend !== "fast";
  const estimates = estimatePredictors(offsets, {
    tryLags: options.tryLags && wantSmall,
    wantSmall,
  });
  // A block of `fast` can be read alone, so its differences reach back no further than order 3.
  const fast = least(
    estimates.filter(({ predictor }) => predictor.lag === 0),
    "fastBits",
  );
  const small = least(estimates, "smallBits");
  const isFast =
    options.backend === undefined
      ? fast.fastBits <= small.smallBits * FAST_ENOUGH
      : options.backend === "fast";
  if (isFast) return { backend: "fast", predictor: fast.predictor, estimates };
  return { backend: options.backend ?? "small", predictor: small.predictor, estimates };
}

/** A higher order must win something, since it costs time in every decode, and a lag more than chance. */
function least(estimates: readonly Estimate[], key: "fastBits" | "smallBits"): Estimate {
  let best = estimates[0] as Estimate;
  for (const estimate of estimates) {
    const margin = estimate.predictor.lag > 0 ? 0.98 : 0.998;
    if (estimate[key] < best[key] * margin) best = estimate;
  }
  return best;
}

/** False where the back end cannot: only of wide offsets. */
function encodePayload(
  writer: ByteWriter,
  offsets: Offsets,
  backend: Backend,
  predictor: Predictor,
  { wasm, compressor }: IntegerOptions,
): boolean {
  if (backend === "fast") {
    if (offsets.kind === "narrow") encodePacked32(offsets.ints, predictor.order, { wasm }, writer);
    else encodePacked64(offsets.words, predictor.order, { wasm }, writer);
    return true;
  }
  if (offsets.kind === "narrow") {
    const { residuals, seeds } = differences32(offsets.ints, predictor);
    for (const seed of seeds) writer.raw(bigVarint(seed));
    if (backend === "handoff") {
      writer.u8(compressor.id);
      writer.raw(compressed(compressor, splitPlanes(residuals)));
    } else writer.raw(encodeSmall(Float64Array.from(residuals)));
    return true;
  }
  const difference = differences64(offsets.words, predictor);
  if (difference === undefined || backend === "handoff") return false;
  for (const seed of difference.seeds) writer.raw(bigVarint(seed));
  writer.raw(encodeSmall(difference.residuals));
  return true;
}

/** High and low words as series of their own: for numbers whose low words are noise, or nothing. */
function encodeSplit(writer: ByteWriter, offsets: Offsets, options: IntegerOptions): void {
  if (offsets.kind === "narrow") throw new Error("only wide integers are split");
  const count = countOf(offsets);
  for (const half of [1, 0]) {
    const ints = Int32Array.from(
      { length: count },
      (_, i) => offsets.words[2 * i + half] as number,
    );
    const narrow: Integers = { base: 0n, step: 1, offsets: { kind: "narrow", ints } };
    const write = (): void => encodeIntegers(writer, narrow, options);
    if (half === 1) writer.part(write);
    else write();
  }
}

/**
 * Reads `count` integers, which end where `bytes` end. Narrow offsets are put into `into` if it has
 * 32-bit places for them, wide ones if it has room for their words. Transient ones may lie where the
 * next decoding overwrites them.
 */
export function decodeIntegers(
  bytes: Uint8Array,
  count: number,
  context: DecodeContext,
  into?: Int32Array | Uint32Array,
  isTransient = false,
): Integers {
  const reader = new ByteReader(bytes);
  const { base, step, predictor, isWide, method } = readHead(reader);
  const ints = isWide
    ? new Int32Array(0)
    : into instanceof Int32Array
      ? into
      : new Int32Array(count);
  const words = into instanceof Uint32Array ? into : undefined;
  const target: Target = {
    ints,
    words: words ?? new Uint32Array(isWide ? count * 2 : 0),
    isTransient,
  };
  const offsets = readOffsets(reader, method, isWide, count, target, predictor, context);
  reader.expectEnd();
  return { base, step, offsets };
}

/** The low 32 bits of `count` integers, in an array of their own. */
export function decodeInts(bytes: Uint8Array, count: number, context: DecodeContext): Int32Array {
  const ints = new Int32Array(count);
  intsOf(decodeIntegers(bytes, count, context, ints), ints);
  return ints;
}

type Head = {
  readonly base: bigint;
  readonly step: number;
  readonly predictor: Predictor;
  readonly isWide: boolean;
  readonly method: number;
};

function readHead(reader: ByteReader): Head {
  const head = reader.u8();
  const hasFrame = (head & FRAME) !== 0;
  const isWide = (head & WIDE) !== 0;
  const method = head & 7;
  const base = hasFrame ? readBigVarint(reader) : 0n;
  const step = hasFrame ? reader.varint() : 1;
  const lag = (head & LAG) === 0 ? 0 : reader.varint(LAG_MAX);
  const predictor = checkPredictor((head >>> 4) & 3, lag, 0);
  // What nothing here would heed, and no writer makes.
  const isPointless = isWide && (hasFrame || method === METHOD.handoff);
  if (isPointless || (method === METHOD.fast && lag > 0)) throw corrupt("heads", 0);
  return { base, step, predictor, isWide, method };
}

/** Where offsets are put, as narrow or as wide ones. */
type Target = {
  readonly ints: Int32Array;
  readonly words: Uint32Array;
  readonly isTransient: boolean;
};

function readOffsets(
  reader: ByteReader,
  method: number,
  isWide: boolean,
  count: number,
  { ints, words, isTransient }: Target,
  predictor: Predictor,
  context: DecodeContext,
): Offsets {
  switch (method) {
    case METHOD.constant:
      return constantOffsets(count === 0 ? 0n : readBigVarint(reader), count, ints, isWide);
    case METHOD.varints:
      return varintOffsets(reader, count, ints, isWide);
    case METHOD.fast: {
      const payload = reader.rest();
      if (isWide) {
        decodePacked64(payload, predictor.order, words, { wasm: context.wasm });
        return { kind: "wide", words };
      }
      if (isTransient) {
        const { wasm } = context;
        const resident = decodePacked32Resident(payload, predictor.order, count, { wasm }, ints);
        return { kind: "narrow", ints: resident };
      }
      decodePacked32(payload, predictor.order, ints, { wasm: context.wasm });
      return { kind: "narrow", ints };
    }
    case METHOD.small:
    case METHOD.handoff:
      return residualOffsets(reader, method, isWide, count, ints, predictor, context);
    case METHOD.split:
      return splitOffsets(reader, count, isWide, context);
    default:
      throw unsupported("method", method, 0);
  }
}

function constantOffsets(value: bigint, count: number, ints: Int32Array, isWide: boolean): Offsets {
  if (!isWide) return { kind: "narrow", ints: ints.fill(Number(value)) };
  const pairs = new BigInt64Array(count).fill(value);
  return { kind: "wide", words: new Uint32Array(pairs.buffer) };
}

function varintOffsets(
  reader: ByteReader,
  count: number,
  ints: Int32Array,
  isWide: boolean,
): Offsets {
  if (count > VARINTS_MAX) throw corrupt("varints");
  const pairs = new BigInt64Array(count);
  let value = 0n;
  for (let i = 0; i < count; i += 1) {
    value += readBigVarint(reader);
    pairs[i] = value;
  }
  if (isWide) return { kind: "wide", words: new Uint32Array(pairs.buffer) };
  for (let i = 0; i < count; i += 1) ints[i] = Number(pairs[i]);
  return { kind: "narrow", ints };
}

function residualOffsets(
  reader: ByteReader,
  method: number,
  isWide: boolean,
  count: number,
  ints: Int32Array,
  predictor: Predictor,
  context: DecodeContext,
): Offsets {
  const seeds: bigint[] = [];
  while (seeds.length < Math.min(predictor.order, count)) seeds.push(readBigVarint(reader));
  if (isWide) {
    const residuals = new Float64Array(count);
    decodeSmall64(reader.rest(), residuals);
    const words = new Uint32Array(count * 2);
    integrate64(residuals, predictor, seeds, words);
    return { kind: "wide", words };
  }
  if (method === METHOD.small) {
    // The last differences are summed as they are decoded, unless a lag comes between.
    const last = predictor.lag > 0 ? undefined : seeds.at(-1);
    const sumFrom = last === undefined ? undefined : Number(BigInt.asIntN(32, last));
    decodeSmall32(reader.rest(), ints, { sumFrom, wasm: context.wasm });
    integrate32(ints, predictor, sumFrom === undefined ? seeds : seeds.slice(0, -1));
    return { kind: "narrow", ints };
  }
  const compressor = compressorOf(context.compressors, reader.u8());
  joinPlanes(decompressed(compressor, reader.rest(), count * 4), ints);
  integrate32(ints, predictor, seeds);
  return { kind: "narrow", ints };
}

function splitOffsets(
  reader: ByteReader,
  count: number,
  isWide: boolean,
  context: DecodeContext,
): Offsets {
  if (!isWide) throw corrupt("halves");
  const words = new Uint32Array(count * 2);
  const high = reader.part();
  const low = reader.rest();
  for (const [part, half] of [
    [high, 1],
    [low, 0],
  ] as const) {
    // Before it is decoded: halves of halves would go as deep as bytes can say.
    if (((part[0] ?? 0) & WIDE) !== 0) throw corrupt("halves");
    const { base, step, offsets } = decodeIntegers(part, count, context);
    if (offsets.kind === "wide" || base !== 0n || step !== 1) {
      throw corrupt("halves");
    }
    for (let i = 0; i < count; i += 1) words[2 * i + half] = offsets.ints[i] as number;
  }
  return { kind: "wide", words };
}

/**
 * Integer `index` alone, from the one block of `fast` that holds it, or if all are equal; undefined with
 * other methods.
 */
export function integersAt(bytes: Uint8Array, count: number, index: number): Integers | undefined {
  const reader = new ByteReader(bytes);
  const { base, step, predictor, isWide, method } = readHead(reader);
  if (method === METHOD.constant) {
    const offsets = constantOffsets(readBigVarint(reader), 1, new Int32Array(1), isWide);
    return { base, step, offsets };
  }
  if (method !== METHOD.fast) return undefined;
  const payload = reader.rest();
  const block = Math.floor(index / BLOCK_VALUES);
  const place = index % BLOCK_VALUES;
  if (isWide) {
    const words = new Uint32Array(2 * BLOCK_VALUES);
    decodePackedBlock64(payload, count, predictor.order, block, words);
    const offsets: Offsets = { kind: "wide", words: words.slice(2 * place, 2 * place + 2) };
    return { base, step, offsets };
  }
  const ints = new Int32Array(BLOCK_VALUES);
  decodePackedBlock32(payload, count, predictor.order, block, ints);
  return { base, step, offsets: { kind: "narrow", ints: ints.slice(place, place + 1) } };
}

export type IntegerReport = {
  readonly backend: string;
  readonly predictor: string;
  readonly step: number;
  readonly blocks: readonly { readonly bits: number; readonly exceptions: number }[];
};

export function describeIntegers(bytes: Uint8Array, count: number): IntegerReport {
  const reader = new ByteReader(bytes);
  const { step, predictor, method, isWide } = readHead(reader);
  const backend = Object.entries(METHOD).find(([, id]) => id === method)?.[0] ?? "unknown";
  const payload = reader.rest();
  const blocks =
    method === METHOD.fast ? describePacked(payload, count, predictor.order, isWide) : [];
  return { backend, predictor: describePredictor(predictor), step, blocks };
}

export function describePredictor({ order, lag }: Predictor): string {
  return lag === 0 ? `order ${order}` : `order ${order}, lag ${lag}`;
}
