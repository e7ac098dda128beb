/** `js`: as JavaScript prints a number; `python`: as Python's repr does, and so pandas and json. */
export type NumberStyle = "js" | "python";

/** A sign such as $, €, % that all numbers of a column bear. */
export type Affix = { readonly prefix: string; readonly suffix: string };

/** Of so many digits each text is the only one of its double, at its number of decimals. */
const SURE_DIGITS = 15;
const INTEGER_CHARS_MAX = 17;
const PYTHON_EXPONENT_MIN = -4;
const PYTHON_EXPONENT_MAX = 16;

const SHORTEST = /^(?:-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|NaN|-?Infinity|nan|-?inf)$/;
const AFFIX = /^(-?)(\p{Sc} ?)?(-?\d[\d.]*)( ?[%\p{Sc}])?$/u;
const AFFIX_PARTS = { prefix: /^(?:\p{Sc} ?)?$/u, suffix: /^(?: ?[%\p{Sc}])?$/u };

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;
const UINT64_MAX = 2n ** 64n - 1n;

const ZERO = 48;
const NINE = 57;
const MINUS = 45;
const POINT = 46;

/** What `text` bears beside its number: the dollar of "-$0.25". Undefined if that is nothing. */
export function affixOf(text: string): Affix | undefined {
  const match = AFFIX.exec(text);
  const [, , prefix = "", , suffix = ""] = match ?? [];
  return prefix === "" && suffix === "" ? undefined : { prefix, suffix };
}

export function isAffix(value: Readonly<Record<string, unknown>>): boolean {
  const { prefix, suffix } = value;
  return (
    typeof prefix === "string" &&
    typeof suffix === "string" &&
    AFFIX_PARTS.prefix.test(prefix) &&
    AFFIX_PARTS.suffix.test(suffix)
  );
}

/** The number's own text; undefined if `text` does not bear the affix. A minus goes before it all. */
export function withoutAffix(text: string, { prefix, suffix }: Affix): string | undefined {
  if (!text.endsWith(suffix)) return undefined;
  const negative = text.startsWith("-");
  const start = negative ? 1 : 0;
  const end = text.length - suffix.length;
  if (!text.startsWith(prefix, start) || end <= start + prefix.length) return undefined;
  const bare = text.slice(start + prefix.length, end);
  if (bare.startsWith("-")) return undefined;
  return negative ? `-${bare}` : bare;
}

export function withAffix(text: string, { prefix, suffix }: Affix): string {
  return text.startsWith("-") ? `-${prefix}${text.slice(1)}${suffix}` : `${prefix}${text}${suffix}`;
}

/** A safe integer without plus sign, leading zeros or "-0". */
export function parseInteger(text: string): number | undefined {
  if (text.length > INTEGER_CHARS_MAX || !isPlainInteger(text, text.length)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) && !Object.is(value, -0) ? value : undefined;
}

/** Whether the first `end` characters are digits, maybe after a minus, without a needless zero. */
function isPlainInteger(text: string, end: number): boolean {
  const start = text.charCodeAt(0) === MINUS ? 1 : 0;
  if (text.charCodeAt(start) === ZERO && end > start + 1) return false;
  return hasOnlyDigits(text, start, end);
}

function hasOnlyDigits(text: string, from: number, to: number): boolean {
  for (let i = from; i < to; i += 1) {
    const char = text.charCodeAt(i);
    if (char < ZERO || char > NINE) return false;
  }
  return to > from;
}

/** Unsigned, with zeros in front up to `width` digits. */
export function parsePadded(text: string, width: number): number | undefined {
  if (text.length < width || text.length > SURE_DIGITS) return undefined;
  if (text.length > width && text.charCodeAt(0) === ZERO) return undefined;
  return hasOnlyDigits(text, 0, text.length) ? Number(text) : undefined;
}

/** An integer of 64 bits. */
export function parseBigint(text: string, unsigned: boolean): bigint | undefined {
  // 64 bits have at most 20 characters, with a sign too.
  if (text.length > 20 || text === "-0" || !isPlainInteger(text, text.length)) return undefined;
  const value = BigInt(text);
  const [least, most] = unsigned ? [0n, UINT64_MAX] : [INT64_MIN, INT64_MAX];
  return value >= least && value <= most ? value : undefined;
}

/** Exactly `digits` decimals behind the point. */
export function parseDecimal(text: string, digits: number): number | undefined {
  const point = text.length - digits - 1;
  if (text.charCodeAt(point) !== POINT || point < 1) return undefined;
  if (!isPlainInteger(text, point)) return undefined;
  if (!hasOnlyDigits(text, point + 1, text.length)) return undefined;
  const value = Number(text);
  if (text.length <= SURE_DIGITS) return value;
  return writeDecimal(value, digits) === text ? value : undefined;
}

export function writeDecimal(value: number, digits: number): string {
  const text = value.toFixed(digits);
  return Object.is(value, -0) ? `-${text}` : text;
}

/** The shortest text that means this very double. */
export function parseShortest(text: string, style: NumberStyle): number | undefined {
  if (!SHORTEST.test(text)) return undefined;
  const value = Number(text.replace("nan", "NaN").replace("inf", "Infinity"));
  return writeShortest(value, style) === text ? value : undefined;
}

export function writeShortest(value: number, style: NumberStyle): string {
  if (style === "python") return pythonText(value);
  return Object.is(value, -0) ? "-0" : String(value);
}

function pythonText(value: number): string {
  if (!Number.isFinite(value))
    return String(value).replace("NaN", "nan").replace("Infinity", "inf");
  if (Object.is(value, -0)) return "-0.0";
  const exponential = value.toExponential();
  const at = exponential.indexOf("e");
  const exponent = Number(exponential.slice(at + 1));
  if (exponent < PYTHON_EXPONENT_MIN || exponent >= PYTHON_EXPONENT_MAX) {
    const sign = exponent < 0 ? "-" : "+";
    return `${exponential.slice(0, at)}e${sign}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  const text = String(value);
  return text.includes(".") ? text : `${text}.0`;
}

/** Decimals behind the point of a plain number; undefined without one. */
export function decimalsOf(text: string): number | undefined {
  const point = text.indexOf(".");
  if (point < 1 || !hasOnlyDigits(text, point + 1, text.length)) return undefined;
  return text.length - point - 1;
}
