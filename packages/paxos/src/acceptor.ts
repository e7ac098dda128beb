import { assert, type Instant } from "@cubby/base";
import { type Ballot, compareBallots, type Slot, sameBallot } from "./ballot.ts";
import { EntryLog } from "./entry-log.ts";
import {
  checkAcceptor,
  checkChosenRises,
  checkPromiseRises,
  checkTruncation,
} from "./invariants.ts";
import { isCommand, type LogEntry } from "./log-entry.ts";
import type { SnapshotIdentity } from "./messages.ts";
import type { Outbox } from "./outbox.ts";
import type { RecordIndex } from "./record.ts";
import type { RecoveredLog } from "./recovery.ts";

/**
 * The cell's memory at one replica: what it promised, the log it accepted and in which ballot, and
 * how much of that is chosen. Every change is a record; the state here runs ahead of the disk, and
 * whoever tells others of it waits for the record (`promisedIndex`, `logIndex`).
 */
export class Acceptor {
  readonly #outbox: Outbox;
  #promised: Ballot;
  #acceptedBallot: Ballot;
  readonly #log: EntryLog;
  #chosen: Slot;
  #delivered: Slot;
  #leaseMs: number;

  /** The records that hold the promise and the log as they are now. */
  #promisedIndex: RecordIndex = 0;
  #logIndex: RecordIndex = 0;
  #recordedChosen: Slot;

  /** Log lengths in the accepted ballot, and the record that makes each durable. */
  #lengthMarks: { readonly index: RecordIndex; readonly length: Slot }[] = [];
  #durableLength: Slot;

  /** A peer's snapshot whose record is not durable yet: nothing is delivered before it. */
  #restoring: { index: RecordIndex; slot: Slot; bytes: Uint8Array } | undefined;

  constructor(outbox: Outbox, recovered: RecoveredLog) {
    this.#outbox = outbox;
    this.#promised = recovered.promised;
    this.#acceptedBallot = recovered.acceptedBallot;
    this.#log = new EntryLog(recovered.firstSlot - 1, recovered.entries);
    this.#chosen = recovered.chosen;
    this.#delivered = recovered.firstSlot - 1;
    this.#leaseMs = recovered.leaseMs;
    this.#recordedChosen = recovered.chosen;
    this.#durableLength = this.#log.length;
    this.#check();
  }

  get promised(): Ballot {
    return this.#promised;
  }

  get acceptedBallot(): Ballot {
    return this.#acceptedBallot;
  }

  get chosen(): Slot {
    return this.#chosen;
  }

  get delivered(): Slot {
    return this.#delivered;
  }

  get length(): Slot {
    return this.#log.length;
  }

  get dropped(): Slot {
    return this.#log.dropped;
  }

  /** The lease length that the delivered part of the log names; 0 before the first. */
  get leaseMs(): number {
    return this.#leaseMs;
  }

  /** The one that all of the log names, when it is chosen and delivered to its end. */
  get lastLeaseMs(): number {
    for (let slot = this.#log.length; slot > this.#delivered; slot -= 1) {
      const entry = this.#log.at(slot);
      if (!isCommand(entry)) return entry.leaseMs;
    }
    return this.#leaseMs;
  }

  get log(): EntryLog {
    return this.#log;
  }

  get promisedIndex(): RecordIndex {
    return this.#promisedIndex;
  }

  get logIndex(): RecordIndex {
    return this.#logIndex;
  }

  /** Durable when promise and log both are. */
  get stateIndex(): RecordIndex {
    return Math.max(this.#promisedIndex, this.#logIndex);
  }

  get promiseIsDurable(): boolean {
    return this.#outbox.durability.covers(this.#promisedIndex);
  }

  /** The log through this slot is durable as accepted in `acceptedBallot`. */
  get durableLength(): Slot {
    return this.#durableLength;
  }

  get restoring(): boolean {
    return this.#restoring !== undefined;
  }

  /** This log is the leader's own, so far as it goes. */
  synchronisedWith(ballot: Ballot): boolean {
    return sameBallot(this.#acceptedBallot, ballot) && sameBallot(this.#promised, ballot);
  }

  /** Phase 1. Whether a lease forbids it was for the caller to ask. */
  promise(now: Instant, ballot: Ballot): void {
    checkPromiseRises(this.#promised, ballot);
    this.#promised = ballot;
    this.#promisedIndex = this.#outbox.record(now, { kind: "promised", ballot });
    this.#check();
  }

  /** Phase 2, the common case: the log that was accepted in `ballot` grows. */
  append(now: Instant, ballot: Ballot, entries: readonly LogEntry[]): void {
    assert(this.synchronisedWith(ballot), "only a synchronised log is appended to");
    const firstSlot = this.#log.length + 1;
    this.#log.append(entries);
    this.#wroteLog(this.#outbox.record(now, { kind: "appended", ballot, firstSlot, entries }));
  }

  /**
   * Phase 2, the first step in a ballot: from `firstSlot` on the log becomes the leader's.
   * Safety: truncation, suffix and accepted ballot are one record (DESIGN §3).
   */
  synchronise(now: Instant, ballot: Ballot, firstSlot: Slot, entries: readonly LogEntry[]): void {
    assert(sameBallot(ballot, this.#promised), "a log is accepted in the promised ballot");
    assert(compareBallots(ballot, this.#acceptedBallot) > 0, "a ballot is synchronised with once");
    checkTruncation(firstSlot, this.#chosen);
    assert(firstSlot <= this.#log.length + 1, "the log stays gapless");
    this.#log.truncateFrom(firstSlot);
    this.#log.append(entries);
    this.#acceptedBallot = ballot;
    this.#lengthMarks = [];
    this.#durableLength = 0;
    this.#wroteLog(this.#outbox.record(now, { kind: "synchronised", ballot, firstSlot, entries }));
  }

  /**
   * Slots known to be chosen, in place of what was accepted there. Safety: what was accepted beyond
   * them stays, and so does its ballot, for it may be what keeps a later slot chosen.
   */
  learn(now: Instant, firstSlot: Slot, entries: readonly LogEntry[]): void {
    const last = firstSlot + entries.length - 1;
    assert(firstSlot === this.#chosen + 1, "what is learned follows what is chosen");
    this.#log.overwrite(firstSlot, entries);
    this.#wroteLog(this.#outbox.record(now, { kind: "learned", firstSlot, entries }));
    this.#chosen = last;
    this.#recordedChosen = last;
    this.#outbox.trace({ kind: "learned", through: last });
    this.#check();
  }

  /** A peer's snapshot in place of all slots up to its own; what was accepted beyond stays. */
  restore(now: Instant, ballot: Ballot, snapshot: SnapshotIdentity, bytes: Uint8Array): void {
    const { slot, sizeBytes, checksum, leaseMs } = snapshot;
    assert(slot > this.#chosen, "a snapshot is ahead of what is chosen here");
    this.#log.dropThrough(slot);
    const index = this.#outbox.record(now, {
      kind: "restored",
      slot,
      ballot,
      sizeBytes,
      checksum,
      leaseMs,
      bytes,
    });
    this.#chosen = slot;
    this.#delivered = slot;
    this.#recordedChosen = slot;
    this.#leaseMs = leaseMs;
    this.#restoring = { index, slot, bytes };
    this.#outbox.trace({ kind: "snapshotInstalled", slot, sizeBytes });
    this.#wroteLog(index);
  }

  /** Chosen through `slot`, as far as this log goes. The caller knows the log to be the leader's. */
  choose(slot: Slot): void {
    const chosen = Math.min(slot, this.#log.length);
    if (chosen <= this.#chosen) return;
    checkChosenRises(this.#chosen, chosen);
    this.#chosen = chosen;
  }

  onPersisted(): void {
    const { durability } = this.#outbox;
    let done = 0;
    for (const mark of this.#lengthMarks) {
      if (!durability.covers(mark.index)) break;
      this.#durableLength = mark.length;
      done += 1;
    }
    if (done > 0) this.#lengthMarks.splice(0, done);
    const restoring = this.#restoring;
    if (restoring === undefined || !durability.covers(restoring.index)) return;
    this.#restoring = undefined;
    this.#outbox.event({ kind: "restored", slot: restoring.slot, bytes: restoring.bytes });
  }

  /** Reports what is chosen and was not reported yet. */
  deliver(): void {
    if (this.#restoring !== undefined) return;
    while (this.#delivered < this.#chosen) {
      const slot = this.#delivered + 1;
      const entry = this.#log.at(slot);
      if (isCommand(entry)) this.#outbox.event({ kind: "chosen", slot, command: entry });
      else this.#leaseMs = entry.leaseMs;
      this.#delivered = slot;
    }
  }

  /** Lets the chosen index ride along with other records; alone it is not worth a write. */
  recordChosen(now: Instant): void {
    if (this.#chosen <= this.#recordedChosen || !this.#outbox.hasRecords) return;
    this.#recordedChosen = this.#chosen;
    this.#outbox.record(now, { kind: "chosen", slot: this.#chosen });
  }

  /** Forgets the slots up to `slot`, which a durable snapshot holds. */
  drop(slot: Slot): void {
    assert(slot <= this.#delivered, "only what was delivered can be in a snapshot");
    this.#log.dropThrough(slot);
    this.#check();
  }

  #wroteLog(index: RecordIndex): void {
    this.#logIndex = index;
    this.#lengthMarks.push({ index, length: this.#log.length });
    this.#check();
  }

  #check(): void {
    checkAcceptor({
      promised: this.#promised,
      acceptedBallot: this.#acceptedBallot,
      chosen: this.#chosen,
      delivered: this.#delivered,
      dropped: this.#log.dropped,
      length: this.#log.length,
    });
  }
}
