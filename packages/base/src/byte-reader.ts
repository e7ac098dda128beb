import { assert } from "./assert.ts";
import { DecodeError } from "./decode-error.ts";
import { utf8Decode } from "./utf8.ts";

/**
 * Reads what a ByteWriter wrote, out of bytes that nobody has vouched for: every overrun and every
 * value out of range is a DecodeError, and a declared size is compared with what remains before
 * anything is allocated for it.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #position: number;

  constructor(bytes: Uint8Array, offset = 0, end = bytes.length) {
    assert(offset >= 0 && offset <= end && end <= bytes.length, "the range lies in the bytes");
    this.#bytes = bytes;
    this.#position = offset;
    this.#end = end;
  }

  /** The offset of the next byte, counted from the start of the bytes given. */
  get position(): number {
    return this.#position;
  }

  get remaining(): number {
    return this.#end - this.#position;
  }

  u8(): number {
    const at = this.#advance(1);
    return this.#bytes[at] ?? 0;
  }

  u16(): number {
    const at = this.#advance(2);
    return (this.#bytes[at] ?? 0) | ((this.#bytes[at + 1] ?? 0) << 8);
  }

  u32(): number {
    const at = this.#advance(4);
    const low = (this.#bytes[at] ?? 0) | ((this.#bytes[at + 1] ?? 0) << 8);
    const high = (this.#bytes[at + 2] ?? 0) | ((this.#bytes[at + 3] ?? 0) << 8);
    return low + high * 0x10000;
  }

  /** At most 2^53 - 1. An encoding longer than it need be is refused: one value, one encoding. */
  varint(): number {
    const start = this.#position;
    let value = 0;
    let scale = 1;
    for (let count = 1; count <= 8; count += 1) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte >= 0x80) continue;
      if (byte === 0 && count > 1) throw new DecodeError("a varint with idle bytes", start);
      if (value > Number.MAX_SAFE_INTEGER) throw new DecodeError("a varint above 2^53 - 1", start);
      return value;
    }
    throw new DecodeError("a varint of more than eight bytes", start);
  }

  /** A length as a varint, then that many bytes; a view, to be copied if it is kept. */
  bytes(): Uint8Array {
    return this.raw(this.varint());
  }

  /** A view of the next `length` bytes, to be copied if it is kept. */
  raw(length: number): Uint8Array {
    const at = this.#advance(length);
    return this.#bytes.subarray(at, at + length);
  }

  string(): string {
    const view = this.bytes();
    try {
      return utf8Decode(view);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      throw new DecodeError("a string that is not UTF-8", this.#position - view.length);
    }
  }

  /** Refuses what follows the last field. */
  expectEnd(): void {
    if (this.remaining === 0) return;
    throw new DecodeError(`${this.remaining} bytes too many`, this.#position);
  }

  #advance(length: number): number {
    assert(Number.isInteger(length) && length >= 0, "a length is a whole number");
    const at = this.#position;
    if (length > this.#end - at) {
      throw new DecodeError(`${length} bytes wanted, ${this.#end - at} left`, at);
    }
    this.#position = at + length;
    return at;
  }
}
