import { DecodeError } from "./decode-error.ts";

export const EMPTY_BYTES: Uint8Array = new Uint8Array(0);

export function concatBytes(list: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of list) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of list) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Not constant-time: never compare a secret with it. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) {
    if (a[i] !== b[i]) return false;
  }
  return true;
}

const HEX_DIGITS = "0123456789abcdef";

export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    text += HEX_DIGITS.charAt(byte >> 4) + HEX_DIGITS.charAt(byte & 15);
  }
  return text;
}

/** Takes both cases. Throws DecodeError on an odd length and on anything but hex digits. */
export function fromHex(text: string): Uint8Array {
  if (text.length % 2 !== 0) throw new DecodeError("not hex: odd length", text.length);
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i += 1) {
    bytes[i] = (hexDigit(text, 2 * i) << 4) | hexDigit(text, 2 * i + 1);
  }
  return bytes;
}

function hexDigit(text: string, at: number): number {
  const unit = text.charCodeAt(at);
  if (unit >= 0x30 && unit <= 0x39) return unit - 0x30;
  const lower = unit | 0x20;
  if (lower >= 0x61 && lower <= 0x66) return lower - 0x61 + 10;
  throw new DecodeError("not hex: a character that is no digit", at);
}
