import { hashContext, SymbolModel } from "./byte-model.ts";
import { codeNumber } from "./byte-model-number.ts";
import { DeltaError } from "./delta-error.ts";
import { FollowerTable } from "./match-follow.ts";
import type { Segment } from "./match-plan.ts";
import type { BitCoder } from "./range-coder.ts";

/** Both tables have four to eight counters for each byte of the new file, within these bounds. */
const TABLE_BITS_MIN = 12;
const TABLE_BITS_MAX = 22;
/** Sets of weights for bytes: literals by the length of the match (4), bytes that differ (2). */
const DIFFERENT_SET = 4;
const BYTE_SETS = 6;
/** Sets of weights for the rest. */
const FLAG_SET = 0;
const LEAVE_SET = 4;
const BASE_SET = 5;
const LITERALS_SET = 6;
const DISTANCE_SET = 8;
const RUN_SET = 10;
const SETS = 12;
/** Kinds of contexts, six each; below them are those of numbers, which go by their sets. */
const FLAG = 16;
const LEAVE = 22;
const BASE = 28;
/** Those of the bytes. */
const LITERAL = 0;
const DIFFERENT = 6;
/** The places that a distance may be counted from: where the last copies were left. */
const BASES = 4;
const BASE_BITS = 2;
const INITIAL_SIZE = 1 << 16;

export type PatchShape = {
  readonly oldSize: number;
  readonly newSize: number;
  /** After so many bytes that are the same, the length of the rest of the run is told. */
  readonly runAfter: number;
};

/**
 * Writes or reads how a new file comes from an old one. `history` is the old file and then the new
 * one: all of it to write, and to read as much as is known, which grows.
 */
export class PatchCodec {
  history: Uint8Array;
  readonly #coder: BitCoder;
  readonly #oldSize: number;
  readonly #size: number;
  readonly #runAfter: number;
  readonly #segments: readonly Segment[];
  readonly #bytes: SymbolModel;
  readonly #rest: SymbolModel;
  /** Made for the first literal: most patches have few. */
  #followers: FollowerTable | undefined;
  #segment = 0;
  /** The next byte of the new file, and the one that it is copied from. */
  #at: number;
  #source = 0;
  readonly #bases = new Int32Array(BASES);
  /** A bit for each of the last bytes copied, the latest lowest: 1 where it differed. */
  #misses = 0;
  #run = 0;
  #runBits = 0;
  /** How far the last byte that differed was from its source; after each byte of the source. */
  #shift = 0;
  readonly #shifts = new Int16Array(256);
  #leaves = 0;

  /** `segments` are to be written; a reader has none. */
  constructor(
    coder: BitCoder,
    history: Uint8Array,
    shape: PatchShape,
    segments: readonly Segment[] = [],
  ) {
    this.#coder = coder;
    this.history = history;
    this.#oldSize = shape.oldSize;
    this.#at = shape.oldSize;
    this.#size = shape.oldSize + shape.newSize;
    this.#runAfter = shape.runAfter;
    this.#segments = segments;
    const wanted = 34 - Math.clz32(shape.newSize);
    const tableBits = Math.min(Math.max(wanted, TABLE_BITS_MIN), TABLE_BITS_MAX);
    this.#bytes = new SymbolModel(tableBits, BYTE_SETS);
    this.#rest = new SymbolModel(tableBits, SETS);
  }

  /** Goes through the whole new file. */
  run(): void {
    let copyEnd = this.#oldSize;
    const first = this.#segments[0];
    if (first !== undefined && first.offset === -this.#oldSize && first.offset !== 0) {
      copyEnd = first.end;
      this.#segment = 1;
    }
    this.#copy(copyEnd, false);
    while (this.#at < this.#size) {
      const segment = this.#segments[this.#segment];
      const isLiteral = segment !== undefined && segment.offset === 0;
      this.#codeLiterals(isLiteral ? segment.end - segment.start : 0);
      if (isLiteral) this.#segment += 1;
      if (this.#at === this.#size) return;
      const copied = this.#segments[this.#segment];
      this.#segment += 1;
      this.#codeSource(copied === undefined ? 0 : this.#at + copied.offset);
      this.#copy(copied === undefined ? 0 : copied.end, true);
    }
  }

  /** Copies until the copy is left, which a writer does at `end`. */
  #copy(end: number, firstIsSame: boolean): void {
    this.#run = 0;
    let known = firstIsSame;
    // Nothing to copy from: it is left without a word.
    if (this.#source >= this.#at) return;
    while (this.#at < this.#size) {
      if (known) {
        this.#take(1);
        known = false;
        continue;
      }
      if (this.#run >= this.#runAfter) {
        this.#codeRun(end);
        if (this.#at === this.#size) return;
      } else if (this.#codeFlag(end) === 1) {
        this.#take(1);
        continue;
      }
      this.#misses = (this.#misses << 1) | 1;
      this.#run = 0;
      if (this.#codeLeave(this.#at < end ? 0 : 1) === 1) return;
      this.#codeDifferent();
    }
  }

  /** Copies `count` bytes that are the same. */
  #take(count: number): void {
    const start = this.#at;
    const end = start + count;
    this.#reserve(end);
    const { history } = this;
    let source = this.#source;
    if (count > 16 && source + count <= start) {
      history.copyWithin(start, source, source + count);
    } else {
      for (let at = start; at < end; at += 1) history[at] = history[source++] as number;
    }
    this.#at = end;
    this.#source += count;
    this.#run += count;
    this.#misses <<= 1;
  }

  #codeRun(end: number): void {
    const { history } = this;
    let length = 0;
    while (
      this.#at + length < end &&
      history[this.#at + length] === history[this.#source + length]
    ) {
      length += 1;
    }
    length = codeNumber(this.#rest, this.#coder, length, RUN_SET, this.#runBits);
    if (length > this.#size - this.#at) {
      throw new DeltaError("corrupt", `a run of ${length} bytes, past the end of the file`);
    }
    this.#runBits = 32 - Math.clz32(length);
    this.#take(length);
  }

  /** Whether the next byte is the same as its source. */
  #codeFlag(end: number): number {
    const { history } = this;
    const at = this.#at;
    const source = this.#source;
    const model = this.#rest;
    const { hashes } = model;
    const old = history[source] as number;
    const next = source + 1 < at ? (history[source + 1] as number) : 0;
    const second = source + 2 < at ? (history[source + 2] as number) : 0;
    const previous = (history[source - 1] as number) | 0;
    const earlier = (history[source - 2] as number) | 0;
    const last = (history[at - 1] as number) | 0;
    const misses = this.#misses;
    model.guesses[0] = 1;
    model.grounds[0] = Math.min(32 - Math.clz32(this.#run), 15) * 4 + (misses & 3);
    model.guesses[1] = 1;
    model.grounds[1] = 32 + (((this.#shifts[previous] as number) + 8) & 31);
    const missed = misses & 1;
    const signs =
      (earlier >> 7) | ((previous >> 7) << 1) | ((next >> 7) << 2) | ((second >> 7) << 3);
    hashes[0] = hashContext(FLAG, Math.min(this.#run, 15) | ((misses & 0xff) << 4));
    hashes[1] = hashContext(FLAG + 1, old | (next << 8) | (missed << 16));
    hashes[2] = hashContext(FLAG + 2, old | (next << 8) | (previous << 16) | (missed << 24));
    hashes[3] = hashContext(FLAG + 3, old | (next << 8) | (second << 16) | (missed << 24));
    hashes[4] = hashContext(FLAG + 4, old | (last << 8) | (missed << 16));
    hashes[5] = hashContext(FLAG + 5, old | ((misses & 3) << 8) | (signs << 10));
    const same = at < end && old === history[at] ? 1 : 0;
    return model.code(this.#coder, same, 1, FLAG_SET + (misses & 1) + (this.#run >= 8 ? 2 : 0));
  }

  /** Whether the copy ends where its bytes differ. */
  #codeLeave(leave: number): number {
    const { history } = this;
    const { hashes, guesses } = this.#rest;
    guesses.fill(-1);
    const old = history[this.#source] as number;
    const previous = (history[this.#source - 1] as number) | 0;
    hashes[0] = hashContext(LEAVE, 0);
    hashes[1] = hashContext(LEAVE + 1, this.#misses & 15);
    hashes[2] = hashContext(LEAVE + 2, old | (previous << 8));
    hashes[3] = hashContext(LEAVE + 3, (history[this.#at - 1] as number) | 0);
    hashes[4] = hashContext(LEAVE + 4, old);
    hashes[5] = hashContext(LEAVE + 5, 0);
    return this.#rest.code(this.#coder, leave, 1, LEAVE_SET);
  }

  /** The byte that stands where the source has another one. */
  #codeDifferent(): void {
    this.#reserve(this.#at + 1);
    const { history } = this;
    const at = this.#at;
    const source = this.#source;
    const model = this.#bytes;
    const { hashes } = model;
    const old = history[source] as number;
    const next = source + 1 < at ? (history[source + 1] as number) : 0;
    const second = source + 2 < at ? (history[source + 2] as number) : 0;
    const previous = (history[source - 1] as number) | 0;
    const last = (history[at - 1] as number) | 0;
    const signs = (previous >> 7) | ((next >> 7) << 1);
    hashes[0] = hashContext(DIFFERENT, old);
    hashes[1] = hashContext(DIFFERENT + 1, old | (next << 8) | (last << 16));
    hashes[2] = hashContext(DIFFERENT + 2, old | (next << 8) | (previous << 16) | (second << 24));
    hashes[3] = hashContext(DIFFERENT + 3, old | (last << 8));
    hashes[4] = hashContext(DIFFERENT + 4, last);
    hashes[5] = hashContext(DIFFERENT + 5, old | ((this.#shift & 255) << 8) | (signs << 16));
    model.guesses[0] = (old + this.#shift) & 255;
    model.grounds[0] = 32 + (this.#misses & 7);
    model.guesses[1] = (old + (this.#shifts[previous] as number)) & 255;
    model.grounds[1] = 32 + (previous >> 7) + 2 * (next >> 7) + 4 * (old >> 7);
    const set = DIFFERENT_SET + ((this.#misses >> 1) & 1);
    const byte = model.code(this.#coder, history[at] as number, 8, set);
    history[at] = byte;
    this.#shift = byte - old;
    this.#shifts[previous] = byte - old;
    this.#at += 1;
    this.#source += 1;
  }

  #codeLiterals(count: number): void {
    const leaves = Math.min(this.#leaves, 3);
    this.#leaves += 1;
    const length = codeNumber(this.#rest, this.#coder, count, LITERALS_SET, leaves);
    if (length > this.#size - this.#at) {
      throw new DeltaError("corrupt", `${length} literals, past the end of the file`);
    }
    if (length === 0) return;
    this.#followers ??= new FollowerTable(this.#oldSize);
    this.#followers.startAt(this.history, this.#source);
    for (let done = 0; done < length; done += 1) this.#codeLiteral(this.#followers);
  }

  #codeLiteral(followers: FollowerTable): void {
    this.#reserve(this.#at + 1);
    const { history } = this;
    const at = this.#at;
    const model = this.#bytes;
    const { hashes } = model;
    let recent = 0;
    for (let back = Math.min(at, 4); back > 0; back -= 1) {
      recent = (recent << 8) | (history[at - back] as number);
    }
    const fifth = (history[at - 5] as number) | 0;
    const sixth = (history[at - 6] as number) | 0;
    hashes[0] = hashContext(LITERAL, 0);
    hashes[1] = hashContext(LITERAL + 1, recent & 0xff);
    hashes[2] = hashContext(LITERAL + 2, recent & 0xffff);
    hashes[3] = hashContext(LITERAL + 3, recent & 0xffffff);
    hashes[4] = hashContext(LITERAL + 4, recent);
    hashes[5] = hashContext(LITERAL + 5, recent ^ Math.imul(fifth * 256 + sixth + 1, 0x3c6ef372));
    followers.guess(history, at);
    model.guesses.set(followers.bytes);
    model.grounds.set(followers.lengths);
    const match =
      followers.bytes[0] === -1 ? 0 : 1 + Math.min(((followers.lengths[0] as number) - 1) >> 3, 2);
    history[at] = model.code(this.#coder, history[at] as number, 8, match);
    this.#at += 1;
  }

  /** Where the next copy starts: a distance from where one of the last was left. */
  #codeSource(wanted: number): void {
    const bases = this.#bases;
    bases.copyWithin(1, 0);
    bases[0] = this.#source;
    let base = 0;
    for (let index = 1; index < BASES; index += 1) {
      if (
        distanceBits(wanted - (bases[index] as number)) <
        distanceBits(wanted - (bases[base] as number))
      ) {
        base = index;
      }
    }
    const { hashes, guesses } = this.#rest;
    guesses.fill(-1);
    for (let index = 0; index < 6; index += 1) hashes[index] = hashContext(BASE, index);
    base = this.#rest.code(this.#coder, base, BASE_BITS, BASE_SET);
    const distance = wanted - (bases[base] as number);
    const folded = distance < 0 ? -2 * distance - 1 : 2 * distance;
    const coded = codeNumber(this.#rest, this.#coder, folded, DISTANCE_SET, base);
    const source = (bases[base] as number) + ((coded & 1) === 1 ? -((coded + 1) / 2) : coded / 2);
    if (source < 0 || source >= this.#at) {
      throw new DeltaError("corrupt", `a copy from ${source}, outside of what is known`);
    }
    this.#source = source;
  }

  #reserve(end: number): void {
    if (end <= this.history.length) return;
    const wanted = Math.max(end, this.history.length * 2, INITIAL_SIZE);
    const grown = new Uint8Array(Math.min(wanted, this.#size));
    grown.set(this.history);
    this.history = grown;
  }
}

function distanceBits(distance: number): number {
  return 32 - Math.clz32(Math.abs(distance));
}
