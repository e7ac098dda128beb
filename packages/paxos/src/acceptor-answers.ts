import type { Instant } from "@cubby/base";
import type { Acceptor } from "./acceptor.ts";
import { type Ballot, compareBallots, type Slot } from "./ballot.ts";
import type {
  FetchMessage,
  LogPartMessage,
  PrepareMessage,
  PromiseMessage,
  SnapshotPartMessage,
} from "./messages.ts";
import type { SnapshotStore } from "./snapshot-store.ts";

/** How much of a log one answer carries. */
export type PartBounds = {
  readonly batchEntriesMax: number;
  readonly snapshotPartBytes: number;
};

/** The promise of what is promised now, without any of our log. */
export function barePromise(acceptor: Acceptor, prepare: PrepareMessage): PromiseMessage {
  const { promised: ballot, acceptedBallot, length, chosen } = acceptor;
  const firstSlot = prepare.chosen + 1;
  return { kind: "promise", ballot, acceptedBallot, length, chosen, firstSlot, entries: [] };
}

/** The same; and if our log is the fresher one its start comes along. */
export function promiseFor(
  acceptor: Acceptor,
  prepare: PrepareMessage,
  bounds: PartBounds,
): PromiseMessage {
  const { acceptedBallot, length, log } = acceptor;
  const promise = barePromise(acceptor, prepare);
  const byBallot = compareBallots(acceptedBallot, prepare.acceptedBallot);
  const fresher = byBallot > 0 || (byBallot === 0 && length > prepare.length);
  const { firstSlot } = promise;
  const held = firstSlot > log.dropped && firstSlot <= length;
  if (!fresher || !held) return promise;
  const entries = log.slice(firstSlot, lastOfPart(acceptor, firstSlot, bounds));
  return { ...promise, entries };
}

/** What a new leader that adopts our log asked for: a part of the log, or of the snapshot. */
export function fetchAnswer(
  now: Instant,
  message: FetchMessage,
  acceptor: Acceptor,
  snapshots: SnapshotStore,
  bounds: PartBounds,
): LogPartMessage | SnapshotPartMessage | undefined {
  const { ballot, from, snapshotSlot, snapshotOffset } = message;
  if (from <= acceptor.dropped || snapshotSlot >= from) {
    const part = snapshots.part(now, ballot, snapshotSlot, snapshotOffset);
    if (part !== undefined && part.slot >= from) return part;
  }
  return from <= acceptor.dropped ? undefined : logPart(acceptor, ballot, from, bounds);
}

/** Part of this acceptor's log for somebody who lacks it. Slots before `from` are theirs already. */
export function logPart(
  acceptor: Acceptor,
  ballot: Ballot,
  from: Slot,
  bounds: PartBounds,
): LogPartMessage {
  const { length, chosen, acceptedBallot, log } = acceptor;
  const entries = from > length ? [] : log.slice(from, lastOfPart(acceptor, from, bounds));
  return { kind: "logPart", ballot, acceptedBallot, firstSlot: from, entries, chosen, length };
}

function lastOfPart(acceptor: Acceptor, first: Slot, bounds: PartBounds): Slot {
  const { log, length } = acceptor;
  return log.lastWithin(first, length, bounds.batchEntriesMax, bounds.snapshotPartBytes);
}
