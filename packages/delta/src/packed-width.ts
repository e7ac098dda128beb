/** What an exception is charged: the byte of its place, and something for the time that it costs. */
export const EXCEPTION_COST = 8 + 8;
/** What a block is charged that has any. */
export const EXCEPTIONS_COST = 8;
/** What a block is charged for a base of its own, about. */
export const OWN_BASE_COST = 12;
const FIELD_BITS_MAX = 32;

const ONES = 0x01010101;

/** How many bits each of some numbers needs. What stands in the place of none must be none long. */
export class Lengths {
  /** A byte for each, by four. */
  readonly #lengths: Int32Array;
  longest = 0;
  /** Whether it may be worth a look if a base of its own serves these better than one around zero. */
  mayBeLopsided = false;

  constructor(places: number) {
    this.#lengths = new Int32Array(places / 4);
  }

  /** Of `ints` as they are, signed; first makes them differences of whole `latents`, less `center`. */
  measure(ints: Int32Array, latents = ints, start = 0, center = 0): void {
    const lengths = this.#lengths;
    const isDifference = latents !== ints;
    let before = isDifference ? ((latents[start] as number) - center) | 0 : 0;
    // Zigzag forms of those that are negative, and of those that are positive.
    let odd = 0;
    let even = 0;
    for (let k = 0, i = 0; k < lengths.length; k += 1, i += 4) {
      let a = latents[start + i] as number;
      let b = latents[start + i + 1] as number;
      let c = latents[start + i + 2] as number;
      let d = latents[start + i + 3] as number;
      if (isDifference) {
        const last = d;
        d = (d - c - center) | 0;
        c = (c - b - center) | 0;
        b = (b - a - center) | 0;
        a = (a - before - center) | 0;
        before = last;
        ints[i] = a;
        ints[i + 1] = b;
        ints[i + 2] = c;
        ints[i + 3] = d;
      }
      const aSign = a >> 31;
      const bSign = b >> 31;
      const cSign = c >> 31;
      const dSign = d >> 31;
      a = (a << 1) ^ aSign;
      b = (b << 1) ^ bSign;
      c = (c << 1) ^ cSign;
      d = (d << 1) ^ dSign;
      odd |= (a & aSign) | (b & bSign) | (c & cSign) | (d & dSign);
      even |= (a ^ (a & aSign)) | (b ^ (b & bSign)) | (c ^ (c & cSign)) | (d ^ (d & dSign));
      lengths[k] = fourLengths(a, b, c, d);
    }
    this.longest = 32 - Math.clz32(odd | even);
    this.mayBeLopsided =
      odd === 0 || even === 0 || Math.abs(Math.clz32(odd) - Math.clz32(even)) > 2;
  }

  /** Of what `ints` are above `base`: at most `longest` bits. */
  measureAbove(base: number, ints: Int32Array, longest: number): void {
    const lengths = this.#lengths;
    for (let k = 0; k < lengths.length; k += 1) {
      lengths[k] = fourLengths(
        (ints[4 * k] as number) - base,
        (ints[4 * k + 1] as number) - base,
        (ints[4 * k + 2] as number) - base,
        (ints[4 * k + 3] as number) - base,
      );
    }
    this.longest = longest;
  }

  /** For numbers that are none of 32 bits, one after the other, once there are none. */
  put(place: number, length: number): void {
    if (length > this.longest) this.longest = length;
    const k = place >> 2;
    this.#lengths[k] = (this.#lengths[k] as number) | (length << (8 * (place & 3)));
  }

  clear(): void {
    this.#lengths.fill(0);
    this.longest = 0;
  }

  /** How many are longer than `width`. */
  above(width: number): number {
    const lengths = this.#lengths;
    // Of the bytes that are longer, it sets the highest bit.
    const addend = Math.imul(127 - width, ONES);
    let counts = 0;
    for (let k = 0; k < lengths.length; k += 4) {
      const one = (((lengths[k] as number) + addend) & (ONES << 7)) >>> 7;
      const two = (((lengths[k + 1] as number) + addend) & (ONES << 7)) >>> 7;
      const three = (((lengths[k + 2] as number) + addend) & (ONES << 7)) >>> 7;
      const four = (((lengths[k + 3] as number) + addend) & (ONES << 7)) >>> 7;
      counts = (counts + one + two + three + four) | 0;
    }
    return Math.imul(counts, ONES) >>> 24;
  }

  /** Puts down the places of those that are longer than `width`; answers how many they are. */
  placesAbove(width: number, places: Uint8Array): number {
    const lengths = this.#lengths;
    const addend = Math.imul(127 - width, ONES);
    let count = 0;
    for (let k = 0; k < lengths.length; k += 1) {
      let longer = ((lengths[k] as number) + addend) & (ONES << 7);
      for (; longer !== 0; longer &= longer - 1) {
        places[count] = 4 * k + ((31 - Math.clz32(longer & -longer)) >> 3);
        count += 1;
      }
    }
    return count;
  }
}

function fourLengths(a: number, b: number, c: number, d: number): number {
  const zeros =
    Math.clz32(a) | (Math.clz32(b) << 8) | (Math.clz32(c) << 16) | (Math.clz32(d) << 24);
  return (32 * ONES - zeros) | 0;
}

/** What exceptions cost in bits: `once` if there are any, `each`, and so much a bit above the width. */
export type Price = {
  readonly once: number;
  readonly each: number;
  readonly perBit: 0 | 1;
  readonly widthMax: number;
};

export const PATCHED: Price = {
  once: EXCEPTIONS_COST,
  each: EXCEPTION_COST,
  perBit: 1,
  widthMax: FIELD_BITS_MAX,
};
/** Heights lack the sign that exceptions have. */
export const FRAMED: Price = { ...PATCHED, each: EXCEPTION_COST + 1 };

/** The width at which fields and exceptions cost least, the highest of these. */
export class WidthChoice {
  readonly #price: Price;
  width = 0;
  exceptions = 0;
  /** In bits, charges for time included. */
  cost = 0;

  constructor(price: Price) {
    this.#price = price;
  }

  choose(lengths: Lengths, values: number): void {
    const most = Math.min(lengths.longest, this.#price.widthMax);
    // Blocks are like the ones before them.
    const first = Math.min(this.width, most);
    this.cost = Number.POSITIVE_INFINITY;
    for (let width = first; width <= most && width * values <= this.cost; width += 1) {
      this.#try(width, lengths, values);
    }
    for (let width = first - 1; width >= 0; width -= 1) {
      if (this.#try(width, lengths, values)) break;
    }
  }

  /** Answers whether exceptions alone cost too much. */
  #try(width: number, lengths: Lengths, values: number): boolean {
    const { once, each, perBit } = this.#price;
    const { longest } = lengths;
    const exceptions = width < longest ? lengths.above(width) : 0;
    const patching = exceptions === 0 ? 0 : once + exceptions * (each + perBit * (longest - width));
    const cost = width * values + patching;
    if (cost < this.cost || (cost === this.cost && width > this.width)) {
      this.cost = cost;
      this.width = width;
      this.exceptions = exceptions;
    }
    return patching >= this.cost;
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
