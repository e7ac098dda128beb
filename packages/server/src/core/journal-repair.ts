/** What recovery writes once it knows that nothing acknowledged is missing. */

import type { DiskTask } from "./disk.ts";
import { type DirectoryIdentity, encodeIdentity, IDENTITY_FILES } from "./identity.ts";
import type { Whole } from "./journal-replay.ts";
import { fileOf, type RecoveryNote } from "./journal-state.ts";
import { perform, type RequestIds, write, writeZeros } from "./journal-task.ts";
import { encodeWitness, type VitalMark, WITNESS_FILES, type Witness } from "./journal-witness.ts";
import {
  encodeSegmentHeader,
  SEGMENT_DATA_SECTOR,
  type SegmentHeader,
  segmentFile,
  segmentIdOf,
} from "./segment-header.ts";
import { PAGE_BYTES, SECTOR_BYTES, WRITE_BYTES_MAX } from "./segment-sector.ts";
import {
  isPartialSnapshot,
  SNAPSHOTS_KEPT,
  snapshotFile,
  snapshotSlotOf,
} from "./snapshot-file.ts";

export type Repair = {
  readonly ids: RequestIds;
  /** What the directory held at the start. */
  readonly files: readonly string[];
  readonly notes: RecoveryNote[];
};

export type Copies<T> = {
  readonly value: T;
  /** The files whose content is not that value: an older one, or nothing that can be read. */
  readonly others: readonly string[];
  readonly bad: readonly string[];
};

/** One of the files that make up a replica's directory; the process lock is not. */
export function isJournalFile(file: string): boolean {
  return (
    [...IDENTITY_FILES, ...WITNESS_FILES].some((name) => name === file) ||
    segmentIdOf(file) !== undefined ||
    snapshotSlotOf(file) !== undefined ||
    isPartialSnapshot(file)
  );
}

/**
 * P11: what an interrupted snapshot left behind must not be met by the next one. What an interrupted
 * preparing or clean-up left goes too: it may have any size, and be all the room that there is.
 */
export function* removeLeftovers(
  repair: Repair,
  found: { readonly free: readonly number[]; readonly snapshots: readonly number[] },
): DiskTask<void> {
  const old = found.snapshots.slice(0, -SNAPSHOTS_KEPT);
  const partial = repair.files.filter(isPartialSnapshot);
  const files = [...partial, ...old.map(snapshotFile), ...found.free.map(segmentFile)];
  for (const file of files) yield* perform(repair.ids, { kind: "remove", file });
  if (files.length > 0) yield* perform(repair.ids, { kind: "syncDirectory" });
}

/**
 * What was read may be in the system's memory only, if the process before was killed: names, and the
 * last write of a file. Written once more, and with it the whole file synced, before anything rests on it
 * or is written beside it (reliability §5 rules 4, 6). `segments` are those from the written one on: the
 * others were synced before that one was begun.
 */
export function* makeDurable(
  { ids }: Repair,
  found: {
    readonly owner: DirectoryIdentity;
    readonly witness: Copies<Witness>;
    readonly segments: readonly SegmentHeader[];
  },
): DiskTask<void> {
  const { owner, witness, segments } = found;
  yield* perform(ids, { kind: "syncDirectory" });
  // An only copy is left alone until there is another one.
  const copies = witness.bad.length > 0 ? [] : goodOf(WITNESS_FILES, witness);
  for (const file of copies) yield* write(ids, file, 0, encodeWitness(witness.value, owner));
  for (const segment of segments) {
    yield* write(ids, fileOf(segment), 0, encodeSegmentHeader(segment, owner));
  }
}

function goodOf<T>(files: readonly string[], { others }: Copies<T>): readonly string[] {
  return files.filter((file) => !others.includes(file));
}

/**
 * Zeroes what is left of a torn write, then makes sure of the last whole one. Of several writes that
 * hold one record the last goes first: should this stop half-way, what is left has a torn end again.
 * What may be behind them goes before them: it reads as zeroes also if those who wrote the zeroes
 * failed to sync them (reliability §5 rule 3). `unwritten` are the segments that follow.
 */
export function* repairJournal(
  repair: Repair,
  replayed: Whole,
  unwritten: readonly SegmentHeader[],
): DiskTask<void> {
  const { tear, lastWrite, written } = replayed;
  for (const segment of unwritten) {
    const to = Math.min(SEGMENT_DATA_SECTOR * SECTOR_BYTES + WRITE_BYTES_MAX, segment.sizeBytes);
    yield* zero(repair, fileOf(segment), SEGMENT_DATA_SECTOR * SECTOR_BYTES, to);
  }
  const { segment, cursor } = written;
  const file = fileOf(segment);
  const end = pageEnd((tear?.throughSector ?? cursor.sector) * SECTOR_BYTES);
  const writesAt = (tear?.writesAt ?? []).map((sector) => sector * SECTOR_BYTES);
  let to = Math.min(end + WRITE_BYTES_MAX, segment.sizeBytes);
  for (const from of [end, ...writesAt.reverse()]) {
    yield* zero(repair, file, from, to);
    to = from;
  }
  if (tear !== undefined) repair.notes.push({ kind: "tailCut", file, offset: to, bytes: end - to });
  if (lastWrite === undefined) return;
  yield* write(repair.ids, fileOf(lastWrite.segment), lastWrite.offset, lastWrite.bytes);
}

function zero({ ids }: Repair, file: string, from: number, to: number): DiskTask<void> {
  return writeZeros(ids, file, { from, to, chunkBytes: WRITE_BYTES_MAX });
}

/** Writes begin and end with a page. */
function pageEnd(offset: number): number {
  return Math.ceil(offset / PAGE_BYTES) * PAGE_BYTES;
}

export function* repairIdentity(
  repair: Repair,
  identity: Copies<DirectoryIdentity>,
): DiskTask<void> {
  const { value, others } = identity;
  for (const file of [...others, ...goodOf(IDENTITY_FILES, identity)]) {
    yield* writeCopy(repair, file, encodeIdentity(value));
  }
  for (const file of others) repair.notes.push({ kind: "copyRepaired", file });
}

/** Brings both copies up to what the journal holds: a promise may be in there and not yet here. */
export function* repairWitness(
  repair: Repair,
  owner: DirectoryIdentity,
  found: Copies<Witness>,
  journal: { readonly life: number; readonly vital: VitalMark | undefined },
): DiskTask<Witness> {
  const { value, others } = found;
  const vital = newer(value.vital, journal.vital);
  const isCurrent = value.life === journal.life && value.vital?.sequence === vital?.sequence;
  if (isCurrent && others.length === 0) return value;
  const newest = { version: value.version + 1, life: journal.life, vital };
  // The good copy last: until another one is there, it is the only one.
  const files = [...others, ...goodOf(WITNESS_FILES, found)];
  for (const file of files) yield* writeCopy(repair, file, encodeWitness(newest, owner));
  for (const file of others) repair.notes.push({ kind: "copyRepaired", file });
  return newest;
}

function* writeCopy(repair: Repair, file: string, page: Uint8Array): DiskTask<void> {
  const isThere = repair.files.includes(file);
  if (!isThere) yield* perform(repair.ids, { kind: "create", file });
  yield* write(repair.ids, file, 0, page);
  if (!isThere) yield* perform(repair.ids, { kind: "syncDirectory" });
}

function newer(a: VitalMark | undefined, b: VitalMark | undefined): VitalMark | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return b.sequence > a.sequence ? b : a;
}
