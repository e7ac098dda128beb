/**
 * The engine's checkpoint names the first slot of its log; the journal's the slot of the snapshot
 * below it, which is one less. This is where the one becomes the other.
 */
import { assert } from "@cubby/base";
import {
  type Ballot,
  decodeRecord,
  encodeRecord,
  type PaxosRecord,
  type ReplicaId,
} from "@cubby/paxos";
import type { JournalRecord, RecordBallot } from "./journal-record.ts";
import type { RecoveredRecord } from "./journal-state.ts";

export function checkpointToJournal(checkpoint: PaxosRecord): JournalRecord {
  assert(checkpoint.kind === "checkpoint", "a checkpoint is asked for");
  const encoded = encodeRecord(checkpoint);
  return { ...encoded, slot: encoded.slot - 1 };
}

export function fromJournal(record: RecoveredRecord): PaxosRecord {
  const { type, payload } = record;
  const slot = record.isCheckpoint ? record.slot + 1 : record.slot;
  return decodeRecord({ type, slot, ballot: engineBallot(record.ballot), payload });
}

/** Replica 0 stands in the ballot below all others: the log may hold slots that were only learned. */
export function engineBallot({ round, priority, replica }: RecordBallot): Ballot {
  return { round, priority, replica: replica as ReplicaId };
}
