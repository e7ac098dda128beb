import { assert } from "./assert.ts";
import { sipHash } from "./siphash.ts";
import { utf8Encode } from "./utf8.ts";

const SEED_KEY_LOW = new Uint8Array(16).fill(0x11);
const SEED_KEY_HIGH = new Uint8Array(16).fill(0x22);

/** After so many draws every bit of the seed has reached every bit of the state. */
const WARM_UP_DRAWS = 16;

const TWO_32 = 0x1_0000_0000;
const TWO_53 = 0x20_0000_0000_0000;

/**
 * The only randomness a pure package has: sfc32 (Doty-Humphrey, PractRand), the same numbers for
 * the same seed on every machine. Not for secrets.
 */
export class Rng {
  readonly #seed: string;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: string) {
    this.#seed = seed;
    const bytes = utf8Encode(seed);
    const low = sipHash(SEED_KEY_LOW, bytes);
    const high = sipHash(SEED_KEY_HIGH, bytes);
    this.#a = wordOf(low, 0);
    this.#b = wordOf(low, 4);
    this.#c = wordOf(high, 0);
    for (let i = 0; i < WARM_UP_DRAWS; i += 1) this.next32();
  }

  /** 0 to 2^32 - 1. */
  next32(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** 0 to `n` - 1, each as likely as the others. */
  below(n: number): number {
    assert(Number.isSafeInteger(n) && n >= 1, "there is something to draw from");
    const span = n <= TWO_32 ? TWO_32 : TWO_53;
    const fair = span - (span % n);
    // The part above the last whole multiple of n is drawn again: less than once on average.
    for (;;) {
      const draw = span === TWO_32 ? this.next32() : this.#next53();
      if (draw < fair) return draw % n;
    }
  }

  /** `lo` to `hi`, both included. */
  between(lo: number, hi: number): number {
    assert(lo <= hi, "the bounds are in order");
    return lo + this.below(hi - lo + 1);
  }

  /** True with probability `p`; 0 is never and 1 is always. Draws once whatever `p` is. */
  chance(p: number): boolean {
    assert(p >= 0 && p <= 1, "a probability lies between 0 and 1");
    return this.next32() < p * TWO_32;
  }

  bytes(n: number): Uint8Array {
    const bytes = new Uint8Array(n);
    for (let at = 0; at < n; at += 4) {
      const draw = this.next32();
      for (let i = 0; i < 4 && at + i < n; i += 1) bytes[at + i] = draw >>> (8 * i);
    }
    return bytes;
  }

  /**
   * A stream of its own. It depends on the seed and the label alone, not on what was drawn before,
   * so that one more draw here changes nothing there. The same label gives the same stream.
   */
  fork(label: string): Rng {
    return new Rng(`${this.#seed}/${label}`);
  }

  #next53(): number {
    const high = this.next32() >>> 11;
    return high * TWO_32 + this.next32();
  }
}

function wordOf(bytes: Uint8Array, at: number): number {
  let word = 0;
  for (let i = 3; i >= 0; i -= 1) word = (word << 8) | (bytes[at + i] ?? 0);
  return word;
}
