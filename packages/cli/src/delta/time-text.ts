/** How a column writes its times: what its texts have in common, so that only the instants differ. */
export type TimeFormat = {
  /** Between date and time; a date alone has none. */
  readonly separator: "T" | " " | "";
  readonly seconds: boolean;
  /** Digits after the second's point. Up to 3 the values are dates, beyond that bigints. */
  readonly fraction: number;
  /** What stands behind: nothing (read as UTC), `Z`, ` UTC`, or an offset such as `+02:00`. */
  readonly zone: string;
};

/** Milliseconds since 1970, or, for finer formats, units of 10^-fraction seconds. */
export type Instant = number | bigint;

const PATTERN =
  /^\d{4}-\d\d-\d\d(?:([T ])\d\d:\d\d(?:(:\d\d)(?:\.(\d{1,9}))?)?(Z| UTC|[+-]\d\d:?\d\d)?)?$/;
const ZONE = /^(?:|Z| UTC|[+-]\d\d:?\d\d)$/;

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
const DATE_FRACTION_MAX = 3;
const FRACTION_MAX = 9;
const DATE_CHARS = "2026-11-26".length;
const INT64_MAX = 2n ** 63n - 1n;

export function isTimeFormat(value: Readonly<Record<string, unknown>>): boolean {
  const { separator, seconds, fraction, zone } = value;
  return (
    (separator === "T" || separator === " " || separator === "") &&
    typeof seconds === "boolean" &&
    Number.isInteger(fraction) &&
    (fraction as number) >= 0 &&
    (fraction as number) <= FRACTION_MAX &&
    typeof zone === "string" &&
    ZONE.test(zone)
  );
}

/** True when the format is finer than a Date. */
export function isFine(format: TimeFormat): boolean {
  return format.fraction > DATE_FRACTION_MAX;
}

/** The format of `text`, if it looks like a time. */
export function timeFormatOf(text: string): TimeFormat | undefined {
  // Most texts are none, which costs nothing here.
  const match = text[4] === "-" ? PATTERN.exec(text) : null;
  if (match === null) return undefined;
  const [, separator = "", seconds, fraction = "", zone = ""] = match;
  return {
    separator: separator as TimeFormat["separator"],
    seconds: seconds !== undefined,
    fraction: fraction.length,
    zone,
  };
}

/** The instant that `text` names; undefined unless `writeTime` gives the same text back. */
export function parseTime(text: string, format: TimeFormat): Instant | undefined {
  const { separator, fraction, zone } = format;
  const found = timeFormatOf(text);
  if (found === undefined || !isSame(found, format)) return undefined;
  const days = daysOf(digits(text, 0, 4), digits(text, 5, 2), digits(text, 8, 2));
  if (days === undefined) return undefined;
  if (separator === "") return days * DAY_MS;
  const hour = digits(text, 11, 2);
  const minute = digits(text, 14, 2);
  const second = format.seconds ? digits(text, 17, 2) : 0;
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  const atSecond =
    days * DAY_MS + (hour * 60 + minute) * MINUTE_MS + second * 1_000 - offsetMs(zone);
  if (fraction === 0) return atSecond;
  const parts = digits(text, 20, fraction);
  if (!isFine(format)) return atSecond + parts * 10 ** (3 - fraction);
  const instant = BigInt(atSecond / 1_000) * 10n ** BigInt(fraction) + BigInt(parts);
  return instant <= INT64_MAX && instant >= -INT64_MAX ? instant : undefined;
}

/** The text of an instant; undefined if four digits cannot hold its year. */
export function writeTime(instant: Instant, format: TimeFormat): string | undefined {
  const { separator, fraction, zone } = format;
  const [ms, parts] = split(instant, fraction);
  const local = ms + offsetMs(zone);
  const days = Math.floor(local / DAY_MS);
  const date = dateText(days);
  if (date === undefined || separator === "") return date;
  const seconds = Math.floor((local - days * DAY_MS) / 1_000);
  let text = `${date}${separator}${two(Math.floor(seconds / 3_600))}:${two(Math.floor(seconds / 60) % 60)}`;
  if (format.seconds) text += `:${two(seconds % 60)}`;
  if (fraction > 0) text += `.${String(parts).padStart(fraction, "0")}`;
  return text + zone;
}

/** Whole seconds, in milliseconds, and what is left of the second in units of the format. */
function split(instant: Instant, fraction: number): [ms: number, parts: number] {
  if (typeof instant === "number") {
    const ms = Math.floor(instant / 1_000) * 1_000;
    return [ms, Math.floor((instant - ms) / 10 ** (3 - fraction))];
  }
  const unit = 10n ** BigInt(fraction);
  const parts = ((instant % unit) + unit) % unit;
  return [Number((instant - parts) / unit) * 1_000, Number(parts)];
}

function isSame(a: TimeFormat, b: TimeFormat): boolean {
  return (
    a.separator === b.separator &&
    a.seconds === b.seconds &&
    a.fraction === b.fraction &&
    a.zone === b.zone
  );
}

function offsetMs(zone: string): number {
  if (zone.length < 5) return 0;
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2));
  return (zone[0] === "-" ? -minutes : minutes) * MINUTE_MS;
}

function digits(text: string, from: number, count: number): number {
  let value = 0;
  for (let i = from; i < from + count; i += 1) value = value * 10 + text.charCodeAt(i) - 48;
  return value;
}

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}

/** Days from 1970 to a date of the Gregorian calendar; undefined if there is no such date. */
function daysOf(year: number, month: number, day: number): number | undefined {
  const date = new Date(0);
  // Not Date.UTC, which takes the year 99 for 1999.
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  return date.getTime() / DAY_MS;
}

let lastDays = Number.NaN;
let lastDateText: string | undefined;

function dateText(days: number): string | undefined {
  if (days !== lastDays) {
    const date = new Date(days * DAY_MS);
    const year = date.getUTCFullYear();
    lastDays = days;
    lastDateText = year >= 0 && year <= 9_999 ? date.toISOString().slice(0, DATE_CHARS) : undefined;
  }
  return lastDateText;
}
