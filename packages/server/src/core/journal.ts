/**
 * One replica's write-ahead journal over the Disk port. How it is used:
 *
 *     const result = drive(recover({ expected }))        // journal-recovery.ts
 *     const journal = new Journal(options, result.journal)
 *     journal.append(records)                            // gathers
 *     for (const request of journal.takeRequests()) …    // once a turn: all gathered go as one write
 *     journal.onCompletion(completion)
 *     journal.persistedThrough                           // counts the records of `append`, from 1
 *
 * While a write is under way, further records gather; when it completes, they go out together, so
 * there is one durable write per batch (DESIGN §5). The order of records is that of the calls.
 *
 * Snapshots: when `wantsSnapshot` is true the host calls `writeSnapshot`. Once that is durable
 * (`snapshotSlot`), `needsCheckpoint` turns true, and the host calls `appendCheckpoint` with a record
 * that says all that the journal holds beyond the snapshot; after a recovery that passed over one,
 * before any other record. When the checkpoint is durable, segments that neither of the
 * two newest snapshots needs are taken back. A snapshot that came from a peer is given to
 * `writeSnapshot` too, and the record that names it to `append` with `afterSnapshot`: the journal
 * holds it, and all that follows, back until the file is there.
 *
 * A record longer than a write goes alone, in several; one longer than a segment gets a segment of
 * its own size. Both are atomic: a record counts only when all of it is there.
 *
 * Any operation that fails makes the journal `fatal`, for good: it writes nothing more and reports
 * nothing more as durable, and the process must end (reliability §5 rule 3).
 */

import { assert } from "@cubby/base";
import type { DiskCompletion, DiskRequest, DiskTask } from "./disk.ts";
import { type Batch, BatchEncoder, type PendingRecord } from "./journal-batch.ts";
import {
  type JournalRecord,
  RECORD_FLAGS,
  RECORD_PAYLOAD_BYTES_MAX,
  recordBytes,
} from "./journal-record.ts";
import { TaskRunner } from "./journal-runner.ts";
import type { Checkpoint, JournalState } from "./journal-state.ts";
import { type FailedOperation, failedOperation, type RequestIds } from "./journal-task.ts";
import { WitnessKeeper } from "./journal-witness-keeper.ts";
import { segmentSizeFor } from "./segment-header.ts";
import { SegmentPool } from "./segment-pool.ts";
import { PAGE_BYTES, WRITE_BYTES_MAX } from "./segment-sector.ts";
import type { Snapshot } from "./snapshot-file.ts";
import { SnapshotStore } from "./snapshot-file-store.ts";

export type JournalOptions = {
  /** A whole number of pages. */
  readonly segmentBytes: number;
  /** The longest single write, at most 1 MiB; what does not fit waits for the next. */
  readonly writeBytesMax: number;
  readonly zeroChunkBytes: number;
  /** Journal written since the last checkpoint that makes the next snapshot due. */
  readonly snapshotEveryBytes: number;
  /** What may wait to be written; more is a host that does not hold back. */
  readonly backlogBytesMax: number;
};

export const JOURNAL_DEFAULTS: JournalOptions = {
  segmentBytes: 16 << 20,
  writeBytesMax: WRITE_BYTES_MAX,
  zeroChunkBytes: 256 << 10,
  snapshotEveryBytes: 64 << 20,
  backlogBytesMax: 512 << 20,
};

/** A large state is written less often: snapshots are at most a third of what goes to the disk. */
const SNAPSHOT_SIZES_OF_JOURNAL = 2;

export type AppendedRecord = JournalRecord & {
  /** Its loss must never go unnoticed: a promise. Durable only once the witness has it too. */
  readonly vital?: boolean;
  /** Held back, with all that follows, until a snapshot at this slot or a later one is durable. */
  readonly afterSnapshot?: number;
};

/** Counts the records given to `append` in this run, from 1. */
export type RecordIndex = number;

export type JournalStatus = {
  readonly persistedThrough: RecordIndex;
  readonly backlogBytes: number;
  readonly segments: number;
  readonly segmentBytes: number;
  readonly snapshotSlot: number;
  readonly bytesSinceCheckpoint: number;
  /** Writes and bytes of records since the start, padding included. */
  readonly writes: number;
  readonly writtenBytes: number;
};

export class Journal {
  readonly #options: JournalOptions;
  readonly #ids: RequestIds;
  readonly #tasks: TaskRunner;
  readonly #pool: SegmentPool;
  readonly #witness: WitnessKeeper;
  readonly #snapshots: SnapshotStore;
  readonly #encoder: BatchEncoder;
  #pending: PendingRecord[] = [];
  #pendingBytes = 0;
  #appended: RecordIndex = 0;
  #persisted: RecordIndex = 0;
  #batch: Batch | undefined;
  #writeRequest: DiskRequest | undefined;
  #requests: DiskRequest[] = [];
  #isMaintaining = false;
  /** The size of segment that the next record needs and that is not prepared. */
  #wantedBytes = 0;
  /** The last write holds records, so its loss would look like a torn tail. */
  #isUnconfirmed: boolean;
  /** Durable ones. */
  readonly #checkpoints: Checkpoint[];
  #checkpointBase: number;
  /** Written since the last checkpoint. By the position in a segment it would be more than that. */
  #bytesSinceCheckpoint: number;
  /** A damaged snapshot, by recovery: an older one is gone on from, and the journal must say so first. */
  #wasPassedOver: boolean;
  #writes = 0;
  #writtenBytes = 0;
  #progress = 0;
  #fatal: FailedOperation | undefined;

  /** `state` is what recovery ended with; a journal is built on it once. */
  constructor(options: Partial<JournalOptions>, state: JournalState) {
    this.#options = { ...JOURNAL_DEFAULTS, ...options };
    assertOptions(this.#options);
    this.#ids = state.ids;
    this.#tasks = new TaskRunner((failed) => this.#fail(failed));
    this.#pool = new SegmentPool(this.#options, state);
    this.#witness = new WitnessKeeper(this.#tasks, state.ids, state.identity, state.witness);
    this.#snapshots = new SnapshotStore(this.#tasks, state, () => this.#dropUnneeded());
    this.#encoder = new BatchEncoder(state, this.#pool.active, this.#options.writeBytesMax);
    this.#checkpoints = [...state.checkpoints];
    this.#checkpointBase = state.checkpoints.at(-1)?.base ?? 0;
    this.#wasPassedOver = state.staleSnapshots.length > 0;
    const sinceBytes = this.#pool.bytesSince(state.checkpoints.at(-1)?.life ?? 0);
    this.#bytesSinceCheckpoint = Math.max(0, sinceBytes - this.#encoder.roomBytes);
    this.#isUnconfirmed = state.sequence > 0;
    this.#dropUnneeded();
  }

  /** The highest record of which, and of all before it, a crash can take nothing. */
  get persistedThrough(): RecordIndex {
    return this.#persisted;
  }

  /** Rises with each write that was done of what the records that wait need. */
  get progress(): number {
    return this.#progress;
  }

  /** What failed. Once set, it stays, and the process has to end. */
  get fatal(): FailedOperation | undefined {
    return this.#fatal;
  }

  /** The slot of the newest durable snapshot; 0 if there is none. */
  get snapshotSlot(): number {
    return this.#snapshots.newestSlot;
  }

  /** True once much has been written since the last checkpoint, and no snapshot is under way. */
  get wantsSnapshot(): boolean {
    if (this.#snapshots.isBusy || this.needsCheckpoint) return false;
    const dueBytes = Math.max(
      this.#options.snapshotEveryBytes,
      SNAPSHOT_SIZES_OF_JOURNAL * this.#snapshots.newestBytes,
    );
    return this.#bytesSinceCheckpoint >= dueBytes;
  }

  /** True from the time a snapshot is durable, or one was passed over, until a checkpoint is appended. */
  get needsCheckpoint(): boolean {
    // The newest is an older one than the last checkpoint's where that one's snapshot is gone.
    return this.#wasPassedOver || this.#snapshots.newestSlot !== this.#checkpointBase;
  }

  get backlogBytes(): number {
    return this.#pendingBytes;
  }

  /** The index of the last one. The payloads are the journal's from now on. */
  append(records: readonly AppendedRecord[]): RecordIndex {
    for (const record of records) {
      this.#appended += 1;
      let flags = record.vital === true ? RECORD_FLAGS.vital : 0;
      if (record.afterSnapshot !== undefined) flags |= RECORD_FLAGS.restores;
      this.#push(record, flags, record.afterSnapshot ?? 0);
    }
    return this.#appended;
  }

  /**
   * `record.slot` is that of the snapshot it builds on: together they are all that the records up
   * to here amount to; `restores`: and more than that, so that nothing can take the snapshot's
   * place. It has no index of its own.
   */
  appendCheckpoint(record: JournalRecord, { restores = false } = {}): void {
    assert(record.slot <= this.snapshotSlot, "a checkpoint builds on a durable snapshot");
    this.#checkpointBase = record.slot;
    this.#wasPassedOver = false;
    // Not only once it is durable: until then the next snapshot would be due already.
    this.#bytesSinceCheckpoint = 0;
    const restoresFlag = restores ? RECORD_FLAGS.restores : 0;
    this.#push(record, RECORD_FLAGS.checkpoint | restoresFlag, 0);
  }

  /**
   * For a host that has been idle for a moment: an empty write behind the last one. Should that one
   * rot afterwards, it is known for damage, since it is not the last any more.
   */
  confirm(): void {
    if (this.#batch !== undefined || this.#pending.length > 0 || !this.#isUnconfirmed) return;
    if (this.#fatal !== undefined || !this.#encoder.hasRoomToConfirm) return;
    this.#start(this.#encoder.encode([]));
  }

  /** False if it is older than one that is there or under way. See `snapshotSlot`. */
  writeSnapshot(snapshot: Snapshot): boolean {
    return this.#snapshots.write(snapshot);
  }

  /**
   * Nothing up to this slot will be asked for: segments that only serve snapshots before it are
   * taken back. Called by the journal itself for the older of its two snapshots.
   */
  dropThrough(slot: number): void {
    assert(slot <= this.snapshotSlot, "only what a durable snapshot covers is dropped");
    const usable = this.#checkpoints.filter((checkpoint) => checkpoint.base <= slot);
    const newest = usable.at(-1);
    if (newest === undefined) return;
    this.#pool.keepFrom(newest.life);
    while (this.#checkpoints[0] !== newest) this.#checkpoints.shift();
    this.#maintain();
  }

  /** What to carry out now. To be asked after every input, and carried out in order. */
  takeRequests(): DiskRequest[] {
    if (this.#fatal !== undefined) return [];
    this.#flush();
    this.#maintain();
    const requests = [...this.#requests, ...this.#tasks.take()];
    this.#requests = [];
    return this.#fatal === undefined ? requests : [];
  }

  onCompletion(completion: DiskCompletion): void {
    if (this.#fatal !== undefined) return;
    const request = this.#writeRequest;
    if (request === undefined || request.id !== completion.id) {
      const isKnown = this.#tasks.onCompletion(completion);
      assert(isKnown, "a completion answers a request of this journal");
      if (completion.ok && this.#waitsForTask) this.#progress += 1;
      return;
    }
    this.#writeRequest = undefined;
    if (!completion.ok) {
      this.#fail(failedOperation(request, completion.error));
      return;
    }
    this.#progress += 1;
    this.#onWritten();
  }

  status(): JournalStatus {
    return {
      persistedThrough: this.#persisted,
      backlogBytes: this.#pendingBytes,
      segments: this.#pool.segmentCount,
      segmentBytes: this.#pool.diskBytes,
      snapshotSlot: this.snapshotSlot,
      bytesSinceCheckpoint: this.#bytesSinceCheckpoint,
      writes: this.#writes,
      writtenBytes: this.#writtenBytes,
    };
  }

  /**
   * The batch waits for its witness, or the next record for a segment, which is being zeroed, or for the
   * snapshot before it.
   */
  get #waitsForTask(): boolean {
    const isWitnessed = this.#batch !== undefined && this.#writeRequest === undefined;
    if (isWitnessed || this.#wantedBytes > 0) return true;
    return (this.#pending[0]?.afterSnapshot ?? 0) > this.snapshotSlot;
  }

  #push(record: JournalRecord, flags: number, afterSnapshot: number): void {
    assert(record.payload.length <= RECORD_PAYLOAD_BYTES_MAX, "a record is at most 1 GiB");
    const size = recordBytes(record.payload.length);
    const pending = { record, flags, size, index: this.#appended, afterSnapshot };
    this.#pendingBytes += backlogBytesOf(pending);
    assert(
      this.#pendingBytes <= this.#options.backlogBytesMax || this.#pending.length === 0,
      "the host holds back when the disk is slow",
    );
    this.#pending.push(pending);
  }

  /** Everything that waits, as far as one write goes. */
  #flush(): void {
    if (this.#batch !== undefined || this.#pending.length === 0) return;
    const count = this.#gather();
    if (count === 0) return;
    const records = this.#pending.slice(0, count);
    this.#pending = this.#pending.slice(count);
    for (const each of records) this.#pendingBytes -= backlogBytesOf(each);
    this.#start(this.#encoder.encode(records));
  }

  /** How many of the waiting records go next; enters a new segment if the first does not fit. */
  #gather(): number {
    const first = this.#pending[0];
    if (first === undefined || first.afterSnapshot > this.snapshotSlot) return 0;
    if (first.size > this.#encoder.roomBytes && !this.#enterSegment(first.size)) return 0;
    const room = Math.min(this.#encoder.roomBytes, this.#encoder.writeDataBytesMax);
    let bytes = first.size;
    let count = 1;
    for (; count < this.#pending.length; count += 1) {
      const next = this.#pending[count];
      if (next === undefined || next.afterSnapshot > this.snapshotSlot) break;
      if (bytes + next.size > room) break;
      bytes += next.size;
    }
    return count;
  }

  #enterSegment(recordSize: number): boolean {
    const { segmentBytes } = this.#options;
    const needed = Math.max(segmentBytes, segmentSizeFor(recordSize));
    if (!this.#pool.hasPrepared(needed)) {
      this.#wantedBytes = needed;
      return false;
    }
    this.#wantedBytes = 0;
    this.#pool.advance(needed);
    this.#encoder.enter(this.#pool.active);
    return true;
  }

  #start(batch: Batch): void {
    this.#batch = batch;
    this.#writeNext();
  }

  #writeNext(): void {
    const { file, offset, bytes } = this.#encoder.nextWrite();
    const request = { kind: "write", file, offset, bytes, id: this.#ids.next() } as const;
    this.#writeRequest = request;
    this.#requests.push(request);
    this.#writes += 1;
    this.#writtenBytes += bytes.length;
    this.#bytesSinceCheckpoint += bytes.length;
  }

  #onWritten(): void {
    const batch = this.#batch;
    assert(batch !== undefined, "a write is part of a batch");
    if (this.#encoder.hasMore) {
      this.#writeNext();
      return;
    }
    if (batch.vital === undefined) {
      this.#onBatchDurable(batch);
      return;
    }
    // Only now, so that what the witness has seen is known to have been durable.
    this.#witness.update({ vital: batch.vital }, () => this.#onBatchDurable(batch));
  }

  #onBatchDurable(batch: Batch): void {
    this.#batch = undefined;
    this.#isUnconfirmed = batch.recordCount > 0;
    if (batch.recordCount > 0) {
      assert(batch.lastIndex >= this.#persisted, "records become durable in order");
      this.#persisted = batch.lastIndex;
    }
    if (batch.checkpoints.length === 0) return;
    this.#checkpoints.push(...batch.checkpoints);
    this.#bytesSinceCheckpoint = 0;
    this.#dropUnneeded();
  }

  #dropUnneeded(): void {
    this.dropThrough(this.#snapshots.fallbackSlot);
  }

  /**
   * One thing at a time beside the commit path, and the next segment before all; but first of all
   * the room for it, where that is to be had: on a full disk a start would end itself for ever.
   */
  #maintain(): void {
    if (this.#isMaintaining || this.#fatal !== undefined) return;
    const needed = Math.max(this.#options.segmentBytes, this.#wantedBytes);
    const isDroppingFirst =
      this.#pool.hasDroppable && (!this.#pool.hasFree || needed > this.#options.segmentBytes);
    if (!this.#pool.hasPrepared(needed) && !isDroppingFirst) {
      this.#isMaintaining = true;
      this.#tasks.start(this.#prepare(needed));
    } else if (this.#pool.hasDroppable) {
      this.#isMaintaining = true;
      this.#tasks.start(this.#drop());
    }
  }

  *#prepare(sizeBytes: number): DiskTask<void> {
    const segment = yield* this.#pool.prepare(sizeBytes);
    this.#witness.update({ life: segment.life }, () => {
      this.#pool.addPrepared(segment);
      this.#isMaintaining = false;
    });
  }

  *#drop(): DiskTask<void> {
    yield* this.#pool.dropOldest();
    this.#isMaintaining = false;
  }

  #fail(failed: FailedOperation): void {
    this.#fatal ??= failed;
    this.#requests = [];
  }
}

/** The host cannot hold back a checkpoint, which is as long as its log. */
function backlogBytesOf({ flags, size }: PendingRecord): number {
  return (flags & RECORD_FLAGS.checkpoint) === 0 ? size : 0;
}

function assertOptions(options: JournalOptions): void {
  const { segmentBytes, writeBytesMax, zeroChunkBytes } = options;
  assert(segmentBytes % PAGE_BYTES === 0, "a segment is whole pages");
  assert(segmentBytes >= 4 * PAGE_BYTES, "a segment has room for a few writes");
  assert(writeBytesMax % PAGE_BYTES === 0 && writeBytesMax > 0, "a write is whole pages");
  assert(writeBytesMax <= WRITE_BYTES_MAX, "recovery looks no further for what is left of a write");
  assert(zeroChunkBytes % PAGE_BYTES === 0 && zeroChunkBytes > 0, "zeros come in whole pages");
}
