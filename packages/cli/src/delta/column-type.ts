import type { Values, ValueType } from "@cubby/delta";
import { CubbyError } from "@cubby/protocol";
import type { Cell, TextFormat, TextKind } from "./text-format.ts";
import { valueKindOf } from "./text-format.ts";

/** What a column may become. */
export type ColumnRequest = {
  readonly kinds: ReadonlySet<TextKind>;
  /** Numbers may lose their way of writing, since a number was asked for. */
  readonly lenient: boolean;
  /** What was asked for; undefined for what suits. */
  readonly type?: ValueType;
};

const ARRAYS = {
  f64: Float64Array,
  i8: Int8Array,
  u8: Uint8Array,
  i16: Int16Array,
  u16: Uint16Array,
  i32: Int32Array,
  u32: Uint32Array,
  i64: BigInt64Array,
  u64: BigUint64Array,
} as const;

type ArrayType = keyof typeof ARRAYS;

const ANY: ColumnRequest = {
  kinds: new Set<TextKind>(["integer", "decimal", "number", "bigint", "boolean", "time", "text"]),
  lenient: false,
};

/** For texts of which nothing is known. */
export function anyColumn(): ColumnRequest {
  return ANY;
}

/** For values of one kind only. */
export function columnOf(...kinds: readonly TextKind[]): ColumnRequest {
  return { kinds: new Set(kinds), lenient: false };
}

const REQUESTS: Readonly<Record<string, ColumnRequest>> = {
  ...Object.fromEntries(
    (["i8", "u8", "i16", "u16", "i32", "u32"] as const).map((type) => [
      type,
      { kinds: new Set<TextKind>(["integer"]), lenient: true, type },
    ]),
  ),
  f64: numbers("f64"),
  number: numbers("number"),
  i64: { ...columnOf("bigint"), type: "i64" },
  u64: { ...columnOf("bigint"), type: "u64" },
  bigint: { ...columnOf("bigint"), type: "bigint" },
  date: { ...columnOf("time"), type: "date" },
  boolean: { ...columnOf("boolean"), type: "boolean" },
  string: { ...columnOf("text"), type: "string" },
};

function numbers(type: ValueType): ColumnRequest {
  return { kinds: new Set<TextKind>(["integer", "decimal", "number"]), lenient: true, type };
}

/** Of `--type column=TYPE`. */
export function requestOf(type: string): ColumnRequest {
  const request = Object.hasOwn(REQUESTS, type) ? REQUESTS[type] : undefined;
  if (request !== undefined) return request;
  const known = Object.keys(REQUESTS).join(", ");
  throw new CubbyError("invalid_argument", `"${type}" is no type of a column: ${known}.`);
}

/** The series of these cells: a typed array where nothing is null, unless another type is asked for. */
export function seriesOf(
  cells: readonly (Cell | null)[],
  format: TextFormat,
  asked: ValueType | undefined,
): { readonly values: Values; readonly type: ValueType } {
  const type = asked ?? typeFor(cells, format);
  switch (type) {
    case "number":
      return { type, values: cells as readonly (number | null)[] };
    case "bigint":
      return { type, values: cells as readonly (bigint | null)[] };
    case "date":
      // Counted in a finer unit, they would be other days.
      if (valueKindOf(format) === "bigint") throw finerThanDates();
      return { type, values: cells.map((cell) => (cell === null ? null : new Date(Number(cell)))) };
    case "boolean":
      return { type, values: cells as readonly (boolean | null)[] };
    case "string":
      return { type, values: cells as readonly (string | null)[] };
    default:
      return { type, values: typedArray(cells, type as ArrayType) };
  }
}

function finerThanDates(): CubbyError {
  const detail = "A date holds milliseconds, and these times are finer: leave --type out.";
  return new CubbyError("file_malformed", detail);
}

function typeFor(cells: readonly (Cell | null)[], format: TextFormat): ValueType {
  const kind = valueKindOf(format);
  if ((kind !== "number" && kind !== "bigint") || cells.includes(null)) return kind;
  if (kind === "bigint") return format.kind === "bigint" && format.unsigned ? "u64" : "i64";
  return (cells as readonly number[]).every(isInt32) ? "i32" : "f64";
}

function isInt32(value: number): boolean {
  return (value | 0) === value && !Object.is(value, -0);
}

function typedArray(cells: readonly (Cell | null)[], type: ArrayType): Values {
  const array = new ARRAYS[type](cells.length);
  for (let i = 0; i < cells.length; i += 1) {
    const cell = cells[i] ?? null;
    array[i] = cell as number & bigint;
    // An array of integers takes what it cannot hold for something else.
    if (cell === null || !Object.is(array[i], cell)) {
      const shown = Object.is(cell, -0) ? "-0" : cell;
      const what = cell === null ? "holds no empty value" : `cannot hold ${shown}`;
      throw new CubbyError("file_malformed", `${type} ${what} (value ${i + 1} of the column).`);
    }
  }
  return array;
}
