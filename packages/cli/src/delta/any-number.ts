/** Beyond it a double has no fractions. */
const FRACTIONS_MAX = 2 ** 53;

const DECIMAL = /^[+-]?(\d*)\.?(\d*)(?:e([+-]?\d+))?$/i;
const OTHER_BASE = /^0[box]/i;

/**
 * Any way of writing a number, if its double is that number; of a fraction, the nearest double. With
 * `isWhole`, whole numbers alone. Undefined for all else, and for "", which `Number` takes for 0.
 */
export function readNumber(text: string, isWhole: boolean): number | undefined {
  const bare = text.trim();
  const value = Number(bare);
  if (bare === "" || (isWhole && !Number.isFinite(value))) return undefined;
  if (Number.isNaN(value)) return /^nan$/i.test(bare) ? value : undefined;
  if (OTHER_BASE.test(bare)) return BigInt(bare) === wholeOf(value) ? value : undefined;
  const decimal = decimalOf(bare);
  // Only the word is infinite; a number that is too large for a double is another number.
  if (decimal === undefined) return value;
  if (isWhole && decimal.exponent < 0) return undefined;
  if (isSame(decimal, String(value)) || isSame(decimal, String(wholeOf(value)))) return value;
  const isFraction = decimal.exponent < 0 && Math.abs(value) < FRACTIONS_MAX;
  return isFraction && value !== 0 ? value : undefined;
}

function wholeOf(value: number): bigint | undefined {
  return Number.isInteger(value) ? BigInt(value) : undefined;
}

/** Digits without zeros around them, and the exponent of ten of the last one: whole unless below 0. */
type Decimal = { readonly digits: string; readonly exponent: number };

function decimalOf(text: string): Decimal | undefined {
  const [match, whole = "", fraction = "", exponent = "0"] = DECIMAL.exec(text) ?? [];
  if (match === undefined) return undefined;
  const digits = whole + fraction;
  let start = 0;
  let end = digits.length;
  while (digits[start] === "0") start += 1;
  while (end > start && digits[end - 1] === "0") end -= 1;
  if (start === end) return { digits: "", exponent: 0 };
  const dropped = digits.length - end;
  return {
    digits: digits.slice(start, end),
    exponent: Number(exponent) - fraction.length + dropped,
  };
}

/** The sign is not looked at: a double and its text have the same one. */
function isSame({ digits, exponent }: Decimal, text: string): boolean {
  const other = decimalOf(text);
  return other?.digits === digits && other.exponent === exponent;
}
