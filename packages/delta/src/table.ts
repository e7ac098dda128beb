import { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { DeltaError, telling, toldFrom } from "./delta-error.ts";
import {
  type ChunkEntry,
  headerBytes,
  readHeader,
  readSegment,
  requireCount,
  type Section,
  TABLE,
  TAG_COLUMN,
  TAG_METADATA,
  writeEnd,
  writeSection,
  written,
} from "./file-format.ts";
import { COLUMNS_MAX, NAME_BYTES_MAX } from "./limits.ts";
import { over, refuseInto, requireOptions } from "./options.ts";
import {
  type DecodeOptions,
  decodeFile,
  type EncodeOptions,
  encode,
  heapRoom,
  readSeriesFile,
  type SeriesFile,
} from "./series-codec.ts";
import { TextReader, UNIT_BYTES_MAX, writeText } from "./string-bytes.ts";
import { typeOf, type Values, type ValueType } from "./values.ts";

export type TableOptions = EncodeOptions & {
  /** Options of single columns, by name. */
  readonly columns?: Readonly<Record<string, EncodeOptions>> | undefined;
  /** Anything worth knowing about the table, as text. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
};

export type DecodeTableOptions = Omit<DecodeOptions, "into"> & {
  /** Only these columns are decoded; the others are passed over. */
  readonly columns?: readonly string[] | undefined;
};

/** Named columns in one file. Tables of the same columns may be concatenated. */
export function encodeTable(
  columns: Readonly<Record<string, Values>> | ReadonlyMap<string, Values>,
  options: TableOptions = {},
): Uint8Array {
  requireOptions(options);
  const bytes = headerBytes(TABLE, options.checksum ?? true);
  const header = readHeader(new ByteReader(bytes));
  if (Object(columns) !== columns) {
    throw new DeltaError("invalid_argument", "columns are an object or a Map of series by name");
  }
  // By what it calls itself, since it may come from another realm: as an object a Map is empty.
  const isMap = Object.prototype.toString.call(columns) === "[object Map]";
  const named = isMap ? [...(columns as ReadonlyMap<string, Values>)] : Object.entries(columns);
  for (const [name, values] of named) inColumn(String(name), () => typeOf(values));
  if (named.length > COLUMNS_MAX) {
    throw new DeltaError("limit_exceeded", `${named.length} columns, at most ${COLUMNS_MAX}`);
  }
  checkOptions(options, new Set(named.map(([name]) => name)));
  const length = named[0]?.[1].length ?? 0;
  const entries = named.map(([name, values]) => {
    if (values.length !== length) {
      const message = `column ${JSON.stringify(name)} has ${values.length} values, others ${length}`;
      throw new DeltaError("invalid_argument", message);
    }
    // The section's checksum covers the column.
    const own = { ...over<EncodeOptions>(options, options.columns?.[name]), checksum: false };
    const content = inColumn(name, () => encode(values, own));
    return { tag: TAG_COLUMN, name, content, count: length };
  });
  const metadata = Object.entries(options.metadata ?? {}).map(([name, value]) => {
    return { tag: TAG_METADATA, name, content: textBytes(value), count: 0 };
  });
  return written((writer) => {
    writer.raw(bytes);
    const sections = [...metadata, ...entries].map(({ tag, name, content, count }) => {
      const write = (): void => {
        writeName(writer, name);
        writer.raw(content);
      };
      return { bytes: writeSection(writer, header, tag, write), count };
    });
    writeEnd(writer, header, sections);
  });
}

/** Errors inside a column are told with its name. */
export function inColumn<T>(name: string, work: () => T): T {
  const told = ({ code, detail, offset }: DeltaError): DeltaError =>
    new DeltaError(code, `in column ${JSON.stringify(name)}: ${detail}`, offset);
  return telling(told, work);
}

/** Refuses what would be lost without a word. */
function checkOptions({ columns, metadata }: TableOptions, names: ReadonlySet<unknown>): void {
  for (const name of names) {
    if (typeof name === "string") continue;
    throw new DeltaError(
      "invalid_argument",
      `a column's name must be a string, not ${String(name)}`,
    );
  }
  requireOptions(columns ?? {}, "options of columns");
  for (const [name, own] of Object.entries(columns ?? {})) {
    const what = `options of column ${JSON.stringify(name)}`;
    requireOptions(own ?? {}, what);
    if (names.has(name)) continue;
    throw new DeltaError("invalid_argument", `${what}, which is not in the table`);
  }
  requireOptions(metadata ?? {}, "metadata");
  for (const [name, text] of Object.entries(metadata ?? {})) {
    if (typeof text === "string") continue;
    throw new DeltaError("invalid_argument", `metadata ${JSON.stringify(name)} must be a string`);
  }
}

/**
 * The columns of a table, by name, with null as prototype: any name is a key and no more. They are in
 * order but for names that are whole numbers, which JavaScript puts first; `inspect` tells the order.
 */
export function decodeTable(
  bytes: Uint8Array,
  options: DecodeTableOptions = {},
): Record<string, Values> {
  requireOptions(options);
  refuseInto(options, "a table's columns come in arrays of their own");
  const { columns } = readTable(bytes, options);
  const table: Record<string, Values> = Object.create(null);
  const wanted = options.columns ?? [...columns.keys()];
  const room = heapRoom(options, "raise `maxValues`, or name fewer `columns`");
  for (const name of wanted) {
    const column = columns.get(name);
    if (column === undefined) {
      const message = `there is no column ${JSON.stringify(name)}`;
      throw new DeltaError("invalid_argument", message);
    }
    table[name] = inColumn(name, () => decodeFile(column, options, room));
  }
  return table;
}

/** What `encodeTable` was given as metadata; of tables in a row the last word on each name. */
export function tableMetadata(bytes: Uint8Array): Record<string, string> {
  return metadataOf(tableParts(bytes));
}

export function metadataOf(parts: readonly TablePart[]): Record<string, string> {
  const all: Record<string, string> = Object.create(null);
  for (const { metadata } of parts) Object.assign(all, metadata);
  return all;
}

/** One of several tables in a row. */
export type TablePart = {
  readonly rows: number;
  readonly metadata: Readonly<Record<string, string>>;
};

/** The tables that stand in a row: how many rows each adds, and its own metadata. */
export function tableParts(bytes: Uint8Array): TablePart[] {
  // No memory is taken for values here, so that they need no limit.
  return readTable(bytes, { maxValues: Number.POSITIVE_INFINITY }).parts;
}

export type Table = {
  readonly columns: ReadonlyMap<string, SeriesFile>;
  readonly parts: TablePart[];
};

/** A column that its parts are added to. */
type Column = { readonly type: ValueType; count: number; readonly chunks: ChunkEntry[] };

/** Takes a table apart without decoding its columns. */
export function readTable(
  bytes: Uint8Array,
  { maxValues }: Pick<DecodeOptions, "maxValues">,
): Table {
  const columns = new Map<string, Column>();
  const parts: TablePart[] = [];
  let values = 0;
  let rows = 0;
  for (let at = 0; at === 0 || at < bytes.length; ) {
    const segment = readSegment(bytes, at);
    if (segment.header.kind !== TABLE) {
      throw new DeltaError("invalid_argument", "the bytes are a series: use decode", at + 5);
    }
    const grown = new Set<Column>();
    const metadata: Record<string, string> = Object.create(null);
    for (const each of segment.sections) {
      const { name, start, text, column } = toldFrom(
        () => each.contentOffset,
        () => readContent(each, maxValues, values),
      );
      requireCount(each, column?.count ?? 0, each.offset);
      if (text !== undefined) metadata[name] = text;
      if (column !== undefined) {
        values += column.count;
        const offset = each.contentOffset + start;
        grown.add(inColumn(name, () => append(columns, name, column, offset)));
        if (columns.size > COLUMNS_MAX)
          throw new DeltaError("limit_exceeded", "too many columns", at);
      }
    }
    const before = rows;
    rows = rowsOf(grown, columns.size, rows, at);
    parts.push({ rows: rows - before, metadata });
    at = segment.end;
  }
  return { columns, parts };
}

type Content = {
  readonly name: string;
  /** Where the rest begins: a text, or a column's series. */
  readonly start: number;
  readonly text?: string | undefined;
  readonly column?: SeriesFile | undefined;
};

/** What a section names: metadata or a column, before which there were so many values in others. */
function readContent(
  { tag, content }: Section,
  maxValues: number | undefined,
  before: number,
): Content {
  const reader = new ByteReader(content);
  const size = reader.varint(NAME_BYTES_MAX);
  const nameStart = reader.position;
  reader.raw(size);
  const start = reader.position;
  const text = new TextReader();
  const name = text.read(content, nameStart, start);
  if (tag === TAG_METADATA) return { name, start, text: text.read(content, start, content.length) };
  const read = (): SeriesFile =>
    readSeriesFile(content.subarray(start), maxValues, before, "raise `maxValues`");
  return { name, start, column: inColumn(name, () => toldFrom(() => start, read)) };
}

/** In place: a table may go on in tens of thousands of others. */
function append(
  columns: Map<string, Column>,
  name: string,
  more: SeriesFile,
  offset: number,
): Column {
  const column = columns.get(name) ?? { type: more.type, count: 0, chunks: [] };
  if (column.type !== more.type) {
    throw new DeltaError("corrupt", `a column of ${column.type} goes on as ${more.type}`, offset);
  }
  // Their places are those in the file from here on.
  for (const chunk of more.chunks) {
    const firstValue = column.count + chunk.firstValue;
    const headerOffset = offset + chunk.headerOffset;
    column.chunks.push({ ...chunk, offset: offset + chunk.offset, headerOffset, firstValue });
  }
  column.count += more.count;
  columns.set(name, column);
  return column;
}

/**
 * Rows of a table that had `rows` until these of its columns grew. The others are not looked at again: a
 * table may have thousands of columns, and go on in tens of thousands of others.
 */
function rowsOf(grown: ReadonlySet<Column>, columns: number, rows: number, offset: number): number {
  const [first] = grown;
  const count = grown.size < columns ? rows : (first?.count ?? rows);
  for (const column of grown) {
    if (column.count === count) continue;
    throw new DeltaError("corrupt", "columns of different lengths", offset);
  }
  return count;
}

function writeName(writer: ByteWriter, name: string): void {
  const bytes = textBytes(name);
  if (bytes.length > NAME_BYTES_MAX) {
    throw new DeltaError(
      "limit_exceeded",
      `a name of ${bytes.length} bytes, at most ${NAME_BYTES_MAX}`,
    );
  }
  writer.varint(bytes.length);
  writer.raw(bytes);
}

function textBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length * UNIT_BYTES_MAX);
  return bytes.subarray(0, writeText(text, bytes, 0));
}
