/**
 * SipHash-2-4 (Aumasson and Bernstein, 2012). A 64-bit word is two signed 32-bit halves, because
 * BigInt would cost a hundred times as much.
 */

import { assert } from "./assert.ts";
import { toHex } from "./bytes.ts";

const COMPRESSION_ROUNDS = 2;
const FINALIZATION_ROUNDS = 4;

/** Not a secret: with it, the hash is a checksum and no authentication. */
const CHECKSUM_KEY = Uint8Array.from([
  0x63, 0x75, 0x62, 0x62, 0x79, 0x20, 0x63, 0x6f, 0x6e, 0x74, 0x65, 0x6e, 0x74, 0x20, 0x76, 0x31,
]);

/** Eight bytes, least significant first, as in the reference implementation. */
export function sipHash(key16: Uint8Array, data: Uint8Array): Uint8Array {
  assert(key16.length === 16, "a SipHash key has 16 bytes");
  const k0l = wordAt(key16, 0);
  const k0h = wordAt(key16, 4);
  const k1l = wordAt(key16, 8);
  const k1h = wordAt(key16, 12);
  let v0l = k0l ^ 0x70736575;
  let v0h = k0h ^ 0x736f6d65;
  let v1l = k1l ^ 0x6e646f6d;
  let v1h = k1h ^ 0x646f7261;
  let v2l = k0l ^ 0x6e657261;
  let v2h = k0h ^ 0x6c796765;
  let v3l = k1l ^ 0x79746573;
  let v3h = k1h ^ 0x74656462;
  const blockCount = (data.length >>> 3) + 1;
  // One turn more than there are blocks: the last one is the finalization, with a block of zeros.
  for (let block = 0; block <= blockCount; block += 1) {
    const isFinal = block === blockCount;
    const ml = isFinal ? 0 : wordAt(data, block * 8);
    let mh = isFinal ? 0 : wordAt(data, block * 8 + 4);
    if (block === blockCount - 1) mh |= (data.length & 0xff) << 24;
    if (isFinal) v2l ^= 0xff;
    v3l ^= ml;
    v3h ^= mh;
    const rounds = isFinal ? FINALIZATION_ROUNDS : COMPRESSION_ROUNDS;
    let sum = 0;
    let half = 0;
    for (let round = 0; round < rounds; round += 1) {
      sum = (v0l + v1l) | 0;
      v0h = (v0h + v1h + carry(v0l, v1l, sum)) | 0;
      half = (v1h << 13) | (v1l >>> 19);
      v1l = ((v1l << 13) | (v1h >>> 19)) ^ sum;
      v1h = half ^ v0h;
      v0l = v0h;
      v0h = sum;
      sum = (v2l + v3l) | 0;
      v2h = (v2h + v3h + carry(v2l, v3l, sum)) | 0;
      v2l = sum;
      half = (v3h << 16) | (v3l >>> 16);
      v3l = ((v3l << 16) | (v3h >>> 16)) ^ v2l;
      v3h = half ^ v2h;
      sum = (v0l + v3l) | 0;
      v0h = (v0h + v3h + carry(v0l, v3l, sum)) | 0;
      v0l = sum;
      half = (v3h << 21) | (v3l >>> 11);
      v3l = ((v3l << 21) | (v3h >>> 11)) ^ v0l;
      v3h = half ^ v0h;
      sum = (v2l + v1l) | 0;
      v2h = (v2h + v1h + carry(v2l, v1l, sum)) | 0;
      half = (v1h << 17) | (v1l >>> 15);
      v1l = ((v1l << 17) | (v1h >>> 15)) ^ sum;
      v1h = half ^ v2h;
      v2l = v2h;
      v2h = sum;
    }
    v0l ^= ml;
    v0h ^= mh;
  }
  return toWordBytes(v0l ^ v1l ^ v2l ^ v3l, v0h ^ v1h ^ v2h ^ v3h);
}

/** 16 hex digits that two equal contents share, and two different ones practically never. */
export function checksum64(data: Uint8Array): string {
  return toHex(sipHash(CHECKSUM_KEY, data));
}

/** Four bytes as a signed word, lowest first; bytes beyond the end count as zero. */
function wordAt(bytes: Uint8Array, at: number): number {
  if (at + 4 > bytes.length) {
    return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16);
  }
  return (
    (bytes[at] ?? 0) |
    ((bytes[at + 1] ?? 0) << 8) |
    ((bytes[at + 2] ?? 0) << 16) |
    ((bytes[at + 3] ?? 0) << 24)
  );
}

/** The bit that adding two low halves carries into the high ones. */
function carry(a: number, b: number, sum: number): number {
  return ((a & b) | ((a | b) & ~sum)) >>> 31;
}

function toWordBytes(low: number, high: number): Uint8Array {
  const bytes = new Uint8Array(8);
  for (let i = 0; i < 4; i += 1) {
    bytes[i] = low >>> (8 * i);
    bytes[i + 4] = high >>> (8 * i);
  }
  return bytes;
}
