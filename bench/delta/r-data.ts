/** Reads the numbers of an R data file: the XDR form of R's serialization, versions 2 and 3. */

/** R's pairlists and generic vectors become lists of what they hold; other vectors, numbers. */
export type RValue = null | string | readonly RValue[] | Float64Array | Int32Array;

const MAGIC = /^RDX[23]\nX\n/;
const MAGIC_BYTES = 7;
const HAS_ATTRIBUTES = 0x200;
const HAS_TAG = 0x400;

export function parseRData(bytes: Uint8Array): RValue {
  const magic = new TextDecoder("latin1").decode(bytes.subarray(0, MAGIC_BYTES));
  if (!MAGIC.test(magic)) throw new Error("not an R data file in XDR form");
  return new RReader(bytes).file();
}

class RReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #symbols: RValue[] = [];
  #at = MAGIC_BYTES;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  file(): RValue {
    const version = this.#int();
    this.#at += 8;
    if (version === 3) this.#at += this.#int();
    return this.#item();
  }

  #int(): number {
    this.#at += 4;
    return this.#view.getInt32(this.#at - 4);
  }

  #item(): RValue {
    const flags = this.#int();
    const type = flags & 0xff;
    if (type === 254) return null;
    if (type === 255) return this.#symbols[(flags >> 8) - 1] ?? null;
    if (type === 1) {
      const symbol = this.#item();
      this.#symbols.push(symbol);
      return symbol;
    }
    if (type === 2) return this.#pairs(flags);
    const value = this.#vector(type);
    if ((flags & HAS_ATTRIBUTES) !== 0) this.#item();
    return value;
  }

  /** The values of a pairlist, whose rest is an item of its own. */
  #pairs(flags: number): RValue[] {
    if ((flags & HAS_ATTRIBUTES) !== 0) this.#item();
    if ((flags & HAS_TAG) !== 0) this.#item();
    const first = this.#item();
    const rest = this.#item();
    return Array.isArray(rest) ? [first, ...rest] : [first];
  }

  #vector(type: number): RValue {
    const length = this.#int();
    switch (type) {
      case 9: {
        if (length < 0) return null;
        const text = this.#bytes.subarray(this.#at, this.#at + length);
        this.#at += length;
        return new TextDecoder().decode(text);
      }
      case 10:
      case 13:
        return Int32Array.from({ length }, () => this.#int());
      case 14:
        return this.#doubles(length);
      case 16:
      case 19:
        return Array.from({ length }, () => this.#item());
      default:
        throw new Error(`R type ${type} at ${this.#at} is not read here`);
    }
  }

  /** Bits, not values: R tells NA from NaN by the payload. */
  #doubles(length: number): Float64Array {
    const words = new BigInt64Array(length);
    for (let i = 0; i < length; i += 1) words[i] = this.#view.getBigInt64(this.#at + 8 * i);
    this.#at += 8 * length;
    return new Float64Array(words.buffer);
  }
}
