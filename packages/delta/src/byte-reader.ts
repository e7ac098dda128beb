import { corrupt, DeltaError } from "./delta-error.ts";

/**
 * Reads little-endian fields out of bytes that nobody has vouched for: every overrun is `truncated`,
 * every value out of range `corrupt`, each with the offset in the bytes given.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #position: number;

  constructor(bytes: Uint8Array, offset = 0, end = bytes.length) {
    // A Buffer's `slice` is a view, where that of all other arrays is a copy: no reader hands one on.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
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
    return this.#bytes[this.#advance(1)] as number;
  }

  u16(): number {
    const at = this.#advance(2);
    return (this.#bytes[at] as number) | ((this.#bytes[at + 1] as number) << 8);
  }

  u32(): number {
    const low = this.u16();
    return low + this.u16() * 0x10000;
  }

  /** At most `max`. An encoding longer than it need be is refused: one value, one encoding. */
  varint(max = Number.MAX_SAFE_INTEGER): number {
    const start = this.#position;
    let value = 0;
    let scale = 1;
    for (let count = 1; count <= 8; count += 1) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte >= 0x80) continue;
      if (byte === 0 && count > 1) throw corrupt("varints", start);
      if (value > max) throw corrupt("numbers", start);
      return value;
    }
    throw corrupt("varints", start);
  }

  /** A view of the next `length` bytes. */
  raw(length: number): Uint8Array {
    const at = this.#advance(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** A view of as many bytes as a varint before them says. */
  part(): Uint8Array {
    return this.raw(this.varint(this.remaining));
  }

  /** A view of all bytes that are left. */
  rest(): Uint8Array {
    return this.raw(this.remaining);
  }

  /** Skips zero bytes until the position is a multiple of `alignment`. */
  align(alignment: number): void {
    while (this.#position % alignment !== 0) {
      const at = this.#position;
      if (this.u8() !== 0) throw corrupt("bytes", at);
    }
  }

  /** Refuses what follows the last field. */
  expectEnd(): void {
    if (this.remaining === 0) return;
    throw new DeltaError("corrupt", `${this.remaining} bytes too many`, this.#position);
  }

  #advance(length: number): number {
    const at = this.#position;
    if (length > this.#end - at) {
      throw new DeltaError("truncated", `${length} bytes wanted, ${this.#end - at} left`, at);
    }
    this.#position = at + length;
    return at;
  }
}
