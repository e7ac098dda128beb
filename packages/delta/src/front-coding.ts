import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { DeltaError } from "./delta-error.ts";
import { TEXT_BYTES_MAX } from "./limits.ts";
import { RangeDecoder, RangeEncoder } from "./range-coder.ts";
import { TextReader, UNIT_BYTES_MAX, writeText } from "./string-bytes.ts";
import { type KeyBytes, KeyModel } from "./string-model.ts";

/** The first byte of a payload: how it is coded, or the size of the model's table. */
const PLAIN = 0;
const TABLE_BITS_MIN = 12;
const TABLE_BITS_MAX = 22;
/** Four counters for a byte that is coded: more gains little, and a table outside the cache is slow. */
const TABLE_BITS_PER_BYTE = 2;
/** A table may have at most so many bits more than the payload's length: no small payload takes much memory. */
const TABLE_BITS_OVER = 6;

/**
 * The strings as one payload; how many they are is for the caller to keep. Each is coded by what it
 * shares with the one before, so sorted strings take least. `fast` leaves the rest as it is, for a
 * decoder of ten times the speed or a general compressor behind it; otherwise it goes through an
 * adaptive model, unless that would take more.
 */
export function encodeStrings(
  strings: readonly string[],
  options: { readonly fast?: boolean } = {},
): Uint8Array {
  const keys = keysOf(strings);
  const plain = encodePlain(keys);
  if (options.fast === true || strings.length === 0) return plain;
  const wanted = bitLength(keys.suffixBytes) + TABLE_BITS_PER_BYTE;
  let tableBits = Math.min(Math.max(wanted, TABLE_BITS_MIN), TABLE_BITS_MAX);
  for (;;) {
    const modeled = encodeModeled(keys, tableBits);
    const most = tableBitsMax(modeled.length);
    if (tableBits <= most) return modeled.length < plain.length ? modeled : plain;
    tableBits = most;
  }
}

/** How many bytes of text may still be made of any payloads, and what to do `instead` of more. */
export type TextRoom = { left: number; readonly instead: string };

/** The `count` strings of a payload that `encodeStrings` made. */
export function decodeStrings(payload: Uint8Array, count: number, room?: TextRoom): string[] {
  const reader = new ByteReader(payload);
  const method = reader.u8();
  const size = reader.varint();
  if (size > TEXT_BYTES_MAX) throw new DeltaError("limit_exceeded", `${size} bytes of text`, 1);
  if (room !== undefined) {
    if (size > room.left) {
      const detail = `${size} bytes of text, ${room.left} left: ${room.instead}`;
      throw new DeltaError("limit_exceeded", detail, 1);
    }
    room.left -= size;
  }
  const buffer = new KeyBuffer(size + 1);
  if (method === PLAIN) return decodePlain(reader, count, buffer);
  if (method < TABLE_BITS_MIN || method > Math.min(tableBitsMax(payload.length), TABLE_BITS_MAX)) {
    throw new DeltaError("corrupt", `a table of ${method} bits for strings`, 0);
  }
  const decoder = new RangeDecoder(payload, reader.position);
  const model = new KeyModel(method);
  const text = new TextReader();
  const strings: string[] = [];
  let at = 1;
  while (strings.length < count) {
    const end = model.code(decoder, buffer, at, 0);
    strings.push(text.read(buffer.bytes, at, end - 1));
    at = end;
  }
  decoder.expectEnd();
  buffer.expectEnd(at);
  return strings;
}

/** All keys, each ended by a 0, after a 0 that ends an empty key before the first. */
type Keys = {
  readonly bytes: Uint8Array;
  /** Where each key starts, and at last where the next one would. */
  readonly starts: Uint32Array;
  /** How many bytes each has in common with the one before. */
  readonly kept: Uint32Array;
  /** Bytes of all keys with their zeros. */
  readonly size: number;
  /** Bytes that are not kept from the key before. */
  readonly suffixBytes: number;
};

function keysOf(strings: readonly string[]): Keys {
  const buffer = new KeyBuffer(TEXT_BYTES_MAX + 1);
  const starts = new Uint32Array(strings.length + 1).fill(1);
  const kept = new Uint32Array(strings.length);
  let suffixBytes = 0;
  let before = 0;
  let at = 1;
  for (let index = 0; index < strings.length; index += 1) {
    const text = strings[index] as string;
    buffer.reserve(Math.min(at + text.length * UNIT_BYTES_MAX + 1, TEXT_BYTES_MAX + 1));
    const { bytes } = buffer;
    // What does not fit is counted, not written.
    const end = writeText(text, bytes, at);
    if (end > TEXT_BYTES_MAX) {
      // Without its index: here nulls do not count, nor other chunks.
      const detail = `more than ${TEXT_BYTES_MAX} bytes of strings in one chunk`;
      throw new DeltaError("limit_exceeded", `${detail}: take fewer \`chunkValues\``);
    }
    bytes[end] = 0;
    const most = Math.min(at - 1 - before, end - at);
    let common = 0;
    while (common < most && bytes[before + common] === bytes[at + common]) common += 1;
    kept[index] = common;
    suffixBytes += end + 1 - at - common;
    before = at;
    at = end + 1;
    starts[index + 1] = at;
  }
  return { bytes: buffer.bytes, starts, kept, size: at - 1, suffixBytes };
}

function encodeModeled(keys: Keys, tableBits: number): Uint8Array {
  const encoder = new RangeEncoder();
  const model = new KeyModel(tableBits);
  const known: KeyBytes = { bytes: keys.bytes, reserve: () => undefined };
  for (let index = 0; index < keys.kept.length; index += 1) {
    model.code(encoder, known, keys.starts[index] as number, keys.kept[index] as number);
  }
  const writer = new ByteWriter();
  writer.u8(tableBits);
  writer.varint(keys.size);
  writer.raw(encoder.finish());
  return writer.finish();
}

/** What is kept of each key, how many bytes follow, and all those bytes, one after the other. */
function encodePlain(keys: Keys): Uint8Array {
  const { bytes, starts, kept, size } = keys;
  const writer = new ByteWriter();
  writer.u8(PLAIN);
  writer.varint(size);
  for (const common of kept) writer.varint(common);
  for (let index = 0; index < kept.length; index += 1) writer.varint(suffixLength(keys, index));
  for (let index = 0; index < kept.length; index += 1) {
    const end = (starts[index + 1] as number) - 1;
    writer.raw(bytes.subarray(end - suffixLength(keys, index), end));
  }
  return writer.finish();
}

function suffixLength({ starts, kept }: Keys, index: number): number {
  return (starts[index + 1] as number) - 1 - (starts[index] as number) - (kept[index] as number);
}

function decodePlain(reader: ByteReader, count: number, buffer: KeyBuffer): string[] {
  // Two bytes a key at least, so that no table is made for keys that are not there.
  if (reader.remaining < 2 * count) {
    throw new DeltaError("truncated", `${count} strings in ${reader.remaining} bytes`);
  }
  const kept = new Uint32Array(count);
  const added = new Uint32Array(count);
  for (let index = 0; index < count; index += 1) kept[index] = reader.varint(TEXT_BYTES_MAX);
  for (let index = 0; index < count; index += 1) added[index] = reader.varint(reader.remaining);
  const text = new TextReader();
  const strings: string[] = [];
  let before = 0;
  let at = 1;
  for (let index = 0; index < count; index += 1) {
    const common = kept[index] as number;
    if (common > at - 1 - before) {
      throw new DeltaError("corrupt", `${common} bytes kept of ${at - 1 - before}`);
    }
    const suffix = reader.raw(added[index] as number);
    const end = at + common + suffix.length;
    buffer.reserve(end + 1);
    buffer.bytes.copyWithin(at, before, before + common);
    buffer.bytes.set(suffix, at + common);
    strings.push(text.read(buffer.bytes, at, end));
    before = at;
    at = end + 1;
  }
  reader.expectEnd();
  buffer.expectEnd(at);
  return strings;
}

/** A buffer of keys that grows as they come, up to what was promised. */
class KeyBuffer implements KeyBytes {
  bytes = new Uint8Array(256);
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  reserve(end: number): void {
    if (end > this.#limit) {
      throw new DeltaError("corrupt", `more text than the ${this.#limit - 1} bytes promised`);
    }
    if (end <= this.bytes.length) return;
    const grown = new Uint8Array(Math.min(Math.max(end, this.bytes.length * 2), this.#limit));
    grown.set(this.bytes);
    this.bytes = grown;
  }

  expectEnd(end: number): void {
    if (end !== this.#limit) {
      throw new DeltaError(
        "corrupt",
        `${end - 1} bytes of text where ${this.#limit - 1} should be`,
      );
    }
  }
}

function bitLength(value: number): number {
  return 32 - Math.clz32(value);
}

function tableBitsMax(payloadLength: number): number {
  return Math.max(bitLength(payloadLength) + TABLE_BITS_OVER, TABLE_BITS_MIN);
}
