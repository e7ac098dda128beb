import { after, assert, type Instant } from "@cubby/base";
import type { Acceptor } from "./acceptor.ts";
import { logPart } from "./acceptor-answers.ts";
import { type Ballot, type ReplicaId, type Slot, sameBallot } from "./ballot.ts";
import { ACCEPTS_PER_TURN, SNAPSHOT_PIN_MS } from "./limits.ts";
import type {
  AcceptedMessage,
  AcceptMessage,
  FetchMessage,
  PaxosMessage,
  PromiseMessage,
} from "./messages.ts";
import type { Outbox } from "./outbox.ts";
import type { SnapshotStore } from "./snapshot-store.ts";

export type ReplicationOptions = {
  readonly quorum: number;
  readonly peers: readonly ReplicaId[];
  readonly batchEntriesMax: number;
  readonly batchBytesMax: number;
  readonly windowEntriesMax: number;
  readonly windowBytesMax: number;
  readonly snapshotPartBytes: number;
  readonly retransmitMs: number;
};

/** What the leader knows of one follower in its ballot. */
type Follower = {
  readonly replica: ReplicaId;
  promised: boolean;
  /** Its log is ours up to `matched`, durably; accepts may follow. */
  synchronised: boolean;
  matched: Slot;
  /** The first slot not sent yet. Invariant: above `matched`. */
  next: Slot;
  /** It lacks slots that only the snapshot holds: no accepts until it has them. */
  needsSnapshot: boolean;
  /** Since the snapshot was last offered, it asked for a part of something last at. */
  fetchedAt: Instant | undefined;
  /** Acknowledged, or asked for something, last at. */
  progressAt: Instant;
  resentAt: Instant;
};

/**
 * Phase 2 at the leader: brings every follower's log to its own, in order, and finds what is
 * chosen. It reads the acceptor's log and keeps no copy, so a follower that lags costs a few
 * numbers, and one that lags beyond the retained log costs nothing until it asks.
 */
export class Replication {
  readonly ballot: Ballot;
  readonly #options: ReplicationOptions;
  readonly #acceptor: Acceptor;
  readonly #snapshots: SnapshotStore;
  readonly #outbox: Outbox;
  readonly #followers = new Map<ReplicaId, Follower>();
  readonly #lengths: number[] = [];
  /** The last accept built: followers that are equally far get the same object. */
  #lastAccept: AcceptMessage | undefined;

  constructor(
    ballot: Ballot,
    options: ReplicationOptions,
    acceptor: Acceptor,
    snapshots: SnapshotStore,
    outbox: Outbox,
    now: Instant,
  ) {
    this.ballot = ballot;
    this.#options = options;
    this.#acceptor = acceptor;
    this.#snapshots = snapshots;
    this.#outbox = outbox;
    for (const replica of options.peers) {
      this.#followers.set(replica, {
        replica,
        promised: false,
        synchronised: false,
        matched: 0,
        next: 1,
        needsSnapshot: false,
        fetchedAt: undefined,
        progressAt: now,
        resentAt: now,
      });
    }
  }

  /** A promise in our ballot, whether it helped to elect us or comes late: both synchronise. */
  onPromise(now: Instant, from: ReplicaId, promise: PromiseMessage): void {
    const follower = this.#follower(from);
    follower.promised = true;
    if (follower.synchronised) return;
    assert(promise.chosen <= this.#acceptor.length, "the leader's log holds all that is chosen");
    // Our log was adopted from a quorum, so what anybody knows to be chosen is chosen in it.
    this.#acceptor.choose(promise.chosen);
    if (sameBallot(promise.acceptedBallot, this.ballot)) {
      this.#onMatched(now, follower, promise.length);
      return;
    }
    follower.progressAt = now;
    this.#sendFrom(now, follower, promise.chosen + 1);
  }

  /** Safety: only what is durable, and accepted in our own ballot, counts (P1). */
  onAccepted(now: Instant, from: ReplicaId, message: AcceptedMessage): void {
    if (!sameBallot(message.ballot, this.ballot)) return;
    const follower = this.#follower(from);
    if (message.length > this.#acceptor.length) {
      // One peer that is out of its mind must not end the process, nor be believed.
      this.#outbox.trace({ kind: "impossibleClaim", from, claim: "accepted beyond our log" });
      return;
    }
    follower.promised = true;
    this.#onMatched(now, follower, message.length);
  }

  onFetch(now: Instant, from: ReplicaId, message: FetchMessage): void {
    if (!sameBallot(message.ballot, this.ballot)) return;
    const follower = this.#follower(from);
    follower.promised = true;
    // One that streams shows progress by what it accepts, not by asking.
    if (!message.synchronised || message.snapshotSlot > 0) {
      follower.progressAt = now;
      follower.fetchedAt = now;
    } else if (message.from > follower.matched + 1) {
      // It has what is between, and writes it.
      follower.fetchedAt = now;
    }
    if (message.from <= this.#acceptor.dropped || message.snapshotSlot > 0) {
      const part = this.#snapshots.part(
        now,
        this.ballot,
        message.snapshotSlot,
        message.snapshotOffset,
      );
      if (part !== undefined && part.slot >= message.from) {
        follower.needsSnapshot = true;
        this.#outbox.send(from, part);
        return;
      }
    }
    if (!message.synchronised) {
      this.#sendFrom(now, follower, message.from);
      return;
    }
    if (message.from > this.#acceptor.length + 1 || message.from <= follower.matched) return;
    follower.synchronised = true;
    follower.needsSnapshot = false;
    follower.next = message.from;
    this.stream(now, from);
  }

  /**
   * Our own log counts as far as the disk has it. Followers learn of it by the next accept or lease
   * round: a message of its own would cost each of them a turn for every write.
   */
  choose(): void {
    const lengths = this.#lengths;
    lengths.length = 0;
    const acceptor = this.#acceptor;
    insertDescending(lengths, acceptor.durableLength);
    for (const follower of this.#followers.values()) insertDescending(lengths, follower.matched);
    acceptor.choose(lengths[this.#options.quorum - 1] ?? 0);
  }

  /** Sends what the log has grown by to all whose window has room. */
  streamAll(now: Instant): void {
    for (const replica of this.#options.peers) this.stream(now, replica);
  }

  stream(now: Instant, replica: ReplicaId): void {
    const follower = this.#follower(replica);
    if (!follower.synchronised || follower.needsSnapshot) return;
    const { length, dropped } = this.#acceptor;
    for (let sent = 0; sent < ACCEPTS_PER_TURN && follower.next <= length; sent += 1) {
      if (follower.next <= dropped) {
        this.#offerSnapshot(now, follower);
        return;
      }
      if (!this.#windowHasRoom(follower)) return;
      this.#sendAccept(now, follower, follower.next);
    }
  }

  /** Sends again what a live follower should have answered by now. */
  retransmit(now: Instant, replica: ReplicaId, prepare: PaxosMessage): void {
    const follower = this.#follower(replica);
    const { retransmitMs } = this.#options;
    if (now < after(follower.progressAt, retransmitMs)) return;
    if (now < after(follower.resentAt, retransmitMs)) return;
    if (!follower.promised) {
      follower.resentAt = now;
      this.#outbox.send(replica, prepare);
    } else if (follower.needsSnapshot) {
      if (!isFetching(now, follower)) this.#offerSnapshot(now, follower);
    } else if (!follower.synchronised) {
      // It asks by itself once it knows that there is something to ask for.
      this.#tell(now, follower);
    } else if (follower.matched < follower.next - 1) {
      // Liveness: over a slow link it may all be under way still, and a copy would only queue behind it.
      if (follower.matched >= this.#acceptor.dropped) this.#tell(now, follower);
      else if (!isFetching(now, follower)) this.#offerSnapshot(now, follower);
    }
  }

  /** How far it should have the log: what is beyond its window was not sent, and is not missing. */
  streamedTo(replica: ReplicaId): Slot {
    const { synchronised, needsSnapshot, next } = this.#follower(replica);
    return synchronised && !needsSnapshot ? next - 1 : this.#acceptor.length;
  }

  progressOf(replica: ReplicaId): { matched: Slot; synchronised: boolean } {
    const { matched, synchronised } = this.#follower(replica);
    return { matched, synchronised };
  }

  #onMatched(now: Instant, follower: Follower, length: Slot): void {
    if (!follower.synchronised || length > follower.matched) follower.progressAt = now;
    follower.synchronised = true;
    follower.matched = Math.max(follower.matched, length);
    follower.next = Math.max(follower.next, follower.matched + 1);
    if (follower.needsSnapshot && follower.matched >= this.#acceptor.dropped) {
      follower.needsSnapshot = false;
      follower.next = follower.matched + 1;
    }
    // Liveness: after a promise nothing else may bring it the rest, nor show that a quorum has it all.
    this.stream(now, follower.replica);
    this.choose();
  }

  #windowHasRoom(follower: Follower): boolean {
    const sent = follower.next - follower.matched - 1;
    if (sent === 0) return true;
    if (sent >= this.#options.windowEntriesMax) return false;
    const { log, length, dropped } = this.#acceptor;
    const { batchEntriesMax, batchBytesMax, windowBytesMax } = this.#options;
    // Slots that a snapshot swallowed meanwhile weigh nothing here.
    const first = Math.max(follower.matched, dropped) + 1;
    const last = log.lastWithin(follower.next, length, batchEntriesMax, batchBytesMax);
    return log.bytesBetween(first, last) <= windowBytesMax;
  }

  #sendAccept(now: Instant, follower: Follower, first: Slot): void {
    const { log, length, chosen } = this.#acceptor;
    const { batchEntriesMax, batchBytesMax } = this.#options;
    const last = log.lastWithin(first, length, batchEntriesMax, batchBytesMax);
    let message = this.#lastAccept;
    if (
      message === undefined ||
      message.firstSlot !== first ||
      message.entries.length !== last - first + 1 ||
      message.chosen !== chosen
    ) {
      const { ballot } = this;
      const entries = log.slice(first, last);
      message = { kind: "accept", ballot, firstSlot: first, entries, chosen };
      this.#lastAccept = message;
    }
    if (follower.matched === follower.next - 1) follower.progressAt = now;
    follower.next = Math.max(follower.next, last + 1);
    this.#outbox.send(follower.replica, message);
  }

  /** For a follower that is not synchronised: part of the log, or else the snapshot. */
  #sendFrom(now: Instant, follower: Follower, from: Slot): void {
    if (from <= this.#acceptor.dropped) {
      this.#offerSnapshot(now, follower);
      return;
    }
    follower.resentAt = now;
    follower.needsSnapshot = false;
    const part = logPart(this.#acceptor, this.ballot, from, this.#options);
    this.#outbox.send(follower.replica, part);
  }

  #offerSnapshot(now: Instant, follower: Follower): void {
    follower.resentAt = now;
    follower.needsSnapshot = true;
    follower.fetchedAt = undefined;
    const part = this.#snapshots.part(now, this.ballot, 0, 0);
    assert(part !== undefined, "what the log lacks at its start a snapshot holds");
    this.#outbox.send(follower.replica, part);
  }

  #tell(now: Instant, follower: Follower): void {
    follower.resentAt = now;
    const { chosen } = this.#acceptor;
    const length = this.streamedTo(follower.replica);
    this.#outbox.send(follower.replica, { kind: "chosen", ballot: this.ballot, chosen, length });
  }

  #follower(replica: ReplicaId): Follower {
    const follower = this.#followers.get(replica);
    assert(follower !== undefined, "only members' messages get here");
    return follower;
  }
}

/** One that fetches asks by itself, ever later; an offer would be the first part once more. */
function isFetching(now: Instant, { fetchedAt }: Follower): boolean {
  return fetchedAt !== undefined && now < after(fetchedAt, SNAPSHOT_PIN_MS);
}

function insertDescending(list: number[], value: number): void {
  let at = list.length;
  list.push(value);
  while (at > 0 && (list[at - 1] ?? 0) < value) {
    list[at] = list[at - 1] ?? 0;
    at -= 1;
  }
  list[at] = value;
}
