/** Appends numbers of up to 32 bits, lowest bit first. */
export class BitWriter {
  #bytes = new Uint8Array(256);
  #bit = 0;

  bits(value: number, count: number): void {
    let at = this.#bit >>> 3;
    this.#reserve(at);
    let rest = value & (-1 >>> (32 - count));
    let room = 8 - (this.#bit & 7);
    this.#bit += count;
    for (let left = count; left > 0; left -= room, room = 8) {
      this.#bytes[at] = (this.#bytes[at] as number) | (rest << (8 - room));
      rest >>>= room;
      at += 1;
    }
  }

  /** Only where `align` has been called last. */
  byte(value: number): void {
    const at = this.#bit >>> 3;
    this.#reserve(at);
    this.#bytes[at] = value;
    this.#bit += 8;
  }

  align(): void {
    this.#bit = (this.#bit + 7) & ~7;
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#bit >>> 3);
  }

  #reserve(at: number): void {
    if (at + 8 <= this.#bytes.length) return;
    const grown = new Uint8Array(2 * this.#bytes.length);
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}
