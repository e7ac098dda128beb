import { ascending, BINS_MAX, type Bins, bitsOf, chooseBins } from "./bins.ts";
import { BLOCK_LOGS, CLASSES_MAX, chooseClasses } from "./block-classes.ts";
import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { corrupt } from "./delta-error.ts";
import { NumberCoder } from "./number-coder.ts";
import { RangeDecoder, RangeEncoder } from "./range-coder.ts";
import {
  decodePackedSlots,
  decodeSymbols,
  encodeSymbols,
  LANES,
  normalize,
  PACKED_LOG,
  PACKED_SYMBOLS_MAX,
  packedSlots,
  type SymbolSource,
} from "./rans.ts";
import type { decodePackedSlotsWasm } from "./wasm-rans.ts";

/**
 * The `small` back end: residuals as rANS-coded bins with plain offset bits. Each block of 128 takes
 * the frequencies of one of up to 16 classes.
 */

const LOG_MAX = 14;
/** Residuals stay below this, so that differences of two are exact in a double. */
const RESIDUAL_MAX = 2 ** 52;
const WIDTH_MAX = 53;
/** So many classes of blocks are a stream of their own, which decodes faster than a header. */
const CLASS_STREAM_MIN = 512;
/** The fast decoder reads on past the end for at most one block. */
const PADDING_BYTES = 1024;
const SAMPLE_MAX = 65_536;

/** How the header's numbers are told apart; each context learns its own statistics. */
const CONTEXT = { bits: 0, gap: 1, frequency: 2, class: 18 } as const;
const CONTEXTS = CONTEXT.class + CLASSES_MAX;

let decodeByWasm: typeof decodePackedSlotsWasm | undefined;

/** Without it JavaScript does everything. */
export function addSlotsEngine(given: typeof decodePackedSlotsWasm): void {
  decodeByWasm = given;
}

export function encodeSmall(residuals: Float64Array): Uint8Array {
  const { bins, symbols } = fit(residuals);
  const binCount = bins.lows.length;
  const log = tableLog(residuals.length, binCount);
  const { blockLog, counts, ofBlock } = chooseClasses(symbols, binCount);
  const tables = counts.map((row) => normalize(row, log));
  const whole = padded(symbols, tables, ofBlock);
  const coded = encodeSymbols(whole, tables, log, ofBlock, blockLog);
  const isStream = tables.length > 1 && ofBlock.length >= CLASS_STREAM_MIN;
  const classes = isStream ? new Uint8Array(0) : ofBlock;
  const header = writeHeader({ ...bins, tables, classes }, log);
  const writer = new ByteWriter();
  writer.u8(log | (blockLog << 4));
  writer.varint(binCount);
  writer.u8(tables.length);
  writer.varint(header.length);
  writer.varint(coded.words.length);
  writer.raw(header);
  if (isStream) {
    const stream = encodeSmall(
      Float64Array.from(ofBlock, (k, i) => turn(k, ofBlock[i - 1], tables.length)),
    );
    writer.varint(stream.length);
    writer.raw(stream);
  }
  for (const state of coded.states) writer.u32(state);
  writer.raw(new Uint8Array(coded.words.slice().buffer));
  writeOffsets(writer, residuals, whole, bins);
  return writer.finish();
}

/** Fills `out` with as many residuals as were encoded, or with their running sums from `sumFrom`. */
export function decodeSmall32(
  payload: Uint8Array,
  out: Int32Array,
  options: { readonly sumFrom?: number | undefined; readonly wasm: boolean },
): void {
  const { sumFrom, wasm } = options;
  const { source, tables, log } = readPayload(payload, out.length);
  const { lows, bits } = source;
  const isNear = Math.max(...bits) <= 25 && Math.abs(lows[0] as number) < 2 ** 26;
  if (log === PACKED_LOG && isNear && (lows.at(-1) as number) < 2 ** 26) {
    const whole = out.length % LANES === 0 ? out : new Int32Array(roundUp(out.length));
    const slots = tables.map(packedSlots);
    if (!wasm || decodeByWasm?.(source, slots, whole, sumFrom) !== true) {
      decodePackedSlots(source, slots, whole, sumFrom);
    }
    if (whole !== out) out.set(whole.subarray(0, out.length));
    return;
  }
  const wide = new Float64Array(roundUp(out.length));
  decodeSymbols(source, tables, log, wide);
  let sum = sumFrom ?? 0;
  for (let i = 0; i < out.length; i += 1) {
    sum = sumFrom === undefined ? (wide[i] as number) : (sum + (wide[i] as number)) | 0;
    out[i] = sum;
  }
}

/** The same for residuals of up to 53 bits. */
export function decodeSmall64(payload: Uint8Array, out: Float64Array): void {
  const { source, tables, log } = readPayload(payload, out.length);
  const whole = new Float64Array(roundUp(out.length));
  decodeSymbols(source, tables, log, whole);
  out.set(whole.subarray(0, out.length));
}

function roundUp(count: number): number {
  return Math.ceil(count / LANES) * LANES;
}

/** Bins chosen on a sample, with more for what the sample lacks, and the bin of each residual. */
function fit(residuals: Float64Array): { bins: Bins; symbols: Uint16Array } {
  const chosen = chooseBins(ascending(sample(residuals)), residuals.length);
  const symbols = new Uint16Array(residuals.length);
  const bins = withGapsFilled(chosen, residuals, symbols);
  if (bins !== chosen) assignBins(residuals, bins.lows, symbols);
  return { bins, symbols };
}

function assignBins(residuals: Float64Array, lows: Float64Array, symbols: Uint16Array): void {
  const find = finder(lows);
  for (let i = 0; i < residuals.length; i += 1) symbols[i] = find(residuals[i] as number);
}

/** Widening a bin would make all of its members dearer: what lies beyond its reach gets a bin. */
function withGapsFilled(bins: Bins, residuals: Float64Array, symbols: Uint16Array): Bins {
  const { lows, bits } = bins;
  assignBins(residuals, lows, symbols);
  const reach = lows.map((low, s) => low + 2 ** (bits[s] as number) - 1);
  const least = new Float64Array(lows.length).fill(Number.POSITIVE_INFINITY);
  const most = reach.slice();
  for (let i = 0; i < residuals.length; i += 1) {
    const residual = residuals[i] as number;
    const s = symbols[i] as number;
    if (residual <= (reach[s] as number)) continue;
    if (residual < (least[s] as number)) least[s] = residual;
    if (residual > (most[s] as number)) most[s] = residual;
  }
  const filled: { low: number; bits: number }[] = [];
  for (let s = 0; s < lows.length; s += 1) {
    filled.push({ low: lows[s] as number, bits: bits[s] as number });
    const low = least[s] as number;
    if (low < Number.POSITIVE_INFINITY) {
      filled.push({ low, bits: bitsOf((most[s] as number) - low) });
    }
  }
  if (filled.length === lows.length) return bins;
  return {
    lows: Float64Array.from(filled, (bin) => bin.low),
    bits: Uint8Array.from(filled, (bin) => bin.bits),
  };
}

/** Runs of 64 from all over, and the least residual, below which no bin begins. */
function sample(residuals: Float64Array): Float64Array {
  const step = Math.ceil(residuals.length / SAMPLE_MAX);
  if (step === 1) return residuals.slice();
  const runs = Math.floor(residuals.length / (64 * step));
  const taken = new Float64Array(runs * 64 + 2);
  for (let run = 0; run < runs; run += 1) {
    taken.set(residuals.subarray(run * 64 * step, run * 64 * step + 64), run * 64);
  }
  let least = residuals[0] as number;
  let most = least;
  for (const residual of residuals) {
    if (residual < least) least = residual;
    if (residual > most) most = residual;
  }
  taken[runs * 64] = least;
  taken[runs * 64 + 1] = most;
  return taken;
}

const TABLE_SPAN = 4096;

/** The bin of a residual: from a table near the middle, by bisection beyond. */
function finder(lows: Float64Array): (residual: number) => number {
  const bisect = (residual: number): number => {
    let low = 0;
    let high = lows.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((lows[middle] as number) <= residual) low = middle;
      else high = middle - 1;
    }
    return low;
  };
  const center = lows[lows.length >>> 1] as number;
  const first = center - TABLE_SPAN;
  const near = Uint16Array.from({ length: 2 * TABLE_SPAN }, (_, i) => bisect(first + i));
  return (residual) => {
    const index = residual - first;
    return index >= 0 && index < 2 * TABLE_SPAN ? (near[index] as number) : bisect(residual);
  };
}

function tableLog(count: number, binCount: number): number {
  if (binCount > PACKED_SYMBOLS_MAX) return LOG_MAX;
  return count >= 2048 ? PACKED_LOG : 10;
}

/** The last group of four is filled up with the likeliest symbol of its class. */
function padded(
  symbols: Uint16Array,
  tables: readonly Uint16Array[],
  ofBlock: Uint8Array,
): Uint16Array {
  if (symbols.length % LANES === 0) return symbols;
  const whole = new Uint16Array(roundUp(symbols.length));
  whole.set(symbols);
  const table = tables[ofBlock[ofBlock.length - 1] as number] as Uint16Array;
  whole.fill(table.indexOf(Math.max(...table)), symbols.length);
  return whole;
}

function writeOffsets(
  writer: ByteWriter,
  residuals: Float64Array,
  symbols: Uint16Array,
  { bits, lows }: Bins,
): void {
  for (let i = 0; i < symbols.length; i += 1) {
    const symbol = symbols[i] as number;
    const width = bits[symbol] as number;
    const low = lows[symbol] as number;
    if (width > 0) writer.bits(i < residuals.length ? (residuals[i] as number) - low : 0, width);
  }
  writer.endBits();
}

type Header = {
  readonly lows: Float64Array;
  readonly bits: Uint8Array;
  readonly tables: readonly Uint16Array[];
  readonly classes: Uint8Array;
};

function writeHeader(header: Header, log: number): Uint8Array {
  const coder = new RangeEncoder();
  codeHeader(new NumberCoder(coder, CONTEXTS), header, header.tables.length, log);
  return coder.finish();
}

/** Writes a header; or reads one into the arrays of `header`, which are as large as they must be. */
function codeHeader(coder: NumberCoder, header: Header, classCount: number, log: number): void {
  codeBins(coder, header);
  const { tables, classes } = header;
  for (let k = 0; k < classCount; k += 1) {
    const table = tables[k] as Uint16Array;
    let left = 1 << log;
    for (let s = 0; s < table.length; s += 1) {
      const frequency = coder.code(frequencyContext(tables, k, s), table[s] as number, left);
      table[s] = frequency;
      left -= frequency;
    }
    if (left > 0) throw corrupt("frequencies");
  }
  if (classCount === 1) return;
  let last = 0;
  for (let block = 0; block < classes.length; block += 1) {
    const turned = turn(classes[block] as number, last, classCount);
    last = (last + coder.code(CONTEXT.class + last, turned, classCount - 1)) % classCount;
    classes[block] = last;
  }
}

/** A class counted from that of the block before, which so becomes 0, the shortest number. */
function turn(k: number, last: number | undefined, classCount: number): number {
  return (k - (last ?? 0) + classCount) % classCount;
}

function readClassStream(payload: Uint8Array, classes: Uint8Array, classCount: number): void {
  const turned = new Int32Array(classes.length);
  // So many blocks have too few blocks of their own to need a stream again: this ends.
  decodeSmall32(payload, turned, { wasm: false });
  let last = 0;
  for (let block = 0; block < classes.length; block += 1) {
    const more = turned[block] as number;
    if (more < 0 || more >= classCount) throw corrupt("classes");
    last = (last + more) % classCount;
    classes[block] = last;
  }
}

function codeBins(coder: NumberCoder, { lows, bits }: Header): void {
  const first = lows[0] as number;
  const isNegative = coder.code(CONTEXT.bits, first < 0 ? 1 : 0, 1) === 1;
  let low = coder.code(CONTEXT.gap, Math.abs(first), RESIDUAL_MAX);
  if (isNegative) low = -low;
  let width = 0;
  for (let s = 0; s < lows.length; s += 1) {
    const more = coder.code(CONTEXT.bits, zigzag((bits[s] as number) - width), 2 * WIDTH_MAX);
    width += unzigzag(more);
    if (width < 0 || width > WIDTH_MAX) throw corrupt("bins");
    if (s > 0)
      low += 1 + coder.code(CONTEXT.gap, (lows[s] as number) - low - 1, 2 * RESIDUAL_MAX - 1);
    lows[s] = low;
    bits[s] = width;
  }
  if (low > RESIDUAL_MAX) throw corrupt("bins");
}

/** By the length of what the frequency is likely near: the same bin's in the last table, or its neighbor's. */
function frequencyContext(tables: Header["tables"], k: number, s: number): number {
  const before = s === 0 ? 0 : ((tables[k] as Uint16Array)[s - 1] as number);
  const above = k === 0 ? before : ((tables[k - 1] as Uint16Array)[s] as number);
  return CONTEXT.frequency + bitsOf((before + above + 1) >>> 1);
}

function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

function unzigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

type Read = { source: SymbolSource; tables: readonly Uint16Array[]; log: number };

/** Everything that a decoder's loops rely on is checked here. */
function readPayload(payload: Uint8Array, count: number): Read {
  const reader = new ByteReader(payload);
  const logs = reader.u8();
  const log = logs & 15;
  const blockLog = logs >>> 4;
  if (!BLOCK_LOGS.includes(blockLog)) throw corrupt("blocks", 0);
  if (log < 8 || log > LOG_MAX) throw corrupt("tables", 0);
  const binCount = reader.varint(BINS_MAX);
  const binsMax = log === PACKED_LOG ? PACKED_SYMBOLS_MAX : 1 << log;
  if (binCount === 0 || binCount > binsMax) throw corrupt("bins", 1);
  const classCount = reader.u8();
  if (classCount === 0 || classCount > CLASSES_MAX) throw corrupt("classes");
  const headerSize = reader.varint(payload.length);
  const wordCount = reader.varint(payload.length);
  const blocks = Math.ceil(count / (1 << blockLog));
  const isStream = classCount > 1 && blocks >= CLASS_STREAM_MIN;
  const header = readHeader(
    reader.raw(headerSize),
    binCount,
    classCount,
    log,
    isStream ? 0 : blocks,
  );
  const classes = isStream ? new Uint8Array(blocks) : header.classes;
  if (isStream) readClassStream(reader.part(), classes, classCount);
  const states = Uint32Array.from({ length: LANES }, () => reader.u32());
  if (states.some((state) => state < 0x10000)) throw corrupt("states");
  const words = new Uint8Array(wordCount * 2 + 8);
  words.set(reader.raw(wordCount * 2));
  const offsetBytes = reader.remaining;
  const offsets = new Uint8Array(offsetBytes + PADDING_BYTES);
  offsets.set(reader.raw(offsetBytes));
  const { lows, bits, tables } = header;
  return {
    log,
    tables,
    source: {
      classes,
      blockLog,
      states,
      words: new Uint16Array(words.buffer),
      wordCount,
      lows,
      bits,
      offsets,
      offsetBytes,
    },
  };
}

function readHeader(
  bytes: Uint8Array,
  binCount: number,
  classCount: number,
  log: number,
  blocks: number,
): Header {
  const header: Header = {
    lows: new Float64Array(binCount),
    bits: new Uint8Array(binCount),
    tables: Array.from({ length: classCount }, () => new Uint16Array(binCount)),
    classes: new Uint8Array(blocks),
  };
  const coder = new RangeDecoder(bytes);
  codeHeader(new NumberCoder(coder, CONTEXTS), header, classCount, log);
  coder.expectEnd();
  return header;
}
