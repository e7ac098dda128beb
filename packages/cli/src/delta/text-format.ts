import {
  type Affix,
  affixOf,
  decimalsOf,
  isAffix,
  type NumberStyle,
  parseBigint,
  parseDecimal,
  parseInteger,
  parsePadded,
  parseShortest,
  withAffix,
  withoutAffix,
  writeDecimal,
  writeShortest,
} from "./number-text.ts";
import {
  isFine,
  isTimeFormat,
  parseTime,
  type TimeFormat,
  timeFormatOf,
  writeTime,
} from "./time-text.ts";

/**
 * How the values of a column are written as text. A text is read as a value only if writing that
 * value gives the same text back, so nothing that is read is altered: a column that no format fits
 * as a whole is text.
 */
export type TextFormat =
  | { readonly kind: "integer"; readonly width: number; readonly affix?: Affix }
  | { readonly kind: "decimal"; readonly digits: number; readonly affix?: Affix }
  | { readonly kind: "number"; readonly style: NumberStyle }
  /** Within int64, or, unsigned, within uint64, whose array has no place for nulls. */
  | { readonly kind: "bigint"; readonly unsigned: boolean }
  | { readonly kind: "boolean"; readonly no: string; readonly yes: string }
  | { readonly kind: "time"; readonly time: TimeFormat }
  | { readonly kind: "text" }
  /** Any JSON value, as it stands in the source. */
  | { readonly kind: "json" };

export type TextKind = TextFormat["kind"];

/** A value that is not null. Times are milliseconds, or bigints of a finer unit. */
export type Cell = number | bigint | boolean | string;

export type TextCodec = {
  /** Undefined unless `write` of the answer gives `text`. */
  readonly parse: (text: string) => Cell | undefined;
  /** Undefined for a value that the format cannot hold. */
  readonly write: (cell: Cell) => string | undefined;
};

export function isNullable(format: TextFormat): boolean {
  return format.kind !== "bigint" || !format.unsigned;
}

const BOOLEANS = [
  ["false", "true"],
  ["False", "True"],
  ["FALSE", "TRUE"],
] as const;

/** Digits that `toFixed` and `padStart` are asked for at most. */
const DIGITS_MAX = 100;
const PADDED_MAX = 15;

export function codecOf(format: TextFormat): TextCodec {
  switch (format.kind) {
    case "integer":
      return affixed(integerCodec(format.width), format.affix);
    case "decimal": {
      const { digits, affix } = format;
      return affixed(
        {
          parse: (text) => parseDecimal(text, digits),
          write: (cell) => (typeof cell === "number" ? writeDecimal(cell, digits) : undefined),
        },
        affix,
      );
    }
    case "number":
      return {
        parse: (text) => parseShortest(text, format.style),
        write: (cell) => (typeof cell === "number" ? writeShortest(cell, format.style) : undefined),
      };
    case "bigint":
      return { parse: (text) => parseBigint(text, format.unsigned), write: String };
    case "boolean":
      return {
        parse: (text) => (text === format.yes ? true : text === format.no ? false : undefined),
        write: (cell) => (typeof cell === "boolean" ? (cell ? format.yes : format.no) : undefined),
      };
    case "time":
      return {
        parse: (text) => parseTime(text, format.time),
        write: (cell) =>
          typeof cell === "number" || typeof cell === "bigint"
            ? writeTime(cell, format.time)
            : undefined,
      };
    case "text":
    case "json":
      return { parse: (text) => text, write: String };
  }
}

function integerCodec(width: number): TextCodec {
  if (width === 0) return { parse: parseInteger, write: String };
  return {
    parse: (text) => parsePadded(text, width),
    write: (cell) => String(cell).padStart(width, "0"),
  };
}

function affixed(codec: TextCodec, affix: Affix | undefined): TextCodec {
  if (affix === undefined) return codec;
  return {
    parse: (text) => {
      const bare = withoutAffix(text, affix);
      return bare === undefined ? undefined : codec.parse(bare);
    },
    write: (cell) => {
      const text = codec.write(cell);
      return text === undefined ? undefined : withAffix(text, affix);
    },
  };
}

/** The first format of one of `kinds` that fits all texts, `null` standing for no value. */
export function detectFormat(
  texts: readonly (string | null)[],
  kinds: ReadonlySet<TextKind>,
): TextFormat | undefined {
  return candidates(texts).find((format) => kinds.has(format.kind) && fits(format, texts));
}

function fits(format: TextFormat, texts: readonly (string | null)[]): boolean {
  const { parse } = codecOf(format);
  const nullable = isNullable(format);
  return texts.every((text) => (text === null ? nullable : parse(text) !== undefined));
}

/** For a column without a single value. */
const WITHOUT_VALUES: readonly TextFormat[] = [
  { kind: "text" },
  { kind: "json" },
  { kind: "integer", width: 0 },
  { kind: "bigint", unsigned: false },
  { kind: "boolean", no: "false", yes: "true" },
  { kind: "time", time: { separator: "", seconds: false, fraction: 0, zone: "" } },
];

/** In the order of preference: what is smallest and nearest to what is meant comes first. */
function candidates(texts: readonly (string | null)[]): readonly TextFormat[] {
  const first = texts.find((text) => text !== null);
  if (first === undefined || first === null) return WITHOUT_VALUES;
  const formats: TextFormat[] = BOOLEANS.map(([no, yes]) => ({ kind: "boolean", no, yes }));
  const affix = affixOf(first);
  const bare = affix === undefined ? first : (withoutAffix(first, affix) ?? first);
  const sign = affix === undefined ? {} : { affix };
  formats.push({ kind: "integer", width: 0, ...sign });
  const padded = texts.find((text) => text !== null && /^0\d/.test(text));
  if (padded !== undefined && padded !== null) {
    formats.push({ kind: "integer", width: Math.min(padded.length, PADDED_MAX) });
  }
  const digits = decimalsOf(bare);
  if (digits !== undefined && digits <= DIGITS_MAX) {
    formats.push({ kind: "decimal", digits, ...sign });
  }
  formats.push({ kind: "number", style: "js" }, { kind: "number", style: "python" });
  formats.push({ kind: "bigint", unsigned: false }, { kind: "bigint", unsigned: true });
  const time = timeFormatOf(first);
  if (time !== undefined) formats.push({ kind: "time", time });
  formats.push({ kind: "text" }, { kind: "json" });
  return formats;
}

/** What a library's user finds in the file for a column of this format. */
export function valueKindOf(
  format: TextFormat,
): "number" | "bigint" | "date" | "boolean" | "string" {
  switch (format.kind) {
    case "integer":
    case "decimal":
    case "number":
      return "number";
    case "bigint":
      return "bigint";
    case "boolean":
      return "boolean";
    case "time":
      return isFine(format.time) ? "bigint" : "date";
    case "text":
    case "json":
      return "string";
  }
}

/** Reads what stands in a file, which may be anything. */
export function asTextFormat(value: unknown): TextFormat | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const record = value as Readonly<Record<string, unknown>>;
  return isTextFormat(record) ? (record as TextFormat) : undefined;
}

function isTextFormat(record: Readonly<Record<string, unknown>>): boolean {
  switch (record["kind"]) {
    case "integer":
      return isCount(record["width"], PADDED_MAX) && isAffixOrNone(record["affix"]);
    case "decimal":
      return isCount(record["digits"], DIGITS_MAX) && isAffixOrNone(record["affix"]);
    case "number":
      return record["style"] === "js" || record["style"] === "python";
    case "boolean":
      return typeof record["no"] === "string" && typeof record["yes"] === "string";
    case "time":
      return isRecord(record["time"]) && isTimeFormat(record["time"]);
    case "bigint":
      return typeof record["unsigned"] === "boolean";
    case "text":
    case "json":
      return true;
    default:
      return false;
  }
}

function isCount(value: unknown, most: number): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= most;
}

function isAffixOrNone(value: unknown): boolean {
  return value === undefined || (isRecord(value) && isAffix(value));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
