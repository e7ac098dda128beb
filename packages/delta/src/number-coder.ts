import { assert, DeltaError } from "./delta-error.ts";
import { bitsOf } from "./bins.ts";

/**
 * Whole numbers for headers: the length in bits, then the bits below the first, each coded by an
 * adaptive binary model (12-bit probabilities, carry-free range coder with a 32-bit interval). A
 * context has models of its own, so that small numbers soon cost less than a bit in one context while
 * large ones are cheap in another.
 */
const PROBABILITY_ONE = 4096;
const LENGTHS = 54;
/** Models of a context: one for each step of the length, then two bits below the top for each length. */
const MODELS = LENGTHS + LENGTHS * 4;
const RATE = 4;

function freshModels(contexts: number): Uint16Array {
  return new Uint16Array(contexts * MODELS).fill(PROBABILITY_ONE / 2);
}

export class NumberWriter {
  readonly #models: Uint16Array;
  readonly #out: number[] = [];
  #low = 0;
  #high = 0xffffffff;

  constructor(contexts: number) {
    this.#models = freshModels(contexts);
  }

  /** `value` is at most 2^53 - 1. */
  put(context: number, value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, "a header holds whole numbers");
    const base = context * MODELS;
    const length = bitsOf(value);
    for (let i = 0; i < length; i += 1) this.#bit(base + i, 1);
    this.#bit(base + length, 0);
    let prefix = 1;
    for (let i = length - 2; i >= 0; i -= 1) {
      const bit = Math.floor(value / 2 ** i) % 2;
      this.#bit(prefix < 4 ? base + LENGTHS + length * 4 + prefix : -1, bit);
      if (prefix < 4) prefix = prefix * 2 + bit;
    }
  }

  finish(): Uint8Array {
    // The decoder reads zeros past the end: as few bytes as put its number into the interval.
    if (this.#low > 0) {
      for (let i = 24; i >= 0; i -= 8) {
        const unit = 2 ** i;
        const candidate = Math.ceil(this.#low / unit) * unit;
        if (candidate > this.#high) continue;
        for (let k = 24; k >= i; k -= 8) this.#out.push(Math.floor(candidate / 2 ** k) % 256);
        break;
      }
    }
    return Uint8Array.from(this.#out);
  }

  #bit(model: number, bit: number): void {
    const probability = model < 0 ? PROBABILITY_ONE / 2 : (this.#models[model] as number);
    const middle = this.#low + ((this.#high - this.#low) >>> 12) * probability;
    if (bit === 1) this.#high = middle;
    else this.#low = middle + 1;
    if (model >= 0) this.#models[model] = learn(probability, bit);
    while (((this.#low ^ this.#high) & 0xff000000) === 0) {
      this.#out.push(this.#low >>> 24);
      this.#low = (this.#low << 8) >>> 0;
      this.#high = ((this.#high << 8) | 0xff) >>> 0;
    }
  }
}

function learn(probability: number, bit: number): number {
  return bit === 1
    ? probability + ((PROBABILITY_ONE - 32 - probability) >> RATE)
    : probability - ((probability - 32) >> RATE);
}

export class NumberReader {
  readonly #models: Uint16Array;
  readonly #bytes: Uint8Array;
  #at = 0;
  #low = 0;
  #high = 0xffffffff;
  #code = 0;

  constructor(contexts: number, bytes: Uint8Array) {
    this.#models = freshModels(contexts);
    this.#bytes = bytes;
    for (let i = 0; i < 4; i += 1) this.#code = ((this.#code << 8) | this.#next()) >>> 0;
  }

  take(context: number, max: number): number {
    const base = context * MODELS;
    let length = 0;
    while (this.#bit(base + length) === 1) {
      length += 1;
      if (length === LENGTHS) throw new DeltaError("corrupt", "a header's number is too long");
    }
    let value = length === 0 ? 0 : 1;
    let prefix = 1;
    for (let i = length - 2; i >= 0; i -= 1) {
      const bit = this.#bit(prefix < 4 ? base + LENGTHS + length * 4 + prefix : -1);
      value = value * 2 + bit;
      if (prefix < 4) prefix = prefix * 2 + bit;
    }
    if (value > max) throw new DeltaError("corrupt", `${value} in a header where ${max} is most`);
    return value;
  }

  /** Refuses a header with bytes that were not read. */
  expectEnd(): void {
    if (this.#at < this.#bytes.length) throw new DeltaError("corrupt", "a header is too long");
  }

  #bit(model: number): number {
    const probability = model < 0 ? PROBABILITY_ONE / 2 : (this.#models[model] as number);
    const middle = this.#low + ((this.#high - this.#low) >>> 12) * probability;
    const bit = this.#code <= middle ? 1 : 0;
    if (bit === 1) this.#high = middle;
    else this.#low = middle + 1;
    if (model >= 0) this.#models[model] = learn(probability, bit);
    while (((this.#low ^ this.#high) & 0xff000000) === 0) {
      this.#low = (this.#low << 8) >>> 0;
      this.#high = ((this.#high << 8) | 0xff) >>> 0;
      this.#code = ((this.#code << 8) | this.#next()) >>> 0;
    }
    return bit;
  }

  /** Zeros past the end. */
  #next(): number {
    const at = this.#at;
    this.#at += 1;
    return at < this.#bytes.length ? (this.#bytes[at] as number) : 0;
  }
}
