import { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { decodeBody, encodeBody } from "./chunk-body.ts";
import { encodeStatistics } from "./chunk-statistics.ts";
import { DeltaError, telling } from "./delta-error.ts";
import {
  type ChunkEntry,
  chunkOf,
  type Header,
  headerBytes,
  kindOfType,
  readHeader,
  readSegment,
  requireCount,
  type SectionSummary,
  TABLE,
  TAG_CHUNK,
  typeOfKind,
  writeEnd,
  writeSection,
  written,
} from "./file-format.ts";
import type { TextRoom } from "./front-coding.ts";
import { allCompressors, type Compressor, checkCompressor, defaultCompressor } from "./handoff.ts";
import type { Backend, DecodeContext, IntegerOptions } from "./integer-coder.ts";
import {
  CHUNK_VALUES_FAST,
  CHUNK_VALUES_MAX,
  DECODED_TEXT_MAX,
  PLAIN_VALUES_MAX,
  VALUES_MAX,
} from "./limits.ts";
import { refuseInto, requireLimit, requireOptions, tooManyValues } from "./options.ts";
import {
  isTyped,
  laneOfTyped,
  newTyped,
  plainValues,
  putNarrow,
  sliceTaken,
  type Taken,
  type TypedName,
  type TypedValues,
  takeValues,
  typeOf,
  type Values,
  type ValueType,
} from "./values.ts";

export type EncodeOptions = {
  /**
   * `fast` packs bits: it decodes fastest, and one value can be read without the others. `small`
   * codes entropy. `handoff` leaves the last step to a general compressor. By default `small`, but
   * `fast` for a chunk that it makes nearly as small.
   */
  readonly backend?: Backend | undefined;
  /**
   * The type of a plain array that is empty or all null, or a typed array's for a plain one, whose
   * values must all fit. By default a series' own.
   */
  readonly type?: ValueType | undefined;
  /** At most 262,144; 65,536 by default with `fast`, else the most. */
  readonly chunkValues?: number | undefined;
  /** True by default: damaged bytes are told, never decoded. */
  readonly checksum?: boolean | undefined;
  /**
   * False leaves nulls, least and greatest value of each chunk out of the index, which saves the encoder
   * one more look at every value.
   */
  readonly statistics?: boolean | undefined;
  /** False keeps to JavaScript. By default WebAssembly is used where the runtime allows it. */
  readonly wasm?: boolean | undefined;
  /** For `handoff`: one of the runtime's by name, or your own; by default brotli. */
  readonly compressor?: string | Compressor | undefined;
};

export type DecodeOptions = {
  readonly wasm?: boolean | undefined;
  /** More compressors than the runtime's, for bytes that were handed off to them. */
  readonly compressors?: readonly Compressor[] | undefined;
  /**
   * A typed array of the series' type for `decode` to fill, which saves the time that new memory takes. It
   * must have room for all values; the part that they fill is returned. Refused where it would do nothing.
   */
  readonly into?: TypedValues | undefined;
  /**
   * More values than this are refused before memory is taken for them; 2^28 by default, 2^25 in plain
   * arrays, of dates 2^24, by stream none.
   */
  readonly maxValues?: number | undefined;
};

/** Encodes a series; `decode` gives back the same type and the same bits. */
export function encode(values: Values, options: EncodeOptions = {}): Uint8Array {
  requireOptions(options);
  const taken = takeValues(values, options.type);
  const segment = new SegmentWriter(taken.type, options);
  return written((writer, pause) => {
    writer.raw(segment.header);
    const chunks: WrittenChunk[] = [];
    for (const chunk of segment.chunks(writer, taken, { isLast: true })) {
      chunks.push(chunk);
      pause();
    }
    segment.end(writer, chunks);
  });
}

/** Its bytes are a view of what the writer holds now. */
export type WrittenChunk = SectionSummary & { readonly bytes: Uint8Array };

/** Writes one segment, chunk by chunk. */
export class SegmentWriter {
  readonly type: ValueType;
  readonly chunkValues: number;
  readonly header: Uint8Array;
  readonly #header: Header;
  readonly #withStatistics: boolean;
  readonly #options: IntegerOptions;

  constructor(type: ValueType, options: EncodeOptions) {
    const { backend, checksum = true } = options;
    const most = backend === "fast" ? CHUNK_VALUES_FAST : CHUNK_VALUES_MAX;
    this.chunkValues = options.chunkValues ?? most;
    const { chunkValues } = this;
    if (!Number.isInteger(chunkValues) || chunkValues < 1 || chunkValues > CHUNK_VALUES_MAX) {
      const message = `chunkValues is ${chunkValues}: from 1 to ${CHUNK_VALUES_MAX}`;
      throw new DeltaError("invalid_argument", message);
    }
    this.type = type;
    this.header = headerBytes(kindOfType(type), checksum);
    this.#header = readHeader(new ByteReader(this.header));
    this.#withStatistics = options.statistics ?? true;
    this.#options = integerOptions(options);
  }

  /**
   * Whole chunks of `taken`, and its rest too if `isLast`. An empty series has no chunk. A chunk that is
   * both is taken for the only one, of which the index says nothing, unless `isPart`.
   */
  *chunks(
    writer: ByteWriter,
    taken: Taken,
    { isLast = false, isPart = false },
  ): Generator<WrittenChunk> {
    const end = isLast ? taken.count : taken.count - (taken.count % this.chunkValues);
    // Counted on from chunk to chunk: from the beginning for each, many chunks would take for ever.
    let strings = 0;
    for (let start = 0; start < end; start += this.chunkValues) {
      const part = sliceTaken(taken, start, Math.min(end, start + this.chunkValues), strings);
      if (part.lane.kind === "strings") strings += part.lane.strings.length;
      const bytes = writeSection(writer, this.#header, TAG_CHUNK, () => {
        writer.varint(part.count);
        encodeBody(writer, part, this.#options);
      });
      const isOnly = !isPart && isLast && part.count === taken.count;
      const statistics =
        isOnly || !this.#withStatistics ? undefined : encodeStatistics(part, this.#options);
      yield { bytes, count: part.count, statistics };
    }
  }

  /** The same, each in memory of its own. */
  ownChunks(taken: Taken, options: { isLast?: boolean; isPart?: boolean }): WrittenChunk[] {
    const own: WrittenChunk[] = [];
    written((writer) => {
      for (const chunk of this.chunks(writer, taken, options)) {
        own.push({ ...chunk, bytes: new Uint8Array(chunk.bytes) });
        writer.cut(0);
      }
    });
    return own;
  }

  /** The end of a segment of these chunks. */
  end(writer: ByteWriter, chunks: readonly SectionSummary[]): void {
    writeEnd(writer, this.#header, chunks);
  }
}

export function integerOptions(options: EncodeOptions): IntegerOptions {
  const { backend, compressor, wasm = true } = options;
  if (backend !== undefined && !["fast", "small", "handoff"].includes(backend)) {
    throw new DeltaError("invalid_argument", `there is no back end ${String(backend)}`);
  }
  const chosen = typeof compressor === "object" ? checkCompressor(compressor) : named(compressor);
  if (chosen === undefined && backend === "handoff") {
    const message = "this runtime has no such compressor to hand off to: pass one as `compressor`";
    throw new DeltaError("unsupported_feature", message);
  }
  const memory = { mode: undefined };
  return { backend, tryLags: true, wasm, compressor: chosen ?? NO_COMPRESSOR, memory };
}

function named(name: string | undefined): Compressor | undefined {
  const compressors = allCompressors();
  if (name === undefined) return defaultCompressor(compressors);
  return compressors.find((each) => each.name === name);
}

const refuse = (): never => {
  throw new DeltaError("unsupported_feature", "this runtime has no compressor");
};
const NO_COMPRESSOR: Compressor = { id: 0, name: "none", compress: refuse, decompress: refuse };

export function decodeContext(options: DecodeOptions, text?: TextRoom): DecodeContext {
  const { wasm = true, compressors } = options;
  return { wasm, compressors: allCompressors(compressors), text };
}

const BY_STREAM = "raise `maxValues`, or decode by stream";

/** The chunks of a file of one or more segments, all of one type. */
export type SeriesFile = {
  readonly type: ValueType;
  readonly count: number;
  readonly chunks: readonly ChunkEntry[];
};

/** `before` values count towards the limit as well; `instead` says what to do where it does not suffice. */
export function readSeriesFile(
  bytes: Uint8Array,
  maxValues = VALUES_MAX,
  before = 0,
  instead = BY_STREAM,
): SeriesFile {
  requireLimit(maxValues, "maxValues");
  const chunks: ChunkEntry[] = [];
  let kind: number | undefined;
  let count = 0;
  const requireRoom = (values: number, offset: number): void => {
    if (before + count + values > maxValues) throw tooManyValues(maxValues, instead, offset);
  };
  for (let at = 0; kind === undefined || at < bytes.length; ) {
    const segment = readSegment(bytes, at, requireRoom);
    if (segment.header.kind === TABLE) {
      throw new DeltaError("invalid_argument", "the bytes are a table: use decodeTable", at + 5);
    }
    kind ??= segment.header.kind;
    if (segment.header.kind !== kind) {
      throw new DeltaError("corrupt", "files of different types, one after the other", at + 5);
    }
    for (const section of segment.sections) {
      const chunk = chunkOf(section, count, segment.offset);
      requireRoom(chunk.count, section.offset);
      requireCount(section, chunk.count, section.offset);
      chunks.push(chunk);
      count += chunk.count;
    }
    at = segment.end;
  }
  return { type: typeOfKind(kind, 5), count, chunks };
}

/** Reads what `encode` wrote: the same type, the same bits. Several files in a row are one series. */
export function decode(bytes: Uint8Array, options: DecodeOptions = {}): Values {
  requireOptions(options);
  const file = readSeriesFile(bytes, options.maxValues);
  return decodeFile(file, options, heapRoom(options, BY_STREAM));
}

/** What one call may still put on the heap: plain values, and bytes of text. */
export type HeapRoom = { values: number; readonly text: TextRoom };

/** `instead` says what to do where it does not suffice. */
export function heapRoom({ maxValues }: DecodeOptions, instead: string): HeapRoom {
  const left = Math.max(DECODED_TEXT_MAX, 4 * (maxValues ?? 0));
  // Whoever names a limit has been held to it when the file was read.
  const values = maxValues === undefined ? PLAIN_VALUES_MAX : Number.POSITIVE_INFINITY;
  return { values, text: { left, instead } };
}

export function decodeFile(file: SeriesFile, options: DecodeOptions, room: HeapRoom): Values {
  const { type, count, chunks } = file;
  const context = decodeContext(options, room.text);
  if (!isTyped(type)) {
    refuseInto(options, `a series of type ${type} comes in a plain array of its own`);
    room.values -= type === "date" ? 2 * count : count;
    if (room.values < 0) {
      const detail = `more than ${PLAIN_VALUES_MAX} values in plain arrays, where a date counts as two`;
      const offset = chunks[0]?.offset ?? 0;
      throw new DeltaError("limit_exceeded", `${detail}: ${room.text.instead}`, offset);
    }
    const [first, ...rest] = chunks.map((chunk) =>
      inChunk(chunk, () => decodeChunk(chunk, type, context) as unknown[]),
    );
    const values = first ?? [];
    for (const part of rest) for (const value of part) values.push(value);
    return values as Values;
  }
  const target = typedTarget(type, count, options.into);
  for (const chunk of chunks) {
    const part = target.subarray(chunk.firstValue, chunk.firstValue + chunk.count);
    inChunk(chunk, () => decodeTyped(chunk, type, context, part));
  }
  return target;
}

/** The values of one chunk, in an array of their type. */
export function decodeChunk(chunk: ChunkEntry, type: ValueType, context: DecodeContext): Values {
  if (isTyped(type)) return decodeTyped(chunk, type, context, newTyped(type, chunk.count));
  const { lane, validity } = decodeBody(chunk.body, type, chunk.count, context);
  return plainValues(type, lane, validity) as Values;
}

/** Fills `values`, straight from the bytes if a lane is as wide as they are. */
function decodeTyped(
  chunk: ChunkEntry,
  type: TypedName,
  context: DecodeContext,
  values: TypedValues,
): TypedValues {
  const place = laneOfTyped(values, type);
  const { lane } = decodeBody(chunk.body, type, chunk.count, context, place);
  if (place === undefined && lane.kind !== "strings") putNarrow(lane, values);
  return values;
}

function typedTarget(type: TypedName, count: number, into: TypedValues | undefined): TypedValues {
  if (into === undefined) return newTyped(type, count);
  if (typeOf(into) !== type || into.length < count) {
    const message = `\`into\` must be an array of ${type} with room for ${count} values`;
    throw new DeltaError("invalid_argument", message);
  }
  return into.subarray(0, count);
}

/** Errors inside a chunk are told with its place in the file. */
export function inChunk<T>(chunk: ChunkEntry, work: () => T): T {
  const told = ({ code, detail }: DeltaError): DeltaError => {
    const where = `in the chunk of values from ${chunk.firstValue}`;
    return new DeltaError(code, `${where}: ${detail}`, chunk.offset);
  };
  return telling(told, work);
}
