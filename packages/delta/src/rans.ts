import { assert, DeltaError } from "./delta-error.ts";

/**
 * Range asymmetric numeral systems (Duda 2013) with 32-bit states and 16-bit words. Four states take
 * turns, value i belongs to state i mod 4, so that a processor can work on four values at once.
 * Encoding runs backwards, decoding forwards; a decoder that has read all ends in the states in which
 * the encoder began, which is the check that it read what was written.
 */
const STATE_MIN = 0x10000;
export const LANES = 4;

/** Scales `counts` to frequencies that sum to 2^log; what occurs keeps at least 1. */
export function normalize(counts: Float64Array, log: number): Uint16Array {
  const size = 1 << log;
  let total = 0;
  for (const count of counts) total += count;
  const frequencies = new Uint16Array(counts.length);
  let sum = 0;
  for (let s = 0; s < counts.length; s += 1) {
    const count = counts[s] as number;
    const share = count === 0 ? 0 : Math.max(1, Math.round((count * size) / total));
    frequencies[s] = share;
    sum += share;
  }
  while (sum !== size) sum += adjust(counts, frequencies, size - sum);
  return frequencies;
}

/** Moves frequencies by one where that costs the fewest bits; answers by how much the sum moved. */
function adjust(counts: Float64Array, frequencies: Uint16Array, missing: number): number {
  const step = missing > 0 ? 1 : -1;
  let best = -1;
  let least = Number.POSITIVE_INFINITY;
  for (let s = 0; s < frequencies.length; s += 1) {
    const frequency = frequencies[s] as number;
    if (frequency === 0 || frequency + step < 1) continue;
    const cost = (counts[s] as number) * Math.log2(frequency / (frequency + step));
    if (cost < least) {
      least = cost;
      best = s;
    }
  }
  assert(best >= 0, "a table has no more symbols than slots");
  frequencies[best] = (frequencies[best] as number) + step;
  return step;
}

function cumulate(frequencies: Uint16Array): Uint16Array {
  const starts = new Uint16Array(frequencies.length);
  let sum = 0;
  for (let s = 0; s < frequencies.length; s += 1) {
    starts[s] = sum;
    sum += frequencies[s] as number;
  }
  return starts;
}

export type Coded = { readonly states: Uint32Array; readonly words: Uint16Array };

/** Encodes `symbols`, whose number is a multiple of 4; value i uses the table of its block's class. */
export function encodeSymbols(
  symbols: Uint16Array,
  tables: readonly Uint16Array[],
  log: number,
  classes: Uint8Array,
  blockLog: number,
): Coded {
  const starts = tables.map(cumulate);
  const states = new Float64Array(LANES).fill(STATE_MIN);
  const words = new Uint16Array(symbols.length);
  const size = 2 ** log;
  const limitPerFrequency = 2 ** (32 - log);
  let at = words.length;
  for (let i = symbols.length - 1; i >= 0; i -= 1) {
    const k = classes[i >>> blockLog] as number;
    const symbol = symbols[i] as number;
    const frequency = (tables[k] as Uint16Array)[symbol] as number;
    let state = states[i & 3] as number;
    if (state >= frequency * limitPerFrequency) {
      at -= 1;
      words[at] = state & 0xffff;
      state = Math.floor(state / 0x10000);
    }
    const quotient = Math.floor(state / frequency);
    const rest = state - quotient * frequency;
    states[i & 3] = quotient * size + rest + ((starts[k] as Uint16Array)[symbol] as number);
  }
  return { states: Uint32Array.from(states), words: words.subarray(at) };
}

/** Log of the table size up to which a slot fits into one 32-bit entry, with up to 256 symbols. */
export const PACKED_LOG = 12;
export const PACKED_SYMBOLS_MAX = 256;

/** One entry a slot: frequency - 1, distance from the symbol's first slot, symbol. */
export function packedSlots(frequencies: Uint16Array): Int32Array {
  const slots = new Int32Array(1 << PACKED_LOG);
  let at = 0;
  for (let s = 0; s < frequencies.length; s += 1) {
    const frequency = frequencies[s] as number;
    const entry = ((frequency - 1) << 20) | s;
    for (let k = 0; k < frequency; k += 1) slots[at++] = entry | (k << 8);
  }
  return slots;
}

/** What a decoder is given: all in place, checked, and padded so that no read falls outside. */
export type SymbolSource = {
  readonly classes: Uint8Array;
  readonly blockLog: number;
  readonly states: Uint32Array;
  /** At least four words more than the `wordCount` that count. */
  readonly words: Uint16Array;
  readonly wordCount: number;
  /** Low end of each bin, and the number of its offset bits. */
  readonly lows: Float64Array;
  readonly bits: Uint8Array;
  /** Offsets, padded with at least eight bytes. */
  readonly offsets: Uint8Array;
  readonly offsetBytes: number;
};

/**
 * Residuals of 32 bits, or their running sums from `sumFrom`: the fast decoder, for tables of 2^12
 * slots, at most 256 bins, lows of 27 bits and at most 25 offset bits. `out` has a multiple of 4
 * elements.
 */
export function decodePackedSlots(
  source: SymbolSource,
  tables: readonly Int32Array[],
  out: Int32Array,
  sumFrom: number | undefined,
): void {
  const { words, classes, blockLog } = source;
  const view = new DataView(source.offsets.buffer, source.offsets.byteOffset);
  const bitsMax = source.offsetBytes * 8;
  const bins = Int32Array.from(source.lows, (low, k) => (low << 5) | (source.bits[k] as number));
  let x0 = (source.states[0] as number) | 0;
  let x1 = (source.states[1] as number) | 0;
  let x2 = (source.states[2] as number) | 0;
  let x3 = (source.states[3] as number) | 0;
  let word = 0;
  let bit = 0;
  // Residuals alone are sums that begin anew with each.
  const keep = sumFrom === undefined ? 0 : -1;
  let sum = sumFrom ?? 0;
  for (let start = 0, block = 0; start < out.length; block += 1) {
    const slots = tables[classes[block] as number] as Int32Array;
    const end = Math.min(out.length, start + (1 << blockLog));
    for (let i = start; i < end; i += 4) {
      const e0 = slots[x0 & 4095] as number;
      const e1 = slots[x1 & 4095] as number;
      const e2 = slots[x2 & 4095] as number;
      const e3 = slots[x3 & 4095] as number;
      x0 = (Math.imul((e0 >>> 20) + 1, x0 >>> 12) + ((e0 >>> 8) & 4095)) | 0;
      x1 = (Math.imul((e1 >>> 20) + 1, x1 >>> 12) + ((e1 >>> 8) & 4095)) | 0;
      x2 = (Math.imul((e2 >>> 20) + 1, x2 >>> 12) + ((e2 >>> 8) & 4095)) | 0;
      x3 = (Math.imul((e3 >>> 20) + 1, x3 >>> 12) + ((e3 >>> 8) & 4095)) | 0;
      // 1 where the state has fallen below 2^16 and takes a word: without a branch to guess.
      let need = ((x0 >>> 16) - 1) >>> 31;
      x0 = (x0 << (need << 4)) | ((words[word] as number) & -need);
      word += need;
      need = ((x1 >>> 16) - 1) >>> 31;
      x1 = (x1 << (need << 4)) | ((words[word] as number) & -need);
      word += need;
      need = ((x2 >>> 16) - 1) >>> 31;
      x2 = (x2 << (need << 4)) | ((words[word] as number) & -need);
      word += need;
      need = ((x3 >>> 16) - 1) >>> 31;
      x3 = (x3 << (need << 4)) | ((words[word] as number) & -need);
      word += need;
      let bin = bins[e0 & 255] as number;
      let window = view.getInt32(bit >>> 3, true) >>> (bit & 7);
      sum = ((sum & keep) + (bin >> 5) + (window & ((1 << (bin & 31)) - 1))) | 0;
      out[i] = sum;
      bit += bin & 31;
      bin = bins[e1 & 255] as number;
      window = view.getInt32(bit >>> 3, true) >>> (bit & 7);
      sum = ((sum & keep) + (bin >> 5) + (window & ((1 << (bin & 31)) - 1))) | 0;
      out[i + 1] = sum;
      bit += bin & 31;
      bin = bins[e2 & 255] as number;
      window = view.getInt32(bit >>> 3, true) >>> (bit & 7);
      sum = ((sum & keep) + (bin >> 5) + (window & ((1 << (bin & 31)) - 1))) | 0;
      out[i + 2] = sum;
      bit += bin & 31;
      bin = bins[e3 & 255] as number;
      window = view.getInt32(bit >>> 3, true) >>> (bit & 7);
      sum = ((sum & keep) + (bin >> 5) + (window & ((1 << (bin & 31)) - 1))) | 0;
      out[i + 3] = sum;
      bit += bin & 31;
    }
    // Both run on at most one block past their end, into the padding, before this shows it.
    if (word > source.wordCount || bit > bitsMax) throw ranOut();
    start = end;
  }
  checkEnd([x0, x1, x2, x3], word, bit, source);
}

function ranOut(): DeltaError {
  return new DeltaError("corrupt", "an entropy-coded stream ends before its values do");
}

/** Refuses a stream that was not used up just so. */
export function checkEnd(
  states: readonly number[],
  word: number,
  bit: number,
  source: SymbolSource,
): void {
  const isBack = states.every((state) => state === STATE_MIN);
  if (!isBack || word !== source.wordCount || (bit + 7) >>> 3 !== source.offsetBytes) {
    throw new DeltaError("corrupt", "an entropy-coded stream does not end where it should");
  }
}

/** Any table size, number of bins and number of offset bits below 54: the general decoder. */
export function decodeSymbols(
  source: SymbolSource,
  tables: readonly Uint16Array[],
  log: number,
  out: Float64Array,
): void {
  const { words, classes, blockLog, offsets, lows, bits } = source;
  const starts = tables.map(cumulate);
  const symbolsOfSlots = tables.map((frequencies) => slotSymbols(frequencies, log));
  const states = source.states.slice();
  const mask = (1 << log) - 1;
  const reader = new BitReader(offsets, source.offsetBytes);
  let word = 0;
  for (let i = 0; i < out.length; i += 1) {
    const k = classes[i >>> blockLog] as number;
    let state = states[i & 3] as number;
    const slot = state & mask;
    const symbol = (symbolsOfSlots[k] as Uint16Array)[slot] as number;
    const frequency = (tables[k] as Uint16Array)[symbol] as number;
    const start = (starts[k] as Uint16Array)[symbol] as number;
    state = (Math.imul(frequency, state >>> log) + slot - start) >>> 0;
    if (state < STATE_MIN) {
      if (word >= source.wordCount) throw ranOut();
      state = ((state << 16) | (words[word++] as number)) >>> 0;
    }
    states[i & 3] = state;
    out[i] = (lows[symbol] as number) + reader.take(bits[symbol] as number);
  }
  checkEnd(Array.from(states), word, reader.position, source);
}

function slotSymbols(frequencies: Uint16Array, log: number): Uint16Array {
  const symbols = new Uint16Array(1 << log);
  let at = 0;
  for (let s = 0; s < frequencies.length; s += 1) {
    const end = at + (frequencies[s] as number);
    symbols.fill(s, at, end);
    at = end;
  }
  return symbols;
}

/** Bits from the lowest of each byte up. */
export class BitReader {
  readonly #view: DataView;
  readonly #bitsMax: number;
  position = 0;

  /** `bytes` are padded with eight bytes beyond the `size` that count. */
  constructor(bytes: Uint8Array, size: number) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#bitsMax = size * 8;
  }

  /** A whole number of `width` bits, at most 53. */
  take(width: number): number {
    if (width > 24) return this.take(24) + 0x1000000 * this.take(width - 24);
    const at = this.position;
    this.position = at + width;
    if (this.position > this.#bitsMax) throw ranOut();
    return (this.#view.getUint32(at >>> 3, true) >>> (at & 7)) & ((1 << width) - 1);
  }
}
