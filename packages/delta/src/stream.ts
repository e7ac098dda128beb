import { ByteReader } from "./byte-reader.ts";
import { DeltaError, toldFrom } from "./delta-error.ts";
import {
  checkEnd,
  chunkOf,
  HEADER_BYTES,
  type Header,
  kindOfType,
  readHeader,
  readSection,
  readTrailer,
  requireBytes,
  requireCount,
  type SectionSummary,
  sectionSize,
  TABLE,
  TAG_END,
  TRAILER_BYTES,
  typeOfKind,
  written,
} from "./file-format.ts";
import { refuseInto, requireLimit, requireOptions, tooManyValues } from "./options.ts";
import {
  type DecodeOptions,
  decodeChunk,
  decodeContext,
  type EncodeOptions,
  inChunk,
  SegmentWriter,
} from "./series-codec.ts";
import {
  copyValues,
  joinValues,
  requireArray,
  type TypedValues,
  takeValues,
  type Values,
  type ValueType,
} from "./values.ts";

/** The part of a Web stream that is read here, by its shape. */
type WebStream<T> = {
  getReader(): {
    read(): Promise<{ done: boolean; value?: T | undefined }>;
    cancel?(): Promise<unknown>;
    releaseLock(): void;
  };
};

/** Anything that hands out pieces: arrays of them, generators, Node streams, Web streams. */
export type Source<T> = AsyncIterable<T> | Iterable<T> | WebStream<T>;

/**
 * Encodes a series that comes in pieces, each a series of the same type, into the bytes of one file,
 * which come in pieces too. Holds one chunk and one piece at a time.
 */
export async function* encodeStream(
  source: Source<Values>,
  options: EncodeOptions = {},
): AsyncGenerator<Uint8Array> {
  requireOptions(options);
  let segment: SegmentWriter | undefined;
  // The type shows with the first values; the size of a chunk does not hang on it.
  const { chunkValues } = new SegmentWriter(options.type ?? "number", options);
  const summaries: SectionSummary[] = [];
  let before = 0;
  const write = function* (values: Values, isLast: boolean): Generator<Uint8Array> {
    const taken = toldFrom(
      () => before,
      () => takeValues(values, segment?.type ?? options.type),
    );
    before += taken.count;
    if (segment === undefined) {
      segment = new SegmentWriter(taken.type, options);
      yield segment.header;
    }
    const isPart = summaries.length > 0;
    for (const { bytes, ...rest } of segment.ownChunks(taken, { isLast, isPart })) {
      summaries.push({ ...rest, bytes: { length: bytes.length } });
      yield bytes;
    }
  };
  let waiting: Values[] = [];
  let count = 0;
  for await (const piece of iterate(source)) {
    requireArray(piece, "each piece of a stream must be a series: put a single one into an array");
    const [first] = waiting;
    if (piece.length === 0 && first !== undefined) {
      // It could tell no more than its type: that it is another one.
      joinValues([first.slice(0, 0) as Values, piece]);
      continue;
    }
    count += piece.length;
    // Joined once a chunk, however small the pieces are; until then the caller may change them.
    if (count < chunkValues) {
      waiting.push(copyValues(piece));
      continue;
    }
    const values = joinValues([...waiting, piece]);
    const whole = count - (count % chunkValues);
    const full = Array.isArray(values)
      ? values.slice(0, whole)
      : (values as TypedValues).subarray(0, whole);
    waiting = [copyValues(values.slice(whole) as Values)];
    count -= whole;
    yield* write(full, false);
  }
  yield* write(joinValues(waiting), true);
  yield written((writer) => segment?.end(writer, summaries));
}

/**
 * Decodes the bytes of one file, or of several in a row, that come in pieces of any size. Yields the
 * values of one chunk at a time, and holds no more than that and what was read ahead.
 */
export async function* decodeStream(
  source: Source<Uint8Array>,
  options: DecodeOptions = {},
): AsyncGenerator<Values> {
  requireOptions(options);
  const context = decodeContext(options);
  refuseInto(options, "a stream's chunks come in arrays of their own");
  const { maxValues } = options;
  if (maxValues !== undefined) requireLimit(maxValues, "maxValues");
  const queue = new ByteQueue();
  const state: StreamState = {
    header: undefined,
    type: undefined,
    sizes: [],
    counts: [],
    count: 0,
  };
  for await (const piece of iterate(source)) {
    requireBytes(
      piece,
      "each piece of a stream must be bytes: put those of a whole file into an array",
    );
    queue.push(piece);
    for (;;) {
      const section = toldFrom(
        () => queue.dropped,
        () => nextSection(queue, state),
      );
      const { type } = state;
      if (section === undefined || type === undefined) break;
      if (section.tag === TAG_END) continue;
      const chunk = chunkOf(section, state.count);
      state.count += chunk.count;
      state.counts.push(chunk.count);
      if (maxValues !== undefined && state.count > maxValues) {
        throw tooManyValues(maxValues, "raise `maxValues`, or leave it out", chunk.offset);
      }
      yield inChunk(chunk, () => decodeChunk(chunk, type, context));
    }
  }
  if (state.type === undefined || state.header !== undefined || queue.bytes.length > 0) {
    throw new DeltaError(
      "truncated",
      "the stream ends before its end",
      queue.dropped + queue.bytes.length,
    );
  }
}

function requireSource(source: unknown): void {
  const isSource =
    Object(source) === source &&
    [Symbol.asyncIterator, Symbol.iterator, "getReader"].some((key) => key in (source as object));
  if (isSource) return;
  throw new DeltaError("invalid_argument", "the source is nothing that hands out pieces");
}

type StreamState = {
  /** Undefined between two segments. */
  header: Header | undefined;
  type: ValueType | undefined;
  /** Of the sections that were read of it: their bytes, and their values. */
  sizes: number[];
  counts: number[];
  /** Values that were read of all segments. */
  count: number;
};

/** The next section that is there whole, taken off the queue; its header first, its trailer too. */
function nextSection(
  queue: ByteQueue,
  state: StreamState,
): ReturnType<typeof readSection> | undefined {
  if (state.header === undefined) {
    if (queue.bytes.length < HEADER_BYTES) return undefined;
    const header = readHeader(new ByteReader(queue.bytes));
    if (header.kind === TABLE) {
      throw new DeltaError("invalid_argument", "the stream is a table: use decodeTable", 5);
    }
    if (state.type !== undefined && header.kind !== kindOfType(state.type)) {
      throw new DeltaError("corrupt", "files of different types, one after the other", 5);
    }
    state.type = typeOfKind(header.kind, 5);
    queue.drop(HEADER_BYTES);
    state.header = header;
    state.sizes = [];
    state.counts = [];
  }
  const size = sectionSize(queue.bytes, 0, state.header);
  if (size === undefined || size > queue.bytes.length) return undefined;
  const section = readSection(queue.bytes, 0, state.header);
  if (section.tag === TAG_END) {
    const named = checkEnd(section, state.sizes);
    for (const [i, each] of named.entries()) {
      requireCount(each, state.counts[i] as number, section.offset);
    }
    readTrailer(queue.bytes, size - TRAILER_BYTES, section.bytes);
    state.header = undefined;
  } else state.sizes.push(section.bytes);
  const offset = queue.dropped;
  queue.drop(size);
  return { ...section, offset, contentOffset: offset + section.contentOffset };
}

/** Bytes in, bytes out, in a buffer that grows by doubling. */
class ByteQueue {
  #buffer = new Uint8Array(65_536);
  #start = 0;
  #end = 0;
  /** How many bytes have been taken off. */
  dropped = 0;

  get bytes(): Uint8Array {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  push(piece: Uint8Array): void {
    const length = this.#end - this.#start;
    if (this.#end + piece.length > this.#buffer.length) {
      const size = Math.max(this.#buffer.length, 2 * (length + piece.length));
      // What was taken off may still be looked at through views: never move bytes under them.
      const buffer = new Uint8Array(size);
      buffer.set(this.bytes);
      this.#buffer = buffer;
      this.#start = 0;
      this.#end = length;
    }
    this.#buffer.set(piece, this.#end);
    this.#end += piece.length;
  }

  drop(count: number): void {
    this.#start += count;
    this.dropped += count;
  }
}

async function* iterate<T>(source: Source<T>): AsyncGenerator<T> {
  requireSource(source);
  if (Symbol.asyncIterator in source || Symbol.iterator in source) {
    yield* source;
    return;
  }
  const reader = source.getReader();
  let isOver = true;
  try {
    for (;;) {
      isOver = true;
      const { done, value } = await reader.read();
      if (done) return;
      isOver = false;
      yield value as T;
    }
  } finally {
    // As where it can be iterated: a download would be held open for nobody.
    const cancelled = isOver ? undefined : reader.cancel?.();
    reader.releaseLock();
    await cancelled;
  }
}
