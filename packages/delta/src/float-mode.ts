/**
 * How a double stands for an integer q: v = q × multiplier / divisor in doubles, then perhaps rounded
 * to a float32, then perhaps rounded to `printedDigits` decimals, as when a float32 was written as
 * text and read back. Integers are 1/1, cents 1/100, minutes 1/60, feet 0.3048/1.
 */
export type FloatMode = {
  readonly multiplier: number;
  readonly divisor: number;
  readonly isSingle: boolean;
  /** -1 for none. */
  readonly printedDigits: number;
};

export const DIGITS_MAX = 17;

/** Beyond this an integer is no longer exact in a double. */
const INTEGER_MAX = Number.MAX_SAFE_INTEGER;

export const POWERS_OF_TEN: readonly number[] = Array.from({ length: 23 }, (_, k) => Number(`1e${k}`));

/** The value of integer `q`; the decoder's loops do the same in the same order. */
export function floatOf(mode: FloatMode, q: number): number {
  let value = (q * mode.multiplier) / mode.divisor;
  if (mode.isSingle) value = Math.fround(value);
  if (mode.printedDigits >= 0) {
    const power = POWERS_OF_TEN[mode.printedDigits] as number;
    value = Math.round(value * power) / power;
  }
  return value;
}

/** Fills `integers` with the q of each float; answers the indexes that have none, in order. */
export function integersOf(mode: FloatMode, floats: Float64Array, integers: Float64Array): number[] {
  const { multiplier, divisor } = mode;
  const isPlain = !mode.isSingle && mode.printedDigits < 0 && multiplier === 1;
  const scale = divisor / multiplier;
  const exceptions: number[] = [];
  let last = 0;
  for (let i = 0; i < floats.length; i += 1) {
    const value = floats[i] as number;
    const q = Math.round(value * scale);
    // Adding 0 makes -0 of Math.round into 0; -0 itself is then no match, and keeps its sign so.
    const back = isPlain ? (q + 0) / divisor : floatOf(mode, q + 0);
    if (back === value && q <= INTEGER_MAX && q >= -INTEGER_MAX && (q !== 0 || 1 / value > 0)) {
      last = q + 0;
    } else exceptions.push(i);
    integers[i] = last;
  }
  return exceptions;
}

/** Modes worth a trial for these sample values, the simplest first. */
export function candidateModes(sample: Float64Array, isSingle: boolean): FloatMode[] {
  const modes: FloatMode[] = [];
  const finite = sample.filter((value) => Number.isFinite(value));
  const decimal = bestDecimal(finite, isSingle);
  if (decimal !== undefined) modes.push(decimal);
  const scaled = scaledModes(finite, isSingle);
  modes.push(...scaled);
  if (!isSingle) modes.push(...singleModes(finite));
  return modes;
}

function plainMode(digits: number, isSingle: boolean): FloatMode {
  const divisor = POWERS_OF_TEN[digits] as number;
  return { multiplier: 1, divisor, isSingle, printedDigits: -1 };
}

/** Share of the sample that a mode must reach to be tried. */
const SHARE_MIN = 0.5;

function shareOf(mode: FloatMode, sample: Float64Array): number {
  if (sample.length === 0) return 0;
  const failures = integersOf(mode, sample, new Float64Array(sample.length)).length;
  return 1 - failures / sample.length;
}

/** Fewest digits at which no more digits would win much. */
function bestDecimal(sample: Float64Array, isSingle: boolean): FloatMode | undefined {
  let best: FloatMode | undefined;
  let bestShare = SHARE_MIN;
  for (let digits = 0; digits <= DIGITS_MAX; digits += 1) {
    const mode = plainMode(digits, isSingle);
    const share = shareOf(mode, sample);
    // A digit costs 3.3 bits a value, an exception about 80.
    if (share > bestShare + (best === undefined ? 0 : 0.04)) {
      best = mode;
      bestShare = share;
    }
    if (share === 1) break;
  }
  return best;
}

/** Doubles that are float32 numbers, or float32 numbers printed with a few decimals. */
function singleModes(sample: Float64Array): FloatMode[] {
  const modes: FloatMode[] = [];
  for (let printed = -1; printed <= 9; printed += 1) {
    let mode: FloatMode | undefined;
    let share = 0.9;
    for (let digits = 0; digits <= 7 && share < 1; digits += 1) {
      const trial = { ...plainMode(digits, true), printedDigits: printed };
      const trialShare = shareOf(trial, sample);
      if (trialShare > share) {
        mode = trial;
        share = trialShare;
      }
    }
    if (mode !== undefined) modes.push(mode);
    if (share === 1) break;
  }
  return modes;
}

/** Multiples of some number that is no power of ten: found as the common divisor of differences. */
function scaledModes(sample: Float64Array, isSingle: boolean): FloatMode[] {
  const step = commonStep(sample);
  if (step === undefined) return [];
  const modes: FloatMode[] = [];
  const base = { isSingle, printedDigits: -1 };
  const inverse = Math.round(1 / step);
  if (inverse > 1) modes.push({ ...base, multiplier: 1, divisor: inverse });
  for (let digits = 1; digits <= 12; digits += 1) {
    const multiplier = Number(step.toPrecision(digits));
    modes.push({ ...base, multiplier, divisor: 1 });
  }
  return modes.filter((mode) => shareOf(mode, sample) > SHARE_MIN).slice(0, 2);
}

/** The greatest step of which all differences in the sample are multiples, as far as doubles tell. */
function commonStep(sample: Float64Array): number | undefined {
  let step = 0;
  let largest = 0;
  for (const value of sample) largest = Math.max(largest, Math.abs(value));
  const noise = largest * 2 ** -44;
  if (noise === 0) return undefined;
  for (const value of sample) {
    let a = Math.abs(value);
    let b = step;
    while (b > noise) {
      const rest = a - b * Math.round(a / b);
      a = b;
      b = Math.abs(rest);
    }
    step = a;
    if (step < noise * 64) return undefined;
  }
  // A sum of rounding errors is in `step` by now: refine it against the largest value.
  const count = Math.round(largest / step);
  return count === 0 || count > 2 ** 40 ? undefined : largest / count;
}
