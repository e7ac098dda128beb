/** What an exception is charged: the byte of its place, and something for the time that it costs. */
export const EXCEPTION_COST = 8 + 8;
/** What a block is charged that has any. */
export const EXCEPTIONS_COST = 8;
/** What a block is charged for a base of its own, about. */
export const OWN_BASE_COST = 12;
const FIELD_BITS_MAX = 32;

/** The width at which fields and exceptions cost least. */
export class WidthChoice {
  width = 0;
  exceptions = 0;
  /** In bits, charges for time included. */
  cost = 0;

  /**
   * Of `values` fields, `lengths[n]` need n bits and none needs more than `longest`. An exception
   * takes `extra` bits beside those above the width.
   */
  choose(lengths: Int32Array, longest: number, values: number, extra: number): void {
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
      exceptions += lengths[width] as number;
    }
  }
}

/** Bits of a number in two's complement, none for zero: those of its zigzag form. */
export function lengthOf(value: number): number {
  return 32 - Math.clz32((value << 1) ^ (value >> 31));
}

export function lengthOfPair(low: number, high: number): number {
  const sign = high >> 31;
  const above = high ^ sign;
  if (above !== 0) return 65 - Math.clz32(above);
  return (low | high) === 0 ? 0 : 33 - Math.clz32(low ^ sign);
}

/** Whether it is worth a look if a base of its own serves these better than one around zero. */
export function isLopsided(least: number, most: number): boolean {
  return (least ^ most) >= 0 || Math.abs(lengthOf(least) - lengthOf(most)) > 2;
}
