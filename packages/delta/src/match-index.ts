/** Bytes that must be the same for a place to be found. */
export const MATCH_BYTES = 6;
/** Places kept at most, 48 MB with their hashes. Of longer histories only every second, fourth, … is. */
const PLACES_MAX = 1 << 23;
const HASH_BITS_MAX = 22;
const NOWHERE = -1;

/** Finds where the bytes that stand at a place stood before, the latest place first. */
export class MatchIndex {
  readonly #history: Uint8Array;
  readonly #heads: Int32Array;
  readonly #links: Int32Array;
  readonly #shift: number;
  readonly #hashShift: number;
  #end = 0;

  constructor(history: Uint8Array) {
    this.#history = history;
    let shift = 0;
    while (history.length >> shift > PLACES_MAX) shift += 1;
    const places = (history.length >> shift) + 1;
    const bits = Math.min(33 - Math.clz32(places), HASH_BITS_MAX);
    this.#shift = shift;
    this.#hashShift = 32 - bits;
    this.#heads = new Int32Array(1 << bits).fill(NOWHERE);
    this.#links = new Int32Array(places);
  }

  /** Makes all places before `end` known. */
  addUpTo(end: number): void {
    const last = Math.min(end, this.#history.length - MATCH_BYTES + 1);
    const step = 1 << this.#shift;
    let place = this.#end;
    for (; place < last; place += step) {
      const hash = this.#hash(place);
      this.#links[place >> this.#shift] = this.#heads[hash] as number;
      this.#heads[hash] = place;
    }
    this.#end = place;
  }

  /** The latest known place that may hold what is at `place`, or -1. */
  first(place: number): number {
    if (place + MATCH_BYTES > this.#history.length) return NOWHERE;
    return this.#heads[this.#hash(place)] as number;
  }

  /** The one before `found`, or -1. */
  next(found: number): number {
    return this.#links[found >> this.#shift] as number;
  }

  #hash(place: number): number {
    const bytes = this.#history;
    const low =
      (bytes[place] as number) |
      ((bytes[place + 1] as number) << 8) |
      ((bytes[place + 2] as number) << 16) |
      ((bytes[place + 3] as number) << 24);
    const high = (bytes[place + 4] as number) | ((bytes[place + 5] as number) << 8);
    const mixed = Math.imul(low, 0x2c1b3c6d) ^ Math.imul(high + 1, 0x297a2d39);
    return Math.imul(mixed ^ (mixed >>> 15), 0x9e3779b1) >>> this.#hashShift;
  }
}
