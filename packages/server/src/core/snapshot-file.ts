/**
 * A snapshot as a file: a head that says what it is, the state in framed chunks, a foot that says it
 * is whole. Written under a temporary name in small flushed chunks, so that no flush of the journal
 * waits behind it (PML-42), read back, renamed, and only then counted (reliability §5 rule 13). The
 * state's own encoding is the caller's; `FORMAT_VERSION` is that of this frame.
 */

import {
  assert,
  ByteReader,
  ByteWriter,
  checksum64,
  concatBytes,
  crc32c,
  DecodeError,
  EMPTY_BYTES,
  equalBytes,
  fromHex,
  toHex,
} from "@cubby/base";
import type { DiskTask } from "./disk.ts";
import { CELL_ID_BYTES, type DirectoryIdentity, INCARNATION_BYTES } from "./identity.ts";
import { FORMAT_VERSION } from "./journal-page.ts";
import type { RecordBallot } from "./journal-record.ts";
import { DiskFailure, perform, type RequestIds, write } from "./journal-task.ts";

export type Snapshot = {
  /** The state is that after this slot was applied. */
  readonly slot: number;
  readonly ballot: RecordBallot;
  /** The configuration in force at that slot; opaque here, at most 64 KiB. */
  readonly configuration: Uint8Array;
  readonly state: Uint8Array;
};

/** Version 2 of the frame would be told by this file's head, and refused by this code. */
export type DecodedSnapshot =
  | { readonly kind: "ok"; readonly snapshot: Snapshot; readonly stateHash: string }
  | { readonly kind: "otherVersion"; readonly version: number }
  | {
      readonly kind: "bad";
      readonly problem: "truncated" | "checksum" | "foreign" | "misnamed" | "malformed";
      readonly offset: number;
    };

/** The newest, and the one to fall back to should it rot. */
export const SNAPSHOTS_KEPT = 2;
export const SNAPSHOT_CHUNK_BYTES = 256 * 1024;
export const CONFIGURATION_BYTES_MAX = 64 * 1024;

const HEAD_MAGIC = 0x4e534243; // "CBSN"
const FOOT_MAGIC = 0x46534243; // "CBSF"
const FRAME_BYTES = 16;
const CHUNK_FRAME_BYTES = 8;
const FOOT_BYTES = 20;
const NAME = /^snapshot-(\d{16})$/;
const PARTIAL_NAME = /^snapshot-\d{16}\.partial$/;

export function snapshotFile(slot: number): string {
  return `snapshot-${String(slot).padStart(16, "0")}`;
}

export function snapshotSlotOf(file: string): number | undefined {
  const digits = NAME.exec(file)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** What a crash in the middle of writing leaves behind: never read, always removed (P11). */
export function isPartialSnapshot(file: string): boolean {
  return PARTIAL_NAME.test(file);
}

/** Equal for equal states on any replica: over the checksums of the chunks, so that no long state is hashed in one go. */
export function snapshotStateHash(chunkChecksums: readonly number[], stateBytes: number): string {
  const writer = new ByteWriter();
  writer.varint(stateBytes);
  for (const checksum of chunkChecksums) writer.u32(checksum);
  return checksum64(writer.finish());
}

/** Ends when the file is verified under its final name and the directory is synced. */
export function* writeSnapshotFile(
  ids: RequestIds,
  snapshot: Snapshot,
  owner: DirectoryIdentity,
): DiskTask<{ file: string; sizeBytes: number; stateHash: string }> {
  assert(
    snapshot.configuration.length <= CONFIGURATION_BYTES_MAX,
    "a configuration is at most 64 KiB",
  );
  const file = snapshotFile(snapshot.slot);
  const partial = `${file}.partial`;
  yield* perform(ids, { kind: "create", file: partial });
  const head = encodeHead(snapshot, owner);
  yield* write(ids, partial, 0, head);
  const pieces: Piece[] = [
    { at: 0, length: head.length, isSame: (read) => equalBytes(read, head) },
  ];
  const checksums: number[] = [];
  let at = head.length;
  for (let from = 0; from < snapshot.state.length; from += SNAPSHOT_CHUNK_BYTES) {
    const part = snapshot.state.subarray(from, from + SNAPSHOT_CHUNK_BYTES);
    const checksum = crc32c(part);
    checksums.push(checksum);
    const chunk = concatBytes([chunkFrame(part.length, checksum), part]);
    yield* write(ids, partial, at, chunk);
    const chunkChecksum = crc32c(chunk);
    const isSame: Piece["isSame"] = (read) => crc32c(read) === chunkChecksum;
    pieces.push({ at, length: chunk.length, isSame });
    at += chunk.length;
  }
  const stateHash = snapshotStateHash(checksums, snapshot.state.length);
  const foot = encodeFoot(checksums.length, stateHash);
  yield* write(ids, partial, at, foot);
  pieces.push({ at, length: foot.length, isSame: (read) => equalBytes(read, foot) });
  for (const piece of pieces) yield* verifyPiece(ids, partial, piece);
  yield* perform(ids, { kind: "rename", from: partial, to: file });
  yield* perform(ids, { kind: "syncDirectory" });
  return { file, sizeBytes: at + foot.length, stateHash };
}

/** Reads a whole file's bytes as a snapshot; `slot` is the one in its name. */
export function decodeSnapshot(
  bytes: Uint8Array,
  slot: number,
  owner: DirectoryIdentity,
): DecodedSnapshot {
  const head = decodeHead(bytes, owner);
  if (head.kind !== "ok") return head;
  if (head.slot !== slot) return { kind: "bad", problem: "misnamed", offset: 0 };
  const parts: Uint8Array[] = [];
  const checksums: number[] = [];
  let at = head.end;
  for (let rest = head.stateBytes; rest > 0; ) {
    const length = Math.min(rest, SNAPSHOT_CHUNK_BYTES);
    const end = at + CHUNK_FRAME_BYTES + length;
    if (end > bytes.length) return { kind: "bad", problem: "truncated", offset: bytes.length };
    const part = bytes.subarray(at + CHUNK_FRAME_BYTES, end);
    const reader = new ByteReader(bytes, at, end);
    if (reader.u32() !== length) return { kind: "bad", problem: "malformed", offset: at };
    const checksum = crc32c(part);
    if (reader.u32() !== checksum) return { kind: "bad", problem: "checksum", offset: at };
    checksums.push(checksum);
    parts.push(part);
    rest -= length;
    at = end;
  }
  if (at + FOOT_BYTES > bytes.length) {
    return { kind: "bad", problem: "truncated", offset: bytes.length };
  }
  const stateHash = snapshotStateHash(checksums, head.stateBytes);
  const foot = encodeFoot(checksums.length, stateHash);
  // Byte for byte: bytes that end with their own CRC all have the same CRC.
  if (!equalBytes(foot, bytes.subarray(at, at + FOOT_BYTES))) {
    return { kind: "bad", problem: "checksum", offset: at };
  }
  if (at + FOOT_BYTES !== bytes.length) return { kind: "bad", problem: "malformed", offset: at };
  const { ballot, configuration } = head;
  const state = concatBytes(parts);
  return { kind: "ok", stateHash, snapshot: { slot, ballot, configuration, state } };
}

type Piece = {
  readonly at: number;
  readonly length: number;
  isSame(read: Uint8Array): boolean;
};

function* verifyPiece(ids: RequestIds, file: string, piece: Piece): DiskTask<void> {
  const read = { kind: "read", file, offset: piece.at, sizeBytes: piece.length } as const;
  const { bytes = EMPTY_BYTES } = yield* perform(ids, read);
  if (bytes.length === piece.length && piece.isSame(bytes)) return;
  const message = `offset ${piece.at} reads back differently from what was written`;
  throw new DiskFailure({ operation: "read", file, error: { code: "EVERIFY", message } });
}

function encodeHead(snapshot: Snapshot, owner: DirectoryIdentity): Uint8Array {
  const body = new ByteWriter();
  body.raw(fromHex(owner.cellId));
  body.raw(fromHex(owner.incarnation));
  body.varint(snapshot.slot);
  body.varint(snapshot.ballot.round);
  body.varint(snapshot.ballot.priority);
  body.varint(snapshot.ballot.replica);
  body.varint(snapshot.state.length);
  body.bytes(snapshot.configuration);
  const content = body.finish();
  const frame = new ByteWriter();
  frame.u32(HEAD_MAGIC);
  frame.u32(FORMAT_VERSION);
  frame.u32(content.length);
  frame.u32(crc32c(content, crc32c(frame.finish())));
  frame.raw(content);
  return frame.finish();
}

type Head = {
  readonly kind: "ok";
  readonly slot: number;
  readonly ballot: RecordBallot;
  readonly stateBytes: number;
  readonly configuration: Uint8Array;
  readonly end: number;
};

function decodeHead(
  bytes: Uint8Array,
  owner: DirectoryIdentity,
): Head | Exclude<DecodedSnapshot, { kind: "ok" }> {
  if (bytes.length < FRAME_BYTES)
    return { kind: "bad", problem: "truncated", offset: bytes.length };
  const frame = new ByteReader(bytes, 0, FRAME_BYTES);
  if (frame.u32() !== HEAD_MAGIC) return { kind: "bad", problem: "malformed", offset: 0 };
  const version = frame.u32();
  const length = frame.u32();
  const end = FRAME_BYTES + length;
  // Of a head too long to be there it cannot be said whether the length or the rest is wrong.
  if (end > bytes.length) return { kind: "bad", problem: "truncated", offset: bytes.length };
  const content = bytes.subarray(FRAME_BYTES, end);
  if (frame.u32() !== crc32c(content, crc32c(bytes.subarray(0, 12)))) {
    return { kind: "bad", problem: "checksum", offset: 0 };
  }
  if (version !== FORMAT_VERSION) return { kind: "otherVersion", version };
  try {
    const reader = new ByteReader(content);
    const cellId = toHex(reader.raw(CELL_ID_BYTES));
    const incarnation = toHex(reader.raw(INCARNATION_BYTES));
    if (cellId !== owner.cellId || incarnation !== owner.incarnation) {
      return { kind: "bad", problem: "foreign", offset: 0 };
    }
    const slot = reader.varint();
    const round = reader.varint();
    const priority = reader.varint();
    const ballot = { round, priority, replica: reader.varint() };
    const stateBytes = reader.varint();
    const configuration = reader.bytes().slice();
    reader.expectEnd();
    return { kind: "ok", slot, ballot, stateBytes, configuration, end };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return { kind: "bad", problem: "malformed", offset: FRAME_BYTES };
  }
}

function chunkFrame(length: number, checksum: number): Uint8Array {
  const writer = new ByteWriter();
  writer.u32(length);
  writer.u32(checksum);
  return writer.finish();
}

function encodeFoot(chunkCount: number, stateHash: string): Uint8Array {
  const writer = new ByteWriter();
  writer.u32(FOOT_MAGIC);
  writer.u32(chunkCount);
  writer.raw(fromHex(stateHash));
  writer.u32(crc32c(writer.finish()));
  return writer.finish();
}
