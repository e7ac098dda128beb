import { corrupt, DeltaError } from "./delta-error.ts";

/**
 * One binary decision. An encoder writes `bit` and returns it; a decoder ignores `bit` and returns
 * what was written. So a model that calls this is its own inverse: one code path for both ways.
 * `one` is the probability of a 1 in 65,536ths, from 1 to 65,535.
 */
export interface BitCoder {
  code(bit: number, one: number): number;
}

/** Below this the range is widened by a byte, so that every split keeps 23 bits of precision. */
const RANGE_MIN = 1 << 23;
/** Three bytes are in flight: the decoder reads this far ahead of what the encoder settled. */
const BYTES_AHEAD = 3;
const INITIAL_SIZE = 1024;

/** The part of `range` that a 1 takes: floor-like, exact in 32 bits, never 0 and never all of it. */
function splitRange(range: number, one: number): number {
  return Math.imul(range >>> 16, one) + (Math.imul(range & 0xffff, one >>> 1) >>> 15);
}

/** Writes decisions as one number between 0 and 1, most significant byte first. */
export class RangeEncoder implements BitCoder {
  #bytes = new Uint8Array(INITIAL_SIZE);
  #position = 0;
  /** Below 2^24 after a byte was written; then it grows by at most `#range`, below 2^32. */
  #low = 0;
  #range = 1 << 24;

  code(bit: number, one: number): number {
    const bound = splitRange(this.#range, one);
    if (bit === 1) {
      this.#range = bound;
    } else {
      this.#low += bound;
      this.#range -= bound;
    }
    while (this.#range < RANGE_MIN) {
      this.#writeTop();
      this.#low = (this.#low & 0xffff) << 8;
      this.#range <<= 8;
    }
    return bit;
  }

  /** How many bytes `finish` would give by now, give or take one. */
  get length(): number {
    return this.#position + 1;
  }

  /** The bytes: of all numbers in the last range the one that needs fewest. */
  finish(): Uint8Array {
    const end = this.#low + this.#range;
    const short = Math.ceil(this.#low / 0x1000000) * 0x1000000;
    this.#low = short < end ? short : Math.ceil(this.#low / 0x10000) * 0x10000;
    this.#writeTop();
    // A last byte of zero says nothing: the decoder supplies zeros.
    return this.#bytes.slice(0, this.#position - (short < end ? 1 : 0));
  }

  /** Writes bits 16 to 23 of `#low`; what is above them is carried into the bytes before. */
  #writeTop(): void {
    const top = this.#low >>> 16;
    let carry = top >>> 8;
    for (let at = this.#position - 1; carry !== 0; at -= 1) {
      const sum = (this.#bytes[at] as number) + carry;
      this.#bytes[at] = sum;
      carry = sum >>> 8;
    }
    if (this.#position === this.#bytes.length) {
      const grown = new Uint8Array(this.#position * 2);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes[this.#position] = top;
    this.#position += 1;
  }
}

/**
 * Reads what a `RangeEncoder` wrote. Bytes that nobody vouched for decode to some decisions or
 * other; a decoder that goes on past the end fails, after three bytes of zeros, with `truncated`.
 */
export class RangeDecoder implements BitCoder {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #position: number;
  /** Where the number lies in the range: always below `#range`. */
  #offset = 0;
  #range = 1 << 24;

  constructor(bytes: Uint8Array, offset = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#position = offset;
    this.#end = end;
    for (let count = 0; count < BYTES_AHEAD; count += 1) this.#offset = this.#read();
  }

  code(_bit: number, one: number): number {
    const bound = splitRange(this.#range, one);
    let bit = 1;
    if (this.#offset < bound) {
      this.#range = bound;
    } else {
      this.#offset -= bound;
      this.#range -= bound;
      bit = 0;
    }
    while (this.#range < RANGE_MIN) {
      this.#range <<= 8;
      this.#offset = this.#read();
    }
    return bit;
  }

  /** Refuses bytes that the decisions read so far cannot account for. */
  expectEnd(): void {
    const settled = this.#position - BYTES_AHEAD;
    if (this.#end <= settled + 1) return;
    throw corrupt("bytes", settled);
  }

  #read(): number {
    const at = this.#position;
    if (at >= this.#end + BYTES_AHEAD) {
      throw new DeltaError("truncated", "the coded bytes end too early", this.#end);
    }
    this.#position = at + 1;
    return (this.#offset << 8) | (at < this.#end ? (this.#bytes[at] as number) : 0);
  }
}
