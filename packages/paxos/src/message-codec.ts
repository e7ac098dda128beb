import { ByteReader, ByteWriter, DecodeError, unreachable } from "@cubby/base";
import type { Ballot, Slot } from "./ballot.ts";
import { readBallot, writeBallot } from "./ballot-codec.ts";
import { REASON_LENGTH_MAX, SNAPSHOT_BYTES_MAX } from "./limits.ts";
import {
  LEASE_MS_MAX,
  type LogEntry,
  readEntries,
  readLeaseMs,
  writeEntries,
} from "./log-entry.ts";
import { readIncarnation, readMembers, writeMembers } from "./members-codec.ts";
import type { GenesisMessage, PaxosMessage, SnapshotPartMessage } from "./messages.ts";

/** Raised when a message changes its meaning; a peer of another version is not understood. */
const MESSAGE_VERSION = 1;

/** Ids on the wire: never reuse one, never renumber. */
const MESSAGE_TYPES = {
  heartbeatRequest: 1,
  heartbeatReply: 2,
  prepare: 3,
  promise: 4,
  nack: 5,
  prepareRequest: 6,
  accept: 7,
  accepted: 8,
  chosen: 9,
  fetch: 10,
  logPart: 11,
  snapshotPart: 12,
  leaseRequest: 13,
  leaseGrant: 14,
  leaseRelease: 15,
  invite: 16,
  genesisQuery: 17,
  genesisStatus: 18,
  genesisOffer: 19,
  genesisComplete: 20,
  refused: 21,
} as const satisfies Record<PaxosMessage["kind"], number>;

type LeaseOrGenesisMessage =
  | Extract<
      PaxosMessage,
      { readonly kind: "leaseRequest" | "leaseGrant" | "leaseRelease" | "invite" | "refused" }
    >
  | GenesisMessage;

/** One buffer for all: it has grown to the size of the usual batch, and nothing here re-enters. */
const sharedWriter = new ByteWriter();

export function encodeMessage(message: PaxosMessage): Uint8Array {
  sharedWriter.reset();
  writeMessage(sharedWriter, message);
  return sharedWriter.finish();
}

/** Writes straight into the sender's buffer: entry bytes are copied once. */
export function writeMessage(writer: ByteWriter, message: PaxosMessage): void {
  writer.u8(MESSAGE_VERSION);
  writer.u8(MESSAGE_TYPES[message.kind]);
  switch (message.kind) {
    case "heartbeatRequest":
      writer.varint(message.round);
      return;
    case "heartbeatReply":
      writer.varint(message.round);
      writeBallot(writer, message.ballot);
      writeBallot(writer, message.leader);
      writer.u8(message.happy ? 1 : 0);
      return;
    case "prepare":
      writeSlots(writer, message, [message.length, message.chosen]);
      return;
    case "promise":
      writeSlots(writer, message, [message.length, message.chosen, message.firstSlot]);
      writeEntries(writer, message.entries);
      return;
    case "nack":
      writeBallot(writer, message.ballot);
      writeBallot(writer, message.promised);
      return;
    case "prepareRequest":
      writeBallot(writer, message.ballot);
      return;
    case "accept":
      writeBallot(writer, message.ballot);
      writer.varint(message.firstSlot);
      writer.varint(message.chosen);
      writeEntries(writer, message.entries);
      return;
    case "accepted":
      writeBallot(writer, message.ballot);
      writer.varint(message.length);
      return;
    case "chosen":
      writeBallot(writer, message.ballot);
      writer.varint(message.chosen);
      writer.varint(message.length);
      return;
    case "fetch":
      writeBallot(writer, message.ballot);
      writer.varint(message.from);
      writer.u8(message.synchronised ? 1 : 0);
      writer.varint(message.snapshotSlot);
      writer.varint(message.snapshotOffset);
      return;
    case "logPart":
      writeSlots(writer, message, [message.firstSlot, message.chosen, message.length]);
      writeEntries(writer, message.entries);
      return;
    case "snapshotPart":
      writeSnapshotPart(writer, message);
      return;
    default:
      writeLeaseOrGenesis(writer, message);
  }
}

function writeLeaseOrGenesis(writer: ByteWriter, message: LeaseOrGenesisMessage): void {
  switch (message.kind) {
    case "leaseRequest":
      writeBallot(writer, message.ballot);
      writer.varint(message.leaseRound);
      writer.varint(message.leaseMs);
      writer.varint(message.chosen);
      writer.varint(message.length);
      return;
    case "leaseGrant":
    case "leaseRelease":
    case "invite":
      writeBallot(writer, message.ballot);
      writer.varint(message.leaseRound);
      return;
    case "genesisQuery":
      return;
    case "genesisStatus":
    case "genesisOffer":
    case "genesisComplete":
      writeMembers(writer, message.members);
      return;
    case "refused":
      writer.string(message.incarnation);
      writer.string(message.reason);
      return;
    default:
      unreachable(message);
      return;
  }
}

/**
 * Commands and snapshot parts in what it returns are views of `bytes`, which the caller gives up:
 * they may be kept for long. Anything malformed is a DecodeError.
 */
export function decodeMessage(bytes: Uint8Array): PaxosMessage {
  const reader = new ByteReader(bytes);
  const version = reader.u8();
  if (version !== MESSAGE_VERSION) throw new DecodeError(`a message of version ${version}`, 0);
  const message = readMessage(reader, reader.u8());
  reader.expectEnd();
  return message;
}

const KINDS: ReadonlyMap<number, PaxosMessage["kind"]> = new Map(
  Object.entries(MESSAGE_TYPES).map(([kind, type]) => [type, kind as PaxosMessage["kind"]]),
);

/** What a frame claims to be, without reading it: for whoever looks on. */
export function messageKindOf(bytes: Uint8Array): PaxosMessage["kind"] | undefined {
  return KINDS.get(bytes[1] ?? 0);
}

function readMessage(reader: ByteReader, type: number): PaxosMessage {
  switch (type) {
    case MESSAGE_TYPES.heartbeatRequest:
      return { kind: "heartbeatRequest", round: reader.varint() };
    case MESSAGE_TYPES.heartbeatReply: {
      const round = reader.varint();
      const ballot = readBallot(reader);
      const leader = readBallot(reader);
      return { kind: "heartbeatReply", round, ballot, leader, happy: readFlag(reader) };
    }
    case MESSAGE_TYPES.prepare: {
      const ballot = readBallot(reader);
      const acceptedBallot = readBallot(reader);
      const length = reader.varint();
      return { kind: "prepare", ballot, acceptedBallot, length, chosen: reader.varint() };
    }
    case MESSAGE_TYPES.promise:
      return readPromise(reader);
    case MESSAGE_TYPES.nack: {
      const ballot = readBallot(reader);
      return { kind: "nack", ballot, promised: readBallot(reader) };
    }
    case MESSAGE_TYPES.prepareRequest:
      return { kind: "prepareRequest", ballot: readBallot(reader) };
    case MESSAGE_TYPES.accept: {
      const ballot = readBallot(reader);
      const firstSlot = readFirstSlot(reader);
      const chosen = reader.varint();
      return { kind: "accept", ballot, firstSlot, entries: readSlots(reader, firstSlot), chosen };
    }
    case MESSAGE_TYPES.accepted: {
      const ballot = readBallot(reader);
      return { kind: "accepted", ballot, length: reader.varint() };
    }
    case MESSAGE_TYPES.chosen: {
      const ballot = readBallot(reader);
      const chosen = reader.varint();
      return { kind: "chosen", ballot, chosen, length: reader.varint() };
    }
    case MESSAGE_TYPES.fetch:
      return readFetch(reader);
    case MESSAGE_TYPES.logPart:
      return readLogPart(reader);
    case MESSAGE_TYPES.snapshotPart:
      return readSnapshotPart(reader);
    case MESSAGE_TYPES.leaseRequest: {
      const ballot = readBallot(reader);
      const leaseRound = reader.varint();
      const leaseMs = readLeaseMs(reader);
      const chosen = reader.varint();
      const length = reader.varint();
      return { kind: "leaseRequest", ballot, leaseRound, leaseMs, chosen, length };
    }
    case MESSAGE_TYPES.leaseGrant:
      return { kind: "leaseGrant", ballot: readBallot(reader), leaseRound: reader.varint() };
    case MESSAGE_TYPES.leaseRelease:
      return { kind: "leaseRelease", ballot: readBallot(reader), leaseRound: reader.varint() };
    case MESSAGE_TYPES.invite:
      return { kind: "invite", ballot: readBallot(reader), leaseRound: reader.varint() };
    case MESSAGE_TYPES.genesisQuery:
      return { kind: "genesisQuery" };
    case MESSAGE_TYPES.genesisStatus:
      return { kind: "genesisStatus", members: readMembers(reader) };
    case MESSAGE_TYPES.genesisOffer:
      return { kind: "genesisOffer", members: readMembers(reader) };
    case MESSAGE_TYPES.genesisComplete:
      return { kind: "genesisComplete", members: readMembers(reader) };
    case MESSAGE_TYPES.refused: {
      const incarnation = readIncarnation(reader);
      return { kind: "refused", incarnation, reason: readReason(reader) };
    }
    default:
      throw new DecodeError(`a message of unknown type ${type}`, 1);
  }
}

type Balloted = { readonly ballot: Ballot; readonly acceptedBallot: Ballot };

function writeSlots(writer: ByteWriter, message: Balloted, slots: readonly Slot[]): void {
  writeBallot(writer, message.ballot);
  writeBallot(writer, message.acceptedBallot);
  for (const slot of slots) writer.varint(slot);
}

function readPromise(reader: ByteReader): PaxosMessage {
  const ballot = readBallot(reader);
  const acceptedBallot = readBallot(reader);
  const length = reader.varint();
  const chosen = reader.varint();
  const firstSlot = readFirstSlot(reader);
  const entries = readSlots(reader, firstSlot);
  return { kind: "promise", ballot, acceptedBallot, length, chosen, firstSlot, entries };
}

function readLogPart(reader: ByteReader): PaxosMessage {
  const ballot = readBallot(reader);
  const acceptedBallot = readBallot(reader);
  const firstSlot = readFirstSlot(reader);
  const chosen = reader.varint();
  const length = reader.varint();
  const entries = readSlots(reader, firstSlot);
  return { kind: "logPart", ballot, acceptedBallot, firstSlot, entries, chosen, length };
}

function readFetch(reader: ByteReader): PaxosMessage {
  const ballot = readBallot(reader);
  const from = readFirstSlot(reader);
  const synchronised = readFlag(reader);
  const snapshotSlot = reader.varint();
  const snapshotOffset = reader.varint();
  return { kind: "fetch", ballot, from, synchronised, snapshotSlot, snapshotOffset };
}

function writeSnapshotPart(writer: ByteWriter, message: SnapshotPartMessage): void {
  writeBallot(writer, message.ballot);
  writer.varint(message.slot);
  writer.varint(message.sizeBytes);
  writer.u32(message.checksum);
  writer.varint(message.leaseMs);
  writer.varint(message.offset);
  writer.bytes(message.bytes);
}

function readSnapshotPart(reader: ByteReader): PaxosMessage {
  const ballot = readBallot(reader);
  const slot = readFirstSlot(reader);
  const sizeBytes = reader.varint();
  const checksum = reader.u32();
  const leaseMs = reader.varint();
  const offset = reader.varint();
  const bytes = reader.bytes();
  if (leaseMs > LEASE_MS_MAX) throw new DecodeError("a lease of no sane length", reader.position);
  if (sizeBytes > SNAPSHOT_BYTES_MAX || offset + bytes.length > sizeBytes) {
    throw new DecodeError("a part beyond its snapshot", reader.position);
  }
  return { kind: "snapshotPart", ballot, slot, sizeBytes, checksum, leaseMs, offset, bytes };
}

/** Entries whose last slot is still a safe integer. */
function readSlots(reader: ByteReader, firstSlot: Slot): LogEntry[] {
  const entries = readEntries(reader);
  if (!Number.isSafeInteger(firstSlot + entries.length)) {
    throw new DecodeError("slots beyond the last", reader.position);
  }
  return entries;
}

function readFirstSlot(reader: ByteReader): Slot {
  const slot = reader.varint();
  if (slot === 0 || slot === Number.MAX_SAFE_INTEGER) {
    throw new DecodeError("the first slot is 1", reader.position);
  }
  return slot;
}

function readFlag(reader: ByteReader): boolean {
  const flag = reader.u8();
  if (flag > 1) throw new DecodeError("a flag that is neither 0 nor 1", reader.position);
  return flag === 1;
}

function readReason(reader: ByteReader): string {
  const reason = reader.string();
  if (reason.length > REASON_LENGTH_MAX) {
    throw new DecodeError("a reason of no sane length", reader.position);
  }
  return reason;
}
