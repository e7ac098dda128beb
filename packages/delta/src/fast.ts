import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { DeltaError } from "./delta-error.ts";
import { UNPACK, type Unpack } from "./generated/unpack.ts";
import { BLOCK_VALUES } from "./limits.ts";

/**
 * The `fast` back end: blocks of 128 values, each readable alone. A block holds differences of some
 * order, less a base, in as few bits as all but a few of them need (frame of reference); the few are
 * exceptions, whose higher bits stand behind the packed words. Four lanes of 32 values in a row are
 * packed side by side, so that word k of lane j is word 4k + j: one SIMD register takes four lanes,
 * and plain code takes a lane at a time, in order.
 *
 * Payload, a column after the other: a byte for each block (width, and which of the next it has), bases,
 * numbers of exceptions, seeds, places of exceptions, their higher bits, and the packed words.
 */

export type Order = 0 | 1 | 2 | 3;

const LANE_VALUES = 32;
const LANES = 4;
/** In an entry's first byte, above the six bits of the width. */
const CENTERED = 64;
const EXCEPTIONS = 128;
/** What an exception is charged with: two bytes, and the time that it costs. */
const EXCEPTION_COST = 16 + 28;

/** What a payload says of its blocks, in arrays over all blocks, all of it checked. */
type Plan = {
  readonly widths: Uint8Array;
  readonly bases: Int32Array;
  /** Where each block's exceptions begin, and the end. */
  readonly exceptionStarts: Uint32Array;
  /** The first value of each difference, by order and block. */
  readonly seeds: readonly Int32Array[];
  readonly words: Int32Array;
  /** Place of each exception in its block, and the bits of its difference above the block's width. */
  readonly places: Uint8Array;
  readonly highs: Int32Array;
};

/** Encodes 32-bit values, modulo 2^32; self-describing but for count and order. */
export function encodeFast32(values: Int32Array, order: Order): Uint8Array {
  const blocks = Math.ceil(values.length / BLOCK_VALUES);
  const encoder = new BlockEncoder(order, blocks);
  for (let start = 0; start < values.length; start += BLOCK_VALUES) {
    encoder.encode(values, start, Math.min(BLOCK_VALUES, values.length - start));
  }
  return encoder.finish();
}

class BlockEncoder {
  readonly #order: Order;
  readonly #heads: number[] = [];
  readonly #frames: number[] = [];
  readonly #counts: number[] = [];
  readonly #seeds: number[][] = [[], [], []];
  readonly #places: number[] = [];
  readonly #highs: number[] = [];
  readonly #words: Int32Array;
  #wordCount = 0;
  readonly #residuals = new Int32Array(BLOCK_VALUES);
  readonly #histogram = new Int32Array(128);

  constructor(order: Order, blocks: number) {
    this.#order = order;
    this.#words = new Int32Array(blocks * BLOCK_VALUES);
  }

  finish(): Uint8Array {
    const writer = new ByteWriter();
    writer.raw(Uint8Array.from(this.#heads));
    writer.varint(this.#frames.length);
    writeColumn(writer, this.#frames);
    writer.varint(this.#counts.length);
    writer.raw(Uint8Array.from(this.#counts));
    for (let d = 0; d < this.#order; d += 1) {
      const seeds = this.#seeds[d] as number[];
      writeColumn(writer, seeds.map((seed, block) => (seed - (seeds[block - 1] ?? 0)) | 0));
    }
    writer.raw(Uint8Array.from(this.#places));
    writeColumn(writer, this.#highs);
    writer.raw(new Uint8Array(this.#words.buffer, 0, this.#wordCount * 4));
    return writer.finish();
  }

  encode(values: Int32Array, start: number, count: number): void {
    const residuals = this.#residuals;
    this.#difference(values, start, count);
    const first = Math.min(this.#order, count);
    const histogram = this.#histogram.fill(0);
    let least = 0x7fffffff;
    let most = -0x80000000;
    for (let i = first; i < count; i += 1) {
      const residual = residuals[i] as number;
      least = residual < least ? residual : least;
      most = residual > most ? residual : most;
      // Two histograms by turns: an increment need not wait for the one before.
      const bin = ((i & 1) << 6) + 32 - Math.clz32((residual << 1) ^ (residual >> 31));
      histogram[bin] = (histogram[bin] as number) + 1;
    }
    let choice = cheapestWidth(histogram);
    let base = choice.width === 0 ? 0 : -(2 ** (choice.width - 1));
    let isCentered = true;
    // Zigzag wastes a bit on differences that all have one sign, and more if they lie far out.
    if (first < count && (least >= 0 || most <= 0)) {
      histogram.fill(0);
      for (let i = first; i < count; i += 1) {
        const bin = ((i & 1) << 6) + 32 - Math.clz32((residuals[i] as number) - least);
        histogram[bin] = (histogram[bin] as number) + 1;
      }
      const framed = cheapestWidth(histogram);
      if (framed.cost + 12 < choice.cost) {
        choice = framed;
        base = least;
        isCentered = false;
      }
    }
    this.#write(choice.width, base, isCentered, choice.exceptions, first, count);
  }

  /** Leaves differences in `#residuals`, and the first of each in `#seeds`. */
  #difference(values: Int32Array, start: number, count: number): void {
    const residuals = this.#residuals;
    if (this.#order === 1) {
      let last = values[start] as number;
      this.#seeds[0]?.push(last);
      for (let i = 1; i < count; i += 1) {
        const value = values[start + i] as number;
        residuals[i] = value - last;
        last = value;
      }
      return;
    }
    for (let i = 0; i < count; i += 1) residuals[i] = values[start + i] as number;
    for (let d = 0; d < this.#order; d += 1) {
      this.#seeds[d]?.push(d < count ? (residuals[d] as number) : 0);
      for (let i = count - 1; i > d; i -= 1) {
        residuals[i] = (residuals[i] as number) - (residuals[i - 1] as number);
      }
    }
  }

  #write(
    width: number,
    base: number,
    isCentered: boolean,
    exceptionCount: number,
    first: number,
    count: number,
  ): void {
    this.#heads.push(width | (isCentered ? CENTERED : 0) | (exceptionCount > 0 ? EXCEPTIONS : 0));
    if (!isCentered) this.#frames.push(base);
    if (exceptionCount > 0) this.#counts.push(exceptionCount);
    // What the seeds stand for, and what lies behind the last value, is packed as the base.
    const residuals = this.#residuals;
    residuals.fill(base, 0, first);
    residuals.fill(base, count);
    if (width > 0) this.#pack(width, base);
    if (exceptionCount > 0) this.#takeExceptions(width, base);
  }

  /** All four lanes at once, since they fill their words in step. */
  #pack(width: number, base: number): void {
    const words = this.#words;
    const residuals = this.#residuals;
    const mask = width === 32 ? -1 : 2 ** width - 1;
    let at = this.#wordCount;
    this.#wordCount += width * LANES;
    let [w0, w1, w2, w3] = [0, 0, 0, 0];
    let filled = 0;
    for (let i = 0; i < LANE_VALUES; i += 1) {
      const r0 = ((residuals[i] as number) - base) & mask;
      const r1 = ((residuals[i + 32] as number) - base) & mask;
      const r2 = ((residuals[i + 64] as number) - base) & mask;
      const r3 = ((residuals[i + 96] as number) - base) & mask;
      w0 |= r0 << filled;
      w1 |= r1 << filled;
      w2 |= r2 << filled;
      w3 |= r3 << filled;
      filled += width;
      if (filled < 32) continue;
      words[at] = w0;
      words[at + 1] = w1;
      words[at + 2] = w2;
      words[at + 3] = w3;
      at += LANES;
      filled -= 32;
      // What did not fit begins the next word. A shift by 32 would be none.
      const shift = width - filled;
      const rest = filled === 0 ? 0 : -1;
      w0 = (r0 >>> shift) & rest;
      w1 = (r1 >>> shift) & rest;
      w2 = (r2 >>> shift) & rest;
      w3 = (r3 >>> shift) & rest;
    }
  }

  #takeExceptions(width: number, base: number): void {
    for (let i = 0; i < BLOCK_VALUES; i += 1) {
      const high = width === 32 ? 0 : (((this.#residuals[i] as number) - base) | 0) >> width;
      if (high === 0) continue;
      this.#places.push(i);
      this.#highs.push(high);
    }
  }
}

type Width = { width: number; exceptions: number; cost: number };

/** The width at which packed bits and exceptions cost least, of two histograms of lengths in bits. */
function cheapestWidth(histogram: Int32Array): Width {
  let longest = 32;
  while (longest > 0 && histogram[longest] === 0 && histogram[longest + 64] === 0) longest -= 1;
  const best: Width = { width: longest, exceptions: 0, cost: longest * BLOCK_VALUES };
  let above = 0;
  for (let width = longest - 1; width >= 0; width -= 1) {
    above += (histogram[width + 1] as number) + (histogram[width + 65] as number);
    const cost = width * BLOCK_VALUES + above * EXCEPTION_COST;
    if (cost < best.cost) {
      best.cost = cost;
      best.width = width;
      best.exceptions = above;
    }
    if (above * EXCEPTION_COST > best.cost) break;
  }
  return best;
}

/** Everything that the loops rely on is checked here. */
function readPlan(payload: Uint8Array, blocks: number, order: Order): Plan {
  const reader = new ByteReader(payload);
  const entries = readDirectory(reader, blocks, order);
  const exceptionCount = entries.exceptionStarts[blocks] as number;
  const places = reader.raw(exceptionCount);
  const highs = readColumn(reader, exceptionCount);
  let wordCount = 0;
  for (const width of entries.widths) wordCount += width * LANES;
  const words = new Int32Array(reader.raw(wordCount * 4).slice().buffer);
  reader.expectEnd();
  return { ...entries, words, places, highs };
}

type Entries = Omit<Plan, "words" | "places" | "highs">;

function readDirectory(reader: ByteReader, blocks: number, order: Order): Entries {
  const heads = reader.raw(blocks);
  const frames = readColumn(reader, reader.varint(blocks));
  const counts = reader.raw(reader.varint(blocks));
  const widths = new Uint8Array(blocks);
  const bases = new Int32Array(blocks);
  const exceptionStarts = new Uint32Array(blocks + 1);
  let framed = 0;
  let counted = 0;
  let exceptions = 0;
  for (let block = 0; block < blocks; block += 1) {
    const head = heads[block] as number;
    const width = head & 63;
    if (width > 32) throw new DeltaError("corrupt", `a block of ${width} bits`, block);
    widths[block] = width;
    // What the columns lack reads as undefined, and leaves the counts too high.
    if ((head & CENTERED) === 0) bases[block] = frames[framed++] as number;
    else bases[block] = width === 0 ? 0 : -1 << (width - 1);
    if (head > 127) exceptions += counts[counted++] as number;
    exceptionStarts[block + 1] = exceptions;
  }
  if (framed !== frames.length || counted !== counts.length) {
    throw new DeltaError("corrupt", "a directory whose columns do not fit its blocks", reader.position);
  }
  const seeds: Int32Array[] = [];
  while (seeds.length < order) {
    const column = readColumn(reader, blocks);
    accumulate(column, 0, blocks, 0);
    seeds.push(column);
  }
  return { widths, bases, exceptionStarts, seeds };
}

/** Numbers with a sign, zigzag, in as many bytes as the largest needs: all lowest bytes first. */
function writeColumn(writer: ByteWriter, values: readonly number[]): void {
  let all = 0;
  for (const value of values) all |= (value << 1) ^ (value >> 31);
  const width = Math.ceil((32 - Math.clz32(all)) / 8);
  writer.u8(width);
  for (let k = 0; k < width; k += 1) {
    for (const value of values) writer.u8((((value << 1) ^ (value >> 31)) >>> (8 * k)) & 255);
  }
}

function readColumn(reader: ByteReader, count: number): Int32Array {
  const width = reader.u8();
  if (width > 4) throw new DeltaError("corrupt", `numbers of ${width} bytes`, reader.position - 1);
  const bytes = reader.raw(count * width);
  const column = new Int32Array(count);
  for (let k = 0; k < width; k += 1) {
    for (let i = 0; i < count; i += 1) {
      column[i] = (column[i] as number) | ((bytes[k * count + i] as number) << (8 * k));
    }
  }
  for (let i = 0; i < count; i += 1) {
    const folded = column[i] as number;
    column[i] = (folded >>> 1) ^ -(folded & 1);
  }
  return column;
}

/** Fills `out` with its values. */
export function decodeFast32(payload: Uint8Array, order: Order, out: Int32Array): void {
  const blocks = Math.ceil(out.length / BLOCK_VALUES);
  const plan = readPlan(payload, blocks, order);
  const { widths, bases, exceptionStarts, words } = plan;
  const seeds = plan.seeds[order - 1] ?? bases;
  const keep = order === 0 ? 0 : -1;
  const whole = Math.floor(out.length / BLOCK_VALUES);
  let at = 0;
  for (let block = 0; block < whole; block += 1) {
    const width = widths[block] as number;
    const unpack = UNPACK[width] ?? fill;
    const base = bases[block] as number;
    // The seed's place was packed as the base: the first sums come out as the seed.
    const sum = ((seeds[block] as number) - order * base) | 0;
    unpack(words, at, at + LANES, out, block * BLOCK_VALUES, base, sum, keep);
    if (order > 1 || exceptionStarts[block] !== exceptionStarts[block + 1]) {
      finishBlock(plan, block, order, out, block * BLOCK_VALUES);
    }
    at += LANES * width;
  }
  if (whole === blocks) return;
  const rest = new Int32Array(BLOCK_VALUES);
  decodeBlock(plan, whole, order, at, rest);
  out.set(rest.subarray(0, out.length - whole * BLOCK_VALUES), whole * BLOCK_VALUES);
}

/** Decodes block `block` alone of `count` values, into `out`, which has room for 128. */
export function decodeFastBlock32(
  payload: Uint8Array,
  count: number,
  order: Order,
  block: number,
  out: Int32Array,
): void {
  const plan = readPlan(payload, Math.ceil(count / BLOCK_VALUES), order);
  let at = 0;
  for (let before = 0; before < block; before += 1) at += LANES * (plan.widths[before] as number);
  decodeBlock(plan, block, order, at, out);
}

/** One block, whose words begin at `at`, into the first places of `out`. */
function decodeBlock(plan: Plan, block: number, order: Order, at: number, out: Int32Array): void {
  const base = plan.bases[block] as number;
  const unpack = UNPACK[plan.widths[block] as number] ?? fill;
  const seed = plan.seeds[order - 1]?.[block] ?? 0;
  const sum = (seed - order * base) | 0;
  unpack(plan.words, at, at + LANES, out, 0, base, sum, order === 0 ? 0 : -1);
  finishBlock(plan, block, order, out, 0);
}

/** Adds what the exceptions lack, and takes the sums of the lower orders. */
function finishBlock(
  { widths, exceptionStarts, seeds, places, highs }: Plan,
  block: number,
  order: Order,
  out: Int32Array,
  start: number,
): void {
  const end = exceptionStarts[block + 1] as number;
  const width = widths[block] as number;
  let more = 0;
  for (let k = exceptionStarts[block] as number; k < end; k += 1) {
    const place = places[k] as number;
    const next = k + 1 < end ? (places[k + 1] as number) : BLOCK_VALUES;
    if (place >= next || next > BLOCK_VALUES) {
      throw new DeltaError("corrupt", `exceptions at ${place} and ${next} of a block`);
    }
    const high = (highs[k] as number) << width;
    // What one difference lacks, all sums from there on lack.
    more = order === 0 ? high : (more + high) | 0;
    const last = start + (order === 0 ? place + 1 : next);
    for (let i = start + place; i < last; i += 1) out[i] = (out[i] as number) + more;
  }
  for (let d = order - 2; d >= 0; d -= 1) {
    const seed = seeds[d]?.[block] as number;
    out[start + d] = seed;
    accumulate(out, start + d + 1, start + BLOCK_VALUES, seed);
  }
}

/** What unpacks a width of 0. */
const fill: Unpack = (_words, at, end, out, start, base, sum, keep) => {
  let value = sum;
  for (let i = start; i < start + (end - at) * LANE_VALUES; i += 1) {
    value = ((value & keep) + base) | 0;
    out[i] = value;
  }
  return value;
};

function accumulate(out: Int32Array, start: number, end: number, from: number): void {
  let sum = from;
  for (let i = start; i < end; i += 1) {
    sum = (sum + (out[i] as number)) | 0;
    out[i] = sum;
  }
}
