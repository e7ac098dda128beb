import { DecodeError } from "./decode-error.ts";

const SHARED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const STANDARD = `${SHARED}+/`;
const URL_SAFE = `${SHARED}-_`;

const NO_DIGIT = 255;

const STANDARD_OR_URL_DIGITS = digitTable([STANDARD, URL_SAFE]);
const URL_DIGITS = digitTable([URL_SAFE]);

/** The standard alphabet, padded: what the JSON mapping of Protocol Buffers writes. */
export function toBase64(bytes: Uint8Array): string {
  return encode(bytes, STANDARD) + "=".repeat((3 - (bytes.length % 3)) % 3);
}

/** Either alphabet, padded or not: what the JSON mapping of Protocol Buffers must accept. */
export function fromBase64(text: string): Uint8Array {
  let end = text.length;
  while (end > 0 && text.length - end < 2 && text.charAt(end - 1) === "=") end -= 1;
  if (end !== text.length && text.length % 4 !== 0) {
    throw new DecodeError("not base64: wrong padding", end);
  }
  return decode(text, end, STANDARD_OR_URL_DIGITS);
}

/** The URL-safe alphabet without padding. */
export function toBase64Url(bytes: Uint8Array): string {
  return encode(bytes, URL_SAFE);
}

/** Takes exactly what `toBase64Url` writes, so that a token has one spelling. */
export function fromBase64Url(text: string): Uint8Array {
  return decode(text, text.length, URL_DIGITS);
}

function encode(bytes: Uint8Array, alphabet: string): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i;
    const group = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    text += alphabet.charAt(group >> 18) + alphabet.charAt((group >> 12) & 63);
    if (left > 1) text += alphabet.charAt((group >> 6) & 63);
    if (left > 2) text += alphabet.charAt(group & 63);
  }
  return text;
}

function decode(text: string, end: number, digits: Uint8Array): Uint8Array {
  if (end % 4 === 1) throw new DecodeError("not base64: impossible length", end);
  const bytes = new Uint8Array(Math.floor((end * 3) / 4));
  let pending = 0;
  let pendingBits = 0;
  let at = 0;
  for (let i = 0; i < end; i += 1) {
    const unit = text.charCodeAt(i);
    const digit = unit < 128 ? (digits[unit] ?? NO_DIGIT) : NO_DIGIT;
    if (digit === NO_DIGIT) throw new DecodeError("not base64: foreign character", i);
    pending = ((pending << 6) | digit) & 0xffff;
    pendingBits += 6;
    if (pendingBits >= 8) {
      pendingBits -= 8;
      bytes[at++] = pending >> pendingBits;
    }
  }
  if ((pending & ((1 << pendingBits) - 1)) !== 0) {
    throw new DecodeError("not base64: bits left over", end);
  }
  return bytes;
}

function digitTable(alphabets: readonly string[]): Uint8Array {
  const table = new Uint8Array(128).fill(NO_DIGIT);
  for (const alphabet of alphabets) {
    for (let i = 0; i < alphabet.length; i += 1) table[alphabet.charCodeAt(i)] = i;
  }
  return table;
}
