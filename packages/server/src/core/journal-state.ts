/** Where a journal stands: what recovery hands to the Journal that continues it. */

import type { DirectoryIdentity } from "./identity.ts";
import type { JournalRecord } from "./journal-record.ts";
import type { RequestIds } from "./journal-task.ts";
import type { Witness } from "./journal-witness.ts";
import { type SegmentHeader, segmentFile } from "./segment-header.ts";

export type JournalState = {
  readonly ids: RequestIds;
  readonly identity: DirectoryIdentity;
  /** In order of life; the last one takes the next write. Never empty. */
  readonly segments: readonly SegmentHeader[];
  /** Empty ones that follow, in order of life. */
  readonly prepared: readonly SegmentHeader[];
  readonly nextSegmentId: number;
  readonly cursor: WriteCursor;
  readonly sequence: number;
  readonly hash: number;
  readonly checkpoints: readonly Checkpoint[];
  readonly witness: Witness;
  /** Slots of the snapshot files, oldest first, and none that is known to be damaged. */
  readonly snapshots: readonly number[];
  /** Snapshot files that no longer serve, to be removed with the next clean-up. */
  readonly staleSnapshots: readonly string[];
};

/** Where the next write goes in the segment that is written. */
export type WriteCursor = { readonly sector: number; readonly write: number };

export type Checkpoint = {
  readonly sequence: number;
  /** It needs a snapshot at this slot or a later one; 0: none. */
  readonly base: number;
  /** Of the segment it lies in. */
  readonly life: number;
};

export type RecoveredRecord = JournalRecord & {
  /** Counts the directory's records, over all runs. */
  readonly sequence: number;
  readonly isCheckpoint: boolean;
};

/** What happened on the way and is worth a line in the log; none of it is a reason to stop. */
export type RecoveryNote =
  /** The end of a write that never completed, so nobody was told of it. */
  | {
      readonly kind: "tailCut";
      readonly file: string;
      readonly offset: number;
      readonly bytes: number;
    }
  /** One of two copies was bad and has been written again from the other. */
  | { readonly kind: "copyRepaired"; readonly file: string }
  | {
      readonly kind: "snapshotDamaged";
      readonly file: string;
      readonly problem: string;
      readonly offset: number;
    }
  /** Nothing needs the segment now: a crash while it was prepared leaves this, or damage. */
  | { readonly kind: "headerUnreadable"; readonly file: string }
  /** Damage in records that a later checkpoint makes unnecessary. */
  | { readonly kind: "oldDamage"; readonly description: string };

export function fileOf(segment: SegmentHeader): string {
  return segmentFile(segment.id);
}
