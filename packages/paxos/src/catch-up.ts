import { after, assert, concatBytes, crc32c, type Instant, msBetween, NEVER } from "@cubby/base";
import type { Acceptor } from "./acceptor.ts";
import { type Ballot, type ReplicaId, type Slot, sameBallot } from "./ballot.ts";
import { FETCH_SILENCE_MS_MAX, FETCH_WAIT_MS_MAX, SNAPSHOT_BYTES_MAX } from "./limits.ts";
import { entrySize, type LogEntry } from "./log-entry.ts";
import type { LogPartMessage, SnapshotIdentity, SnapshotPartMessage } from "./messages.ts";
import type { Outbox } from "./outbox.ts";
import type { RecordIndex } from "./record.ts";
import type { SnapshotStore } from "./snapshot-store.ts";

/**
 * follow: a follower takes over the log of its leader, by one synchronisation.
 * adopt: a leader takes over the log of a fresher acceptor, before it leads.
 * extend: a follower that has the leader's log, but too short a one, takes its snapshot.
 */
export type CatchUpPurpose = "follow" | "adopt" | "extend";

export type CatchUpPlan = {
  readonly purpose: CatchUpPurpose;
  readonly ballot: Ballot;
  readonly source: ReplicaId;
  /** adopt: the log that was promised, which cannot change while the promise stands. */
  readonly expected: { readonly acceptedBallot: Ballot; readonly length: Slot } | undefined;
};

type SnapshotInTransit = {
  readonly identity: SnapshotIdentity;
  readonly parts: Uint8Array[];
  received: number;
};

/**
 * Gets from one peer what this replica lacks: its log from the first slot not known to be chosen
 * on, or else its snapshot and what follows. It asks, one part at a time, and asks again; so loss,
 * duplication and reordering cost time only, and the sender keeps no state.
 *
 * What is known to be chosen becomes durable on the way. What is not waits here until the log is
 * whole, for a synchronisation is one record.
 */
export class CatchUp {
  readonly plan: CatchUpPlan;
  readonly #acceptor: Acceptor;
  readonly #snapshots: SnapshotStore;
  readonly #outbox: Outbox;
  readonly #retransmitMs: number;
  readonly #learnBytes: number;
  /** The slot of the first staged entry: the one after what is chosen here. */
  #first: Slot;
  #staged: LogEntry[] = [];
  #stagedBytes = 0;
  /** Whole when staged through here: the length the source first told. */
  #target: Slot | undefined;
  #sourceChosen: Slot = 0;
  #snapshot: SnapshotInTransit | undefined;
  /** The record before the last one learned: while it is not durable, no more is asked for. */
  #awaited: RecordIndex = 0;
  #waitsForDisk = false;
  #askedAt: Instant;
  /** For what is waited for: an answer may be that to any copy. */
  #firstAskedAt: Instant;
  /** How long an answer to the last fetch is waited for. */
  #waitMs: number;
  #progressAt: Instant;

  constructor(
    plan: CatchUpPlan,
    acceptor: Acceptor,
    snapshots: SnapshotStore,
    outbox: Outbox,
    now: Instant,
    settings: { readonly retransmitMs: number; readonly learnBytes: number },
  ) {
    this.plan = plan;
    this.#acceptor = acceptor;
    this.#snapshots = snapshots;
    this.#outbox = outbox;
    this.#retransmitMs = settings.retransmitMs;
    this.#learnBytes = settings.learnBytes;
    this.#first = acceptor.chosen + 1;
    this.#target = plan.expected?.length;
    this.#askedAt = now;
    this.#firstAskedAt = now;
    this.#waitMs = settings.retransmitMs;
    this.#progressAt = now;
    assert(
      this.#target === undefined || this.#target >= acceptor.chosen,
      "the log of a quorum's freshest acceptor holds what is chosen",
    );
  }

  get complete(): boolean {
    return this.#target !== undefined && this.#next > this.#target;
  }

  get first(): Slot {
    return this.#first;
  }

  get entries(): readonly LogEntry[] {
    return this.#staged;
  }

  /** Chosen at the source, as far as it told. */
  get sourceChosen(): Slot {
    return this.#sourceChosen;
  }

  /** extend: the log has grown past the snapshot that was wanted for it, by accepts. */
  get needless(): boolean {
    if (this.plan.purpose !== "extend" || this.complete) return false;
    return this.#acceptor.length >= (this.#snapshot?.identity.slot ?? 0);
  }

  get progressAt(): Instant {
    return this.#progressAt;
  }

  /** The disk's answer is an input of its own, and needs no wake-up. */
  get wakeAt(): Instant {
    return this.#waitsForDisk ? NEVER : after(this.#askedAt, this.#waitMs);
  }

  advance(now: Instant): void {
    if (this.complete) return;
    if (this.#waitsForDisk) this.#askOnceWritten(now);
    else if (now >= this.wakeAt) this.#askAgain(now);
  }

  /**
   * Ever later: a source answers each copy of a fetch, and over a slow link the copies of one part
   * would keep the next, and heartbeats, waiting.
   */
  #askAgain(now: Instant): void {
    this.#waitMs = Math.max(this.#waitMs, Math.min(FETCH_SILENCE_MS_MAX, 2 * this.#waitMs));
    this.#send(now);
  }

  /** What is lost is asked for again soon, and what was slow to come is given time the next time. */
  #progressed(now: Instant): void {
    this.#progressAt = now;
    const tookMs = msBetween(this.#firstAskedAt, now);
    this.#waitMs = Math.min(FETCH_WAIT_MS_MAX, Math.max(this.#retransmitMs, 2 * tookMs));
  }

  ask(now: Instant): void {
    this.#firstAskedAt = now;
    this.#send(now);
  }

  #send(now: Instant): void {
    this.#askedAt = now;
    this.#outbox.send(this.plan.source, {
      kind: "fetch",
      ballot: this.plan.ballot,
      from: this.plan.purpose === "extend" ? this.#acceptor.length + 1 : this.#next,
      synchronised: this.plan.purpose === "extend",
      snapshotSlot: this.#snapshot?.identity.slot ?? 0,
      snapshotOffset: this.#snapshot?.received ?? 0,
    });
  }

  onLogPart(now: Instant, message: LogPartMessage): void {
    if (this.complete || this.plan.purpose === "extend" || !this.#isExpected(message)) return;
    this.#target ??= Math.max(message.length, this.#acceptor.chosen);
    this.#sourceChosen = Math.max(this.#sourceChosen, message.chosen);
    const skip = this.#next - message.firstSlot;
    // It starts beyond what is staged: a part before it was lost, and is asked for again.
    if (skip < 0) return;
    const wanted = this.#target - this.#next + 1;
    const fresh = message.entries.slice(skip, skip + wanted);
    if (fresh.length === 0 && !this.complete) return;
    for (const entry of fresh) {
      this.#staged.push(entry);
      this.#stagedBytes += entrySize(entry);
    }
    this.#progressed(now);
    this.#snapshot = undefined;
    if (this.complete) return;
    if (this.#stagedBytes >= this.#learnBytes) this.#learn(now);
    this.#askOnceWritten(now);
  }

  /** Or a disk slower than the network would get ever further behind, until the journal is full. */
  #askOnceWritten(now: Instant): void {
    this.#waitsForDisk = !this.#outbox.durability.covers(this.#awaited);
    if (!this.#waitsForDisk) this.ask(now);
  }

  /** Parts of one snapshot only, in order; another snapshot starts it over (P10-P13). */
  onSnapshotPart(now: Instant, message: SnapshotPartMessage): void {
    // Liveness: of a late one that ends within what is staged, the source may have dropped what follows.
    if (this.complete || message.slot < this.#next) return;
    if (message.sizeBytes > SNAPSHOT_BYTES_MAX) return;
    let transit = this.#snapshot;
    if (transit === undefined || !sameSnapshot(transit.identity, message)) {
      if (message.offset !== 0) return;
      // The one under way is still being served as long as its parts come.
      if (transit !== undefined && now < after(this.#progressAt, this.#retransmitMs)) return;
      const { slot, sizeBytes, checksum, leaseMs } = message;
      transit = { identity: { slot, sizeBytes, checksum, leaseMs }, parts: [], received: 0 };
      this.#snapshot = transit;
      this.#outbox.trace({ kind: "snapshotStarted", slot, sizeBytes });
    }
    if (message.offset !== transit.received) return;
    if (transit.received + message.bytes.length > transit.identity.sizeBytes) return;
    if (message.bytes.length === 0 && transit.identity.sizeBytes > 0) return;
    transit.parts.push(message.bytes);
    transit.received += message.bytes.length;
    this.#progressed(now);
    if (transit.received === transit.identity.sizeBytes) this.#install(now, transit);
    if (!this.complete) this.ask(now);
  }

  #install(now: Instant, transit: SnapshotInTransit): void {
    this.#snapshot = undefined;
    const { identity } = transit;
    const bytes = concatBytes(transit.parts);
    if (crc32c(bytes) !== identity.checksum) {
      this.#outbox.trace({ kind: "snapshotDamaged", slot: identity.slot });
      return;
    }
    this.#acceptor.restore(now, this.plan.ballot, identity, bytes);
    // The slots it stands for are gone from the log: who asks us for them gets it in turn.
    this.#snapshots.put(now, identity.slot, identity.leaseMs, bytes);
    this.#first = identity.slot + 1;
    this.#staged = [];
    this.#stagedBytes = 0;
    // The source is that far itself, whatever it told at first; and nothing beyond is wanted.
    if (this.plan.purpose === "extend") this.#target = identity.slot;
    else if (this.#target !== undefined) this.#target = Math.max(this.#target, identity.slot);
  }

  /** Makes the chosen part of what is staged durable, so that it need not wait in memory. */
  #learn(now: Instant): void {
    const last = Math.min(this.#sourceChosen, this.#next - 1);
    const count = last - this.#first + 1;
    if (count <= 0) return;
    this.#awaited = this.#acceptor.logIndex;
    this.#acceptor.learn(now, this.#first, this.#staged.slice(0, count));
    this.#staged = this.#staged.slice(count);
    this.#stagedBytes = 0;
    for (const entry of this.#staged) this.#stagedBytes += entrySize(entry);
    this.#first = last + 1;
  }

  #isExpected(message: LogPartMessage): boolean {
    const { expected } = this.plan;
    if (expected === undefined) return sameBallot(message.acceptedBallot, this.plan.ballot);
    return (
      sameBallot(message.acceptedBallot, expected.acceptedBallot) &&
      message.length === expected.length
    );
  }

  get #next(): Slot {
    return this.#first + this.#staged.length;
  }
}

function sameSnapshot(a: SnapshotIdentity, b: SnapshotIdentity): boolean {
  return a.slot === b.slot && a.sizeBytes === b.sizeBytes && a.checksum === b.checksum;
}
