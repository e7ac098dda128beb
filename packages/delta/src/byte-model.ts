import { LOG_ODDS_MAX, modelTables } from "./byte-model-tables.ts";
import type { BitCoder } from "./range-coder.ts";

/** Contexts that a symbol is seen in: hashes, each leading to counters of its own. */
const HASHES = 6;
/** Guesses at the whole symbol, each with the ground for it. */
const GUESSES = 2;
const INPUTS = HASHES + GUESSES;
/** A set of weights: a group each for the first bit, the others of the first four, the last four. */
const SET_SIZE = 3 * INPUTS;
const LEARNING_RATE = 20;
/** A weight of 1/4 in 65,536ths. */
const WEIGHT_START = 16384;
/** Grounds of a guess that can be told apart. */
const GROUNDS = 64;

/**
 * Codes symbols of 1 to 8 bits, bit by bit, most significant first. Each bit has a probability from
 * six contexts and two guesses at the symbol; their log odds are added with weights that follow
 * what was right before. All arithmetic is on whole numbers of 32 bits, so all platforms agree.
 * The caller sets `hashes`, `guesses` (-1: none) and `grounds` before each symbol.
 */
export class SymbolModel {
  readonly hashes = new Int32Array(HASHES);
  readonly guesses = new Int32Array(GUESSES).fill(-1);
  readonly grounds = new Int32Array(GUESSES);
  readonly #tables = modelTables();
  readonly #counters: Int16Array;
  readonly #guessCounters = new Int16Array(4 * (GROUNDS + 1));
  readonly #weights: Int32Array;

  /** `2^tableBits` counters of two bytes each; `sets` sets of weights. */
  constructor(tableBits: number, sets: number) {
    this.#counters = new Int16Array(1 << tableBits);
    this.#weights = new Int32Array(sets * SET_SIZE).fill(WEIGHT_START);
  }

  /** Codes `value` of `bits` bits with the weights of `set`; gives what was coded or decoded. */
  // biome-ignore lint/complexity/noExcessiveLinesPerFunction: unrolled; loops take twice the time.
  code(coder: BitCoder, value: number, bits: number, set: number): number {
    const { one: ones, logOdds, next: states } = this.#tables;
    const counters = this.#counters;
    const guessed = this.#guessCounters;
    const weights = this.#weights;
    const hashes = this.hashes;
    // A context has counters for all nodes of four bits, or of as many as there are.
    const mask = counters.length - (1 << Math.min(bits, 4));
    const top = 1 << bits;
    const g6 = (this.guesses[0] as number) | top;
    const g7 = (this.guesses[1] as number) | top;
    const k6 = 4 + 4 * (this.grounds[0] as number);
    const k7 = 6 + 4 * (this.grounds[1] as number);
    let b0 = (hashes[0] as number) & mask;
    let b1 = (hashes[1] as number) & mask;
    let b2 = (hashes[2] as number) & mask;
    let b3 = (hashes[3] as number) & mask;
    let b4 = (hashes[4] as number) & mask;
    let b5 = (hashes[5] as number) & mask;
    // The bits known so far with a 1 before them; `node` starts anew after four bits.
    let known = 1;
    let node = 1;
    let w = set * SET_SIZE;
    for (let rest = bits - 1; rest >= 0; rest -= 1) {
      if (node >= 16) {
        const half = Math.imul(known, 0x2c1b3c6d);
        b0 = (Math.imul((hashes[0] as number) + half, 0x297a2d39) >>> 8) & mask;
        b1 = (Math.imul((hashes[1] as number) + half, 0x297a2d39) >>> 8) & mask;
        b2 = (Math.imul((hashes[2] as number) + half, 0x297a2d39) >>> 8) & mask;
        b3 = (Math.imul((hashes[3] as number) + half, 0x297a2d39) >>> 8) & mask;
        b4 = (Math.imul((hashes[4] as number) + half, 0x297a2d39) >>> 8) & mask;
        b5 = (Math.imul((hashes[5] as number) + half, 0x297a2d39) >>> 8) & mask;
        node = 1;
        w += INPUTS;
      }
      const i0 = b0 + node;
      const i1 = b1 + node;
      const i2 = b2 + node;
      const i3 = b3 + node;
      const i4 = b4 + node;
      const i5 = b5 + node;
      // A guess counts for as long as it has been right.
      const i6 = g6 >> (rest + 1) === known ? k6 + ((g6 >> rest) & 1) : 0;
      const i7 = g7 >> (rest + 1) === known ? k7 + ((g7 >> rest) & 1) : 2;
      const c0 = counters[i0] as number;
      const c1 = counters[i1] as number;
      const c2 = counters[i2] as number;
      const c3 = counters[i3] as number;
      const c4 = counters[i4] as number;
      const c5 = counters[i5] as number;
      const c6 = guessed[i6] as number;
      const c7 = guessed[i7] as number;
      const s0 = logOdds[(c0 >> 4) + 2048] as number;
      const s1 = logOdds[(c1 >> 4) + 2048] as number;
      const s2 = logOdds[(c2 >> 4) + 2048] as number;
      const s3 = logOdds[(c3 >> 4) + 2048] as number;
      const s4 = logOdds[(c4 >> 4) + 2048] as number;
      const s5 = logOdds[(c5 >> 4) + 2048] as number;
      const s6 = i6 === 0 ? 0 : (logOdds[(c6 >> 4) + 2048] as number);
      const s7 = i7 === 2 ? 0 : (logOdds[(c7 >> 4) + 2048] as number);
      let sum = Math.imul(s0, weights[w] as number) >> 8;
      sum += Math.imul(s1, weights[w + 1] as number) >> 8;
      sum += Math.imul(s2, weights[w + 2] as number) >> 8;
      sum += Math.imul(s3, weights[w + 3] as number) >> 8;
      sum += Math.imul(s4, weights[w + 4] as number) >> 8;
      sum += Math.imul(s5, weights[w + 5] as number) >> 8;
      sum += Math.imul(s6, weights[w + 6] as number) >> 8;
      sum += Math.imul(s7, weights[w + 7] as number) >> 8;
      sum >>= 8;
      if (sum > LOG_ODDS_MAX) sum = LOG_ODDS_MAX;
      else if (sum < -LOG_ODDS_MAX) sum = -LOG_ODDS_MAX;
      const one = ones[sum + LOG_ODDS_MAX] as number;
      const bit = coder.code((value >> rest) & 1, one);
      // Rounded towards 0, or else weights would drift where all is certain.
      const error = LEARNING_RATE * (bit === 1 ? (65536 - one) >> 4 : -(one >> 4));
      weights[w] = (weights[w] as number) + ((Math.imul(s0, error) + 32768) >> 16);
      weights[w + 1] = (weights[w + 1] as number) + ((Math.imul(s1, error) + 32768) >> 16);
      weights[w + 2] = (weights[w + 2] as number) + ((Math.imul(s2, error) + 32768) >> 16);
      weights[w + 3] = (weights[w + 3] as number) + ((Math.imul(s3, error) + 32768) >> 16);
      weights[w + 4] = (weights[w + 4] as number) + ((Math.imul(s4, error) + 32768) >> 16);
      weights[w + 5] = (weights[w + 5] as number) + ((Math.imul(s5, error) + 32768) >> 16);
      weights[w + 6] = (weights[w + 6] as number) + ((Math.imul(s6, error) + 32768) >> 16);
      weights[w + 7] = (weights[w + 7] as number) + ((Math.imul(s7, error) + 32768) >> 16);
      const next = (bit << 16) + 32768;
      counters[i0] = states[next + c0] as number;
      counters[i1] = states[next + c1] as number;
      counters[i2] = states[next + c2] as number;
      counters[i3] = states[next + c3] as number;
      counters[i4] = states[next + c4] as number;
      counters[i5] = states[next + c5] as number;
      guessed[i6] = states[next + c6] as number;
      guessed[i7] = states[next + c7] as number;
      if (known === 1) w += INPUTS;
      known = known * 2 + bit;
      node = node * 2 + bit;
    }
    return known - top;
  }
}

/** The hash of a context: what kind of context it is, below 256, and what it is, as 32 bits. */
export function hashContext(kind: number, value: number): number {
  let hash = Math.imul(value + Math.imul(kind, 0x9e3779b1), 0x2c1b3c6d);
  hash = Math.imul(hash ^ (hash >>> 15), 0x297a2d39);
  return hash ^ (hash >>> 13);
}
