import { ByteReader, ByteWriter, DecodeError, EMPTY_BYTES, unreachable } from "@cubby/base";
import { type Ballot, type Slot, ZERO_BALLOT } from "./ballot.ts";
import { readBallot, writeBallot } from "./ballot-codec.ts";
import { LEASE_MS_MAX, type LogEntry, readEntries, writeEntries } from "./log-entry.ts";
import { readMembers, writeMembers } from "./members-codec.ts";
import type { Member, SnapshotIdentity } from "./messages.ts";

/** Counts the records that one life of a replica has handed out, from 1. */
export type RecordIndex = number;

/** Nothing below `ballot` is accepted any more; a proposer's own ballots are reserved by it too. */
export type PromisedRecord = { readonly kind: "promised"; readonly ballot: Ballot };

/** The log, accepted in `ballot`, grows. Invariant: `firstSlot` is the one after its end. */
export type AppendedRecord = {
  readonly kind: "appended";
  readonly ballot: Ballot;
  readonly firstSlot: Slot;
  readonly entries: readonly LogEntry[];
};

/**
 * The log is cut before `firstSlot`, gets this suffix, and counts as accepted in `ballot`.
 * Safety: one record, so that a crash leaves all of it or nothing. Half of it would be a log that
 * claims `ballot` while lacking what was chosen below it (DESIGN §3).
 */
export type SynchronisedRecord = {
  readonly kind: "synchronised";
  readonly ballot: Ballot;
  readonly firstSlot: Slot;
  readonly entries: readonly LogEntry[];
};

/**
 * These slots hold what is known to be chosen; what lies beyond them, and the accepted ballot,
 * stay. The step by which a replica far behind catches up without one huge record.
 */
export type LearnedRecord = {
  readonly kind: "learned";
  readonly firstSlot: Slot;
  readonly entries: readonly LogEntry[];
};

/** Chosen through `slot`. A hint: it rides along and nothing waits for it. */
export type ChosenRecord = { readonly kind: "chosen"; readonly slot: Slot };

/** No lease longer than this was ever granted here; a restart waits that long. */
export type GrantMaxRecord = { readonly kind: "grantMax"; readonly leaseMs: number };

/** The first configuration, as adopted; `complete` once all of it are known to have done so. */
export type GenesisRecord = {
  readonly kind: "genesis";
  readonly members: readonly Member[];
  readonly complete: boolean;
};

/**
 * A peer's snapshot stands for all slots up to `slot`; what lies beyond, and the accepted ballot,
 * stay. The bytes go into a snapshot file, durable before this record; the record names them.
 */
export type RestoredRecord = SnapshotIdentity & {
  readonly kind: "restored";
  readonly ballot: Ballot;
  /** Empty in a record that was read back. */
  readonly bytes: Uint8Array;
};

/** All there is to know beside the snapshot: the records before it may go. */
export type CheckpointRecord = {
  readonly kind: "checkpoint";
  readonly promised: Ballot;
  readonly acceptedBallot: Ballot;
  readonly chosen: Slot;
  readonly grantMaxMs: number;
  /** The chosen lease length; 0 if none was chosen yet. */
  readonly leaseMs: number;
  readonly genesis: { readonly members: readonly Member[]; readonly complete: boolean } | undefined;
  readonly firstSlot: Slot;
  readonly entries: readonly LogEntry[];
};

export type PaxosRecord =
  | PromisedRecord
  | AppendedRecord
  | SynchronisedRecord
  | LearnedRecord
  | ChosenRecord
  | GrantMaxRecord
  | GenesisRecord
  | RestoredRecord
  | CheckpointRecord;

/** Ids on disk: never reuse one, never renumber. */
const RECORD_TYPES = {
  promised: 1,
  appended: 2,
  synchronised: 3,
  chosen: 4,
  grantMax: 5,
  genesis: 6,
  restored: 7,
  checkpoint: 8,
  learned: 9,
} as const satisfies Record<PaxosRecord["kind"], number>;

const RECORD_VERSION = 1;

export type RecordHeader = {
  readonly type: number;
  readonly slot: Slot;
  readonly ballot: Ballot;
};

export type EncodedRecord = RecordHeader & { readonly payload: Uint8Array };

/** The header that a journal writes beside the payload, and checks with it (reliability §5.8). */
export function recordHeader(record: PaxosRecord): RecordHeader {
  const type = RECORD_TYPES[record.kind];
  switch (record.kind) {
    case "promised":
      return { type, slot: 0, ballot: record.ballot };
    case "appended":
    case "synchronised":
      return { type, slot: record.firstSlot, ballot: record.ballot };
    case "learned":
      return { type, slot: record.firstSlot, ballot: ZERO_BALLOT };
    case "chosen":
      return { type, slot: record.slot, ballot: ZERO_BALLOT };
    case "grantMax":
    case "genesis":
      return { type, slot: 0, ballot: ZERO_BALLOT };
    case "restored":
      return { type, slot: record.slot, ballot: record.ballot };
    case "checkpoint":
      return { type, slot: record.firstSlot, ballot: record.promised };
    default:
      return unreachable(record);
  }
}

/** Writes the payload straight into the journal's own buffer: entry bytes are copied once. */
export function writeRecordPayload(writer: ByteWriter, record: PaxosRecord): void {
  writer.u8(RECORD_VERSION);
  switch (record.kind) {
    case "promised":
    case "chosen":
      return;
    case "appended":
    case "synchronised":
    case "learned":
      writeEntries(writer, record.entries);
      return;
    case "grantMax":
      writer.varint(record.leaseMs);
      return;
    case "genesis":
      writer.u8(record.complete ? 1 : 0);
      writeMembers(writer, record.members);
      return;
    case "restored":
      writer.varint(record.sizeBytes);
      writer.u32(record.checksum);
      writer.varint(record.leaseMs);
      return;
    case "checkpoint":
      writeCheckpoint(writer, record);
      return;
    default:
      unreachable(record);
      return;
  }
}

/** One buffer for all: it has grown to the size of the usual batch, and nothing here re-enters. */
const sharedWriter = new ByteWriter();

export function encodeRecord(record: PaxosRecord): EncodedRecord {
  sharedWriter.reset();
  writeRecordPayload(sharedWriter, record);
  const { type, slot, ballot } = recordHeader(record);
  return { type, slot, ballot, payload: sharedWriter.finish() };
}

/** Commands in what it returns are views of `payload`. Anything malformed is a DecodeError. */
export function decodeRecord(encoded: EncodedRecord): PaxosRecord {
  const reader = new ByteReader(encoded.payload);
  const version = reader.u8();
  if (version !== RECORD_VERSION) throw new DecodeError(`a record of version ${version}`, 0);
  const record = readRecord(encoded, reader);
  reader.expectEnd();
  return record;
}

function readRecord(header: RecordHeader, reader: ByteReader): PaxosRecord {
  const { slot, ballot } = header;
  switch (header.type) {
    case RECORD_TYPES.promised:
      return { kind: "promised", ballot };
    case RECORD_TYPES.appended:
      return { kind: "appended", ballot, firstSlot: slot, entries: readEntries(reader) };
    case RECORD_TYPES.synchronised:
      return { kind: "synchronised", ballot, firstSlot: slot, entries: readEntries(reader) };
    case RECORD_TYPES.learned:
      return { kind: "learned", firstSlot: slot, entries: readEntries(reader) };
    case RECORD_TYPES.chosen:
      return { kind: "chosen", slot };
    case RECORD_TYPES.grantMax:
      return { kind: "grantMax", leaseMs: readLeaseMsOrNone(reader) };
    case RECORD_TYPES.genesis: {
      const complete = readFlag(reader);
      return { kind: "genesis", members: readMembers(reader), complete };
    }
    case RECORD_TYPES.restored: {
      const sizeBytes = reader.varint();
      const checksum = reader.u32();
      const leaseMs = readLeaseMsOrNone(reader);
      return { kind: "restored", slot, ballot, sizeBytes, checksum, leaseMs, bytes: EMPTY_BYTES };
    }
    case RECORD_TYPES.checkpoint:
      return readCheckpoint(header, reader);
    default:
      throw new DecodeError(`a record of unknown type ${header.type}`, 0);
  }
}

function writeCheckpoint(writer: ByteWriter, record: CheckpointRecord): void {
  writeBallot(writer, record.acceptedBallot);
  writer.varint(record.chosen);
  writer.varint(record.grantMaxMs);
  writer.varint(record.leaseMs);
  writer.u8(record.genesis === undefined ? 0 : record.genesis.complete ? 2 : 1);
  writeMembers(writer, record.genesis?.members ?? []);
  writeEntries(writer, record.entries);
}

function readCheckpoint(header: RecordHeader, reader: ByteReader): CheckpointRecord {
  const acceptedBallot = readBallot(reader);
  const chosen = reader.varint();
  const grantMaxMs = readLeaseMsOrNone(reader);
  const leaseMs = readLeaseMsOrNone(reader);
  const state = reader.u8();
  if (state > 2) throw new DecodeError("a genesis in no known state", reader.position);
  const members = readMembers(reader);
  return {
    kind: "checkpoint",
    promised: header.ballot,
    acceptedBallot,
    chosen,
    grantMaxMs,
    leaseMs,
    genesis: state === 0 ? undefined : { members, complete: state === 2 },
    firstSlot: header.slot,
    entries: readEntries(reader),
  };
}

function readLeaseMsOrNone(reader: ByteReader): number {
  const leaseMs = reader.varint();
  if (leaseMs > LEASE_MS_MAX) throw new DecodeError("a lease of no sane length", reader.position);
  return leaseMs;
}

function readFlag(reader: ByteReader): boolean {
  const flag = reader.u8();
  if (flag > 1) throw new DecodeError("a flag that is neither 0 nor 1", reader.position);
  return flag === 1;
}
