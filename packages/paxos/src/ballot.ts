import { assert, type Branded } from "@cubby/base";

/** A replica's number in its cell, from 1; never reused (CELL-13). */
export type ReplicaId = Branded<number, "ReplicaId">;

/** A position in the log. The first slot is 1; 0 stands for "before the first". */
export type Slot = number;

export const REPLICA_ID_MAX = 1023;
export const PRIORITY_MAX = 1023;

/** So that an epoch, which packs a ballot into one number, stays a safe integer. */
export const ROUND_MAX = 2 ** 32;

/**
 * (round, priority, replica), in that order of weight. Priority only breaks ties between proposers
 * that start together; it never lets one pre-empt a leader that is well.
 */
export type Ballot = {
  readonly round: number;
  readonly priority: number;
  readonly replica: ReplicaId;
};

/** Below every ballot that anybody can propose in. */
export const ZERO_BALLOT: Ballot = { round: 0, priority: 0, replica: 0 as ReplicaId };

export function replicaId(id: number): ReplicaId {
  assert(Number.isInteger(id) && id >= 1 && id <= REPLICA_ID_MAX, "a replica id is 1 to 1023");
  return id as ReplicaId;
}

/** Negative, zero or positive, as `a` is below, equal to or above `b`. */
export function compareBallots(a: Ballot, b: Ballot): number {
  return a.round - b.round || a.priority - b.priority || a.replica - b.replica;
}

export function sameBallot(a: Ballot, b: Ballot): boolean {
  return a.round === b.round && a.replica === b.replica && a.priority === b.priority;
}

export function maxBallot(a: Ballot, b: Ballot): Ballot {
  return compareBallots(a, b) >= 0 ? a : b;
}

/** One number per ballot, in the order of ballots: what the cell knows a mastership by. */
export function epochOf(ballot: Ballot): number {
  const { round, priority, replica } = ballot;
  return (round * (PRIORITY_MAX + 1) + priority) * (REPLICA_ID_MAX + 1) + replica;
}

/** For traces: `7.2` is round 7 of replica 2. */
export function ballotText(ballot: Ballot): string {
  const { round, priority, replica } = ballot;
  return priority === 0 ? `${round}.${replica}` : `${round}.${priority}.${replica}`;
}
