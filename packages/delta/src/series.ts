import { ByteReader } from "./byte-reader.ts";
import { type Body, bodyAt } from "./chunk-body.ts";
import { type ChunkStatistics, readStatistics } from "./chunk-statistics.ts";
import { DeltaError } from "./delta-error.ts";
import { type ChunkEntry, chunkOf, readHeader, readSection, written } from "./file-format.ts";
import type { DecodeContext } from "./integer-coder.ts";
import { over, refuseInto, requireOptions } from "./options.ts";
import {
  type DecodeOptions,
  decodeChunk,
  decodeContext,
  type EncodeOptions,
  inChunk,
  readSeriesFile,
  SegmentWriter,
  type WrittenChunk,
} from "./series-codec.ts";
import { SeriesTail } from "./series-tail.ts";
import {
  checkValue,
  copyValues,
  type Element,
  fromElements,
  isTyped,
  isTypedAs,
  newTyped,
  ownElement,
  type PlainValues,
  plainValues,
  type TypedValues,
  takeValues,
  type Values,
  type ValueType,
} from "./values.ts";

export type SeriesOptions = EncodeOptions & DecodeOptions & { readonly type: ValueType };

export type ChunkSummary = {
  /** Place of the chunk's first value, and how many it has. */
  readonly firstValue: number;
  readonly values: number;
  /** Of a series from bytes it is what their index says, or undefined if that says nothing. */
  readonly statistics: ChunkStatistics | undefined;
};

/**
 * A series that is kept encoded and grows at its end. Full chunks are encoded, the rest is plain. With
 * the `fast` back end, which is the default here, reading one value decodes one block of 128.
 */
export class Series implements Iterable<Element> {
  readonly type: ValueType;
  readonly #writer: SegmentWriter;
  readonly #context: DecodeContext;
  readonly #sealed: (WrittenChunk & { readonly entry: ChunkEntry })[] = [];
  #sealedCount = 0;
  #tail: SeriesTail;
  /** The chunk that was decoded last, for reads that follow each other. */
  #cached: { readonly entry: ChunkEntry; readonly values: Values } | undefined;

  constructor(options: SeriesOptions) {
    requireOptions(options);
    refuseInto(options, "`slice` gives arrays of its own");
    if (options.maxValues !== undefined) {
      const message = "`maxValues` is for a series from bytes: a new one has no limit";
      throw new DeltaError("invalid_argument", message);
    }
    this.type = options.type;
    this.#tail = new SeriesTail(options.type);
    this.#writer = new SegmentWriter(
      options.type,
      over<EncodeOptions>({ backend: "fast" }, options),
    );
    const { compressors, ...context } = decodeContext(options);
    const { compressor } = options;
    // What it writes it can read.
    const own = typeof compressor === "object" ? [compressor] : [];
    this.#context = { ...context, compressors: [...own, ...compressors] };
  }

  /** A series from the bytes that `toBytes` or `encode` made. */
  static fromBytes(bytes: Uint8Array, options: Omit<SeriesOptions, "type"> = {}): Series {
    requireOptions(options);
    const { type, chunks } = readSeriesFile(bytes, options.maxValues);
    const series = new Series({ ...options, maxValues: undefined, type });
    // Chunks are kept as they are if the header, which their checksums cover, is the same.
    const header = series.#writer.header;
    const isSame = chunks.every(({ headerOffset }) =>
      header.every((byte, i) => bytes[headerOffset + i] === byte),
    );
    for (const chunk of chunks) {
      if (isSame) {
        const copy = new Uint8Array(bytes.subarray(chunk.offset, chunk.offset + chunk.bytes));
        const statistics = chunk.statistics === undefined ? undefined : chunk.statistics.slice();
        series.#seal({ bytes: copy, count: chunk.count, statistics }, chunk.offset);
      } else series.extend(series.#decode(chunk) as Iterable<Element>);
    }
    return series;
  }

  /** The full chunks, and what is known of them without opening them: enough to pass over many. */
  get chunks(): ChunkSummary[] {
    return this.#sealed.map(({ entry: { firstValue, count, statistics } }) => {
      const known = statistics && readStatistics(statistics, this.type, count);
      return { firstValue, values: count, statistics: known };
    });
  }

  get length(): number {
    return this.#sealedCount + this.#tail.length;
  }

  append(value: Element): void {
    if (this.#tail.length + 1 === this.#writer.chunkValues) this.extend([value]);
    else this.#tail.push(this.#checked(value, this.length));
  }

  /** All of them, or none if one cannot be taken. */
  extend(values: Iterable<Element>): void {
    if (typeof (values as Partial<typeof values> | null)?.[Symbol.iterator] !== "function") {
      throw new DeltaError("invalid_argument", "values are to be an array, or can be iterated");
    }
    if (isTypedAs(values, this.type)) {
      this.#extendTyped(values);
      return;
    }
    const { length } = this;
    const { chunkValues } = this.#writer;
    // Encoded before any of it is kept, since a value or a compressor may fail.
    const full: WrittenChunk[] = [];
    let rest: Element[] = [];
    let room = chunkValues - this.#tail.length;
    let index = length;
    for (const value of values) {
      rest.push(this.#checked(value, index));
      index += 1;
      if (rest.length < room) continue;
      full.push(...this.#chunks(fromElements(rest, this.type), full.length === 0));
      rest = [];
      room = chunkValues;
    }
    this.#keep(full, rest, length);
  }

  /** The same of an array of the type, of which nothing needs to be looked at, and nothing but bits is moved. */
  #extendTyped(values: TypedValues): void {
    const { length } = this;
    const { chunkValues } = this.#writer;
    // A chunk at a time: narrow values are widened when they are looked at, large arrays not all at once.
    const full: WrittenChunk[] = [];
    let start = 0;
    for (let end = chunkValues - this.#tail.length; end <= values.length; end += chunkValues) {
      const part = values.subarray(start, end);
      full.push(...this.#chunks(part, start === 0));
      start = end;
    }
    this.#keep(full, values.subarray(start), length);
  }

  /** Whole chunks of `values`, behind what the tail holds if they are the first. */
  #chunks(values: Values, isFirst: boolean): WrittenChunk[] {
    const taken = takeValues(isFirst ? this.#tail.with(values) : values, this.type);
    return this.#writer.ownChunks(taken, { isLast: true, isPart: true });
  }

  #keep(
    full: readonly WrittenChunk[],
    rest: readonly Element[] | TypedValues,
    lengthBefore: number,
  ): void {
    if (this.length !== lengthBefore) {
      throw new DeltaError("invalid_argument", "the series changed while it was extended");
    }
    for (const chunk of full) this.#seal(chunk);
    if (full.length > 0) this.#tail = new SeriesTail(this.type);
    this.#tail.put(rest);
  }

  /** The value at `index`, counted from the end if negative; undefined outside the series. */
  at(index: number): Element | undefined {
    const i = index < 0 ? this.length + index : index;
    if (!Number.isInteger(i) || i < 0 || i >= this.length) return undefined;
    if (i >= this.#sealedCount) return ownElement(this.#tail.at(i - this.#sealedCount));
    const entry = this.#entryOf(i);
    const place = i - entry.firstValue;
    if (this.#cached?.entry !== entry) {
      const read = (): Body | undefined =>
        bodyAt(entry.body, this.type, this.#context, entry.count, place);
      const body = inChunk(entry, read);
      if (body !== undefined) return plainValues(this.type, body.lane, body.validity)[0];
    }
    return ownElement(this.#decoded(entry)[place] as Element);
  }

  /** The values from `start` to `end`, as `Array.prototype.slice` counts them, in an array of the type. */
  slice(start = 0, end = this.length): Values {
    const bound = (given: number): number => {
      const index = Math.trunc(given) || 0;
      return Math.min(Math.max(index < 0 ? this.length + index : index, 0), this.length);
    };
    const [first, last] = [bound(start), bound(end)];
    const typed = isTyped(this.type) ? newTyped(this.type, Math.max(last - first, 0)) : undefined;
    const elements: Element[] = [];
    for (let i = first; i < last; ) {
      const isTail = i >= this.#sealedCount;
      const entry = isTail ? undefined : this.#entryOf(i);
      const from = entry === undefined ? this.#sealedCount : entry.firstValue;
      const part = entry === undefined ? this.#tail.values : this.#decoded(entry);
      const until = Math.min(last - from, part.length);
      // In one piece, since a NaN may lose bits where it is a number.
      if (typed !== undefined) {
        const bits = (part as Float64Array).subarray(i - from, until);
        (typed as Float64Array).set(bits, i - first);
      } else
        for (let k = i - from; k < until; k += 1) elements.push(ownElement(part[k] as Element));
      i = from + until;
    }
    return typed ?? (elements as PlainValues);
  }

  /** What the series holds when the first value is asked for: it may grow meanwhile. */
  *[Symbol.iterator](): Iterator<Element> {
    const [sealed, tail] = [this.#sealed.slice(), copyValues(this.#tail.values)];
    for (const { entry } of sealed) yield* this.#decode(entry) as Iterable<Element>;
    yield* tail as Iterable<Element>;
  }

  /** The whole series as `decode` reads it. The series can go on growing. */
  toBytes(): Uint8Array {
    const options = { isLast: true, isPart: this.#sealed.length > 0 };
    return written((writer) => {
      writer.raw(this.#writer.header);
      for (const { bytes } of this.#sealed) writer.raw(bytes);
      const tail = this.#writer.chunks(writer, takeValues(this.#tail.values, this.type), options);
      this.#writer.end(writer, [...this.#sealed, ...tail]);
    });
  }

  #checked(value: Element, index: number): Element {
    checkValue(value, this.type, index);
    return ownElement(value);
  }

  /** Errors tell `offset` as its place, which is that in the bytes that it comes from. */
  #seal(chunk: WrittenChunk, offset = 0): void {
    const header = readHeader(new ByteReader(this.#writer.header));
    const section = readSection(chunk.bytes, 0, header);
    const { statistics } = chunk;
    const entry = { ...chunkOf({ ...section, statistics }, this.#sealedCount), offset };
    this.#sealed.push({ ...chunk, entry });
    this.#sealedCount += chunk.count;
  }

  #entryOf(index: number): ChunkEntry {
    let low = 0;
    let high = this.#sealed.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#sealed[middle]?.entry.firstValue ?? 0) <= index) low = middle;
      else high = middle - 1;
    }
    return (this.#sealed[low] as { entry: ChunkEntry }).entry;
  }

  #decoded(entry: ChunkEntry): Values {
    if (this.#cached?.entry !== entry) this.#cached = { entry, values: this.#decode(entry) };
    return this.#cached.values;
  }

  #decode(entry: ChunkEntry): Values {
    return inChunk(entry, () => decodeChunk(entry, this.type, this.#context));
  }
}
