/**
 * Reads segments, in order of life, back into records. Everything is checked: each sector's place
 * and write, each record's checksums, place, number and link to the one before. What is behind a
 * checkpoint that the snapshot suffices for is forgotten; so damage there is only noted.
 */

import { assert, crc32c } from "@cubby/base";
import type { DirectoryIdentity } from "./identity.ts";
import { type Damage, type DamageKind, describeDamage } from "./journal-damage.ts";
import {
  ownerHash,
  RECORD_FLAGS,
  RECORD_HEADER_BYTES,
  type RecordHeader,
  readRecordHeader,
  recordBytes,
} from "./journal-record.ts";
import {
  type Checkpoint,
  fileOf,
  type RecoveredRecord,
  type WriteCursor,
} from "./journal-state.ts";
import type { VitalMark } from "./journal-witness.ts";
import { SEGMENT_DATA_SECTOR, type SegmentHeader, segmentSeed } from "./segment-header.ts";
import { dataOf, type ScannedWrite, type SegmentScan, scanSegment } from "./segment-scan.ts";
import {
  dataOffset,
  isZero,
  SECTOR_BYTES,
  SECTOR_DATA_BYTES,
  sectorData,
} from "./segment-sector.ts";

/** What never completed: from the first sector of its first write to the last non-zero one. */
export type Tear = {
  readonly segment: SegmentHeader;
  /** Where each of its writes begins, in order: several if a record that was cut took several. */
  readonly writesAt: readonly [number, ...number[]];
  readonly throughSector: number;
};

/** The write that may have been in flight, though it is whole: it is made durable again. */
export type LastWrite = {
  readonly segment: SegmentHeader;
  readonly offset: number;
  readonly bytes: Uint8Array;
};

export type Replayed = {
  readonly records: readonly RecoveredRecord[];
  readonly damages: readonly Damage[];
  readonly oldDamages: readonly string[];
  readonly tear: Tear | undefined;
  readonly lastWrite: LastWrite | undefined;
  /** Of the segment with the highest life that was ever written, or the first one of all. */
  readonly written: { readonly segment: SegmentHeader; readonly cursor: WriteCursor } | undefined;
  readonly sequence: number;
  readonly hash: number;
  readonly checkpoints: readonly Checkpoint[];
  readonly vital: VitalMark | undefined;
};

/** Without damage. */
export type Whole = Replayed & { readonly written: NonNullable<Replayed["written"]> };

type Chain = { readonly sequence: number; readonly hash: number };

export class JournalReplay {
  readonly #identity: DirectoryIdentity;
  readonly #owner: number;
  readonly #snapshotSlot: number;
  #records: RecoveredRecord[] = [];
  #damages: Damage[] = [];
  readonly #oldDamages: string[] = [];
  readonly #checkpoints: Checkpoint[] = [];
  /** Unknown at the start of a journal whose older segments were dropped, and behind damage. */
  #chain: Chain | undefined;
  #reaches = false;
  #lastSlot = 0;
  #tear: Tear | undefined;
  #lastWrite: LastWrite | undefined;
  #written: { segment: SegmentHeader; cursor: WriteCursor } | undefined;
  #vital: VitalMark | undefined;

  /** `snapshotSlot` is that of the snapshot the records are replayed on, or 0. */
  constructor(identity: DirectoryIdentity, snapshotSlot: number) {
    this.#identity = identity;
    this.#owner = ownerHash(identity);
    this.#snapshotSlot = snapshotSlot;
  }

  addSegment(segment: SegmentHeader, bytes: Uint8Array): void {
    if (this.#written === undefined && segment.life === 1) {
      this.#chain = { sequence: 0, hash: 0 };
      this.#reaches = true;
    }
    const isFirst = this.#written === undefined;
    const scan = scanSegment(bytes, segmentSeed(segment, this.#identity), SEGMENT_DATA_SECTOR);
    const hasTrace =
      scan.writes.length > 0 || scan.tornThrough > scan.endSector || scan.damage !== undefined;
    if (!hasTrace && !isFirst) return;
    const offset = scan.endSector * SECTOR_BYTES;
    const isTorn = hasTrace && this.#endSegmentBefore();
    if (isTorn && scan.writes.length === 0 && scan.damage === undefined) {
      // Or that one has a torn end, and this one was never written to and has rotted.
      this.#damage(segment, { kind: "sectorAlien", offset, slot: this.#lastSlot, isTail: true });
    }
    const cursor = { sector: scan.endSector, write: scan.writes.length + 1 };
    this.#written = { segment, cursor };
    if (scan.tornThrough > scan.endSector) {
      this.#tear = { segment, writesAt: [scan.endSector], throughSector: scan.tornThrough };
    }
    this.#readWrites(segment, bytes, scan);
    if (scan.damage !== undefined) {
      const { sector, problem, isTail } = scan.damage;
      const kinds = {
        missing: "sectorMissing",
        alien: "sectorAlien",
        order: "sectorOrder",
      } as const;
      const offset = sector * SECTOR_BYTES;
      this.#damage(segment, { kind: kinds[problem], offset, slot: this.#lastSlot, isTail });
    }
  }

  /** A segment that could not be read, or is not there. */
  addDamage(damage: Damage): void {
    this.#damages.push(damage);
    this.#chain = undefined;
  }

  finish(): Replayed {
    const { sequence, hash } = this.#chain ?? { sequence: 0, hash: 0 };
    if (!this.#reaches && this.#damages.length === 0) this.#addUnreachable();
    return {
      records: this.#records,
      damages: this.#damages,
      oldDamages: this.#oldDamages,
      tear: this.#tear,
      lastWrite: this.#lastWrite,
      written: this.#written,
      sequence,
      hash,
      checkpoints: this.#checkpoints,
      vital: this.#vital,
    };
  }

  /** A later segment was written to, so what the one before ends with was durable. True if it is torn. */
  #endSegmentBefore(): boolean {
    const tear = this.#tear;
    this.#tear = undefined;
    if (tear !== undefined) {
      const offset = tear.writesAt[0] * SECTOR_BYTES;
      const place = { offset, slot: this.#lastSlot, isTail: false };
      this.#damage(tear.segment, { kind: "sectorMissing", ...place });
    }
    this.#damages = this.#damages.map((damage) => ({ ...damage, isTail: false }));
    return tear !== undefined;
  }

  #readWrites(segment: SegmentHeader, bytes: Uint8Array, scan: SegmentScan): void {
    for (let at = 0; at < scan.writes.length; ) {
      const train = trainOf(bytes, scan.writes, at);
      if (train === undefined) {
        if (scan.damage === undefined) this.#cutTrain(segment, scan, at);
        return;
      }
      const isTail = at + train.length >= scan.writes.length && scan.damage === undefined;
      if (!this.#readRecords(segment, dataOf(bytes, train), train, isTail)) return;
      at += train.length;
      const first = train[0];
      const last = train[train.length - 1];
      assert(first !== undefined && last !== undefined, "a train has writes");
      const offset = first.firstSector * SECTOR_BYTES;
      const end = (last.firstSector + last.sectorCount) * SECTOR_BYTES;
      this.#lastWrite = { segment, offset, bytes: bytes.subarray(offset, end) };
    }
  }

  /** The writes at the end hold a part of one record only: as torn as half a write. */
  #cutTrain(segment: SegmentHeader, scan: SegmentScan, at: number): void {
    const first = scan.writes[at];
    assert(first !== undefined, "the train begins with a write");
    const { firstSector, write } = first;
    const later = scan.writes.slice(at + 1).map((each) => each.firstSector);
    const isTorn = scan.tornThrough > scan.endSector;
    const writesAt = [firstSector, ...later, ...(isTorn ? [scan.endSector] : [])] as const;
    this.#tear = { segment, writesAt, throughSector: Math.max(scan.tornThrough, scan.endSector) };
    this.#written = { segment, cursor: { sector: firstSector, write } };
  }

  /** False once damage was found: what follows in this segment is not looked at. */
  #readRecords(
    segment: SegmentHeader,
    data: Uint8Array,
    writes: readonly ScannedWrite[],
    isTail: boolean,
  ): boolean {
    const firstSector = writes[0]?.firstSector ?? 0;
    for (let position = 0; position < data.length; ) {
      const read = readRecordHeader(data, position);
      if (read.kind === "none") return true;
      const offset = dataOffset(firstSector, position);
      if (read.kind === "bad") {
        this.#damage(segment, { kind: "recordHeader", offset, slot: this.#lastSlot, isTail });
        return false;
      }
      const { header } = read;
      const kind = this.#checkRecord(segment, header, data, position);
      if (kind !== undefined) {
        this.#damage(segment, { kind, offset, slot: header.slot, isTail });
        return false;
      }
      const from = position + RECORD_HEADER_BYTES;
      const payload = data.subarray(from, from + header.payloadLength);
      this.#accept(segment, header, payload, offset);
      position += recordBytes(header.payloadLength);
    }
    return true;
  }

  #checkRecord(
    segment: SegmentHeader,
    header: RecordHeader,
    data: Uint8Array,
    position: number,
  ): DamageKind | undefined {
    const from = position + RECORD_HEADER_BYTES;
    const to = from + header.payloadLength;
    if (to > data.length) return "recordHeader";
    const isOurs =
      header.owner === this.#owner && header.segment === segment.id && header.life === segment.life;
    if (!isOurs) return "recordForeign";
    if (this.#chain !== undefined) {
      const { sequence, hash } = this.#chain;
      if (header.link.sequence !== sequence + 1) return "recordChain";
      if (header.link.previousHash !== hash) return "recordChain";
    }
    if (crc32c(data.subarray(from, to)) !== header.payloadChecksum) return "recordPayload";
    const end = position + recordBytes(header.payloadLength);
    return isZero(data, to, end) ? undefined : "recordPayload";
  }

  #accept(segment: SegmentHeader, header: RecordHeader, payload: Uint8Array, offset: number): void {
    const { type, slot, ballot, hash } = header;
    const { sequence } = header.link;
    const isCheckpoint = (header.flags & RECORD_FLAGS.checkpoint) !== 0;
    this.#chain = { sequence, hash };
    if (!isCheckpoint) this.#lastSlot = slot;
    if ((header.flags & RECORD_FLAGS.vital) !== 0) {
      this.#vital = { sequence, hash, type, slot, ballot };
    }
    if ((header.flags & RECORD_FLAGS.restores) !== 0 && slot > this.#snapshotSlot) {
      this.#damage(segment, { kind: "unreachable", offset, slot, isTail: false });
    }
    if (isCheckpoint) {
      this.#checkpoints.push({ sequence, base: slot, life: segment.life });
      // On an older snapshot the records before a checkpoint are needed, and say all that it does:
      // one that says more is the damage that was just found.
      if (slot > this.#snapshotSlot) return;
      this.#startOver();
    }
    this.#records.push({ type, slot, ballot, payload, sequence, isCheckpoint });
  }

  #startOver(): void {
    this.#reaches = true;
    this.#records = [];
    if (this.#damages.length === 0) return;
    for (const damage of this.#damages) this.#oldDamages.push(describeDamage(damage));
    this.#damages = [];
    // Those behind the damage lead nowhere.
    this.#checkpoints.splice(0, this.#checkpoints.length - 1);
  }

  #damage(
    segment: SegmentHeader,
    damage: { kind: DamageKind; offset: number; slot: number; isTail: boolean },
  ): void {
    this.addDamage({ ...damage, file: fileOf(segment), detail: `life ${segment.life}` });
  }

  #addUnreachable(): void {
    const written = this.#written;
    const detail = `no checkpoint for a snapshot at slot ${this.#snapshotSlot}`;
    const file = written === undefined ? "." : fileOf(written.segment);
    const damage = { kind: "unreachable", file, offset: 0, isTail: false, detail } as const;
    this.#damages.push({ ...damage, slot: this.#snapshotSlot });
  }
}

/** The writes that hold the records of the one at `at`; undefined if some of them never came. */
function trainOf(
  bytes: Uint8Array,
  writes: readonly ScannedWrite[],
  at: number,
): readonly ScannedWrite[] | undefined {
  const first = writes[at];
  assert(first !== undefined, "a train begins with a write");
  // A header lies in one sector. Only the first record of a write can be longer than it: such a
  // record is written alone.
  const read = readRecordHeader(sectorData(bytes, first.firstSector * SECTOR_BYTES), 0);
  const needed = read.kind === "ok" ? recordBytes(read.header.payloadLength) : 0;
  let count = 1;
  for (let size = first.sectorCount * SECTOR_DATA_BYTES; size < needed; count += 1) {
    const next = writes[at + count];
    if (next === undefined) return undefined;
    size += next.sectorCount * SECTOR_DATA_BYTES;
  }
  return writes.slice(at, at + count);
}
