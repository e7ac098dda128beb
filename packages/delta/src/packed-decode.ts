import { corrupt } from "./delta-error.ts";
import { KERNELS } from "./generated/packed-kernels.ts";
import {
  BLOCK,
  BlockCursor,
  carry,
  centeredBase,
  EXCEPTIONS,
  LANE_VALUES,
  LANES,
  OWN_BASE,
} from "./packed-directory.ts";

// Decoding in JavaScript. All of it is synchronous, so these are nobody else's meanwhile.
const patches = new Int32Array(BLOCK);
const rest = new Int32Array(BLOCK);
const fields = new Int32Array(BLOCK);
const highFields = new Int32Array(BLOCK);
let copiedWords = new Int32Array(0);

/** Fills `out` with 32-bit latents. */
export function decodeBlocks32(payload: Uint8Array, order: number, out: Int32Array): void {
  const cursor = new BlockCursor(payload, out.length, order, false);
  const words = alignedWords(cursor.bytes, cursor.wordsAt, cursor.wordCount);
  const patcher = new Patcher(cursor);
  while (cursor.block + 1 < cursor.blocks) {
    if (order === 1) decodeUsual(cursor, patcher, words, out);
    if (cursor.block + 1 === cursor.blocks) break;
    cursor.next();
    decodeBlock32(cursor, patcher, words, cursor.word, out, cursor.block * BLOCK);
  }
  cursor.expectEnd();
}

/** So many bytes an entry has at most that `decodeUsual` takes. */
const USUAL_ENTRY_BYTES = 8;

/**
 * Whole blocks of first differences, up to one with an entry out of the ordinary: what the cursor and
 * `decodeBlock32` do, in plain variables.
 */
function decodeUsual(
  cursor: BlockCursor,
  patcher: Patcher,
  words: Int32Array,
  out: Int32Array,
): void {
  const { bytes, wordCount, wordsAt, centerLow: center } = cursor;
  const step = cursor.frame[2] as number;
  let { position } = cursor;
  let word = cursor.word + cursor.words;
  let exception = cursor.exceptionAt + cursor.exceptionBytes;
  let seed = cursor.seedLows[0] as number;
  let start = (cursor.block + 1) * BLOCK;
  let filled = patcher.clear();
  for (; start + BLOCK <= out.length && position + USUAL_ENTRY_BYTES <= wordsAt; start += BLOCK) {
    let at = position;
    const head = bytes[at] as number;
    const width = head & 63;
    if (width >= 32 || word + LANES * width > wordCount) break;
    at = readUsual(bytes, at + 1);
    if (at === 0) break;
    const next = (seed + step + usual) | 0;
    let base = center + centeredBase(width);
    if ((head & OWN_BASE) !== 0) {
      at = readUsual(bytes, at);
      if (at === 0) break;
      base = center + usual;
    }
    base |= 0;
    if (base !== filled) patches.fill(base);
    filled = base;
    let taken = 0;
    if ((head & EXCEPTIONS) !== 0) {
      taken = putUsual(bytes, exception, bytes[at] as number, width, base);
      at += 1;
      if (taken === 0) break;
    }
    sumFields(width, words, word, out, start, (next - base) | 0);
    if (taken > 0) {
      for (let k = (bytes[at - 1] as number) & 31; k >= 0; k -= 1) {
        patches[bytes[exception + k] as number] = base;
      }
    }
    position = at;
    seed = next;
    word += LANES * width;
    exception += taken;
  }
  patcher.clear();
  cursor.resume(start / BLOCK, position, word, exception, Int32Array.of(seed, 0, 0, 0, 0, 0));
}

let usual = 0;

/** A zigzag number of up to three bytes into `usual`; answers where it ends, or 0 if it is longer. */
function readUsual(bytes: Uint8Array, start: number): number {
  let at = start + 1;
  let value = bytes[start] as number;
  if (value > 127) {
    const second = bytes[at++] as number;
    value = (value & 127) | (second << 7);
    if (second > 127) {
      const third = bytes[at++] as number;
      if (third > 127 || third === 0) return 0;
      value = (value & 0x3fff) | (third << 14);
    } else if (second === 0) return 0;
  }
  usual = (value >>> 1) ^ -(value & 1);
  return at;
}

/** Adds exceptions of up to seven bits to the patches; answers their bytes, or 0 if they are others. */
function putUsual(
  bytes: Uint8Array,
  start: number,
  head: number,
  width: number,
  base: number,
): number {
  const count = (head & 31) + 1;
  const bits = (head >>> 5) + 1;
  const taken = count + ((count * bits + 7) >>> 3);
  // Two bytes are read at a time.
  if (bits > 7 || start + taken >= bytes.length) return 0;
  let bit = 8 * (start + count);
  let last = -1;
  for (let k = start; k < start + count; k += 1) {
    const place = bytes[k] as number;
    if (place <= last || place >= BLOCK) return 0;
    last = place;
    const at = bit >>> 3;
    const two = (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
    const value = (two << (32 - bits - (bit & 7))) >> (32 - bits);
    patches[place] = base + ((value + 1 + (value >> 31)) << width);
    bit += bits;
  }
  return taken;
}

/** Fills `out` with 64-bit latents, low words and high words in turns. */
export function decodeBlocks64(payload: Uint8Array, order: number, out: Uint32Array): void {
  const cursor = new BlockCursor(payload, out.length / 2, order, true);
  const words = alignedWords(cursor.bytes, cursor.wordsAt, cursor.wordCount);
  const patcher = new Patcher(cursor);
  for (let block = 0; block < cursor.blocks; block += 1) {
    cursor.next();
    decodeBlock64(cursor, patcher, words, cursor.word, out, 2 * block * BLOCK);
  }
  cursor.expectEnd();
}

/** The blocks behind those that `cursor` has read: at most one that is not whole. */
export function decodeRest(cursor: BlockCursor, out: Int32Array): void {
  if (cursor.block + 1 < cursor.blocks) {
    cursor.next();
    const at = cursor.wordsAt + 4 * cursor.word;
    const words = alignedWords(cursor.bytes, at, cursor.words);
    const patcher = new Patcher(cursor);
    const start = cursor.block * BLOCK;
    if (cursor.isPairs) {
      const pairs = new Uint32Array(out.buffer, out.byteOffset, out.length);
      decodeBlock64(cursor, patcher, words, 0, pairs, 2 * start);
    } else decodeBlock32(cursor, patcher, words, 0, out, start);
  }
  cursor.expectEnd();
}

/** One block of 32-bit latents into `out` from 0; answers how many there are. */
export function decodeOneBlock32(
  payload: Uint8Array,
  count: number,
  order: number,
  block: number,
  out: Int32Array,
): number {
  const cursor = cursorAt(payload, count, order, block, false);
  const words = alignedWords(payload, cursor.wordsAt + 4 * cursor.word, cursor.words);
  decodeBlock32(cursor, new Patcher(cursor), words, 0, out, 0);
  return cursor.values;
}

/** One block of 64-bit latents into `out` from 0; answers how many there are. */
export function decodeOneBlock64(
  payload: Uint8Array,
  count: number,
  order: number,
  block: number,
  out: Uint32Array,
): number {
  const cursor = cursorAt(payload, count, order, block, true);
  const words = alignedWords(payload, cursor.wordsAt + 4 * cursor.word, cursor.words);
  decodeBlock64(cursor, new Patcher(cursor), words, 0, out, 0);
  return cursor.values;
}

function cursorAt(
  payload: Uint8Array,
  count: number,
  order: number,
  block: number,
  isPairs: boolean,
): BlockCursor {
  const cursor = new BlockCursor(payload, count, order, isPairs);
  if (block >= cursor.blocks) throw corrupt("blocks", 0);
  for (let i = 0; i <= block; i += 1) cursor.next();
  return cursor;
}

function alignedWords(bytes: Uint8Array, at: number, count: number): Int32Array {
  const offset = bytes.byteOffset + at;
  if (offset % 4 === 0) return new Int32Array(bytes.buffer, offset, count);
  if (copiedWords.length < count) copiedWords = new Int32Array(count + (count >> 2));
  new Uint8Array(copiedWords.buffer).set(bytes.subarray(at, at + 4 * count));
  return copiedWords;
}

/** Keeps `patches` at the base of the current block, and puts exceptions in for as long as needed. */
class Patcher {
  readonly #cursor: BlockCursor;
  readonly #places = new Uint8Array(BLOCK);
  readonly #lows = new Int32Array(BLOCK);
  readonly #highs = new Int32Array(BLOCK);
  #base = 0;

  constructor(cursor: BlockCursor) {
    this.#cursor = cursor;
    patches.fill(0);
  }

  /** Answers the base that it leaves. */
  clear(): number {
    patches.fill(0);
    this.#base = 0;
    return 0;
  }

  /** Sets `patches` to the base and what exceptions add to it. */
  put(base: number): void {
    if (base !== this.#base) {
      patches.fill(base);
      this.#base = base;
    }
    const { exceptions } = this.#cursor;
    if (exceptions === 0) return;
    this.#read();
    const { width } = this.#cursor;
    if (width === 32) return;
    for (let k = 0; k < exceptions; k += 1) {
      patches[this.#places[k] as number] = base + ((this.#lows[k] as number) << width);
    }
  }

  takeAway(): void {
    const { exceptions } = this.#cursor;
    for (let k = 0; k < exceptions; k += 1) patches[this.#places[k] as number] = this.#base;
  }

  /** Adds what exceptions stand for to pairs of words. */
  addPairs(lows: Int32Array, highs: Int32Array): void {
    const { exceptions, width } = this.#cursor;
    if (exceptions === 0) return;
    this.#read();
    for (let k = 0; k < exceptions; k += 1) {
      const place = this.#places[k] as number;
      const low = this.#lows[k] as number;
      const high = this.#highs[k] as number;
      const addend = width === 32 ? 0 : low << width;
      const sum = ((lows[place] as number) + addend) | 0;
      const above =
        width === 0 ? high : width === 32 ? low : (high << width) | (low >>> (32 - width));
      highs[place] = (highs[place] as number) + above + carry(sum, addend);
      lows[place] = sum;
    }
  }

  /** Places, and the bits above the width; these are never zero, so zero stands for one. */
  #read(): void {
    const { bytes, exceptions, exceptionAt, exceptionBits, values } = this.#cursor;
    let last = -1;
    let bit = 8 * (exceptionAt + exceptions);
    for (let k = 0; k < exceptions; k += 1) {
      const place = bytes[exceptionAt + k] as number;
      if (place <= last || place >= values) throw corrupt("exceptions", exceptionAt + k);
      last = place;
      this.#places[k] = place;
      const lowBits = exceptionBits > 32 ? 32 : exceptionBits;
      let low = readBits(bytes, bit, lowBits);
      let high = low >> 31;
      if (exceptionBits > 32) {
        high = readBits(bytes, bit + 32, exceptionBits - 32);
      }
      bit += exceptionBits;
      if (high >= 0) {
        low = (low + 1) | 0;
        if (low === 0) high += 1;
      }
      this.#lows[k] = low;
      this.#highs[k] = high;
    }
  }
}

/** A signed number of 1 to 32 bits from bit `bit` of `bytes`. */
function readBits(bytes: Uint8Array, bit: number, width: number): number {
  let at = bit >>> 3;
  const skip = bit & 7;
  let value = (bytes[at] as number) >>> skip;
  for (let have = 8 - skip; have < width; have += 8) {
    at += 1;
    value |= (bytes[at] as number) << have;
  }
  return (value << (32 - width)) >> (32 - width);
}

function decodeBlock32(
  cursor: BlockCursor,
  patcher: Patcher,
  words: Int32Array,
  at: number,
  out: Int32Array,
  start: number,
): void {
  const { order, values, baseLow: base, seedLows } = cursor;
  patcher.put(base);
  // The fields that seeds stand in for are zero: the sum arrives at the last seed by itself.
  const sum = order === 0 ? 0 : ((seedLows[order - 1] as number) - Math.imul(order, base)) | 0;
  if (values === BLOCK) sumFields(cursor.width, words, at, out, start, sum);
  else sumRest(cursor, words, at, out, start, sum);
  patcher.takeAway();
  if (order === 0) {
    for (let i = start + values - 1; i > start; i -= 1) {
      out[i] = (out[i] as number) - (out[i - 1] as number);
    }
  }
  for (let d = Math.min(order - 2, values - 1); d >= 0; d -= 1) {
    let value = seedLows[d] as number;
    out[start + d] = value;
    for (let i = start + d + 1; i < start + values; i += 1) {
      value = (value + (out[i] as number)) | 0;
      out[i] = value;
    }
  }
}

/** Fields of a whole block, patched and summed up. */
function sumFields(
  width: number,
  words: Int32Array,
  at: number,
  out: Int32Array,
  start: number,
  from: number,
): void {
  const kernel = KERNELS[width];
  if (kernel !== undefined) {
    kernel(words, at, out, start, from, patches);
    return;
  }
  const mask = -1 >>> (32 - width);
  let sum = from;
  for (let lane = 0; lane < LANES; lane += 1) {
    let index = at + lane;
    let word = words[index] as number;
    let bit = 0;
    const end = (lane + 1) * LANE_VALUES;
    for (let i = lane * LANE_VALUES; i < end; i += 1) {
      let field = word >>> bit;
      bit += width;
      if (bit >= 32 && i + 1 < end) {
        index += LANES;
        word = words[index] as number;
        bit -= 32;
        if (bit > 0) field |= word << (width - bit);
      }
      sum = (sum + (patches[i] as number) + (field & mask)) | 0;
      out[start + i] = sum;
    }
  }
}

function sumRest(
  { values, width }: BlockCursor,
  words: Int32Array,
  at: number,
  out: Int32Array,
  start: number,
  from: number,
): void {
  unpackLane(words, at, 1, width, values, rest, 0);
  let sum = from;
  for (let i = 0; i < values; i += 1) {
    sum = (sum + (patches[i] as number) + (rest[i] as number)) | 0;
    out[start + i] = sum;
  }
}

/** `count` fields of `width` bits from words that are `stride` apart. */
function unpackLane(
  words: Int32Array,
  at: number,
  stride: number,
  width: number,
  count: number,
  out: Int32Array,
  start: number,
): void {
  if (width === 0) {
    out.fill(0, start, start + count);
    return;
  }
  const mask = -1 >>> (32 - width);
  for (let i = 0, bit = 0; i < count; i += 1, bit += width) {
    const index = at + (bit >>> 5) * stride;
    const shift = bit & 31;
    let field = (words[index] as number) >>> shift;
    if (shift + width > 32) field |= (words[index + stride] as number) << (32 - shift);
    out[start + i] = field & mask;
  }
}

/** Fields of the current block in order; answers where its words end. */
function unpack(
  { values }: BlockCursor,
  words: Int32Array,
  at: number,
  width: number,
  out: Int32Array,
): number {
  if (values < BLOCK) {
    unpackLane(words, at, 1, width, values, out, 0);
    return at + Math.ceil((values * width) / 32);
  }
  for (let lane = 0; lane < LANES; lane += 1) {
    unpackLane(words, at + lane, LANES, width, LANE_VALUES, out, lane * LANE_VALUES);
  }
  return at + LANES * width;
}

function decodeBlock64(
  cursor: BlockCursor,
  patcher: Patcher,
  words: Int32Array,
  at: number,
  out: Uint32Array,
  start: number,
): void {
  const { order, values, baseLow, baseHigh, width, exceptionBits, exceptions } = cursor;
  const reach = width + (exceptions > 0 ? exceptionBits : 0);
  const isNarrow =
    !cursor.isWide && baseHigh === baseLow >> 31 && Math.abs(baseLow) + 2 ** reach <= 2 ** 31;
  if (order === 1 && isNarrow && values === BLOCK) {
    patcher.put(baseLow);
    const low = cursor.seedLows[0] as number;
    sumFields(width, words, at, fields, 0, low - baseLow);
    patcher.takeAway();
    // A made-up payload may have a field where the seed stands, which counts for nothing.
    const extra = ((fields[0] as number) - low) | 0;
    if (extra !== 0) for (let i = 0; i < BLOCK; i += 1) fields[i] = (fields[i] as number) - extra;
    widenSums(cursor.seedHighs[0] as number, out, start);
    return;
  }
  if (cursor.isWide) readWide(cursor, patcher, words, at);
  else {
    unpack(cursor, words, at, width, fields);
    highFields.fill(0);
    patcher.addPairs(fields, highFields);
    addBase(values, baseLow, baseHigh);
  }
  for (let d = order - 1; d >= 0; d -= 1) {
    if (d < values)
      integratePairs(values, d, cursor.seedLows[d] as number, cursor.seedHighs[d] as number);
  }
  for (let i = 0; i < values; i += 1) {
    out[start + 2 * i] = fields[i] as number;
    out[start + 2 * i + 1] = highFields[i] as number;
  }
}

/** `fields` are the low words of sums of 32-bit differences: finds the high words. */
function widenSums(seedHigh: number, out: Uint32Array, start: number): void {
  let high = seedHigh;
  let last = fields[0] as number;
  out[start] = last;
  out[start + 1] = high;
  for (let i = 1; i < BLOCK; i += 1) {
    const low = fields[i] as number;
    const difference = (low - last) | 0;
    high = (high + (difference >> 31) + (low >>> 0 < difference >>> 0 ? 1 : 0)) | 0;
    out[start + 2 * i] = low;
    out[start + 2 * i + 1] = high;
    last = low;
  }
}

/** Low words as they are, high words by base, field and exception; then the center. */
function readWide(cursor: BlockCursor, patcher: Patcher, words: Int32Array, at: number): void {
  const { values, width, baseLow: base, centerLow, centerHigh } = cursor;
  const highAt = unpack(cursor, words, at, 32, fields);
  unpack(cursor, words, highAt, width, highFields);
  patcher.put(0);
  for (let i = 0; i < values; i += 1) {
    highFields[i] = (highFields[i] as number) + (patches[i] as number) + base;
  }
  patcher.takeAway();
  addBase(values, centerLow, centerHigh);
}

function addBase(values: number, low: number, high: number): void {
  for (let i = 0; i < values; i += 1) {
    const sum = ((fields[i] as number) + low) | 0;
    highFields[i] = (highFields[i] as number) + high + carry(sum, low);
    fields[i] = sum;
  }
}

/** Sums up from place `d`, where the seed stands. */
function integratePairs(values: number, d: number, seedLow: number, seedHigh: number): void {
  let low = seedLow;
  let high = seedHigh;
  fields[d] = low;
  highFields[d] = high;
  for (let i = d + 1; i < values; i += 1) {
    const addend = fields[i] as number;
    low = (low + addend) | 0;
    high = (high + (highFields[i] as number) + carry(low, addend)) | 0;
    fields[i] = low;
    highFields[i] = high;
  }
}
