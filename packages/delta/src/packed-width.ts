/** What an exception is charged: the byte of its place, and something for the time that it costs. */
export const EXCEPTION_COST = 8 + 8;
/** What a block is charged that has any. */
export const EXCEPTIONS_COST = 8;
/** What a block is charged for a base of its own, about. */
export const OWN_BASE_COST = 12;
const FIELD_BITS_MAX = 32;

/** How many numbers need how many bits, one block after the other. */
export class Lengths {
  readonly #counts = new Int32Array(65);
  // Equal lengths are neighbors: two sets of counters do not wait for one another.
  readonly #others = new Int32Array(65);
  longest = 0;
  /** Of the last signed numbers counted. */
  least = 0;
  most = 0;

  at(length: number): number {
    return (this.#counts[length] as number) + (this.#others[length] as number);
  }

  /** Of `ints` as they are, signed. */
  count(ints: Int32Array, first: number, end: number): void {
    this.#clear();
    const counts = this.#counts;
    const others = this.#others;
    let least = 0x7fffffff;
    let most = -0x80000000;
    for (let i = first; i < end; i += 2) {
      const one = ints[i] as number;
      if (one < least) least = one;
      if (one > most) most = one;
      const place = 32 - Math.clz32((one << 1) ^ (one >> 31));
      counts[place] = (counts[place] as number) + 1;
      if (i + 1 === end) break;
      const two = ints[i + 1] as number;
      if (two < least) least = two;
      if (two > most) most = two;
      const other = 32 - Math.clz32((two << 1) ^ (two >> 31));
      others[other] = (others[other] as number) + 1;
    }
    this.#measured(least, most);
  }

  /** Leaves differences of latents, less `center`, in `ints` from 1, and counts those. */
  countDifferences(
    latents: Int32Array,
    start: number,
    end: number,
    center: number,
    ints: Int32Array,
  ): void {
    this.#clear();
    const counts = this.#counts;
    const others = this.#others;
    let least = 0x7fffffff;
    let most = -0x80000000;
    let before = latents[start] as number;
    for (let i = 1; i < end; i += 2) {
      const value = latents[start + i] as number;
      const one = (value - before - center) | 0;
      ints[i] = one;
      if (one < least) least = one;
      if (one > most) most = one;
      const place = 32 - Math.clz32((one << 1) ^ (one >> 31));
      counts[place] = (counts[place] as number) + 1;
      if (i + 1 === end) break;
      before = latents[start + i + 1] as number;
      const two = (before - value - center) | 0;
      ints[i + 1] = two;
      if (two < least) least = two;
      if (two > most) most = two;
      const other = 32 - Math.clz32((two << 1) ^ (two >> 31));
      others[other] = (others[other] as number) + 1;
    }
    this.#measured(least, most);
  }

  /** Of what `ints` are above `base`: at most `longest` bits. Leaves `least` and `most`. */
  countAbove(base: number, ints: Int32Array, first: number, end: number, longest: number): void {
    this.#clear();
    const counts = this.#counts;
    for (let i = first; i < end; i += 1) {
      const place = 32 - Math.clz32((ints[i] as number) - base);
      counts[place] = (counts[place] as number) + 1;
    }
    this.longest = longest;
  }

  countPairs(lows: Int32Array, highs: Int32Array, first: number, end: number): void {
    this.#clear();
    const counts = this.#counts;
    let longest = 0;
    for (let i = first; i < end; i += 1) {
      const length = lengthOfPair(lows[i] as number, highs[i] as number);
      if (length > longest) longest = length;
      counts[length] = (counts[length] as number) + 1;
    }
    this.longest = longest;
  }

  #measured(least: number, most: number): void {
    this.least = least;
    this.most = most;
    this.longest = least > most ? 0 : Math.max(lengthOf(least), lengthOf(most));
  }

  /** Nothing was counted above `longest`. */
  #clear(): void {
    for (let n = this.longest; n >= 0; n -= 1) {
      this.#counts[n] = 0;
      this.#others[n] = 0;
    }
  }
}

/** The width at which fields and exceptions cost least. */
export class WidthChoice {
  width = 0;
  exceptions = 0;
  /** In bits, charges for time included. */
  cost = 0;

  /** An exception takes `extra` bits beside those above the width. */
  choose(lengths: Lengths, values: number, extra: number): void {
    const { longest } = lengths;
    this.cost = Number.POSITIVE_INFINITY;
    let exceptions = 0;
    for (let width = longest; width >= 0; width -= 1) {
      const each = EXCEPTION_COST + longest - width + extra;
      const patching = exceptions === 0 ? 0 : EXCEPTIONS_COST + exceptions * each;
      if (patching >= this.cost) return;
      const cost = width * values + patching;
      if (width <= FIELD_BITS_MAX && cost < this.cost) {
        this.cost = cost;
        this.width = width;
        this.exceptions = exceptions;
      }
      exceptions += lengths.at(width);
    }
  }
}

/** Bits of a number in two's complement, none for zero: those of its zigzag form. */
export function lengthOf(value: number): number {
  return 32 - Math.clz32((value << 1) ^ (value >> 31));
}

function lengthOfPair(low: number, high: number): number {
  const sign = high >> 31;
  const above = high ^ sign;
  if (above !== 0) return 65 - Math.clz32(above);
  return (low | high) === 0 ? 0 : 33 - Math.clz32(low ^ sign);
}

/** Whether it is worth a look if a base of its own serves these better than one around zero. */
export function isLopsided(least: number, most: number): boolean {
  return (least ^ most) >= 0 || Math.abs(lengthOf(least) - lengthOf(most)) > 2;
}
