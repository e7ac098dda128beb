import {
  type Backend,
  DeltaError,
  decode,
  decodeTable,
  encodeTable,
  type TablePart,
  tableParts,
  type Values,
  type ValueType,
} from "@cubby/delta";
import { CubbyError } from "@cubby/protocol";
import { formatFor } from "./cell-text.ts";
import { INPUT_BYTES_MAX } from "./input-file.ts";
import {
  assertKnown,
  CSV_LAYOUT,
  JSON_LAYOUT,
  packLayout,
  type SeriesColumn,
  type TextColumn,
  type TextLayout,
  type TextPart,
  type TextTable,
  unpackLayout,
} from "./text-table.ts";

/** The library's own limit guards programs; here it is what may have been encoded that can be decoded. */
export const READ_OPTIONS: { readonly maxValues: number } = { maxValues: INPUT_BYTES_MAX };

/** Under this name a file keeps, as JSON, how the text looked that it was made from. */
const LAYOUT = "cubby.text";

/** As many values as a chunk may have. */
const CHUNK_VALUES_MAX = 2 ** 18;

/** What a series is called where columns have names. */
export const SERIES_KEY = "value";

/** A text's values and its looks as one file. */
export function encodeText({ layout, columns }: TextTable, backend?: Backend): Uint8Array {
  const values = new Map(columns.map(({ key, values: series }) => [key, series]));
  const types: Record<string, { readonly type: ValueType }> = Object.create(null);
  for (const { key, type } of columns) types[key] = { type };
  const metadata = { [LAYOUT]: packLayout(layout) };
  const encode = (chunkValues: number | undefined): Uint8Array => {
    try {
      return encodeTable(values, { backend, chunkValues, columns: types, metadata });
    } catch (error) {
      // The texts of one chunk may be too long together: those of fewer rows are not.
      const fewer = (chunkValues ?? CHUNK_VALUES_MAX) / 8;
      const isTooLong = error instanceof DeltaError && error.code === "limit_exceeded";
      if (!isTooLong || fewer < 1) throw error;
      return encode(fewer);
    }
  };
  return encode(undefined);
}

export type DecodedFile = {
  readonly table: TextTable;
  /** True when the file tells how its text looked; else the looks are the usual ones. */
  readonly hasLayout: boolean;
};

/** A table or series of any origin, with `columns` alone, in their order, if they are given. */
export function decodeText(bytes: Uint8Array, columns?: readonly string[]): DecodedFile {
  const parts = partsOf(bytes);
  const looks = looksOf(parts ?? []);
  const kept = looks.findLast((each) => each !== undefined);
  const isSeries = parts === undefined;
  if (isSeries && columns !== undefined) assertKnown([SERIES_KEY], { columns });
  const series = isSeries ? decodeSeries(bytes) : decodeColumns(bytes, columns, kept?.layout);
  const layout = kept?.layout ?? usualLayout(isSeries);
  const table = {
    layout: { ...layout, columns: series.map(kept?.columnOf ?? usualColumn) },
    columns: series,
    rows: series[0]?.values.length ?? keylessRows(looks),
  };
  if (parts === undefined || parts.length === 1 || kept === undefined) {
    return { table, hasLayout: kept !== undefined };
  }
  if (series.length > 0) assertNoneKeyless(parts, looks);
  return { table: { ...table, parts: textParts(parts, looks, kept) }, hasLayout: true };
}

/** What a part tells of the text that it was made from. */
type Looks = Pick<TextPart, "columnOf"> & { readonly layout: TextLayout };

/** Each as its part tells, read once where they are the same. */
function looksOf(parts: readonly TablePart[]): (Looks | undefined)[] {
  const known = new Map<string, Looks>();
  return parts.map(({ metadata }) => {
    const text = metadata[LAYOUT];
    if (text === undefined) return undefined;
    const looks = known.get(text) ?? looksFrom(parseLayout(text));
    known.set(text, looks);
    return looks;
  });
}

function looksFrom(layout: TextLayout): Looks {
  const known = new Map(layout.columns.map((column) => [column.key, column]));
  return { layout, columnOf: (series) => known.get(series.key) ?? usualColumn(series) };
}

function usualColumn({ key, type }: SeriesColumn): TextColumn {
  return { key, name: key, format: formatFor(type), quoted: false, absent: false };
}

/** Objects without a key are rows of no column. A file may claim any number of them. */
function keylessRows(looks: readonly (Looks | undefined)[]): number {
  const claimed = looks.reduce((sum, each) => sum + (each?.layout.rows ?? 0), 0);
  return Math.min(claimed, READ_OPTIONS.maxValues);
}

/** Among rows of columns they have no place, and would be lost without a word. */
function assertNoneKeyless(
  parts: readonly TablePart[],
  looks: readonly (Looks | undefined)[],
): void {
  const at = parts.findIndex(({ rows }, i) => {
    const layout = looks[i]?.layout;
    return rows === 0 && layout !== undefined && layout.rows > 0 && layout.columns.length === 0;
  });
  if (at < 0) return;
  const detail = `Table ${at + 1} of the file is of objects without a key, which have no place among those of the others. Decode the files that it was joined from one by one.`;
  throw new CubbyError("invalid_argument", detail);
}

/** Parts with rows. The last looks stand in where one has none: a program appended it, its strings are just text. */
function textParts(
  parts: readonly TablePart[],
  looks: readonly (Looks | undefined)[],
  last: Looks,
): TextPart[] {
  const asText = (series: SeriesColumn): TextColumn => {
    const column = last.columnOf(series);
    const isJson = column.format.kind === "json";
    return isJson ? { ...column, format: { kind: "text" }, absent: false } : column;
  };
  return parts.flatMap(({ rows }, i) => {
    if (rows === 0) return [];
    const own = looks[i];
    if (own === undefined) return [{ rows, isWhole: false, columnOf: asText }];
    return [{ rows, isWhole: own.layout.rows === rows, columnOf: own.columnOf }];
  });
}

/** Undefined if the bytes are a series, which has none. */
function partsOf(bytes: Uint8Array): TablePart[] | undefined {
  try {
    return tableParts(bytes);
  } catch (error) {
    if (error instanceof DeltaError && error.code === "invalid_argument") return undefined;
    throw error;
  }
}

function decodeSeries(bytes: Uint8Array): SeriesColumn[] {
  const values = decode(bytes, READ_OPTIONS);
  return [{ key: SERIES_KEY, type: typeOfValues(values), values }];
}

function decodeColumns(
  bytes: Uint8Array,
  columns: readonly string[] | undefined,
  layout: TextLayout | undefined,
): SeriesColumn[] {
  const table = decodeTable(bytes, { ...READ_OPTIONS, columns });
  // An object puts keys that look like numbers first; the layout knows where they stood.
  const keys = new Set([...(layout?.columns.map(({ key }) => key) ?? []), ...Object.keys(table)]);
  return [...(columns ?? keys)].flatMap((key) => {
    const values = table[key];
    return values === undefined ? [] : [{ key, type: typeOfValues(values), values }];
  });
}

function typeOfValues(values: Values): ValueType {
  for (const [type, array] of ARRAYS) if (values instanceof array) return type;
  const first = (values as readonly unknown[]).find((value) => value !== null);
  if (first instanceof Date) return "date";
  const name = typeof first;
  return name === "number" || name === "bigint" || name === "boolean" ? name : "string";
}

const ARRAYS = [
  ["f64", Float64Array],
  ["f32", Float32Array],
  ["i8", Int8Array],
  ["u8", Uint8Array],
  ["u8c", Uint8ClampedArray],
  ["i16", Int16Array],
  ["u16", Uint16Array],
  ["i32", Int32Array],
  ["u32", Uint32Array],
  ["i64", BigInt64Array],
  ["u64", BigUint64Array],
] as const;

function parseLayout(text: string): TextLayout {
  const layout = unpackLayout(text);
  if (layout !== undefined) return layout;
  throw new CubbyError("unsupported", "What the file says of its text is not known here.");
}

/** For what was not made from text: CSV with names, or one value on each line. */
function usualLayout(isSeries: boolean): TextLayout {
  return {
    source: "csv",
    rows: 0,
    newline: "\n",
    finalNewline: true,
    mark: false,
    csv: { ...CSV_LAYOUT, header: isSeries ? "none" : "plain" },
    json: { ...JSON_LAYOUT, shape: isSeries ? "values" : "objects" },
    columns: [],
  };
}
