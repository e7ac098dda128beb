import {
  decodeBlocks32,
  decodeBlocks64,
  decodeOneBlock32,
  decodeOneBlock64,
} from "./packed-decode.ts";
import { BlockCursor, type PackedOrder } from "./packed-directory.ts";
import { encodeBlocks32, encodeBlocks64 } from "./packed-encode.ts";

/**
 * The `fast` back end: blocks of 128 latents, each readable alone, in as few bits as all but a few of
 * its differences need (frame of reference, bit-packing, patched exceptions).
 */

export type { PackedOrder };

export type PackedOptions = { readonly wasm?: boolean };

/** Latents are 32-bit integers modulo 2^32; `order` differences are taken inside each block. */
export function encodePacked32(latents: Int32Array, order: PackedOrder): Uint8Array {
  return encodeBlocks32(latents, order);
}

/** Fills `out` to its end. */
export function decodePacked32(
  payload: Uint8Array,
  order: PackedOrder,
  out: Int32Array,
  _options?: PackedOptions,
): void {
  decodeBlocks32(payload, order, out);
}

/** Latents are 64-bit integers modulo 2^64, low and high words in turns. */
export function encodePacked64(words: Uint32Array, order: PackedOrder): Uint8Array {
  return encodeBlocks64(words, order);
}

export function decodePacked64(
  payload: Uint8Array,
  order: PackedOrder,
  out: Uint32Array,
  _options?: PackedOptions,
): void {
  decodeBlocks64(payload, order, out);
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
