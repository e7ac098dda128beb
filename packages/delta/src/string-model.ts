import { hashContext, SymbolModel } from "./byte-model.ts";
import { codeNumber } from "./byte-model-number.ts";
import type { BitCoder } from "./range-coder.ts";

/** Weights for the bytes: place in the suffix (3) × length of what is kept (3) × match (8). */
const BYTE_SETS = 72;
/** Weights for the drops: length of the suffix before (4), then the two of an escaped number. */
const ESCAPE_SET = 4;
/** Kinds of its contexts, six; below are those of the escaped number. */
const DROP = 8;
const DROP_SETS = ESCAPE_SET + 2;
const DROP_BITS = 5;
const DROP_ESCAPE = 31;
const DROP_TABLE_BITS = 16;
/** Stands for the byte of the key before where there is none to compare with. */
const NO_BOUND = 256;
const MATCH_TABLE_BITS = 16;
const MATCH_MIN = 3;
const MATCH_MAX = 15;

/** Keys one after the other, each ended by a 0; while decoding, those that are known. */
export type KeyBytes = {
  bytes: Uint8Array;
  /** Makes `bytes` reach to `end`; fails if that is more than was promised. */
  reserve(end: number): void;
};

/**
 * Codes each key as what it drops of the one before and the bytes that follow in its stead. A byte
 * is seen after the bytes before it, after the suffix so far, against the key before, and against
 * what followed when the last five bytes were last seen.
 */
export class KeyModel {
  readonly #byteModel: SymbolModel;
  readonly #dropModel = new SymbolModel(DROP_TABLE_BITS, DROP_SETS);
  /** Where the byte stands that followed five bytes with this hash; 0: nowhere. */
  readonly #followers = new Int32Array(1 << MATCH_TABLE_BITS);
  /** The key before, without its 0. */
  #start = 0;
  #end = 0;
  #kept = 0;
  /** The last drops, the latest in the lowest four bits. */
  #drops = 0;
  #suffixHash = 0;
  #suffixHashBefore = 0;

  constructor(tableBits: number) {
    this.#byteModel = new SymbolModel(tableBits, BYTE_SETS);
  }

  /** Codes the key at `start`, which keeps `kept` bytes of the last; gives where its 0 ends. */
  code(coder: BitCoder, keys: KeyBytes, start: number, kept: number): number {
    const before = this.#end - this.#start;
    const drop = this.#codeDrop(coder, before - kept, before);
    const keep = Math.max(before - drop, 0);
    keys.reserve(start + keep);
    keys.bytes.copyWithin(start, this.#start, this.#start + keep);
    const end = this.#codeSuffix(coder, keys, start, keep);
    this.#start = start;
    this.#end = end - 1;
    this.#kept = keep;
    return end;
  }

  #codeDrop(coder: BitCoder, drop: number, before: number): number {
    const model = this.#dropModel;
    const { hashes } = model;
    const suffix = Math.min(before - this.#kept, 63);
    const last = this.#drops & 15;
    const hash = this.#suffixHash;
    hashes[0] = hashContext(DROP, Math.min(this.#kept, 63));
    hashes[1] = hashContext(DROP + 1, hash);
    hashes[2] = hashContext(DROP + 2, suffix | (last << 8));
    hashes[3] = hashContext(DROP + 3, (this.#drops & 0xfff) | (Math.min(before, 63) << 12));
    hashes[4] = hashContext(DROP + 4, hash + before);
    hashes[5] = hashContext(DROP + 5, hash + Math.imul(this.#suffixHashBefore, 0x2545f491) + last);
    const short = Math.min(drop, DROP_ESCAPE);
    let result = model.code(coder, short, DROP_BITS, Math.min(suffix, 3));
    if (result === DROP_ESCAPE) {
      const kept = Math.min(this.#kept, 255);
      result += codeNumber(model, coder, drop - DROP_ESCAPE, ESCAPE_SET, kept);
    }
    this.#drops = (this.#drops << 4) | Math.min(result, 15);
    return result;
  }

  #codeSuffix(coder: BitCoder, keys: KeyBytes, start: number, keep: number): number {
    const model = this.#byteModel;
    const { hashes, guesses, grounds } = model;
    const lengthClass = 8 * Math.min(keep >> 1, 2);
    let at = start + keep;
    // The last four bytes of the key, the latest lowest, and the one before those.
    let recent = 0;
    let fifth = 0;
    for (let from = Math.max(start, at - 5); from < at; from += 1) {
      fifth = recent >>> 24;
      recent = (recent << 8) | (keys.bytes[from] as number);
    }
    let suffixHash = 0;
    let follower = 0;
    for (let place = 0; ; place += 1) {
      keys.reserve(at + 1);
      const { bytes } = keys;
      const before = this.#start + keep + place;
      const byteBefore = before <= this.#end ? (bytes[before] as number) : NO_BOUND;
      const near = Math.min(place, 3);
      // In sorted keys the first byte of the suffix is above the one in its place before.
      const bound = place === 0 ? byteBefore : NO_BOUND;
      const last = recent & 0xff;
      hashes[0] = hashContext(0, near | (bound << 4));
      hashes[1] = hashContext(1, (recent & 0xffff) | ((place === 0 ? bound + 1 : 0) << 16));
      hashes[2] = hashContext(2, recent & 0xffffff);
      hashes[3] = hashContext(3, recent);
      hashes[4] = hashContext(4, place === 0 ? last : suffixHash);
      hashes[5] = hashContext(
        5,
        place === 0
          ? this.#suffixHash + (bound << 8) + last
          : last | (near << 8) | (byteBefore << 12),
      );
      const slot =
        hashContext(6, recent ^ Math.imul(fifth + 1, 0x3c6ef372)) >>> (32 - MATCH_TABLE_BITS);
      if (follower === 0 || bytes[follower - 1] !== last)
        follower = this.#followers[slot] as number;
      this.#followers[slot] = at;
      const match = matchLength(bytes, follower, at, start);
      if (match < MATCH_MIN) follower = 0;
      guesses[0] = follower > 0 ? (bytes[follower] as number) : -1;
      grounds[0] = match;
      guesses[1] = place > 0 && byteBefore < NO_BOUND ? byteBefore : -1;
      grounds[1] = 16 + Math.min(place, 7);
      const set = 24 * Math.min(place, 2) + lengthClass + (follower > 0 ? match >> 1 : 0);
      const byte = model.code(coder, bytes[at] as number, 8, set);
      bytes[at] = byte;
      at += 1;
      if (byte === 0) break;
      if (follower > 0) follower += 1;
      suffixHash = Math.imul(suffixHash + byte + 1, 0x2f0b4c47);
      fifth = recent >>> 24;
      recent = (recent << 8) | byte;
    }
    this.#suffixHashBefore = this.#suffixHash;
    this.#suffixHash = suffixHash;
    return at;
  }
}

/** How many bytes before `follower` are those before `at`, looking no further back than `start`. */
function matchLength(bytes: Uint8Array, follower: number, at: number, start: number): number {
  const most = Math.min(MATCH_MAX, follower, at - start);
  let length = 0;
  while (length < most && bytes[follower - 1 - length] === bytes[at - 1 - length]) length += 1;
  return length;
}
