import type { Rng } from "@cubby/base";
import { EMPTY_BYTES, equalBytes } from "@cubby/base";
import { type Ballot, type Slot, ZERO_BALLOT } from "../ballot.ts";
import { EntryLog } from "../entry-log.ts";
import { isCommand, type LogEntry } from "../log-entry.ts";
import { decodeRecord, encodeRecord, type PaxosRecord } from "../record.ts";
import { type RecoveredLog, type RecoveredSnapshot, recoverLog } from "../recovery.ts";

/** One replica's disk: what a crash leaves, and what it takes. */
export class SimulatedDisk {
  #records: PaxosRecord[] = [];
  #snapshot: RecoveredSnapshot | undefined;
  #waiting: PaxosRecord[] = [];
  #writing: PaxosRecord[] = [];
  #durable = 0;

  /** What is durable, folded: checkers look at media, not at memory. */
  #log = new EntryLog(0, []);
  acceptedBallot: Ballot = ZERO_BALLOT;
  promised: Ballot = ZERO_BALLOT;

  /** As it was found: no record of an earlier life counts as one of this. */
  constructor(records: readonly PaxosRecord[] = []) {
    for (const record of records) this.#keep(record);
  }

  get records(): readonly PaxosRecord[] {
    return this.#records;
  }

  /** What a crash may leave in part. */
  get writing(): readonly PaxosRecord[] {
    return this.#writing;
  }

  get idle(): boolean {
    return this.#writing.length === 0 && this.#waiting.length === 0;
  }

  get hasWork(): boolean {
    return this.#writing.length === 0 && this.#waiting.length > 0;
  }

  add(records: readonly PaxosRecord[]): void {
    this.#waiting.push(...records);
  }

  begin(): void {
    this.#writing = this.#waiting;
    this.#waiting = [];
  }

  /** Ends the write under way; returns how many records of this life are durable. */
  end(): number {
    for (const record of this.#writing) this.#keep(record);
    this.#durable += this.#writing.length;
    this.#writing = [];
    return this.#durable;
  }

  /** What was under way survives up to some record; what waited is gone. */
  crash(rng: Rng, keepsRecords = rng.below(this.#writing.length + 1)): void {
    for (const record of this.#writing.slice(0, keepsRecords)) this.#keep(record);
    this.#writing = [];
    this.#waiting = [];
    this.#durable = 0;
  }

  recover(): RecoveredLog {
    return recoverLog(
      this.#snapshot,
      this.#records.map((record) => decodeRecord(encodeRecord(record))),
    );
  }

  wipe(): void {
    this.#records = [];
    this.#snapshot = undefined;
    this.#log = new EntryLog(0, []);
    this.acceptedBallot = ZERO_BALLOT;
    this.promised = ZERO_BALLOT;
  }

  putSnapshot(snapshot: RecoveredSnapshot): void {
    if (this.#snapshot !== undefined && this.#snapshot.slot >= snapshot.slot) return;
    this.#snapshot = snapshot;
    this.#log.dropThrough(snapshot.slot);
  }

  /** A new segment that starts with a checkpoint: the older ones go. */
  startSegment(checkpoint: PaxosRecord): void {
    this.#records = [checkpoint];
  }

  /** Is this entry durable here, by itself or in a snapshot? */
  holds(slot: Slot, entry: LogEntry): boolean {
    if (slot <= this.#log.dropped) return true;
    return slot <= this.#log.length && sameEntry(this.#log.at(slot), entry);
  }

  #keep(record: PaxosRecord): void {
    if (record.kind === "restored") {
      this.putSnapshot({ slot: record.slot, ballot: record.ballot, bytes: record.bytes });
      this.#records.push({ ...record, bytes: EMPTY_BYTES });
      return;
    }
    this.#records.push(record);
    switch (record.kind) {
      case "promised":
        this.promised = record.ballot;
        break;
      case "synchronised":
        this.promised = record.ballot;
        this.acceptedBallot = record.ballot;
        this.#log.truncateFrom(Math.max(record.firstSlot, this.#log.dropped + 1));
        this.#appendFrom(record.firstSlot, record.entries);
        break;
      case "appended":
        this.#appendFrom(record.firstSlot, record.entries);
        break;
      case "learned":
        if (record.firstSlot > this.#log.dropped) {
          this.#log.overwrite(record.firstSlot, record.entries);
        }
        break;
      default:
        break;
    }
  }

  /** A snapshot may be ahead of the records under way when it was made durable. */
  #appendFrom(firstSlot: Slot, entries: readonly LogEntry[]): void {
    const skip = Math.max(0, this.#log.length + 1 - firstSlot);
    this.#log.append(entries.slice(skip));
  }
}

export function sameEntry(a: LogEntry, b: LogEntry): boolean {
  if (isCommand(a) && isCommand(b)) return equalBytes(a, b);
  return !isCommand(a) && !isCommand(b) && a.leaseMs === b.leaseMs;
}
