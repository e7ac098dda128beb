import { corrupt, DeltaError } from "./delta-error.ts";
import { BLOCK_VALUES } from "./limits.ts";

/**
 * The frame of a packed payload: a head, an entry of the directory for each block of 128 latents,
 * the packed words of all blocks, and their exceptions. docs/reference/delta-format-packed.md says
 * every byte; 64-bit quantities are pairs of 32-bit words here.
 */

export type PackedOrder = 0 | 1 | 2 | 3;

export const BLOCK = BLOCK_VALUES;
export const LANES = 4;
export const LANE_VALUES = BLOCK / LANES;

/** In an entry's first byte, next to the six bits of the width. */
export const OWN_BASE = 64;
export const EXCEPTIONS = 128;
/** The width of blocks whose low words stand as they are; the high ones have an entry. */
export const WIDE = 33;

/** Entry and position of one block after the other. Fields tell of the block last entered. */
export class BlockCursor {
  readonly bytes: Uint8Array;
  readonly order: number;
  readonly isPairs: boolean;
  readonly count: number;
  readonly blocks: number;
  /** Where the packed words begin, and how many there are. */
  readonly wordsAt: number;
  readonly wordCount: number;
  readonly #centerLow: number;
  readonly #centerHigh: number;
  readonly #stepLow: number;
  readonly #stepHigh: number;
  #directoryEnd: number;
  #at = 0;

  /** Latents in the block. */
  values = 0;
  block = -1;
  /** Bits of a field: of the whole residual, or of its high word if `isWide`. */
  width = 0;
  isWide = false;
  /** What is added to each field; to each high word if `isWide`. */
  baseLow = 0;
  baseHigh = 0;
  exceptions = 0;
  exceptionBits = 0;
  readonly seedLows = new Int32Array(3);
  readonly seedHighs = new Int32Array(3);
  /** The block's first word, counted from `wordsAt`, and its words. */
  word = 0;
  words = 0;
  /** The block's exceptions: their first byte, and how many bytes they take. */
  exceptionAt = 0;
  exceptionBytes = 0;

  #low = 0;
  #high = 0;

  constructor(bytes: Uint8Array, count: number, order: number, isPairs: boolean) {
    this.bytes = bytes;
    this.count = count;
    this.order = order;
    this.isPairs = isPairs;
    this.blocks = Math.ceil(count / BLOCK);
    // Not known before the head is read.
    this.#directoryEnd = bytes.length;
    this.#signed();
    this.#centerLow = this.#low;
    this.#centerHigh = this.#high;
    if (order > 0) this.#signed();
    this.#stepLow = order > 0 ? this.#low : 0;
    this.#stepHigh = order > 0 ? this.#high : 0;
    this.wordCount = this.#length();
    const directory = this.#length();
    this.wordsAt = this.#at + directory;
    this.#directoryEnd = this.wordsAt;
    this.exceptionAt = this.wordsAt + 4 * this.wordCount;
    if (this.exceptionAt > bytes.length) throw truncated("words", bytes.length);
    // Every entry has a byte: what is allocated for the blocks is bounded by what is there.
    if (this.blocks > directory) throw truncated("blocks", this.#directoryEnd);
  }

  get centerLow(): number {
    return this.#centerLow;
  }

  get centerHigh(): number {
    return this.#centerHigh;
  }

  /** Center and step, as words. */
  get frame(): readonly number[] {
    return [this.#centerLow, this.#centerHigh, this.#stepLow, this.#stepHigh];
  }

  /** The next byte of the directory. */
  get position(): number {
    return this.#at;
  }

  /** Goes on behind `blocks` blocks that someone else has read, of which the last one's seeds were `seeds`, as pairs. */
  resume(
    blocks: number,
    position: number,
    word: number,
    exceptionAt: number,
    seeds: Int32Array,
  ): void {
    this.block = blocks - 1;
    this.words = 0;
    this.exceptionBytes = 0;
    this.#at = position;
    this.word = word;
    this.exceptionAt = exceptionAt;
    for (let d = 0; d < 3; d += 1) {
      this.seedLows[d] = seeds[2 * d] as number;
      this.seedHighs[d] = seeds[2 * d + 1] as number;
    }
  }

  /** Goes on to the next block and checks that its bytes are there. */
  next(): void {
    this.word += this.words;
    this.exceptionAt += this.exceptionBytes;
    this.block += 1;
    this.values = Math.min(BLOCK, this.count - this.block * BLOCK);
    let head = this.#byte();
    this.#seeds();
    this.isWide = this.isPairs && (head & 63) === WIDE;
    this.words = 0;
    if (this.isWide) {
      if (head !== WIDE) throw corrupt("widths", this.#at);
      head = this.#byte();
      this.words = this.#wordsOf(32);
    }
    this.width = head & 63;
    if (this.width > 32) throw corrupt("widths", this.#at);
    this.words += this.#wordsOf(this.width);
    this.#base((head & OWN_BASE) !== 0);
    this.#exceptions((head & EXCEPTIONS) !== 0);
    if (this.word + this.words > this.wordCount) throw truncated("words", this.#at);
  }

  /** After the last block: nothing may be left over. */
  expectEnd(): void {
    const isWhole =
      this.#at === this.#directoryEnd &&
      this.word + this.words === this.wordCount &&
      this.exceptionAt + this.exceptionBytes === this.bytes.length;
    if (!isWhole) throw corrupt("blocks", this.#at);
  }

  #wordsOf(width: number): number {
    return this.values === BLOCK ? width * LANES : Math.ceil((this.values * width) / 32);
  }

  #seeds(): void {
    for (let d = 0; d < this.order; d += 1) {
      this.#signed();
      const isFirst = d === 0;
      const stepLow = isFirst ? this.#stepLow : 0;
      const low = (this.#low + stepLow) | 0;
      const high = this.#high + (isFirst ? this.#stepHigh : 0) + carry(low, stepLow);
      const seed = this.seedLows[d] as number;
      const sum = (seed + low) | 0;
      this.seedHighs[d] = (this.seedHighs[d] as number) + high + carry(sum, seed);
      this.seedLows[d] = sum;
    }
  }

  #base(hasOwn: boolean): void {
    let low = centeredBase(this.width);
    let high = low >> 31;
    if (hasOwn) {
      this.#signed();
      low = this.#low;
      high = this.#high;
    }
    if (!this.isWide) {
      low = (low + this.#centerLow) | 0;
      high = (high + this.#centerHigh + carry(low, this.#centerLow)) | 0;
    }
    this.baseLow = low;
    this.baseHigh = high;
  }

  #exceptions(has: boolean): void {
    this.exceptions = 0;
    this.exceptionBytes = 0;
    if (!has) return;
    const head = this.#byte();
    this.exceptions = (head & 31) + 1;
    this.exceptionBits = (head >>> 5) + 1;
    if (this.exceptionBits === 8) {
      const more = this.#byte();
      this.exceptions += (more >>> 6) << 5;
      this.exceptionBits = (more & 63) + 1;
    }
    if (this.exceptions > this.values || this.exceptionBits > (this.isPairs ? 64 : 32)) {
      throw corrupt("exceptions", this.#at);
    }
    this.exceptionBytes = this.exceptions + Math.ceil((this.exceptions * this.exceptionBits) / 8);
    if (this.exceptionAt + this.exceptionBytes > this.bytes.length) {
      throw truncated("exceptions", this.exceptionAt);
    }
  }

  #byte(): number {
    if (this.#at >= this.#directoryEnd) throw truncated("entries", this.#at);
    return this.bytes[this.#at++] as number;
  }

  #length(): number {
    const start = this.#at;
    this.#unsigned();
    if (this.#high !== 0 || this.#low < 0) throw corrupt("lengths", start);
    return this.#low;
  }

  /** A zigzag number of 64 bits, or 32 unless `isPairs`, into `#low` and `#high`. */
  #signed(): void {
    const start = this.#at;
    const first = this.bytes[start] as number;
    if (first < 128 && start < this.#directoryEnd) {
      this.#at = start + 1;
      this.#low = (first >>> 1) ^ -(first & 1);
      this.#high = -(first & 1);
      return;
    }
    this.#unsigned();
    if (!this.isPairs && this.#high !== 0) throw corrupt("numbers", start);
    const sign = -(this.#low & 1);
    this.#low = ((this.#low >>> 1) | (this.#high << 31)) ^ sign;
    this.#high = (this.#high >>> 1) ^ sign;
  }

  /** Seven bits a byte, lowest first; at most 64 bits, and no idle bytes. */
  #unsigned(): void {
    const start = this.#at;
    const first = this.#byte();
    if (first < 128) {
      this.#low = first;
      this.#high = 0;
      return;
    }
    const second = this.#byte();
    if (second < 128 && second > 0) {
      this.#low = (first & 127) | (second << 7);
      this.#high = 0;
      return;
    }
    this.#at = start;
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#byte();
      const bits = byte & 127;
      if (shift < 32) low |= bits << shift;
      if (shift > 32) high |= bits << (shift - 32);
      else if (shift === 28) high |= bits >>> 4;
      if (byte > 127) continue;
      if ((byte === 0 && shift > 0) || (shift === 63 && byte > 1)) break;
      this.#low = low;
      this.#high = high;
      return;
    }
    throw corrupt("numbers", start);
  }
}

/** Of the base whose fields lie evenly around zero. */
export function centeredBase(width: number): number {
  return width === 0 ? 0 : -1 << (width - 1);
}

/** The carry out of the low words, of which one was `addend` and the sum is `sum`. */
export function carry(sum: number, addend: number): number {
  return sum >>> 0 < addend >>> 0 ? 1 : 0;
}

export function truncated(what: string, offset: number): DeltaError {
  return new DeltaError("truncated", `${what} are missing`, offset);
}
