import { DeltaError } from "./delta-error.ts";

/**
 * Strings as bytes: UTF-8, save that a surrogate without its other half takes the three bytes that
 * UTF-8 would give its number, and that the character NUL takes the two bytes C0 80. So every
 * string of JavaScript has bytes, none of them 0, and comes back exactly.
 */

/** Bytes that the longest encoding of one UTF-16 unit takes. */
export const UNIT_BYTES_MAX = 3;

/** Writes the bytes of `text` into `bytes` at `at` as far as there is room; gives where they end. */
export function writeText(text: string, bytes: Uint8Array, at: number): number {
  let end = at;
  for (let index = 0; index < text.length; index += 1) {
    let code = text.charCodeAt(index);
    if (code < 0x80 && code !== 0) {
      bytes[end++] = code;
      continue;
    }
    if (code < 0x800) {
      bytes[end++] = 0xc0 | (code >> 6);
    } else {
      const low = code >> 10 === 0x36 ? text.charCodeAt(index + 1) : 0;
      if (low >> 10 === 0x37) {
        index += 1;
        code = 0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff);
        bytes[end++] = 0xf0 | (code >> 18);
        bytes[end++] = 0x80 | ((code >> 12) & 0x3f);
      } else {
        bytes[end++] = 0xe0 | (code >> 12);
      }
      bytes[end++] = 0x80 | ((code >> 6) & 0x3f);
    }
    bytes[end++] = 0x80 | (code & 0x3f);
  }
  return end;
}

/** Units put together by one call: more arguments than this overflow the stack of some engines. */
const UNITS_PER_CALL = 4096;

/** Turns bytes back into strings; keeps room for the units between calls. */
export class TextReader {
  readonly #units = new Uint16Array(UNITS_PER_CALL + 1);

  /** The string of `bytes` from `start` to `end`; `corrupt` unless they are what `writeText` gives. */
  read(bytes: Uint8Array, start: number, end: number): string {
    const units = this.#units;
    let text = "";
    let count = 0;
    // The unit before those in `units`.
    let before = 0;
    for (let at = start; at < end; ) {
      const first = bytes[at] as number;
      if (first < 0x80 && first !== 0) {
        units[count++] = first;
        at += 1;
      } else {
        const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
        const code = at + length <= end ? decodePoint(bytes, at, length) : -1;
        const isLow = code >> 10 === 0x37;
        const isPair = isLow && (count > 0 ? (units[count - 1] as number) : before) >> 10 === 0x36;
        // The halves of a pair stand for one character, which has four bytes.
        if (code < 0 || isPair) throw new DeltaError("corrupt", "bytes that are no text", at);
        if (code >= 0x10000) {
          units[count++] = 0xd7c0 + (code >> 10);
          units[count++] = 0xdc00 | (code & 0x3ff);
        } else {
          units[count++] = code;
        }
        at += length;
      }
      if (count >= UNITS_PER_CALL) {
        text += unitsToString(units.subarray(0, count));
        before = units[count - 1] as number;
        count = 0;
      }
    }
    const rest = unitsToString(units.subarray(0, count));
    return text === "" ? rest : text + rest;
  }
}

/** The number that `length` bytes stand for, or -1 if they are not its one encoding. */
function decodePoint(bytes: Uint8Array, at: number, length: number): number {
  let code = (bytes[at] as number) & (0xff >> (length + 1));
  if ((bytes[at] as number) >> (7 - length) !== (2 << length) - 2) return -1;
  for (let index = 1; index < length; index += 1) {
    const byte = bytes[at + index] as number;
    if (byte >> 6 !== 2) return -1;
    code = (code << 6) | (byte & 0x3f);
  }
  const least = length === 2 ? 0x80 : length === 3 ? 0x800 : 0x10000;
  return (code >= least || (code === 0 && length === 2)) && code < 0x110000 ? code : -1;
}

function unitsToString(units: Uint16Array): string {
  return String.fromCharCode.apply(null, units as unknown as number[]);
}
