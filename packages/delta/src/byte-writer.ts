import { assert } from "./delta-error.ts";

const INITIAL_SIZE = 256;

/** Appends little-endian fields to a buffer that grows. */
export class ByteWriter {
  #bytes = new Uint8Array(INITIAL_SIZE);
  #position = 0;
  /** Fewer than eight bits that wait for more. */
  #waiting = 0;
  #waitingCount = 0;

  get position(): number {
    return this.#position;
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#position++] = value;
  }

  u16(value: number): void {
    this.u8(value & 0xff);
    this.u8(value >>> 8);
  }

  u32(value: number): void {
    this.u16(value & 0xffff);
    this.u16(value >>> 16);
  }

  /** At most 2^53 - 1; seven bits a byte, lowest first; one value has one encoding. */
  varint(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, "a varint is a whole number below 2^53");
    let rest = value;
    while (rest > 0x7f) {
      this.u8((rest % 128) | 0x80);
      rest = Math.floor(rest / 128);
    }
    this.u8(rest);
  }

  /** The bytes alone: the reader must know how many. */
  raw(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#position);
    this.#position += value.length;
  }

  /** A number of at most 53 bits, of a negative one the 32 lowest: lowest bit first, until `endBits`. */
  bits(value: number, width: number): void {
    if (width > 24) {
      const low = value & 0xffffff;
      this.bits(low, 24);
      this.bits(value < 0 ? value >>> 24 : (value - low) / 0x1000000, width - 24);
      return;
    }
    let waiting = this.#waiting | ((value & ((1 << width) - 1)) << this.#waitingCount);
    let count = this.#waitingCount + width;
    for (; count >= 8; count -= 8) {
      this.u8(waiting);
      waiting >>>= 8;
    }
    this.#waiting = waiting;
    this.#waitingCount = count;
  }

  endBits(): void {
    if (this.#waitingCount > 0) this.bits(0, 8 - this.#waitingCount);
  }

  /** What `content` writes, and before it how many bytes that is. */
  part(content: () => void): void {
    const start = this.#position;
    content();
    const end = this.#position;
    this.varint(end - start);
    const shift = this.#position - end;
    const head = this.#bytes.slice(end, this.#position);
    this.#bytes.copyWithin(start + shift, start, end);
    this.#bytes.set(head, start);
  }

  /** Takes away what stands between two positions. */
  cut(start: number, end = this.#position): void {
    this.#bytes.copyWithin(start, end, this.#position);
    this.#position -= end - start;
  }

  /** Zero bytes until the position is a multiple of `alignment`. */
  align(alignment: number): void {
    while (this.#position % alignment !== 0) this.u8(0);
  }

  /** What was written, as a view: it stays as it is when the writer goes on, unless that cuts. */
  finish(start = 0): Uint8Array {
    return this.#bytes.subarray(start, this.#position);
  }

  #reserve(length: number): void {
    const needed = this.#position + length;
    if (needed <= this.#bytes.length) return;
    // A little more, for the fields behind large bytes: a checksum must not copy them all again.
    const grown = new Uint8Array(Math.max(needed + 64, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#position));
    this.#bytes = grown;
  }
}
