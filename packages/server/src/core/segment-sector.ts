/**
 * How records lie in a segment. A segment is written in whole pages, never twice: what a write
 * touches holds no record that was acknowledged before, so a torn write can spoil only itself.
 *
 * Every sector says for itself whether it was written, and by which write:
 *
 *     0  stamp u32   from cell, incarnation, segment, life and the sector's place; first byte not 0
 *     4  write u32   the write's number in its segment, from 1
 *     8  data        496 bytes
 *   504  index u16   the sector's place in its write
 *   506  count u16   sectors in its write
 *   508  seal u32    over all of the above but the data; last byte not 0
 *
 * So "its bad sectors are zero" (DESIGN §5) is decided per sector and not guessed from a record's
 * checksum; a sector of an older life, or one written to the wrong place, is not mistaken for ours;
 * and the extent of a write is known from any one of its sectors.
 */

import { assert } from "@cubby/base";

export const SECTOR_BYTES = 512;
export const SECTOR_DATA_BYTES = 496;
/** The unit of writing: what drives and file systems write at once. */
export const PAGE_BYTES = 4096;
/** The longest single write of a journal: as far as one that went wrong may reach. */
export const WRITE_BYTES_MAX = 1 << 20;
export const SECTORS_PER_PAGE = PAGE_BYTES / SECTOR_BYTES;
export const PAGE_DATA_BYTES = SECTORS_PER_PAGE * SECTOR_DATA_BYTES;

const DATA_OFFSET = 8;
const SEAL_OFFSET = 508;
/** From here on, looking at words is worth the view of them that it takes. */
const LONG_BYTES = 64;

export type SectorPlace = { readonly seed: number; readonly sector: number };

export type WritePlace = {
  /** Of the segment in its present life: see segmentSeed. */
  readonly seed: number;
  readonly firstSector: number;
  readonly write: number;
};

/** What a sector holds, as seen after a crash. */
export type SectorState =
  | {
      readonly kind: "written";
      readonly write: number;
      readonly index: number;
      readonly count: number;
    }
  | { readonly kind: "zero" }
  /** Written, or zeroed, only up to some byte: the write that did it never completed. */
  | { readonly kind: "partial" }
  /** Anything else: rot, another life, another place. */
  | { readonly kind: "alien" };

/** Lays whole pages of data out as sectors. `out` holds at least as many pages; all of it is set. */
export function stampWrite(data: Uint8Array, place: WritePlace, out: Uint8Array): Uint8Array {
  const count = data.length / SECTOR_DATA_BYTES;
  assert(count % SECTORS_PER_PAGE === 0 && count > 0 && count <= 0xffff, "a write is whole pages");
  const bytes = out.subarray(0, count * SECTOR_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  bytes.set(data);
  // Spread from the end, where there is room; that takes no view for each sector.
  for (let index = count - 1; index >= 0; index -= 1) {
    const at = index * SECTOR_BYTES;
    const from = index * SECTOR_DATA_BYTES;
    bytes.copyWithin(at + DATA_OFFSET, from, from + SECTOR_DATA_BYTES);
    const stamp = stampOf(place.seed, place.firstSector + index);
    view.setUint32(at, stamp, true);
    view.setUint32(at + 4, place.write, true);
    view.setUint16(at + 504, index, true);
    view.setUint16(at + 506, count, true);
    view.setUint32(at + SEAL_OFFSET, sealOf(stamp, place.write, index, count), true);
  }
  return bytes;
}

/** `at` is the sector's offset in `bytes`. */
export function readSector(bytes: Uint8Array, at: number, place: SectorPlace): SectorState {
  const stamp = stampOf(place.seed, place.sector);
  const found = u32(bytes, at);
  if (found === stamp) {
    const write = u32(bytes, at + 4);
    const index = u16(bytes, at + 504);
    const count = u16(bytes, at + 506);
    if (u32(bytes, at + SEAL_OFFSET) === sealOf(stamp, write, index, count)) {
      return { kind: "written", write, index, count };
    }
    return bytes[at + SECTOR_BYTES - 1] === 0 ? { kind: "partial" } : { kind: "alien" };
  }
  if (isZero(bytes, at, at + SECTOR_BYTES)) return { kind: "zero" };
  return isCutStamp(bytes, at, stamp) ? { kind: "partial" } : { kind: "alien" };
}

/** The data of the sector at `at`, not a copy. */
export function sectorData(bytes: Uint8Array, at: number): Uint8Array {
  return bytes.subarray(at + DATA_OFFSET, at + DATA_OFFSET + SECTOR_DATA_BYTES);
}

/** The data of `count` sectors from the one at `at`, in one piece. */
export function gatherData(bytes: Uint8Array, at: number, count: number): Uint8Array {
  const data = new Uint8Array(count * SECTOR_BYTES);
  data.set(bytes.subarray(at, at + data.length));
  for (let index = 0; index < count; index += 1) {
    const from = index * SECTOR_BYTES + DATA_OFFSET;
    data.copyWithin(index * SECTOR_DATA_BYTES, from, from + SECTOR_DATA_BYTES);
  }
  return data.subarray(0, count * SECTOR_DATA_BYTES);
}

/** Where in the file byte `position` of a write's data lies. */
export function dataOffset(firstSector: number, position: number): number {
  const sector = firstSector + Math.floor(position / SECTOR_DATA_BYTES);
  return sector * SECTOR_BYTES + DATA_OFFSET + (position % SECTOR_DATA_BYTES);
}

export function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  let at = from;
  // The next multiple of four in the buffer: from there on, a word at a time.
  const aligned = from + (-(bytes.byteOffset + from) & 3);
  for (; at < to && at < aligned; at += 1) {
    if (bytes[at] !== 0) return false;
  }
  if (to - at >= LONG_BYTES && bytes[at] === 0 && to <= bytes.length) {
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, (to - at) >> 2);
    for (let i = 0; i < words.length; i += 1) {
      if (words[i] !== 0) return false;
    }
    at += words.length * 4;
  }
  for (; at < to; at += 1) {
    if (bytes[at] !== 0) return false;
  }
  return true;
}

/**
 * A write that stopped inside the stamp leaves some of its bytes and zeros, also if a zeroing stopped in it
 * later; a zeroing of a whole sector that stopped in the stamp leaves zeros and then what was there.
 */
function isCutStamp(bytes: Uint8Array, at: number, stamp: number): boolean {
  const isWritten = (i: number): boolean => bytes[at + i] === ((stamp >>> (8 * i)) & 0xff);
  const isBlank = (i: number): boolean => bytes[at + i] === 0;
  if (isZero(bytes, at + 4, at + SECTOR_BYTES)) {
    return [0, 1, 2, 3].every((i) => isBlank(i) || isWritten(i));
  }
  let zeros = 0;
  while (zeros < 4 && isBlank(zeros)) zeros += 1;
  if (zeros === 0) return false;
  for (let i = zeros; i < 4; i += 1) {
    if (!isWritten(i)) return false;
  }
  return true;
}

/** Two bits of the first byte are always set: one flipped bit never makes it zero. */
function stampOf(seed: number, sector: number): number {
  return (mix(seed ^ Math.imul(sector + 1, 0x9e3779b1)) | 0x81) >>> 0;
}

/** As the stamp, at the other end: a sector whose last byte is zero was not written to its end. */
function sealOf(stamp: number, write: number, index: number, count: number): number {
  const place = mix(stamp ^ Math.imul(write, 0x9e3779b1));
  return (mix(place ^ (index | (count << 16))) | 0x81000000) >>> 0;
}

/** The finalizer of MurmurHash3: every bit of the input moves every bit of the output. */
function mix(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
}

function u32(bytes: Uint8Array, at: number): number {
  return (u16(bytes, at) | (u16(bytes, at + 2) << 16)) >>> 0;
}
