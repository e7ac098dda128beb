import { ByteWriter } from "./byte-writer.ts";
import { assert, DeltaError } from "./delta-error.ts";
import {
  decodeBlocks32,
  decodeBlocks64,
  decodeOneBlock32,
  decodeOneBlock64,
} from "./packed-decode.ts";
import { BLOCK, BlockCursor, type PackedOrder } from "./packed-directory.ts";
import { encodeBlocks32, encodeBlocks64 } from "./packed-encode.ts";
import type { forgetPackedWasm, PackedWasm, packedWasm, Scale } from "./packed-wasm.ts";
import { sameWords } from "./same-words.ts";

/**
 * The `fast` back end: blocks of 128 latents, each readable alone, in as few bits as all but a few of
 * its differences need (frame of reference, bit-packing, patched exceptions).
 */

export type { PackedOrder };

export type PackedOptions = {
  /**
   * False: JavaScript only. True, which is the default: WebAssembly where it pays, which is after the
   * first quarter of a million latents. "now": from the first one.
   */
  readonly wasm?: boolean | "now";
};

export type PackedEngine = {
  readonly packedWasm: typeof packedWasm;
  readonly forgetPackedWasm: typeof forgetPackedWasm;
};

let webAssembly: PackedEngine | undefined;

/** Without it JavaScript does everything. */
export function addPackedEngine(given: PackedEngine): void {
  webAssembly = given;
}

/** Kernels take some milliseconds to make: it takes so many latents to win them back. */
const WARM_UP = 2 ** 18;
let latentsSeen = 0;

function engine(count: number, { wasm = true }: PackedOptions): PackedWasm | undefined {
  if (wasm === false || count < BLOCK) return undefined;
  latentsSeen += count;
  return wasm === "now" || latentsSeen > WARM_UP ? webAssembly?.packedWasm() : undefined;
}

/**
 * Latents are 32-bit integers modulo 2^32; `order` differences are taken inside each block. Answers what
 * it has written.
 */
export function encodePacked32(
  latents: Int32Array,
  order: PackedOrder,
  options: PackedOptions = {},
  writer = new ByteWriter(),
): Uint8Array {
  const start = writer.position;
  const encoded = attempt(() => engine(latents.length, options)?.encode32(writer, latents, order));
  if (encoded !== undefined) return encoded;
  writer.cut(start);
  const payload = encodeBlocks32(writer, latents, order);
  if (checked.length < latents.length) checked = new Int32Array(latents.length);
  const decoded = checked.subarray(0, latents.length);
  decodeBlocks32(payload, order, decoded);
  assertSame(decoded, latents);
  return payload;
}

// What a payload decodes to, to compare it with what it was made of.
let checked = new Int32Array(0);

function assertSame(decoded: Int32Array, wanted: Int32Array): void {
  const isSame = sameWords(decoded, wanted);
  assert(isSame, "a packed chunk decodes to the latents that it was made of");
}

/** Fills `out` to its end. */
export function decodePacked32(
  payload: Uint8Array,
  order: PackedOrder,
  out: Int32Array,
  options: PackedOptions = {},
): void {
  const latents = decodeByWasm(payload, order, out.length, false, options);
  if (latents === undefined) decodeBlocks32(payload, order, out);
  else out.set(latents);
}

/**
 * The latents in the memory of WebAssembly, without a copy: they are overwritten by the next call of
 * any function here. Where there is no WebAssembly, they are in `out`, or in an array of their own.
 */
export function decodePacked32Resident(
  payload: Uint8Array,
  order: PackedOrder,
  count: number,
  options: PackedOptions = {},
  out?: Int32Array,
): Int32Array {
  const latents = decodeByWasm(payload, order, count, false, options);
  if (latents !== undefined) return latents;
  // Its head and directory are checked before anything of this size is made.
  if (out === undefined) new BlockCursor(payload, count, order, false);
  const target = out ?? new Int32Array(count);
  decodeBlocks32(payload, order, target);
  return target;
}

/**
 * Fills `out` with (q × step + start) × multiplier / divisor of each integer; false, and nothing done,
 * where there is no WebAssembly.
 */
export function scaleByWasm(
  ints: Int32Array,
  out: Float64Array,
  scale: Scale,
  options: PackedOptions = {},
): boolean {
  const { multiplier, divisor } = scale;
  // Else there are NaNs, whose bits are not the same everywhere.
  const isSound = Number.isFinite(multiplier) && Number.isFinite(divisor) && divisor !== 0;
  return isSound && attempt(() => engine(ints.length, options)?.scale(ints, out, scale)) === true;
}

/** Latents are 64-bit integers modulo 2^64, low and high words in turns. */
export function encodePacked64(
  words: Uint32Array,
  order: PackedOrder,
  options: PackedOptions = {},
  writer = new ByteWriter(),
): Uint8Array {
  const payload = encodeBlocks64(writer, words, order);
  if (checked.length < words.length) checked = new Int32Array(words.length);
  const decoded = new Uint32Array(checked.buffer, 0, words.length);
  decodePacked64(payload, order, decoded, options);
  assertSame(
    checked.subarray(0, words.length),
    new Int32Array(words.buffer, words.byteOffset, words.length),
  );
  return payload;
}

export function decodePacked64(
  payload: Uint8Array,
  order: PackedOrder,
  out: Uint32Array,
  options: PackedOptions = {},
): void {
  const words = decodeByWasm(payload, order, out.length / 2, true, options);
  if (words === undefined) decodeBlocks64(payload, order, out);
  else out.set(words);
}

/** Undefined where JavaScript has to do it, if only to say what is wrong. */
function decodeByWasm(
  payload: Uint8Array,
  order: PackedOrder,
  count: number,
  isPairs: boolean,
  options: PackedOptions,
): Int32Array | undefined {
  return attempt(() => engine(count, options)?.decode(payload, order, count, isPairs));
}

/** Least and greatest of many integers, if WebAssembly is at hand: for less it is not made. */
export function boundsByWasm(ints: Int32Array): Int32Array | undefined {
  if (latentsSeen <= WARM_UP || ints.length < BLOCK) return undefined;
  return attempt(() => webAssembly?.packedWasm()?.bounds(ints));
}

/** Undefined when the engine fails, which then is not asked again. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof DeltaError)) webAssembly?.forgetPackedWasm();
    return undefined;
  }
}

/** Only the 128 latents of block `block`; answers how many there are. */
export function decodePackedBlock32(
  payload: Uint8Array,
  count: number,
  order: PackedOrder,
  block: number,
  out: Int32Array,
): number {
  return decodeOneBlock32(payload, count, order, block, out);
}

export function decodePackedBlock64(
  payload: Uint8Array,
  count: number,
  order: PackedOrder,
  block: number,
  out: Uint32Array,
): number {
  return decodeOneBlock64(payload, count, order, block, out);
}

export type PackedBlock = { readonly bits: number; readonly exceptions: number };

/** Bits of a field and exceptions of each block. */
export function describePacked(
  payload: Uint8Array,
  count: number,
  order: PackedOrder,
  isPairs: boolean,
): PackedBlock[] {
  const cursor = new BlockCursor(payload, count, order, isPairs);
  return Array.from({ length: cursor.blocks }, () => {
    cursor.next();
    return { bits: cursor.width + (cursor.isWide ? 32 : 0), exceptions: cursor.exceptions };
  });
}
