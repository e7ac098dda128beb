/** Bytes looked at on both sides of where literals appear, in blocks. */
const BLOCK_BITS = 16;
const BLOCKS_AROUND = 8;
/** Of what was copied since, only the end is looked at. */
const CATCH_UP_MAX = 4096;
const LONG_BITS = 18;
const SHORT_BITS = 16;
const LONG_MAX = 24;
const SHORT_MAX = 15;
const LONG_MIN = 4;
const SHORT_MIN = 3;

/** Remembers what follows five bytes and what follows three, in the old file around and the new. */
export class FollowerTable {
  readonly #longs = new Int32Array(1 << LONG_BITS);
  readonly #shorts = new Int32Array(1 << SHORT_BITS);
  readonly #known: Uint8Array;
  readonly #oldSize: number;
  #end: number;
  #place = 0;
  /** The guess from five bytes, and from three: -1 for none, and how many bytes agree before it. */
  readonly bytes = new Int32Array(2);
  readonly lengths = new Int32Array(2);

  constructor(oldSize: number) {
    this.#oldSize = oldSize;
    this.#end = oldSize;
    this.#known = new Uint8Array((oldSize >> BLOCK_BITS) + 1);
  }

  /** Literals start where `place` was the next byte to copy: the old file around it is learned. */
  startAt(history: Uint8Array, place: number): void {
    this.#place = 0;
    const middle = place >> BLOCK_BITS;
    const last = Math.min(middle + BLOCKS_AROUND, this.#known.length - 1);
    for (let block = Math.max(middle - BLOCKS_AROUND, 0); block <= last; block += 1) {
      if (this.#known[block] === 1) continue;
      this.#known[block] = 1;
      const start = block << BLOCK_BITS;
      this.#learn(history, start, Math.min(start + (1 << BLOCK_BITS), this.#oldSize));
    }
  }

  /** Sets the guesses at the byte at `at`; all before it is known. */
  guess(history: Uint8Array, at: number): void {
    this.#learn(history, Math.max(this.#end, at - CATCH_UP_MAX), at);
    this.#end = Math.max(this.#end, at);
    // A guess that was right is followed on.
    const goesOn = this.#place > 0 && history[this.#place] === history[at - 1];
    const long = goesOn
      ? this.#place + 1
      : at < 5
        ? 0
        : (this.#longs[hashLong(history, at)] as number);
    const length = agreement(history, long, at, LONG_MAX);
    this.#place = length < LONG_MIN ? 0 : long;
    this.bytes[0] = length < LONG_MIN ? -1 : (history[long] as number);
    this.lengths[0] = length;
    const short = at < 3 ? 0 : (this.#shorts[hashShort(history, at)] as number);
    const shortLength = agreement(history, short, at, SHORT_MAX);
    this.bytes[1] = shortLength < SHORT_MIN ? -1 : (history[short] as number);
    this.lengths[1] = shortLength;
  }

  #learn(history: Uint8Array, start: number, end: number): void {
    for (let at = Math.max(start, 5); at < end; at += 1) {
      this.#longs[hashLong(history, at)] = at;
      this.#shorts[hashShort(history, at)] = at;
    }
  }
}

function agreement(history: Uint8Array, place: number, at: number, most: number): number {
  const limit = Math.min(most, place);
  let length = 0;
  while (length < limit && history[place - 1 - length] === history[at - 1 - length]) length += 1;
  return length;
}

function lastThree(history: Uint8Array, at: number): number {
  return (
    (history[at - 1] as number) |
    ((history[at - 2] as number) << 8) |
    ((history[at - 3] as number) << 16)
  );
}

function hashShort(history: Uint8Array, at: number): number {
  return Math.imul(lastThree(history, at), 0x9e3779b1) >>> (32 - SHORT_BITS);
}

function hashLong(history: Uint8Array, at: number): number {
  const four = lastThree(history, at) | ((history[at - 4] as number) << 24);
  const mixed =
    Math.imul(four, 0x2c1b3c6d) ^ Math.imul((history[at - 5] as number) + 1, 0x297a2d39);
  return Math.imul(mixed ^ (mixed >>> 15), 0x9e3779b1) >>> (32 - LONG_BITS);
}
