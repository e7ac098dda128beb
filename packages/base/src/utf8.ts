/**
 * UTF-8 of our own, since pure packages have no TextEncoder. Encoding puts U+FFFD for a lone
 * surrogate, as TextEncoder does; decoding refuses malformed input instead of repairing it, so that
 * two byte strings never decode to one name.
 */

import { assert } from "./assert.ts";
import { DecodeError } from "./decode-error.ts";

const REPLACEMENT = 0xfffd;

/** Code units handed to one `String.fromCharCode` call; far below every engine's argument limit. */
const UNITS_PER_CALL = 4096;

/** Reused by every decode: nothing here is re-entrant. */
const units = new Uint16Array(UNITS_PER_CALL);

/** True unless `text` holds half of a surrogate pair, which UTF-8 cannot carry. */
export function isWellFormed(text: string): boolean {
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    if ((unit & 0xf800) !== 0xd800) continue;
    if (codePointAt(text, i) === REPLACEMENT) return false;
    i += 1;
  }
  return true;
}

/** How many bytes `utf8Encode` makes of `text`. */
export function utf8Length(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) {
      length += 1;
      continue;
    }
    length += 2;
    // A pair is two units and four bytes: two more than the units already counted.
    if ((unit & 0xf800) === 0xd800 && codePointAt(text, i) > 0xffff) i += 1;
  }
  return length;
}

export function utf8Encode(text: string): Uint8Array {
  const bytes = new Uint8Array(utf8Length(text));
  const end = utf8Write(text, bytes, 0);
  assert(end === bytes.length, "the measured length is the encoded length");
  return bytes;
}

/** Encodes into `target`, which must have room for `utf8Length(text)`; returns the end offset. */
export function utf8Write(text: string, target: Uint8Array, offset: number): number {
  let at = offset;
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) {
      target[at++] = unit;
    } else if (unit < 0x800) {
      target[at++] = 0xc0 | (unit >> 6);
      target[at++] = 0x80 | (unit & 0x3f);
    } else {
      const point = (unit & 0xf800) === 0xd800 ? codePointAt(text, i) : unit;
      if (point > 0xffff) {
        target[at++] = 0xf0 | (point >> 18);
        target[at++] = 0x80 | ((point >> 12) & 0x3f);
        i += 1;
      } else {
        target[at++] = 0xe0 | (point >> 12);
      }
      target[at++] = 0x80 | ((point >> 6) & 0x3f);
      target[at++] = 0x80 | (point & 0x3f);
    }
  }
  return at;
}

/** Throws DecodeError on malformed, overlong, surrogate, and out-of-range sequences. */
export function utf8Decode(bytes: Uint8Array): string {
  let text = "";
  let count = 0;
  let at = 0;
  while (at < bytes.length) {
    // Room for a pair is always left, so that a pair is never split between two calls.
    if (count > UNITS_PER_CALL - 2) {
      text += fromUnits(count);
      count = 0;
    }
    const first = bytes[at] ?? 0;
    if (first < 0x80) {
      units[count++] = first;
      at += 1;
      continue;
    }
    const size = sequenceSize(first, at);
    const point = sequencePoint(bytes, at, size);
    if (point > 0xffff) {
      units[count++] = 0xd7c0 + (point >> 10);
      units[count++] = 0xdc00 | (point & 0x3ff);
    } else {
      units[count++] = point;
    }
    at += size;
  }
  return text + fromUnits(count);
}

/** The code point whose surrogate stands at `i`, or U+FFFD if its other half is missing. */
function codePointAt(text: string, i: number): number {
  const high = text.charCodeAt(i);
  if (high >= 0xdc00 || i + 1 >= text.length) return REPLACEMENT;
  const low = text.charCodeAt(i + 1);
  if ((low & 0xfc00) !== 0xdc00) return REPLACEMENT;
  return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

function sequenceSize(first: number, at: number): number {
  if (first >= 0xc2 && first <= 0xdf) return 2;
  if ((first & 0xf0) === 0xe0) return 3;
  if (first >= 0xf0 && first <= 0xf4) return 4;
  throw new DecodeError("not UTF-8: a byte that starts no sequence", at);
}

function sequencePoint(bytes: Uint8Array, at: number, size: number): number {
  if (at + size > bytes.length) throw new DecodeError("not UTF-8: cut short", at);
  let point = (bytes[at] ?? 0) & (0x7f >> size);
  for (let i = 1; i < size; i += 1) {
    const byte = bytes[at + i] ?? 0;
    if ((byte & 0xc0) !== 0x80) throw new DecodeError("not UTF-8: broken sequence", at + i);
    point = (point << 6) | (byte & 0x3f);
  }
  if (size === 3 && point < 0x800) throw new DecodeError("not UTF-8: overlong", at);
  if (size === 4 && point < 0x10000) throw new DecodeError("not UTF-8: overlong", at);
  if ((point & 0x1ff800) === 0xd800) throw new DecodeError("not UTF-8: a surrogate", at);
  if (point > 0x10ffff) throw new DecodeError("not UTF-8: beyond U+10FFFF", at);
  return point;
}

function fromUnits(count: number): string {
  const part = units.subarray(0, count);
  // The engine takes any array-like here; only the declared type insists on an array.
  return String.fromCharCode.apply(undefined, part as unknown as number[]);
}
