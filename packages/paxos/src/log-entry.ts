import { assert, type ByteReader, type ByteWriter, DecodeError } from "@cubby/base";

/** An entry that the engine wrote for itself. It takes a slot and is never shown to the host. */
export type ControlEntry = {
  /** From this slot on, leaders ask for leases of this length. */
  readonly kind: "masterLease";
  readonly leaseMs: number;
};

/** What a slot holds: a command, whose bytes are the host's affair, or a control entry. */
export type LogEntry = Uint8Array | ControlEntry;

const CONTROL_MASTER_LEASE = 1;

/** What a control entry is taken to weigh wherever bytes are counted. */
const CONTROL_SIZE = 16;

/** A lease longer than this is a mistake in a configuration, or damage. */
export const LEASE_MS_MAX = 60_000;

/** Bytes an entry adds to a message or a record, its own header included. */
export const ENTRY_OVERHEAD_BYTES = 8;

export function isCommand(entry: LogEntry): entry is Uint8Array {
  return entry instanceof Uint8Array;
}

export function entrySize(entry: LogEntry): number {
  return (isCommand(entry) ? entry.length : CONTROL_SIZE) + ENTRY_OVERHEAD_BYTES;
}

/** The header's lowest bit tells a control entry from a command; the rest is the length. */
export function writeEntry(writer: ByteWriter, entry: LogEntry): void {
  if (isCommand(entry)) {
    writer.varint(entry.length * 2);
    writer.raw(entry);
    return;
  }
  assert(entry.leaseMs >= 1 && entry.leaseMs <= LEASE_MS_MAX, "a lease has a sane length");
  writer.varint(CONTROL_MASTER_LEASE * 2 + 1);
  writer.varint(entry.leaseMs);
}

/** A command is a view of the bytes read: who keeps it keeps them. */
export function readEntry(reader: ByteReader): LogEntry {
  const header = reader.varint();
  if (header % 2 === 0) return reader.raw(header / 2);
  // Fail closed: an entry of a newer version cannot be skipped by guessing what it means.
  if (header !== CONTROL_MASTER_LEASE * 2 + 1) {
    throw new DecodeError("a control entry of an unknown kind", reader.position);
  }
  return { kind: "masterLease", leaseMs: readLeaseMs(reader) };
}

export function readLeaseMs(reader: ByteReader): number {
  const leaseMs = reader.varint();
  if (leaseMs < 1 || leaseMs > LEASE_MS_MAX) {
    throw new DecodeError("a lease of no sane length", reader.position);
  }
  return leaseMs;
}

export function writeEntries(writer: ByteWriter, entries: readonly LogEntry[]): void {
  writer.varint(entries.length);
  for (const entry of entries) writeEntry(writer, entry);
}

export function readEntries(reader: ByteReader): LogEntry[] {
  const count = reader.varint();
  // Each entry takes a byte at least, so a false count fails before anything is allocated for it.
  if (count > reader.remaining) throw new DecodeError("more entries than bytes", reader.position);
  const entries: LogEntry[] = [];
  for (let i = 0; i < count; i += 1) entries.push(readEntry(reader));
  return entries;
}
