import type { Values, ValueType } from "@cubby/delta";
import { type Cell, codecOf, type TextCodec, type TextFormat } from "./text-format.ts";
import type { SeriesColumn, TextColumn, TextPart, TextTable } from "./text-table.ts";

type Value = Cell | Date | null | undefined;

export type ColumnWriter = {
  readonly column: TextColumn;
  /** How the column was written where this row comes from. */
  readonly columnAt: (row: number) => TextColumn;
  /** The text of a row's value; null where there is none. */
  readonly write: (row: number) => string | null;
};

export function columnWriters({ layout, columns, rows, parts }: TextTable): ColumnWriter[] {
  const partOf = parts === undefined ? undefined : partFinder(parts);
  return columns.flatMap((series, index) => {
    const column = layout.columns[index];
    if (column === undefined) return [];
    const whole = partWriter(series, column, layout.rows === rows);
    if (partOf === undefined) return [{ column, columnAt: () => column, write: whole.write }];
    // Made when the first row of a part is met: a file may have as many parts as rows.
    let part: TextPart | undefined;
    let writer = whole;
    const writerAt = (row: number): PartWriter => {
      const next = partOf(row);
      if (next !== part && next !== undefined) {
        part = next;
        writer = partWriter(series, next.columnOf(series), next.isWhole);
      }
      return writer;
    };
    return [
      {
        column,
        columnAt: (row: number) => writerAt(row).column,
        write: (row: number) => writerAt(row).write(row),
      },
    ];
  });
}

type PartWriter = Pick<ColumnWriter, "column" | "write">;

function partWriter(
  { values, type }: SeriesColumn,
  column: TextColumn,
  isWhole: boolean,
): PartWriter {
  const { format } = column;
  // A file that others were appended to may have values that the format of the first was not for.
  const codec = isWhole ? codecOf(format) : checkedCodec(format);
  return { column, write: writerOf(values, type, codec) };
}

/** Which part a row is in; fast where it is the same as before, or the next. */
function partFinder(parts: readonly TextPart[]): (row: number) => TextPart | undefined {
  let place = 0;
  let start = 0;
  return (row) => {
    if (row < start) {
      place = 0;
      start = 0;
    }
    for (;;) {
      const part = parts[place];
      if (part === undefined || row < start + part.rows) return part;
      start += part.rows;
      place += 1;
    }
  };
}

/** Writes only what it would read as the same value. */
function checkedCodec(format: TextFormat): TextCodec {
  const { parse, write } = codecOf(format);
  return {
    parse,
    write: (cell) => {
      const text = write(cell);
      return text !== undefined && isSame(parse(text), cell) ? text : undefined;
    },
  };
}

/** Integers may be bigints in the file, if that was asked for. */
function isSame(a: Cell | undefined, b: Cell): boolean {
  return Object.is(a, b) || (typeof a !== typeof b && a !== undefined && String(a) === String(b));
}

function writerOf(
  values: Values,
  type: ValueType,
  { write }: TextCodec,
): (row: number) => string | null {
  if (type === "f32") return (row) => singleText(values[row] as number);
  return (row) => {
    const value: Value = values[row];
    if (value === null || value === undefined) return null;
    const cell = value instanceof Date ? value.getTime() : value;
    return write(cell) ?? plainText(value);
  };
}

/** For what a format has no text for: a date of another millennium in a file made by a program. */
function plainText(value: Cell | Date): string {
  if (Object.is(value, -0)) return "-0";
  if (!(value instanceof Date)) return String(value);
  return Number.isNaN(value.getTime()) ? "NaN" : value.toISOString();
}

/** The shortest text that means this float32. */
function singleText(value: number): string {
  for (let digits = 6; digits < 9; digits += 1) {
    const shorter = Number(value.toPrecision(digits));
    if (Math.fround(shorter) === value) return Object.is(value, -0) ? "-0" : String(shorter);
  }
  return String(Number(value.toPrecision(9)));
}

/** How the values of a file are written that was not made from text. */
export function formatFor(type: ValueType): TextFormat {
  switch (type) {
    case "bigint":
    case "i64":
    case "u64":
      return { kind: "bigint", unsigned: type === "u64" };
    case "date":
      return { kind: "time", time: { separator: "T", seconds: true, fraction: 3, zone: "Z" } };
    case "string":
      return { kind: "text" };
    case "boolean":
      return { kind: "boolean", no: "false", yes: "true" };
    default:
      return { kind: "number", style: "js" };
  }
}
