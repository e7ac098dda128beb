/**
 * Turns records into the bytes of writes: numbers and chains them, lays them out in pages behind
 * the last write, and cuts what is longer than a write into several.
 */

import { assert } from "@cubby/base";
import type { DirectoryIdentity } from "./identity.ts";
import { type JournalRecord, ownerHash, RECORD_FLAGS, writeRecord } from "./journal-record.ts";
import { type Checkpoint, fileOf, type JournalState, type WriteCursor } from "./journal-state.ts";
import type { VitalMark } from "./journal-witness.ts";
import { SEGMENT_DATA_SECTOR, type SegmentHeader, segmentSeed } from "./segment-header.ts";
import {
  PAGE_BYTES,
  PAGE_DATA_BYTES,
  SECTOR_BYTES,
  SECTOR_DATA_BYTES,
  SECTORS_PER_PAGE,
  stampWrite,
} from "./segment-sector.ts";

export type PendingRecord = {
  readonly record: JournalRecord;
  readonly flags: number;
  /** With header and padding. */
  readonly size: number;
  /** Of the last record of `append` up to here. */
  readonly index: number;
  readonly afterSnapshot: number;
};

/** What becomes durable together. */
export type Batch = {
  readonly recordCount: number;
  readonly lastIndex: number;
  readonly vital: VitalMark | undefined;
  readonly checkpoints: readonly Checkpoint[];
};

export type EncodedWrite = {
  readonly file: string;
  readonly offset: number;
  /** The encoder's own: reused for the next write. */
  readonly bytes: Uint8Array;
};

export class BatchEncoder {
  readonly #identity: DirectoryIdentity;
  readonly #owner: number;
  /** Reused: one write is under way at a time. */
  readonly #sectors: Uint8Array;
  readonly #reusedData: Uint8Array;
  #segment: SegmentHeader;
  #seed: number;
  #cursor: WriteCursor;
  #sequence: number;
  #hash: number;
  /** The batch's data, and how much of it has been handed out as writes. */
  #data: Uint8Array;
  #written = 0;

  constructor(state: JournalState, active: SegmentHeader, writeBytesMax: number) {
    this.#identity = state.identity;
    this.#owner = ownerHash(state.identity);
    this.#sectors = new Uint8Array(writeBytesMax);
    this.#reusedData = new Uint8Array((writeBytesMax / PAGE_BYTES) * PAGE_DATA_BYTES);
    this.#data = this.#reusedData.subarray(0, 0);
    this.#segment = active;
    this.#seed = segmentSeed(active, state.identity);
    this.#cursor = state.cursor;
    this.#sequence = state.sequence;
    this.#hash = state.hash;
  }

  get writeDataBytesMax(): number {
    return this.#reusedData.length;
  }

  /** How many bytes of records the rest of the segment holds; the last page is for a confirmation. */
  get roomBytes(): number {
    return Math.max(0, this.#sectorsLeft - SECTORS_PER_PAGE) * SECTOR_DATA_BYTES;
  }

  get hasRoomToConfirm(): boolean {
    return this.#sectorsLeft > 0;
  }

  get #sectorsLeft(): number {
    return this.#segment.sizeBytes / SECTOR_BYTES - this.#cursor.sector;
  }

  get hasMore(): boolean {
    return this.#written < this.#data.length;
  }

  enter(segment: SegmentHeader): void {
    assert(!this.hasMore, "a batch lies in one segment");
    this.#segment = segment;
    this.#seed = segmentSeed(segment, this.#identity);
    this.#cursor = { sector: SEGMENT_DATA_SECTOR, write: 1 };
  }

  /** Without records: one page that only says that the write before it was durable. */
  encode(records: readonly PendingRecord[]): Batch {
    assert(!this.hasMore, "one batch after the other");
    const size = records.reduce((sum, { size }) => sum + size, 0);
    assert(size <= this.roomBytes, "a batch fits in what is left of its segment");
    const isReused = size <= this.#reusedData.length;
    assert(isReused || records.length === 1, "a record longer than a write goes alone");
    const length = Math.max(1, Math.ceil(size / PAGE_DATA_BYTES)) * PAGE_DATA_BYTES;
    this.#data = isReused ? this.#reusedData.subarray(0, length) : new Uint8Array(length);
    this.#data.fill(0);
    this.#written = 0;
    let vital: VitalMark | undefined;
    const checkpoints: Checkpoint[] = [];
    let at = 0;
    for (const { record, flags, size } of records) {
      const link = { sequence: this.#sequence + 1, previousHash: this.#hash };
      const place = { owner: this.#owner, header: this.#segment };
      this.#hash = writeRecord(this.#data, at, record, flags, place, link);
      this.#sequence = link.sequence;
      at += size;
      const { type, slot, ballot } = record;
      const mark = { sequence: link.sequence, hash: this.#hash, type, slot, ballot };
      if ((flags & RECORD_FLAGS.vital) !== 0) vital = mark;
      if ((flags & RECORD_FLAGS.checkpoint) !== 0) {
        checkpoints.push({ sequence: link.sequence, base: slot, life: this.#segment.life });
      }
    }
    const lastIndex = records.at(-1)?.index ?? 0;
    return { recordCount: records.length, lastIndex, vital, checkpoints };
  }

  /** The next part of the batch; to be asked for when the one before is durable. */
  nextWrite(): EncodedWrite {
    assert(this.hasMore, "there is more to write");
    const to = Math.min(this.#data.length, this.#written + this.#reusedData.length);
    const data = this.#data.subarray(this.#written, to);
    const { sector, write } = this.#cursor;
    const place = { seed: this.#seed, firstSector: sector, write };
    const bytes = stampWrite(data, place, this.#sectors);
    this.#written = to;
    this.#cursor = { sector: sector + bytes.length / SECTOR_BYTES, write: write + 1 };
    return { file: fileOf(this.#segment), offset: sector * SECTOR_BYTES, bytes };
  }
}
