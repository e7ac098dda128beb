/**
 * xxHash, 32 bits, seed 0, of `bytes` from `start` to `end`; an unsigned number. Its five primes stand
 * as literals where they are used: V8 loads and converts a module's constants anew in each round of a
 * loop, which made this two and a half times as slow.
 */
export function xxh32(bytes: Uint8Array, start = 0, end = bytes.length): number {
  // Counted from the part's own start: the loops' places are of 32 bits, and a file may be longer than that.
  const size = (end - start) | 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, size);
  let at = 0;
  let hash = 0x165667b1;
  if (size >= 16) {
    let a = 0x24234428;
    let b = 0x85ebca77 | 0;
    let c = 0;
    let d = 0x61c8864f;
    for (const last = (size - 16) | 0; at <= last; at = (at + 16) | 0) {
      a = round(a, view.getInt32(at, true));
      b = round(b, view.getInt32(at + 4, true));
      c = round(c, view.getInt32(at + 8, true));
      d = round(d, view.getInt32(at + 12, true));
    }
    hash = rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18);
  }
  hash = (hash + size) | 0;
  for (; at + 4 <= size; at += 4) {
    hash = rotate(hash + Math.imul(view.getInt32(at, true), 0xc2b2ae3d), 17);
    hash = Math.imul(hash, 0x27d4eb2f);
  }
  for (; at < size; at += 1) {
    hash = rotate(hash + Math.imul(view.getUint8(at), 0x165667b1), 11);
    hash = Math.imul(hash, 0x9e3779b1);
  }
  hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca77);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae3d);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function round(lane: number, input: number): number {
  const sum = (lane + Math.imul(input, 0x85ebca77)) | 0;
  return Math.imul((sum << 13) | (sum >>> 19), 0x9e3779b1);
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
