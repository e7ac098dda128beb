import { ByteWriter } from "./byte-writer.ts";
import { boundsOf } from "./integers.ts";
import {
  BLOCK,
  carry,
  centeredBase,
  EXCEPTIONS,
  LANE_VALUES,
  LANES,
  OWN_BASE,
  WIDE,
} from "./packed-directory.ts";
import { type ChunkFrame, chunkFrame32, chunkFrame64, differencePairs } from "./packed-frame.ts";
import {
  FRAMED,
  isLopsided,
  Lengths,
  lengthOf,
  lengthOfPair,
  OWN_BASE_COST,
  PATCHED,
  WidthChoice,
} from "./packed-width.ts";

/** These answer what they have written. */
export function encodeBlocks32(writer: ByteWriter, latents: Int32Array, order: number): Uint8Array {
  const encoder = begin(latents.length, order, false, chunkFrame32(latents, order));
  for (let start = 0; start < latents.length; start += BLOCK) encoder.block32(latents, start);
  return encoder.finish(writer);
}

export function encodeBlocks64(writer: ByteWriter, words: Uint32Array, order: number): Uint8Array {
  const count = words.length / 2;
  const encoder = begin(count, order, true, chunkFrame64(words, order));
  const signed = new Int32Array(words.buffer, words.byteOffset, words.length);
  for (let start = 0; start < count; start += BLOCK) encoder.block64(signed, start);
  return encoder.finish(writer);
}

/** Whole blocks as someone else has encoded them. */
export type EncodedBlocks = {
  readonly blocks: number;
  readonly directory: Uint8Array;
  readonly words: Uint8Array;
  readonly exceptions: Uint8Array;
  /** Of the last block, as pairs. */
  readonly seeds: Int32Array;
};

/** A payload of encoded blocks and of the latents behind them. */
export function encodeRest32(
  writer: ByteWriter,
  encoded: EncodedBlocks,
  latents: Int32Array,
  order: number,
  frame: ChunkFrame,
): Uint8Array {
  const encoder = begin(BLOCK, order, false, frame);
  encoder.adopt(encoded);
  const start = encoded.blocks * BLOCK;
  if (start < latents.length) encoder.block32(latents, start);
  return encoder.finish(writer);
}

const NOTHING = new Uint8Array(0);
const NO_BLOCKS: EncodedBlocks = {
  blocks: 0,
  directory: NOTHING,
  words: NOTHING,
  exceptions: NOTHING,
  seeds: new Int32Array(6),
};

let shared: BlockEncoder | undefined;

/** All of it is synchronous, so the encoder, whose memory costs time, is nobody else's meanwhile. */
function begin(count: number, order: number, isPairs: boolean, frame: ChunkFrame): BlockEncoder {
  shared ??= new BlockEncoder(frame);
  shared.begin(count, order, isPairs, frame);
  return shared;
}

class BlockEncoder {
  #order = 0;
  #isPairs = false;
  #frame: ChunkFrame;
  readonly #directory = new ByteWriter();
  #words = new Int32Array(0);
  readonly #exceptions = new ByteWriter();
  #before = NO_BLOCKS;
  #wordCount = 0;
  #values = 0;
  /** Residuals of the current block, less the center. */
  readonly #lows = new Int32Array(BLOCK);
  readonly #highs = new Int32Array(BLOCK);
  /** The first of each difference, in this block and in the one before. */
  readonly #seeds = new Int32Array(6);
  readonly #lastSeeds = new Int32Array(6);
  readonly #lengths = new Lengths(BLOCK);
  readonly #heights = new Lengths(BLOCK);
  readonly #centered = new WidthChoice(PATCHED);
  readonly #framed = new WidthChoice(FRAMED);
  readonly #places = new Uint8Array(BLOCK);
  readonly #exceptionLows = new Int32Array(BLOCK);
  readonly #exceptionHighs = new Int32Array(BLOCK);

  constructor(frame: ChunkFrame) {
    this.#frame = frame;
  }

  begin(count: number, order: number, isPairs: boolean, frame: ChunkFrame): void {
    this.#order = order;
    this.#isPairs = isPairs;
    this.#frame = frame;
    const words = Math.ceil(count / BLOCK) * BLOCK * (isPairs ? 2 : 1);
    if (this.#words.length < words) this.#words = new Int32Array(words);
    this.#wordCount = 0;
    this.#before = NO_BLOCKS;
    this.#lastSeeds.fill(0);
    this.#directory.cut(0);
    this.#exceptions.cut(0);
  }

  finish(writer: ByteWriter): Uint8Array {
    const start = writer.position;
    const { centerLow, centerHigh, stepLow, stepHigh } = this.#frame;
    signedVarint(writer, centerLow, centerHigh);
    if (this.#order > 0) signedVarint(writer, stepLow, stepHigh);
    const before = this.#before;
    writer.varint(before.words.length / 4 + this.#wordCount);
    writer.varint(before.directory.length + this.#directory.position);
    writer.raw(before.directory);
    writer.raw(this.#directory.finish());
    writer.raw(before.words);
    writer.raw(new Uint8Array(this.#words.buffer, 0, 4 * this.#wordCount));
    writer.raw(before.exceptions);
    writer.raw(this.#exceptions.finish());
    return writer.finish(start);
  }

  adopt(before: EncodedBlocks): void {
    this.#before = before;
    for (let d = 0; d < this.#order; d += 1) {
      this.#lastSeeds[d] = before.seeds[2 * d] as number;
      this.#lastSeeds[3 + d] = before.seeds[2 * d + 1] as number;
    }
  }

  block32(latents: Int32Array, start: number): void {
    const values = Math.min(BLOCK, latents.length - start);
    this.#values = values;
    const lows = this.#lows;
    const seeds = this.#seeds;
    const order = this.#order;
    // An integer to the engine, too.
    const center = this.#frame.centerLow | 0;
    const isUsual = order === 1 && values === BLOCK;
    if (isUsual) {
      seeds[0] = latents[start] as number;
      this.#lengths.measure(lows, latents, start, center);
    } else {
      for (let i = 0; i < values; i += 1) lows[i] = latents[start + i] as number;
      for (let d = 0; d < order; d += 1) {
        seeds[d] = d < values ? (lows[d] as number) : 0;
        for (let i = values - 1; i > d; i -= 1) {
          lows[i] = (lows[i] as number) - (lows[i - 1] as number);
        }
      }
      for (let i = order; i < values; i += 1) lows[i] = (lows[i] as number) - center;
    }
    for (let d = 0; d < order; d += 1) seeds[3 + d] = (seeds[d] as number) >> 31;
    this.#writeInts(lows, order, true, isUsual);
  }

  /** `words` are the latents as pairs, signed. */
  block64(words: Int32Array, start: number): void {
    const order = this.#order;
    const values = Math.min(BLOCK, words.length / 2 - start);
    this.#values = values;
    const isNarrow =
      order === 1
        ? this.#differences64(words, 2 * start)
        : this.#differencesOfAnyOrder64(words, 2 * start);
    if (isNarrow) this.#writeInts(this.#lows, order, true);
    else this.#writePairs();
  }

  /** Residuals of order 1; answers whether all are below 31 bits. */
  #differences64(words: Int32Array, start: number): boolean {
    const lows = this.#lows;
    const highs = this.#highs;
    const centerLow = this.#frame.centerLow | 0;
    const centerHigh = this.#frame.centerHigh | 0;
    const end = this.#values;
    let lastLow = words[start] as number;
    let lastHigh = words[start + 1] as number;
    this.#seeds[0] = lastLow;
    this.#seeds[3] = lastHigh;
    let misfits = 0;
    for (let i = 1; i < end; i += 1) {
      const low = words[start + 2 * i] as number;
      const high = words[start + 2 * i + 1] as number;
      const difference = (low - lastLow) | 0;
      const less = (difference - centerLow) | 0;
      const above =
        (high - lastHigh - carry(low, lastLow) - centerHigh - carry(difference, centerLow)) | 0;
      misfits |= misfit(less, above);
      lows[i] = less;
      highs[i] = above;
      lastLow = low;
      lastHigh = high;
    }
    return misfits === 0;
  }

  #differencesOfAnyOrder64(words: Int32Array, start: number): boolean {
    const order = this.#order;
    const values = this.#values;
    const lows = this.#lows;
    const highs = this.#highs;
    for (let i = 0; i < values; i += 1) {
      lows[i] = words[start + 2 * i] as number;
      highs[i] = words[start + 2 * i + 1] as number;
    }
    for (let d = 0; d < order; d += 1) {
      this.#seeds[d] = d < values ? (lows[d] as number) : 0;
      this.#seeds[3 + d] = d < values ? (highs[d] as number) : 0;
      differencePairs(lows, highs, values, d);
    }
    const { centerLow, centerHigh } = this.#frame;
    let misfits = 0;
    for (let i = order; i < values; i += 1) {
      const low = lows[i] as number;
      const less = (low - centerLow) | 0;
      const high = ((highs[i] as number) - centerHigh - carry(low, centerLow)) | 0;
      highs[i] = high;
      lows[i] = less;
      misfits |= misfit(less, high);
    }
    return misfits === 0;
  }

  /** A block of 32-bit residuals: centered, or with a base of its own where they lie to one side. */
  #writeInts(ints: Int32Array, first: number, withSeeds: boolean, isMeasured = false): void {
    const values = this.#values;
    const lengths = this.#lengths;
    const choice = this.#centered;
    if (!isMeasured) {
      this.#pad(ints, first, 0);
      lengths.measure(ints);
    }
    choice.choose(lengths, values);
    if (lengths.mayBeLopsided && lengths.longest > 0) {
      const { least, most } = boundsOf(ints, first, values);
      const bits = 32 - Math.clz32(most - least);
      if (bits < lengths.longest && isLopsided(least, most)) {
        const above = this.#heights;
        const framed = this.#framed;
        this.#pad(ints, first, least);
        above.measureAbove(least, ints, bits);
        framed.choose(above, values);
        if (framed.cost + OWN_BASE_COST < choice.cost) {
          this.#writePlane(ints, first, above, framed, least, true, withSeeds);
          return;
        }
      }
    }
    this.#writePlane(ints, first, lengths, choice, centeredBase(choice.width), false, withSeeds);
  }

  #writePlane(
    ints: Int32Array,
    first: number,
    lengths: Lengths,
    { width, exceptions }: WidthChoice,
    base: number,
    isFramed: boolean,
    withSeeds: boolean,
  ): void {
    this.#pad(ints, first, base);
    const count = exceptions > 0 ? this.#collect(ints, lengths, width, base) : 0;
    this.#directory.u8(width | (isFramed ? OWN_BASE : 0) | (count > 0 ? EXCEPTIONS : 0));
    if (withSeeds) this.#writeSeeds();
    if (isFramed) signedVarint(this.#directory, base, base >> 31);
    this.#writeExceptions(count);
    this.#pack(ints, width, base);
  }

  /** What stands in for seeds, and what is behind the last value, is packed as zero. */
  #pad(ints: Int32Array, first: number, base: number): void {
    for (let i = 0; i < first; i += 1) ints[i] = base;
    if (this.#values < BLOCK) ints.fill(base, this.#values);
  }

  #collect(ints: Int32Array, lengths: Lengths, width: number, base: number): number {
    const count = lengths.placesAbove(width, this.#places);
    for (let k = 0; k < count; k += 1) {
      const place = this.#places[k] as number;
      const whole = ((ints[place] as number) - base) | 0;
      const above = whole >> width;
      ints[place] = whole - (above << width) + base;
      this.#exceptionLows[k] = above > 0 ? above - 1 : above;
      this.#exceptionHighs[k] = above > 0 ? 0 : -1;
    }
    return count;
  }

  /** Residuals of more than 32 bits: the long ones as exceptions, or all of them wide. */
  #writePairs(): void {
    const values = this.#values;
    const order = this.#order;
    this.#lengths.clear();
    for (let i = order; i < values; i += 1) {
      this.#lengths.put(i, lengthOfPair(this.#lows[i] as number, this.#highs[i] as number));
    }
    const choice = this.#centered;
    choice.choose(this.#lengths, values);
    const { width, exceptions, cost } = choice;
    let highCost = 0;
    for (let i = order; i < values; i += 1) {
      highCost = Math.max(highCost, lengthOf(this.#highs[i] as number));
    }
    if ((32 + highCost) * values <= cost) {
      this.#directory.u8(WIDE);
      this.#writeSeeds();
      this.#pad(this.#lows, order, 0);
      this.#pack(this.#lows, 32, 0);
      this.#writeInts(this.#highs, order, false);
      return;
    }
    this.#directory.u8(width | (exceptions > 0 ? EXCEPTIONS : 0));
    this.#writeSeeds();
    const base = centeredBase(width);
    this.#writeExceptions(this.#collectPairs(width, base));
    this.#pad(this.#lows, order, base);
    this.#pack(this.#lows, width, base);
  }

  /** `base` is centered. */
  #collectPairs(width: number, base: number): number {
    let count = 0;
    for (let i = this.#order; i < this.#values; i += 1) {
      let low = ((this.#lows[i] as number) - base) | 0;
      let high = this.#highs[i] as number;
      // Less a base that is negative: plus its opposite, which is positive.
      if (width > 0) high = (high + carry(low, -base)) | 0;
      if (width < 32) this.#lows[i] = (low & ((1 << width) - 1)) + base;
      if (width === 32) {
        low = high;
        high >>= 31;
      } else if (width > 0) {
        low = (low >>> width) | (high << (32 - width));
        high >>= width;
      }
      if ((low | high) === 0) continue;
      if (high >= 0) {
        if (low === 0) high -= 1;
        low -= 1;
      }
      this.#places[count] = i;
      this.#exceptionLows[count] = low;
      this.#exceptionHighs[count] = high;
      count += 1;
    }
    return count;
  }

  /** Each as the difference to that of the block before. */
  #writeSeeds(): void {
    const last = this.#lastSeeds;
    for (let d = 0; d < this.#order; d += 1) {
      const low = this.#seeds[d] as number;
      const high = this.#seeds[3 + d] as number;
      let lastLow = last[d] as number;
      let lastHigh = last[3 + d] as number;
      if (d === 0) {
        const { stepLow, stepHigh } = this.#frame;
        lastLow = (lastLow + stepLow) | 0;
        lastHigh = (lastHigh + stepHigh + carry(lastLow, stepLow)) | 0;
      }
      const less = (low - lastLow) | 0;
      const lessHigh = (high - lastHigh - carry(low, lastLow)) | 0;
      signedVarint(this.#directory, less, this.#isPairs ? lessHigh : less >> 31);
      last[d] = low;
      last[3 + d] = high;
    }
  }

  #writeExceptions(count: number): void {
    if (count === 0) return;
    let bits = 1;
    for (let k = 0; k < count; k += 1) {
      const low = this.#exceptionLows[k] as number;
      const high = this.#exceptionHighs[k] as number;
      const sign = high >> 31;
      const above = high ^ sign;
      const length = above === 0 ? 33 - Math.clz32(low ^ sign) : 65 - Math.clz32(above);
      if (length > bits) bits = length;
    }
    if (count <= 32 && bits < 8) this.#directory.u8((count - 1) | ((bits - 1) << 5));
    else {
      this.#directory.u8(((count - 1) & 31) | 0xe0);
      this.#directory.u8((bits - 1) | (((count - 1) >> 5) << 6));
    }
    for (let k = 0; k < count; k += 1) this.#exceptions.u8(this.#places[k] as number);
    for (let k = 0; k < count; k += 1) {
      this.#exceptions.bits(this.#exceptionLows[k] as number, Math.min(bits, 32));
      if (bits > 32) this.#exceptions.bits(this.#exceptionHighs[k] as number, bits - 32);
    }
    this.#exceptions.endBits();
  }

  #pack(ints: Int32Array, width: number, base: number): void {
    if (width === 0) return;
    if (this.#values === BLOCK) {
      for (let lane = 0; lane < LANES; lane += 1) {
        const at = this.#wordCount + lane;
        packLane(ints, lane * LANE_VALUES, LANE_VALUES, width, base, this.#words, at, LANES);
      }
      this.#wordCount += width * LANES;
    } else {
      packLane(ints, 0, this.#values, width, base, this.#words, this.#wordCount, 1);
      this.#wordCount += Math.ceil((this.#values * width) / 32);
    }
  }
}

/** Zero if the pair needs no more than 31 bits: differences of such fit into 32. */
function misfit(low: number, high: number): number {
  return (high ^ (low >> 31)) | ((low ^ (low << 1)) >> 31);
}

/**
 * Narrow fields are put together by four or two first. Each is at least `base`, and less than 2^width
 * above it; behind `count` is a multiple of four.
 */
function packLane(
  ints: Int32Array,
  start: number,
  count: number,
  width: number,
  base: number,
  words: Int32Array,
  at: number,
  stride: number,
): void {
  const together = width <= 8 ? 4 : width <= 16 ? 2 : 1;
  const bits = together * width;
  const two = (base + (base << width)) | 0;
  const less = together === 1 ? base : together === 2 ? two : (two + (two << (2 * width))) | 0;
  let next = at;
  let word = 0;
  let filled = 0;
  for (let i = start; i < start + count; i += together) {
    let field = ((ints[i] as number) - less) | 0;
    if (together > 1) {
      field = (field + ((ints[i + 1] as number) << width)) | 0;
      if (together > 2) {
        const third = ints[i + 2] as number;
        const fourth = ints[i + 3] as number;
        field = (field + ((third + (fourth << width)) << (2 * width))) | 0;
      }
    }
    word |= field << filled;
    filled += bits;
    if (filled < 32) continue;
    words[next] = word;
    next += stride;
    filled -= 32;
    word = filled === 0 ? 0 : field >>> (bits - filled);
  }
  if (filled > 0) words[next] = word;
}

/** Zigzag, seven bits a byte. */
function signedVarint(writer: ByteWriter, low: number, high: number): void {
  const sign = high >> 31;
  let restLow = (low << 1) ^ sign;
  let restHigh = ((high << 1) | (low >>> 31)) ^ sign;
  while (restHigh !== 0 || restLow >>> 0 > 127) {
    writer.u8((restLow & 127) | 128);
    restLow = (restLow >>> 7) | (restHigh << 25);
    restHigh >>>= 7;
  }
  writer.u8(restLow);
}
