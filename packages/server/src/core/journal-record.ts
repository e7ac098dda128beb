/**
 * One record as it lies in a segment: a header of 72 bytes, little-endian, then the payload, padded
 * to 8 bytes (reliability §5 rules 8 and 9). The header has its own checksum, so that a record with
 * a damaged payload still has a slot that can be trusted.
 */

import { assert, crc32c, utf8Encode } from "@cubby/base";
import type { DirectoryIdentity } from "./identity.ts";
import type { SegmentHeader } from "./segment-header.ts";
import { isZero } from "./segment-sector.ts";

/** A ballot, but the journal knows nothing of its meaning. */
export type RecordBallot = {
  readonly round: number;
  readonly priority: number;
  readonly replica: number;
};

export type JournalRecord = {
  /** The caller's, at most 65,535. */
  readonly type: number;
  readonly slot: number;
  readonly ballot: RecordBallot;
  readonly payload: Uint8Array;
};

export const RECORD_HEADER_BYTES = 72;
const MAGIC = 0x524a4243; // "CBJR"
const CHECKSUM_OFFSET = 64;
export const RECORD_PAYLOAD_BYTES_MAX = 1 << 30;

export const RECORD_FLAGS = {
  /** Holds all that the records before it amount to, or more, on top of a snapshot at `slot` or later. */
  checkpoint: 1,
  /** Also kept in the witness: losing it must never go unnoticed. */
  vital: 2,
  /** Rests on a snapshot at `slot` that the records before it cannot replace. */
  restores: 4,
} as const;

/** Which segment, life and directory a record is written for. */
export type RecordPlace = { readonly owner: number; readonly header: SegmentHeader };

export type RecordLink = {
  /** Counts the directory's records, from 1. */
  readonly sequence: number;
  /** Of the record before; that of the first record is 0. */
  readonly previousHash: number;
};

export type RecordHeader = {
  readonly payloadLength: number;
  readonly type: number;
  readonly flags: number;
  readonly owner: number;
  readonly segment: number;
  readonly life: number;
  readonly link: RecordLink;
  readonly slot: number;
  readonly ballot: RecordBallot;
  readonly payloadChecksum: number;
  /** This record's hash, as the next record names it: it covers the payload through its checksum. */
  readonly hash: number;
};

/** A record's size in a segment, with header and padding. */
export function recordBytes(payloadLength: number): number {
  return RECORD_HEADER_BYTES + Math.ceil(payloadLength / 8) * 8;
}

/** Stands for cell and incarnation in every record. */
export function ownerHash(owner: DirectoryIdentity): number {
  return crc32c(utf8Encode(`${owner.cellId}/${owner.incarnation}`));
}

/** Writes the record at `at` into zeroed bytes, and returns its hash. */
export function writeRecord(
  out: Uint8Array,
  at: number,
  record: JournalRecord,
  flags: number,
  place: RecordPlace,
  link: RecordLink,
): number {
  assert(record.type >= 0 && record.type <= 0xffff, "a record type has 16 bits");
  const view = new DataView(out.buffer, out.byteOffset + at, RECORD_HEADER_BYTES);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, record.payload.length, true);
  view.setUint16(8, record.type, true);
  view.setUint16(10, flags, true);
  view.setUint32(12, place.owner, true);
  view.setUint32(16, place.header.id, true);
  view.setUint32(20, place.header.life, true);
  setSafeInteger(view, 24, link.sequence);
  setSafeInteger(view, 32, record.slot);
  setSafeInteger(view, 40, record.ballot.round);
  view.setUint32(48, record.ballot.priority, true);
  view.setUint32(52, record.ballot.replica, true);
  view.setUint32(56, link.previousHash, true);
  view.setUint32(60, crc32c(record.payload), true);
  const hash = crc32c(out.subarray(at, at + CHECKSUM_OFFSET));
  view.setUint32(CHECKSUM_OFFSET, hash, true);
  out.set(record.payload, at + RECORD_HEADER_BYTES);
  return hash;
}

/** "none": zeros to the end of the data, so no record follows in this write. */
export function readRecordHeader(
  data: Uint8Array,
  at: number,
): { kind: "ok"; header: RecordHeader } | { kind: "none" } | { kind: "bad" } {
  if (isZero(data, at, data.length)) return { kind: "none" };
  if (at + RECORD_HEADER_BYTES > data.length) return { kind: "bad" };
  const view = new DataView(data.buffer, data.byteOffset + at, RECORD_HEADER_BYTES);
  const hash = crc32c(data.subarray(at, at + CHECKSUM_OFFSET));
  if (view.getUint32(0, true) !== MAGIC) return { kind: "bad" };
  if (view.getUint32(CHECKSUM_OFFSET, true) !== hash) return { kind: "bad" };
  if (view.getUint32(CHECKSUM_OFFSET + 4, true) !== 0) return { kind: "bad" };
  const payloadLength = view.getUint32(4, true);
  if (payloadLength > RECORD_PAYLOAD_BYTES_MAX) return { kind: "bad" };
  const header = {
    payloadLength,
    type: view.getUint16(8, true),
    flags: view.getUint16(10, true),
    owner: view.getUint32(12, true),
    segment: view.getUint32(16, true),
    life: view.getUint32(20, true),
    link: { sequence: safeInteger(view, 24), previousHash: view.getUint32(56, true) },
    slot: safeInteger(view, 32),
    ballot: {
      round: safeInteger(view, 40),
      priority: view.getUint32(48, true),
      replica: view.getUint32(52, true),
    },
    payloadChecksum: view.getUint32(60, true),
    hash,
  };
  return { kind: "ok", header };
}

function setSafeInteger(view: DataView, at: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, "a field holds a whole number below 2^53");
  view.setUint32(at, value % 0x100000000, true);
  view.setUint32(at + 4, Math.floor(value / 0x100000000), true);
}

function safeInteger(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x100000000;
}
