import { assert } from "./assert.ts";
import { utf8Length, utf8Write } from "./utf8.ts";

const INITIAL_SIZE = 256;

/** What a writer keeps across `reset`: one huge message must not pin its buffer for ever. */
const KEPT_SIZE_MAX = 1 << 20;

/** Appends little-endian fields to a buffer that grows and is reused after `reset`. */
export class ByteWriter {
  #bytes: Uint8Array = new Uint8Array(INITIAL_SIZE);
  #position = 0;

  get position(): number {
    return this.#position;
  }

  u8(value: number): void {
    assertUnsigned(value, 0xff);
    this.#reserve(1);
    this.#bytes[this.#position++] = value;
  }

  u16(value: number): void {
    assertUnsigned(value, 0xffff);
    this.#reserve(2);
    this.#bytes[this.#position++] = value & 0xff;
    this.#bytes[this.#position++] = value >>> 8;
  }

  u32(value: number): void {
    assertUnsigned(value, 0xffffffff);
    this.#reserve(4);
    this.#bytes[this.#position++] = value & 0xff;
    this.#bytes[this.#position++] = (value >>> 8) & 0xff;
    this.#bytes[this.#position++] = (value >>> 16) & 0xff;
    this.#bytes[this.#position++] = value >>> 24;
  }

  /** Seven bits a byte, lowest first; one value has one encoding. */
  varint(value: number): void {
    assertUnsigned(value, Number.MAX_SAFE_INTEGER);
    this.#reserve(8);
    let rest = value;
    // Shifts work on 32 bits: the part above them goes by division.
    while (rest > 0x7fffffff) {
      this.#bytes[this.#position++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    while (rest > 0x7f) {
      this.#bytes[this.#position++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#position++] = rest;
  }

  /** The length as a varint, then the bytes. */
  bytes(value: Uint8Array): void {
    this.varint(value.length);
    this.raw(value);
  }

  /** The bytes alone: the reader must know how many. */
  raw(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#position);
    this.#position += value.length;
  }

  /** UTF-8 with its length in bytes before it. */
  string(value: string): void {
    const length = utf8Length(value);
    this.varint(length);
    this.#reserve(length);
    this.#position = utf8Write(value, this.#bytes, this.#position);
  }

  /** A copy: it stays as it is when the writer goes on or is reset. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#position);
  }

  /** All so far, and not a copy: valid until the writer goes on or is reset. */
  written(): Uint8Array {
    return this.#bytes.subarray(0, this.#position);
  }

  reset(): void {
    this.#position = 0;
    if (this.#bytes.length > KEPT_SIZE_MAX) this.#bytes = new Uint8Array(INITIAL_SIZE);
  }

  #reserve(length: number): void {
    const needed = this.#position + length;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#position));
    this.#bytes = grown;
  }
}

function assertUnsigned(value: number, max: number): void {
  assert(Number.isInteger(value) && value >= 0 && value <= max, "the field holds the number");
}
