import type { Values, ValueType } from "@cubby/delta";
import { CubbyError } from "@cubby/protocol";
import type { ColumnRequest } from "./column-type.ts";
import { asTextFormat, type TextFormat } from "./text-format.ts";

/** How the values of one column were written. */
export type TextColumn = {
  /** The file's own name of the column: never empty, and unique. */
  readonly key: string;
  /** As the text has it. */
  readonly name: string;
  readonly format: TextFormat;
  /** CSV: whether all its values stand in quotes, also those that need none. */
  readonly quoted: boolean;
  /** JSON lines: whether null means that the key is not there at all. */
  readonly absent: boolean;
};

/** All that a text file has beside its values, so that it can be written again as it was. */
export type TextLayout = {
  readonly source: "csv" | "jsonl";
  /** Of the text; a file that has another number of them is no longer what was made from it. */
  readonly rows: number;
  readonly newline: "\n" | "\r\n";
  readonly finalNewline: boolean;
  /** Whether the text begins with a byte order mark. */
  readonly mark: boolean;
  readonly csv: CsvLayout;
  readonly json: JsonLayout;
  readonly columns: readonly TextColumn[];
};

export type CsvLayout = {
  readonly delimiter: string;
  readonly header: "none" | "plain" | "quoted";
  /** What stands, without quotes, for a value that is missing. */
  readonly nullText: string;
};

export type JsonLayout = {
  /** An object on each line, or a bare value. */
  readonly shape: "objects" | "values";
  /** What stands behind each key, and behind each member. */
  readonly colon: ":" | ": ";
  readonly comma: "," | ", ";
  /** Whether all that is not ASCII is escaped, as Python does. */
  readonly ascii: boolean;
};

export type SeriesColumn = {
  readonly key: string;
  readonly type: ValueType;
  readonly values: Values;
};

/** A text file taken apart. The columns of both parts correspond. */
export type TextTable = {
  readonly layout: TextLayout;
  readonly columns: readonly SeriesColumn[];
  readonly rows: number;
  /** Where the file is several in a row, which may have been made from texts of different looks. */
  readonly parts?: readonly TextPart[];
};

/** Rows that follow each other, one at least, and how the values of each column were written in these. */
export type TextPart = {
  readonly rows: number;
  /** True if this is all that the text had, for which its formats are made. */
  readonly isWhole: boolean;
  readonly columnOf: (series: SeriesColumn) => TextColumn;
};

export type ReadOptions = {
  /** Only these, by key; undefined for all. */
  readonly columns?: readonly string[];
  /** What was asked for, by key. */
  readonly types?: ReadonlyMap<string, ColumnRequest>;
  readonly onProgress: (fraction: number) => void;
};

export const CSV_LAYOUT: CsvLayout = { delimiter: ",", header: "plain", nullText: "" };
export const JSON_LAYOUT: JsonLayout = {
  shape: "objects",
  colon: ":",
  comma: ",",
  ascii: false,
};

/** A quote that is never closed, or a file of one line, would make the rest of it one record. */
export const RECORD_CHARS_MAX = 1 << 24;

/** About how long the pieces are in which a text is written. */
export const PIECE_CHARS = 1 << 16;

/** Names for the columns of a file: unique and not empty. */
export function uniqueKeys(names: readonly string[]): string[] {
  const taken = new Set(names);
  const given = new Set<string>();
  return names.map((name, index) => {
    const stem = name === "" ? `c${index + 1}` : name;
    let key = stem;
    for (let n = 2; given.has(key) || (key !== name && taken.has(key)); n += 1)
      key = `${stem}_${n}`;
    given.add(key);
    return key;
  });
}

/** Of `--columns a,b`. */
export function columnNames(list: string | undefined): readonly string[] | undefined {
  const names = list?.split(",");
  const twice = names?.find((name, index) => names.indexOf(name) < index);
  if (twice === undefined) return names;
  throw new CubbyError("invalid_argument", `--columns names "${twice}" twice.`);
}

/** Refuses a wish about a column that is not there. */
export function assertKnown(
  keys: readonly string[],
  options: Pick<ReadOptions, "columns" | "types">,
): void {
  for (const key of [...(options.columns ?? []), ...(options.types?.keys() ?? [])]) {
    if (keys.includes(key)) continue;
    const detail = `There is no column "${key}": ${keys.join(", ")}.`;
    throw new CubbyError("invalid_argument", detail);
  }
}

/** A layout as a file keeps it: without what goes without saying. */
export function packLayout(layout: TextLayout): string {
  const { columns, csv, json, ...rest } = layout;
  const packed = columns.map(({ key, name, format, quoted, absent }) => ({
    key,
    ...(name === key ? {} : { name }),
    ...(format.kind === "text" ? {} : { format }),
    ...(quoted ? { quoted } : {}),
    ...(absent ? { absent } : {}),
  }));
  const own = layout.source === "csv" ? { csv } : { json };
  return JSON.stringify({ ...rest, ...own, columns: packed });
}

/** Reads what `packLayout` made, or anything else; undefined if it is none. */
export function unpackLayout(text: string): TextLayout | undefined {
  let packed: unknown;
  try {
    packed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(packed) || !Array.isArray(packed["columns"])) return undefined;
  const usual = { format: { kind: "text" }, quoted: false, absent: false };
  const columns = packed["columns"].map((column: unknown) =>
    isRecord(column) ? { name: column["key"], ...usual, ...column } : column,
  );
  return asTextLayout({ csv: CSV_LAYOUT, json: JSON_LAYOUT, ...packed, columns });
}

function asTextLayout(value: unknown): TextLayout | undefined {
  if (!isRecord(value) || !isRecord(value["csv"]) || !isRecord(value["json"])) return undefined;
  const { source, rows, newline, finalNewline, mark, columns } = value;
  const { delimiter, header, nullText } = value["csv"];
  const { shape, colon, comma, ascii } = value["json"];
  const isWhole =
    isOneOf(source, "csv", "jsonl") &&
    isCount(rows) &&
    isOneOf(newline, "\n", "\r\n") &&
    typeof finalNewline === "boolean" &&
    typeof mark === "boolean" &&
    isDelimiter(delimiter) &&
    isOneOf(header, "none", "plain", "quoted") &&
    typeof nullText === "string" &&
    isOneOf(shape, "objects", "values") &&
    isOneOf(colon, ":", ": ") &&
    isOneOf(comma, ",", ", ") &&
    typeof ascii === "boolean" &&
    Array.isArray(columns) &&
    columns.every(isTextColumn);
  return isWhole ? (value as TextLayout) : undefined;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** One character that neither a quote nor a line's end could be taken for. */
export function isDelimiter(value: unknown): value is string {
  return typeof value === "string" && value.length === 1 && !/["\r\n]/.test(value);
}

function isTextColumn(value: unknown): boolean {
  return (
    isRecord(value) &&
    typeof value["key"] === "string" &&
    typeof value["name"] === "string" &&
    typeof value["quoted"] === "boolean" &&
    typeof value["absent"] === "boolean" &&
    asTextFormat(value["format"]) !== undefined
  );
}

function isOneOf(value: unknown, ...allowed: readonly string[]): boolean {
  return typeof value === "string" && allowed.includes(value);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
