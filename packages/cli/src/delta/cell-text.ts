import type { Values, ValueType } from "@cubby/delta";
import { type Cell, codecOf, type TextFormat } from "./text-format.ts";
import type { TextColumn, TextTable } from "./text-table.ts";

type Value = Cell | Date | null | undefined;

export type ColumnWriter = {
  readonly column: TextColumn;
  /** The text of a row's value; null where there is none. */
  readonly write: (row: number) => string | null;
};

export function columnWriters({ layout, columns }: TextTable): ColumnWriter[] {
  return columns.flatMap(({ type, values }, index) => {
    const column = layout.columns[index];
    return column === undefined ? [] : [{ column, write: writerOf(values, type, column.format) }];
  });
}

function writerOf(
  values: Values,
  type: ValueType,
  format: TextFormat,
): (row: number) => string | null {
  if (type === "f32") return (row) => singleText(values[row] as number);
  const { write } = codecOf(format);
  return (row) => {
    const value: Value = values[row];
    if (value === null || value === undefined) return null;
    const cell = value instanceof Date ? value.getTime() : value;
    return write(cell) ?? plainText(value);
  };
}

/** For what a format has no text for: a date of another millennium in a file made by a program. */
function plainText(value: Cell | Date): string {
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
