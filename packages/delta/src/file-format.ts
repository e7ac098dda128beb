import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { xxh32 } from "./checksum.ts";
import { corrupt, DeltaError, toldFrom, unsupported } from "./delta-error.ts";
import { CHUNK_VALUES_MAX, SECTION_BYTES_MAX } from "./limits.ts";
import { requireMemory } from "./options.ts";
import { VALUE_TYPES, type ValueType } from "./values.ts";

/**
 * A file is one or more segments, so that files may be concatenated. A segment is a header, chunks,
 * and an end with the index of its chunks; see docs/reference/delta-format.md.
 */
const MAGIC = [0x43, 0x44, 0x4c] as const;
export const VERSION = 1;
export const HEADER_BYTES = 6;
/** Length of the end, and "LDC1": how a reader finds the index from the back of a file. */
export const TRAILER_BYTES = 8;
const TRAILER_MAGIC = 0x3143444c;
const CHECKSUMS = 1;

export const TAG_CHUNK = 1;
export const TAG_END = 2;
export const TAG_COLUMN = 3;
export const TAG_METADATA = 4;

/** The kind of a segment that holds named columns, in place of a series' type. */
export const TABLE = 0;

export type Header = {
  readonly kind: number;
  readonly hasChecksums: boolean;
  readonly hash: number;
};

export function typeOfKind(kind: number, offset: number): ValueType {
  const type = VALUE_TYPES[kind - 1];
  if (type === undefined) {
    throw unsupported("type", kind, offset);
  }
  return type;
}

export function kindOfType(type: ValueType): number {
  const index = VALUE_TYPES.indexOf(type);
  if (index >= 0) return index + 1;
  const message = `type is ${String(type)}: take one of ${VALUE_TYPES.join(", ")}`;
  throw new DeltaError("invalid_argument", message);
}

export function headerBytes(kind: number, hasChecksums: boolean): Uint8Array {
  return Uint8Array.of(...MAGIC, VERSION, hasChecksums ? CHECKSUMS : 0, kind);
}

export function readHeader(reader: ByteReader): Header {
  const at = reader.position;
  const bytes = reader.raw(Math.min(HEADER_BYTES, reader.remaining));
  if (MAGIC.some((byte, i) => bytes[i] !== byte)) {
    const isShort =
      bytes.length < 3 && MAGIC.slice(0, bytes.length).every((byte, i) => bytes[i] === byte);
    if (isShort)
      throw new DeltaError("truncated", "the bytes end in the header", at + bytes.length);
    throw new DeltaError("not_delta", "the bytes are no delta-encoded series or table", at);
  }
  if (bytes.length < HEADER_BYTES) {
    throw new DeltaError("truncated", "the bytes end in the header", at + bytes.length);
  }
  const [, , , version, features, kind] = bytes as unknown as [0, 0, 0, number, number, number];
  if (version !== VERSION) {
    const message = `format version ${version}; this library reads version ${VERSION}`;
    throw new DeltaError("unsupported_version", message, at + 3);
  }
  if ((features & ~CHECKSUMS) !== 0) {
    throw unsupported("features", features, at + 4);
  }
  return { kind, hasChecksums: (features & CHECKSUMS) !== 0, hash: xxh32(bytes) };
}

/** What the index says of a chunk. */
export type ChunkEntry = {
  /** From the first byte of the file. */
  readonly offset: number;
  readonly bytes: number;
  /** Place of its first value in the series. */
  readonly firstValue: number;
  readonly count: number;
  /** Where the header of its segment begins. */
  readonly headerOffset: number;
  readonly body: Uint8Array;
  /** What the index says of its values, unless it says nothing. Nobody has compared it with them. */
  readonly statistics: Uint8Array | undefined;
};

/** One that has written before saves the time that new memory takes. */
let spare: ByteWriter | undefined;
const SPARE_BYTES_MAX = 8 * CHUNK_VALUES_MAX;
/** Larger parts come as memory that was not there before, which takes longer than copying it. */
const PART_BYTES = 2 ** 17;

/**
 * The bytes that `write` writes, in memory of their own. Where it calls `pause`, they may be taken out of
 * the writer, which would take long to grow to the size of a large file.
 */
export function written(write: (writer: ByteWriter, pause: () => void) => void): Uint8Array {
  const writer = spare ?? new ByteWriter();
  // A compressor of the caller's may encode something itself.
  spare = undefined;
  const parts: Uint8Array[] = [];
  const take = (): void => {
    parts.push(new Uint8Array(writer.finish()));
    writer.cut(0);
  };
  write(writer, () => {
    if (writer.position > PART_BYTES) take();
  });
  take();
  if (parts.every(({ length }) => length <= SPARE_BYTES_MAX)) spare = writer;
  return concatenate(parts);
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return only;
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** A section with its checksum, which covers the segment's header too. Answers its bytes, as a view. */
export function writeSection(
  writer: ByteWriter,
  header: Header,
  tag: number,
  content: () => void,
): Uint8Array {
  const start = writer.position;
  writer.u8(tag);
  writer.part(() => {
    const from = writer.position;
    content();
    requireSectionSize(writer.position - from);
  });
  const bytes = writer.finish(start);
  if (header.hasChecksums) writer.u32((xxh32(bytes) ^ header.hash) >>> 0);
  return writer.finish(start);
}

/** Refuses to write what readers refuse. */
function requireSectionSize(bytes: number): void {
  if (bytes <= SECTION_BYTES_MAX) return;
  const message = `a section of ${bytes} bytes, at most ${SECTION_BYTES_MAX}: make several files`;
  throw new DeltaError("limit_exceeded", message);
}

/** A section, of which a segment's end repeats size and count, so that nothing is missing unnoticed. */
export type SectionSummary = {
  readonly bytes: { readonly length: number };
  readonly count: number;
  readonly statistics?: Uint8Array | undefined;
};

const NOT_KNOWN = new Uint8Array(0);

export function writeEnd(
  writer: ByteWriter,
  header: Header,
  sections: readonly SectionSummary[],
): void {
  const end = writeSection(writer, header, TAG_END, () => {
    writer.varint(sections.length);
    for (const { bytes, count } of sections) {
      writer.varint(bytes.length);
      writer.varint(count);
    }
    // Of a single chunk they would tell nothing that opening it does not.
    if (sections.length < 2 || sections.every((each) => each.statistics === undefined)) return;
    for (const { statistics = NOT_KNOWN } of sections) {
      writer.varint(statistics.length);
      writer.raw(statistics);
    }
  });
  writer.u32(end.length);
  writer.u32(TRAILER_MAGIC);
}

/** A section as it stands in the file; `content` is checked against its checksum. */
export type Section = {
  readonly tag: number;
  readonly offset: number;
  readonly bytes: number;
  readonly content: Uint8Array;
  /** Offset of `content` in the file. */
  readonly contentOffset: number;
  readonly statistics?: Uint8Array | undefined;
};

/** One that the index names, with the number of values that it gives. */
export type NamedSection = Section & { readonly count: number };

/** How many bytes from `reader`'s position the next section takes; undefined if that is not there yet. */
export function sectionSize(bytes: Uint8Array, start: number, header: Header): number | undefined {
  let size = 0;
  let scale = 1;
  for (let i = start + 1; i < Math.min(bytes.length, start + 6); i += 1) {
    const byte = bytes[i] as number;
    size += (byte & 0x7f) * scale;
    scale *= 128;
    if (byte >= 0x80) continue;
    if (size > SECTION_BYTES_MAX) break;
    const trailer = bytes[start] === TAG_END ? TRAILER_BYTES : 0;
    return i + 1 - start + size + (header.hasChecksums ? 4 : 0) + trailer;
  }
  if (bytes.length < start + 6) return undefined;
  throw corrupt("sizes", start);
}

export function readSection(bytes: Uint8Array, start: number, header: Header): Section {
  const reader = new ByteReader(bytes, start);
  const tag = reader.u8();
  const size = reader.varint(SECTION_BYTES_MAX);
  const contentOffset = reader.position;
  const content = reader.raw(size);
  if (header.hasChecksums) {
    const computed = (xxh32(bytes, start, reader.position) ^ header.hash) >>> 0;
    const at = reader.position;
    if (reader.u32() !== computed) {
      throw new DeltaError("checksum_mismatch", "the bytes are not those that were written", at);
    }
  }
  return { tag, offset: start, bytes: reader.position - start, content, contentOffset };
}

/** Sections of a segment, in order, and where the next segment begins. */
export type Segment = {
  readonly header: Header;
  readonly offset: number;
  readonly sections: readonly NamedSection[];
  readonly end: number;
};

/** Stops a call with anything but bytes, by shape, since they may come from another realm. */
export function requireBytes(value: unknown, message = "the bytes are to be a Uint8Array"): void {
  if ((value as Partial<Uint8Array> | null | undefined)?.BYTES_PER_ELEMENT !== 1) {
    throw new DeltaError("invalid_argument", message);
  }
  requireMemory(value);
}

/**
 * Reads one segment, whose end must repeat its sections. `onChunk` is told how many chunks there are, and where
 * the last of them is, before more are read.
 */
export function readSegment(
  bytes: Uint8Array,
  offset: number,
  onChunk?: (chunks: number, at: number) => void,
): Segment {
  requireBytes(bytes);
  const reader = new ByteReader(bytes, offset);
  const header = readHeader(reader);
  const sections: Section[] = [];
  let at = reader.position;
  for (;;) {
    if (at >= bytes.length) {
      throw new DeltaError("truncated", "the bytes end before the end of the segment", at);
    }
    const next = readSection(bytes, at, header);
    at += next.bytes;
    if (next.tag === TAG_END) {
      const named = checkEnd(
        next,
        sections.map((section) => section.bytes),
      );
      const end = readTrailer(bytes, at, next.bytes);
      const counted = sections.map((section, i) => Object.assign(section, named[i] as Named));
      return { header, offset, sections: counted, end };
    }
    requireKnown(next, header);
    sections.push(next);
    if (next.tag === TAG_CHUNK) onChunk?.(sections.length, next.offset);
  }
}

/** Refuses one before more are read and kept: the smallest is of two bytes, and takes a hundred times as many. */
function requireKnown({ tag, offset }: Section, { kind }: Header): void {
  const isKnown = kind === TABLE ? tag === TAG_COLUMN || tag === TAG_METADATA : tag === TAG_CHUNK;
  if (!isKnown) throw unsupported("section", tag, offset);
}

/** Refuses an end that names other sections than those of `sizes`. Answers what it says of each. */
export function checkEnd(end: Section, sizes: readonly number[]): readonly Named[] {
  const named = toldFrom(
    () => end.contentOffset,
    () => readEnd(end, sizes.length),
  );
  if (named.some(({ bytes }, i) => bytes !== sizes[i])) {
    throw corrupt("sizes", end.offset);
  }
  return named;
}

/** Of an index that contradicts the sections: in the number of their values, or in their statistics. */
export function otherValues(offset?: number): DeltaError {
  return new DeltaError("corrupt", "the index tells of other values than are there", offset);
}

export function requireCount(named: { readonly count: number }, count: number, at: number): void {
  if (named.count !== count) throw otherValues(at);
}

/** What the index says of a section. */
type Named = {
  readonly bytes: number;
  readonly count: number;
  readonly statistics: Uint8Array | undefined;
};

/** The index: size and count of each section, in order, and what is known of their values, if anything. */
function readEnd(end: Section, sections: number): readonly Named[] {
  const reader = new ByteReader(end.content);
  const count = reader.varint();
  if (count !== sections) throw corrupt("sizes", 0);
  const named: { bytes: number; count: number; statistics: Uint8Array | undefined }[] = [];
  for (let i = 0; i < count; i += 1) {
    named.push({ bytes: reader.varint(), count: reader.varint(), statistics: undefined });
  }
  if (reader.remaining > 0) {
    for (const each of named) {
      const statistics = reader.part();
      if (statistics.length > 0) each.statistics = statistics;
    }
  }
  reader.expectEnd();
  return named;
}

export function readTrailer(bytes: Uint8Array, at: number, endBytes: number): number {
  const reader = new ByteReader(bytes, at);
  if (reader.u32() !== endBytes || reader.u32() !== TRAILER_MAGIC) {
    throw corrupt("trailers", at);
  }
  return reader.position;
}

/** Splits a chunk's content into its count and its body. */
export function chunkOf(section: Section, firstValue: number, headerOffset = 0): ChunkEntry {
  if (section.tag !== TAG_CHUNK) {
    throw unsupported("section", section.tag, section.offset);
  }
  const reader = new ByteReader(section.content);
  const count = toldFrom(
    () => section.contentOffset,
    () => reader.varint(CHUNK_VALUES_MAX),
  );
  // So that a limit of values is one of chunks too: each of them takes memory of its own.
  if (count === 0) throw corrupt("empty chunks", section.offset);
  const body = reader.rest();
  const { offset, bytes, statistics } = section;
  return { offset, bytes, firstValue, count, headerOffset, body, statistics };
}
