import { bitsOf } from "./bins.ts";
import { corrupt } from "./delta-error.ts";
import type { BitCoder } from "./range-coder.ts";

/** 2^16 is certainty; probabilities stay this far from both ends. */
const HALF = 1 << 15;
const MARGIN = 512;
const RATE = 4;
const LENGTHS = 54;
/** Models of a context: one for each step of the length, and three for each length. */
const MODELS = LENGTHS + LENGTHS * 4;

/**
 * Whole numbers for headers: the length in bits, then the bits below the first, the two highest of
 * them modeled. A context has models of its own, so that small numbers soon cost less than a bit in
 * one context while large ones are cheap in another. Writes and reads by the same code, as its coder
 * does.
 */
export class NumberCoder {
  readonly #coder: BitCoder;
  readonly #models: Uint16Array;

  constructor(coder: BitCoder, contexts: number) {
    this.#coder = coder;
    this.#models = new Uint16Array(contexts * MODELS).fill(HALF);
  }

  /** Writes `value`, or reads a number in its place: one from 0 to `max`, which is below 2^53. */
  code(context: number, value: number, max: number): number {
    const base = context * MODELS;
    const lengthWritten = bitsOf(value);
    let length = 0;
    while (this.#bit(base + length, length < lengthWritten ? 1 : 0) === 1) {
      length += 1;
      if (length === LENGTHS) throw corrupt("numbers");
    }
    let result = length === 0 ? 0 : 1;
    for (let i = length - 2; i >= 0; i -= 1) {
      const bit = Math.floor(value / 2 ** i) % 2;
      const model = result < 4 ? base + LENGTHS + length * 4 + result : -1;
      result = result * 2 + this.#bit(model, bit);
    }
    if (result > max) throw corrupt("numbers");
    return result;
  }

  #bit(model: number, bit: number): number {
    if (model < 0) return this.#coder.code(bit, HALF);
    const one = this.#models[model] as number;
    const coded = this.#coder.code(bit, one);
    this.#models[model] =
      coded === 1 ? one + ((2 * HALF - MARGIN - one) >> RATE) : one - ((one - MARGIN) >> RATE);
    return coded;
  }
}
