import { after, assert, type Instant, NEVER } from "@cubby/base";
import type { Acceptor } from "./acceptor.ts";
import { type Ballot, ballotText, type ReplicaId, type Slot, sameBallot } from "./ballot.ts";
import { CatchUp } from "./catch-up.ts";
import { ADOPT_PATIENCE_MS } from "./limits.ts";
import type { LogEntry } from "./log-entry.ts";
import { MasterLease } from "./master-lease.ts";
import type {
  AcceptedMessage,
  FetchMessage,
  LeaseGrantMessage,
  LogPartMessage,
  PrepareMessage,
  PromiseMessage,
  SnapshotPartMessage,
} from "./messages.ts";
import type { Settings } from "./options.ts";
import type { Outbox } from "./outbox.ts";
import { PreparePhase } from "./prepare-phase.ts";
import { Proposals } from "./proposals.ts";
import { Replication } from "./replication.ts";
import type { SnapshotStore } from "./snapshot-store.ts";

/**
 * preparing: promises are being gathered. adopting: a quorum promised, and one of it has a fresher
 * log, which is on its way. leading: the log is synchronised, and proposals are taken.
 */
export type LeaderPhase = "preparing" | "adopting" | "leading";

/** The proposer in one ballot of its own, from prepare until another ballot takes over. */
export class Leader {
  readonly ballot: Ballot;
  readonly lease: MasterLease;
  readonly #settings: Settings;
  readonly #acceptor: Acceptor;
  readonly #snapshots: SnapshotStore;
  readonly #outbox: Outbox;
  readonly #prepare: PrepareMessage;
  readonly #phase1: PreparePhase;
  readonly #proposals = new Proposals();
  #catchUp: CatchUp | undefined;
  #replication: Replication | undefined;
  #preparedAt: Instant;

  constructor(
    settings: Settings,
    acceptor: Acceptor,
    snapshots: SnapshotStore,
    outbox: Outbox,
    now: Instant,
  ) {
    this.ballot = acceptor.promised;
    this.#settings = settings;
    this.#acceptor = acceptor;
    this.#snapshots = snapshots;
    this.#outbox = outbox;
    this.lease = new MasterLease(settings.quorum, settings.driftPerMille);
    this.#phase1 = new PreparePhase(settings.self, settings.quorum);
    const { acceptedBallot, length, chosen } = acceptor;
    this.#prepare = { kind: "prepare", ballot: this.ballot, acceptedBallot, length, chosen };
    this.#preparedAt = now;
    outbox.trace({ kind: "preparing", ballot: ballotText(this.ballot) });
    // Safety: a ballot is used only once it is durably promised here, so no later life reuses it.
    for (const peer of settings.peers) outbox.vouch(peer, this.#prepare, acceptor.promisedIndex);
  }

  get phase(): LeaderPhase {
    if (this.#replication !== undefined) return "leading";
    return this.#catchUp === undefined ? "preparing" : "adopting";
  }

  get waiting(): number {
    return this.#proposals.count;
  }

  get wakeAt(): Instant {
    return this.#catchUp?.wakeAt ?? NEVER;
  }

  progressOf(replica: ReplicaId): { matched: Slot; synchronised: boolean } {
    return this.#replication?.progressOf(replica) ?? { matched: 0, synchronised: false };
  }

  streamedTo(replica: ReplicaId): Slot {
    return this.#replication?.streamedTo(replica) ?? this.#acceptor.length;
  }

  onPersisted(now: Instant): void {
    if (this.#replication !== undefined) {
      this.#replication.choose();
      return;
    }
    const { self } = this.#settings;
    const acceptor = this.#acceptor;
    if (this.#phase1.has(self) || !acceptor.promiseIsDurable) return;
    const { acceptedBallot, length, chosen } = acceptor;
    this.#phase1.add(self, {
      kind: "promise",
      ballot: this.ballot,
      acceptedBallot,
      length,
      chosen,
      firstSlot: length + 1,
      entries: [],
    });
    this.#maybeAdopt(now);
  }

  onPromise(now: Instant, from: ReplicaId, message: PromiseMessage): void {
    if (!sameBallot(message.ballot, this.ballot)) return;
    if (message.chosen > message.length) {
      this.#outbox.trace({ kind: "impossibleClaim", from, claim: "chosen beyond its own log" });
      return;
    }
    if (this.#replication !== undefined) {
      this.#replication.onPromise(now, from, message);
      return;
    }
    this.#phase1.add(from, message);
    if (this.#catchUp === undefined) this.#maybeAdopt(now);
  }

  onAccepted(now: Instant, from: ReplicaId, message: AcceptedMessage): void {
    this.#replication?.onAccepted(now, from, message);
  }

  onFetch(now: Instant, from: ReplicaId, message: FetchMessage): void {
    this.#replication?.onFetch(now, from, message);
  }

  onLogPart(now: Instant, from: ReplicaId, message: LogPartMessage): void {
    const catchUp = this.#catchUp;
    if (catchUp === undefined || from !== catchUp.plan.source) return;
    catchUp.onLogPart(now, message);
    if (catchUp.complete) this.#adopt(now, catchUp);
  }

  onSnapshotPart(now: Instant, from: ReplicaId, message: SnapshotPartMessage): void {
    const catchUp = this.#catchUp;
    if (catchUp === undefined || from !== catchUp.plan.source) return;
    catchUp.onSnapshotPart(now, message);
    if (catchUp.complete) this.#adopt(now, catchUp);
  }

  onGrant(from: ReplicaId, message: LeaseGrantMessage): void {
    if (sameBallot(message.ballot, this.ballot)) this.lease.onGrant(from, message.leaseRound);
  }

  /** `from` heard of our ballot without having been asked to promise it. */
  onPrepareRequest(from: ReplicaId): void {
    this.#outbox.vouch(from, this.#prepare, this.#acceptor.promisedIndex);
  }

  /** Returns false if there is no room. */
  propose(entries: readonly LogEntry[]): boolean {
    assert(this.#replication !== undefined, "proposals are taken with a synchronised log");
    if (this.#proposals.full) return false;
    this.#proposals.add(entries);
    return true;
  }

  dropProposals(): number {
    return this.#proposals.clear();
  }

  advance(now: Instant): void {
    const catchUp = this.#catchUp;
    if (catchUp === undefined) return;
    const { source } = catchUp.plan;
    const isOverdue = now >= after(catchUp.progressAt, ADOPT_PATIENCE_MS);
    // Liveness: what came so far is lost then, so with nobody to turn to it is better to go on asking.
    if (!isOverdue || !this.#phase1.hasQuorumWithout(source)) {
      catchUp.advance(now);
      return;
    }
    this.#catchUp = undefined;
    this.#phase1.forget(source);
    this.#maybeAdopt(now);
  }

  /** Once a heartbeat round: what a live peer should have answered goes out again. */
  retransmit(now: Instant, live: readonly ReplicaId[]): void {
    for (const peer of live) {
      if (this.#replication !== undefined) {
        this.#replication.retransmit(now, peer, this.#prepare);
      } else if (!this.#phase1.has(peer) && this.#preparedAt < now) {
        this.onPrepareRequest(peer);
      }
    }
  }

  /**
   * At the end of a turn: what was proposed while the disk was busy goes out as one accept and one
   * record, the accept in parallel with our own write (PML-4).
   */
  flush(now: Instant): void {
    const replication = this.#replication;
    if (replication === undefined || this.#proposals.count === 0 || !this.#mayFlush()) return;
    const { batchEntriesMax, batchBytesMax } = this.#settings;
    const batch = this.#proposals.takeBatch(batchEntriesMax, batchBytesMax);
    this.#acceptor.append(now, this.ballot, batch);
    replication.streamAll(now);
  }

  #mayFlush(): boolean {
    const { log, chosen, length } = this.#acceptor;
    if (this.#outbox.durability.writing) return false;
    if (length - chosen >= this.#settings.unchosenEntriesMax) return false;
    return log.bytesBetween(chosen + 1, length) < this.#settings.unchosenBytesMax;
  }

  #maybeAdopt(now: Instant): void {
    if (!this.#phase1.hasQuorum) return;
    const { from, promise } = this.#phase1.freshest();
    const { self } = this.#settings;
    const { acceptedBallot, length } = promise;
    const plan = {
      purpose: "adopt",
      ballot: this.ballot,
      source: from,
      expected: { acceptedBallot, length },
    } as const;
    const catchUp = new CatchUp(
      plan,
      this.#acceptor,
      this.#snapshots,
      this.#outbox,
      now,
      this.#settings,
    );
    if (from === self) {
      this.#lead(now, self, this.#acceptor.length + 1, []);
      return;
    }
    this.#catchUp = catchUp;
    const { firstSlot, entries, chosen } = promise;
    const { ballot } = this;
    const part: LogPartMessage = {
      kind: "logPart",
      ballot,
      acceptedBallot,
      firstSlot,
      entries,
      chosen,
      length,
    };
    // A promise from a fresher log brings the start of it along, and then asks for the rest.
    if (entries.length > 0) catchUp.onLogPart(now, part);
    else if (!catchUp.complete) catchUp.ask(now);
    if (catchUp.complete) this.#adopt(now, catchUp);
  }

  #adopt(now: Instant, catchUp: CatchUp): void {
    this.#catchUp = undefined;
    this.#lead(now, catchUp.plan.source, catchUp.first, catchUp.entries);
  }

  /** The log of this ballot is found: it is ours from here on, and then everybody's. */
  #lead(now: Instant, from: ReplicaId, firstSlot: Slot, entries: readonly LogEntry[]): void {
    const acceptor = this.#acceptor;
    acceptor.synchronise(now, this.ballot, firstSlot, entries);
    acceptor.choose(this.#phase1.chosen);
    acceptor.deliver();
    const ballot = ballotText(this.ballot);
    this.#outbox.trace({ kind: "adopted", ballot, length: acceptor.length, from });
    this.#replication = new Replication(
      this.ballot,
      this.#settings,
      acceptor,
      this.#snapshots,
      this.#outbox,
      now,
    );
    const { self, leaseMs } = this.#settings;
    for (const [peer, promise] of this.#phase1.promises()) {
      if (peer !== self) this.#replication.onPromise(now, peer, promise);
    }
    if (acceptor.lastLeaseMs !== leaseMs) this.#proposals.add([{ kind: "masterLease", leaseMs }]);
  }
}
