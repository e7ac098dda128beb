import { after, assert, earliest, type Instant, NEVER, Rng, unreachable } from "@cubby/base";
import { Acceptor } from "./acceptor.ts";
import { barePromise, fetchAnswer, promiseFor } from "./acceptor-answers.ts";
import {
  type Ballot,
  ballotText,
  compareBallots,
  type ReplicaId,
  type Slot,
  sameBallot,
} from "./ballot.ts";
import { BallotLeaderElection } from "./ballot-leader-election.ts";
import { Follower } from "./follower.ts";
import { GenesisAgreement } from "./genesis.ts";
import { HostReports } from "./host-reports.ts";
import type { PaxosInput } from "./input.ts";
import { Leader } from "./leader.ts";
import { grantBindsMs, LeaseGrantor } from "./lease-grantor.ts";
import { LeaseProtocol } from "./lease-protocol.ts";
import { COMMAND_BYTES_MAX, RETAIN_PINNED_FACTOR } from "./limits.ts";
import type {
  ConsensusMessage,
  FetchMessage,
  HeartbeatRequestMessage,
  InviteMessage,
  LeaseReleaseMessage,
  NackMessage,
  PaxosMessage,
  PrepareMessage,
  PrepareRequestMessage,
  PromiseMessage,
} from "./messages.ts";
import { type PaxosOptions, type Settings, settle } from "./options.ts";
import { Outbox, type PaxosOutput } from "./outbox.ts";
import type { CheckpointRecord, RecordIndex } from "./record.ts";
import type { RecoveredLog } from "./recovery.ts";
import { SnapshotStore } from "./snapshot-store.ts";
import { type PaxosStatus, statusOf } from "./status.ts";

/** A prepare that met a live grant: answered when the grant ends, the highest ballot only. */
type KeptPrepare = { readonly from: ReplicaId; readonly message: PrepareMessage };

/**
 * One replica of the log: Sequence Paxos with Ballot Leader Election and a master lease, pure.
 * Here messages are routed, roles change, and the three parts that bind one another meet: what
 * the election wants, what the grants allow, and what the acceptor has promised.
 */
export class PaxosReplica {
  readonly #settings: Settings;
  readonly #outbox = new Outbox();
  readonly #acceptor: Acceptor;
  readonly #snapshots: SnapshotStore;
  readonly #genesis: GenesisAgreement;
  readonly #election: BallotLeaderElection;
  readonly #grantor: LeaseGrantor;
  readonly #leases: LeaseProtocol;
  readonly #follower: Follower;
  readonly #reports: HostReports;
  #leader: Leader | undefined;

  #now: Instant;
  #kept: KeptPrepare | undefined;
  /** The promise for which the last refusal of each peer vouches. */
  readonly #nackedIndex = new Map<ReplicaId, RecordIndex>();
  #electionDue = true;
  #prepareRequestedAt: Instant | undefined;
  #stalled = false;
  /** What was given up last, for as long as a grant of it may bind a peer that did not hear so. */
  #givenUp: { readonly message: LeaseReleaseMessage; readonly until: Instant } | undefined;

  constructor(options: PaxosOptions, recovered: RecoveredLog, now: Instant) {
    const recordedIds = recovered.genesis?.members.map((member) => member.replica) ?? [];
    const settings = settle(options, recordedIds);
    this.#settings = settings;
    this.#now = now;
    this.#acceptor = new Acceptor(this.#outbox, recovered);
    this.#snapshots = new SnapshotStore(settings.snapshotPartBytes);
    if (recovered.snapshot !== undefined) {
      const { slot, bytes } = recovered.snapshot;
      this.#snapshots.put(now, slot, recovered.leaseMs, bytes);
    }
    const { self, incarnation, members } = settings;
    this.#genesis = new GenesisAgreement(
      { self, incarnation, ids: members },
      recovered.genesis,
      this.#outbox,
      now,
    );
    const rng = new Rng(`${settings.seed}/election/${self}`);
    this.#election = new BallotLeaderElection(settings, rng, recovered.promised, now);
    const alone = settings.peers.length === 0;
    const { driftPerMille } = settings;
    this.#grantor = new LeaseGrantor(driftPerMille, recovered.grantMaxMs, now, alone);
    this.#follower = new Follower(settings, this.#acceptor, this.#snapshots, this.#outbox);
    this.#leases = new LeaseProtocol(
      {
        settings,
        acceptor: this.#acceptor,
        election: this.#election,
        grantor: this.#grantor,
        outbox: this.#outbox,
      },
      now,
    );
    this.#reports = new HostReports(this.#outbox);
  }

  step(now: Instant, input: PaxosInput): void {
    assert(now >= this.#now, "time does not run backwards");
    this.#now = now;
    switch (input.kind) {
      case "wake":
        break;
      case "message":
        this.#onMessage(input.from, input.incarnation, input.message);
        break;
      case "propose":
        this.#onPropose(input.entries);
        break;
      case "persisted":
        this.#outbox.durability.persistedThrough(now, input.through);
        this.#acceptor.onPersisted();
        this.#leader?.onPersisted(now);
        break;
      case "snapshotTaken":
        this.#onSnapshotTaken(input.slot, input.bytes);
        break;
      case "handOver":
        this.#onHandOver();
        break;
      case "stalled":
        this.#outbox.durability.excuse(now, input.stalledMs);
        break;
      case "voidLease":
        this.#onVoidLease();
        break;
      case "confirm":
        this.#onConfirm(input.token);
        break;
      default:
        unreachable(input);
    }
    this.#genesis.advance(now);
    if (this.#genesis.complete) this.#advance();
    this.#acceptor.deliver();
    if (this.#leader !== undefined && this.#mayBind) this.#leases.maybeRenew(now, this.#leader);
    this.#reports.report(now, this.#leader, this.#followed(), this.#acceptor.restoring);
  }

  take(): PaxosOutput {
    this.#leader?.flush(this.#now);
    this.#acceptor.recordChosen(this.#now);
    return this.#outbox.take(this.#wakeAt());
  }

  /** All there is to know beside the snapshot, for the first record of a new segment. */
  checkpoint(): CheckpointRecord {
    assert(!this.#outbox.hasRecords, "a checkpoint is taken when all records were handed out");
    const { promised, acceptedBallot, chosen, length, leaseMs, log } = this.#acceptor;
    const firstSlot = this.#snapshots.slot + 1;
    return {
      kind: "checkpoint",
      promised,
      acceptedBallot,
      chosen,
      grantMaxMs: this.#grantor.grantMaxMs,
      leaseMs,
      genesis: this.#genesis.recorded,
      firstSlot,
      entries: firstSlot > length ? [] : log.slice(firstSlot, length),
    };
  }

  /** For checkers: until when no other replica can be promised anything here. */
  boundToUntil(replica: ReplicaId): Instant {
    return this.#grantor.boundToUntil(replica);
  }

  status(): PaxosStatus {
    return statusOf(this.#now, {
      settings: this.#settings,
      outbox: this.#outbox,
      acceptor: this.#acceptor,
      genesis: this.#genesis,
      election: this.#election,
      grantor: this.#grantor,
      follower: this.#follower,
      leader: this.#leader,
    });
  }

  // Messages

  #onMessage(from: ReplicaId, incarnation: string, message: PaxosMessage): void {
    if (!this.#settings.peers.includes(from)) {
      this.#drop(from, "not a member of this cell");
      return;
    }
    const recorded = this.#genesis.incarnationOf(from);
    const known = recorded === undefined || recorded === incarnation;
    if (message.kind === "refused") {
      // Only about this very directory: a refusal may have been on its way for long.
      if (!known || message.incarnation !== this.#settings.incarnation) return;
      this.#outbox.event({ kind: "refused", by: from, reason: message.reason });
      return;
    }
    if (!known) {
      this.#refuse(from, incarnation);
      return;
    }
    switch (message.kind) {
      case "genesisQuery":
      case "genesisStatus":
      case "genesisOffer":
      case "genesisComplete":
        this.#genesis.onMessage(this.#now, from, incarnation, message);
        return;
      default:
        // Safety: nothing is promised or accepted before all members are on record.
        if (!this.#genesis.complete) {
          this.#drop(from, "the configuration is not complete");
          return;
        }
        this.#onConsensus(from, message);
        return;
    }
  }

  #onConsensus(from: ReplicaId, message: ConsensusMessage): void {
    const now = this.#now;
    switch (message.kind) {
      case "heartbeatRequest":
        this.#onHeartbeatRequest(from, message);
        return;
      case "heartbeatReply":
        this.#electionDue = true;
        this.#election.onReply(from, message);
        return;
      case "prepare":
        this.#onPrepare(from, message);
        return;
      case "promise":
        this.#leader?.onPromise(now, from, message);
        return;
      case "nack":
        this.#onNack(message);
        return;
      case "prepareRequest":
        this.#onPrepareRequest(from, message);
        return;
      case "accepted":
        this.#leader?.onAccepted(now, from, message);
        return;
      case "fetch":
        this.#onFetch(from, message);
        return;
      case "leaseGrant":
        this.#leader?.onGrant(from, message);
        return;
      case "leaseRelease":
        this.#onLeaseRelease(from, message);
        return;
      case "invite":
        this.#onInvite(from, message);
        return;
      case "logPart":
      case "snapshotPart":
      case "accept":
      case "chosen":
      case "leaseRequest":
        this.#onLogMessage(from, message);
        return;
      default:
        unreachable(message);
        return;
    }
  }

  /** What tells of a log: of a leader's to its followers, or of an acceptor's to a new leader. */
  #onLogMessage(
    from: ReplicaId,
    message: Extract<
      ConsensusMessage,
      { kind: "logPart" | "snapshotPart" | "accept" | "chosen" | "leaseRequest" }
    >,
  ): void {
    const now = this.#now;
    const { ballot } = message;
    if (ballot.replica === this.#settings.self) {
      const leader = this.#leader;
      if (leader === undefined || !sameBallot(leader.ballot, ballot)) return;
      if (message.kind === "logPart") leader.onLogPart(now, from, message);
      if (message.kind === "snapshotPart") leader.onSnapshotPart(now, from, message);
      return;
    }
    if (ballot.replica !== from) {
      this.#drop(from, "a ballot of somebody else");
      return;
    }
    const order = compareBallots(ballot, this.#acceptor.promised);
    if (order < 0) {
      this.#sendNack(from, ballot);
      return;
    }
    // We missed its prepare. Sequence Paxos accepts nothing without having promised first.
    if (order > 0) {
      this.#requestPrepare(from, ballot);
      return;
    }
    // Safety: a snapshot of what is learned in a ballot may be durable before its promise is, and we
    // would tell a leader of an older ballot that its log is chosen so far.
    if (!this.#acceptor.promiseIsDurable) return;
    switch (message.kind) {
      case "accept":
        this.#follower.onAccept(now, from, message);
        return;
      case "chosen":
        this.#follower.onChosen(now, from, message);
        return;
      case "logPart":
        this.#follower.onLogPart(now, from, message);
        return;
      case "snapshotPart":
        this.#follower.onSnapshotPart(now, from, message);
        return;
      case "leaseRequest":
        this.#follower.onChosen(now, from, message);
        if (this.#mayBind) this.#leases.onRequest(now, from, message);
        return;
      default:
        unreachable(message);
        return;
    }
  }

  #onHeartbeatRequest(from: ReplicaId, message: HeartbeatRequestMessage): void {
    // Who cannot write is not alive, whatever its network says (reliability §5.18).
    if (!this.#diskAlive) return;
    this.#outbox.send(from, this.#election.reply(message.round));
  }

  /** Phase 1 at the acceptor (Sequence Paxos). */
  #onPrepare(from: ReplicaId, message: PrepareMessage): void {
    const { ballot } = message;
    if (ballot.replica !== from) {
      this.#drop(from, "a ballot of somebody else");
      return;
    }
    const order = compareBallots(ballot, this.#acceptor.promised);
    if (order < 0) {
      this.#sendNack(from, ballot);
      return;
    }
    if (order === 0) {
      // Liveness: the start of our log may be on its way, and a copy would hold up what follows it.
      this.#sendPromise(from, barePromise(this.#acceptor, message));
      return;
    }
    // The proposer is new to us: it gets the time to answer our heartbeats.
    this.#election.observe(this.#now, ballot);
    const boundUntil = this.#grantor.boundUntil(ballot);
    if (boundUntil <= this.#now) {
      this.#promise(from, message);
      return;
    }
    // Safety: somebody may be serving by our grant. Liveness: the wait is short and has an end,
    // since from here on nothing is renewed.
    if (this.#kept === undefined || compareBallots(ballot, this.#kept.message.ballot) > 0) {
      const waitMs = boundUntil - this.#now;
      this.#outbox.trace({ kind: "prepareKept", ballot: ballotText(ballot), waitMs });
      this.#kept = { from, message };
    }
  }

  #promise(from: ReplicaId, message: PrepareMessage): void {
    // Safety: a lease of our own ends before another ballot is promised.
    this.#stepDown("another ballot is promised");
    this.#acceptor.promise(this.#now, message.ballot);
    this.#follower.onPromised();
    this.#outbox.trace({ kind: "promised", ballot: ballotText(message.ballot) });
    this.#sendPromise(from, promiseFor(this.#acceptor, message, this.#settings));
  }

  /** Safety: leaves only once the promise, and the log it tells of, are durable. */
  #sendPromise(to: ReplicaId, promise: PromiseMessage): void {
    this.#outbox.vouch(to, promise, this.#acceptor.stateIndex);
  }

  #onNack(message: NackMessage): void {
    const leader = this.#leader;
    if (leader === undefined || !sameBallot(leader.ballot, message.ballot)) return;
    this.#outbox.trace({
      kind: "ballotConflict",
      ballot: ballotText(message.ballot),
      promised: ballotText(message.promised),
    });
    this.#election.onRefusal(message.promised);
  }

  #onPrepareRequest(from: ReplicaId, message: PrepareRequestMessage): void {
    const leader = this.#leader;
    if (leader === undefined || !sameBallot(leader.ballot, message.ballot)) return;
    leader.onPrepareRequest(from);
  }

  #onFetch(from: ReplicaId, message: FetchMessage): void {
    const { ballot } = message;
    if (ballot.replica === this.#settings.self) {
      const leader = this.#leader;
      if (leader !== undefined && sameBallot(leader.ballot, ballot)) {
        leader.onFetch(this.#now, from, message);
      }
      return;
    }
    // A new leader adopts our log. Safety: only while we can accept nothing below its ballot.
    if (ballot.replica !== from || !sameBallot(ballot, this.#acceptor.promised)) return;
    const acceptor = this.#acceptor;
    const answer = fetchAnswer(this.#now, message, acceptor, this.#snapshots, this.#settings);
    if (answer !== undefined) this.#outbox.vouch(from, answer, acceptor.stateIndex);
  }

  // The master lease

  #onLeaseRelease(from: ReplicaId, message: LeaseReleaseMessage): void {
    if (message.ballot.replica !== from) {
      this.#drop(from, "a ballot of somebody else");
      return;
    }
    this.#grantor.release(message.ballot, message.leaseRound);
  }

  #onInvite(from: ReplicaId, message: InviteMessage): void {
    if (message.ballot.replica !== from) {
      this.#drop(from, "a ballot of somebody else");
      return;
    }
    if (!sameBallot(message.ballot, this.#acceptor.promised)) return;
    this.#grantor.release(message.ballot, message.leaseRound);
    // Liveness: all would follow a claim, and wait for a promise that has to wait.
    if (this.#election.leads || !this.#diskPrompt || this.#restartBinds) return;
    this.#election.takeOver(this.#now);
    this.#tookOver("invited by the leader");
  }

  #onConfirm(token: number): void {
    if (this.#leader?.phase !== "leading") return;
    this.#leader.lease.confirm(token);
    this.#leases.renewNow(this.#now);
  }

  #onVoidLease(): void {
    const leader = this.#leader;
    if (leader === undefined) return;
    // Safety: also with no lease in hand. A round begun before may be answered only now, and would
    // count time from before the clock stood still.
    const wasHeld = leader.lease.until !== undefined;
    leader.lease.void();
    this.#leases.renewNow(this.#now);
    if (wasHeld) this.#reports.voided(this.#now, leader, "asked by the host");
  }

  // The host

  #onPropose(entries: readonly Uint8Array[]): void {
    const leader = this.#leader;
    const count = entries.length;
    for (const entry of entries) {
      assert(entry.length <= COMMAND_BYTES_MAX, "a command fits a message");
    }
    if (leader === undefined || leader.phase !== "leading") {
      this.#outbox.trace({ kind: "proposalsDropped", count, reason: "not leading" });
    } else if (!leader.propose(entries)) {
      this.#outbox.trace({ kind: "proposalsDropped", count, reason: "too many wait" });
    }
  }

  #onSnapshotTaken(slot: Slot, bytes: Uint8Array): void {
    const acceptor = this.#acceptor;
    assert(slot <= acceptor.delivered, "a snapshot is of what was delivered");
    // A peer's newer snapshot took its place while it was written.
    if (slot <= this.#snapshots.slot) return;
    const served = this.#snapshots.servedSlot(this.#now);
    this.#snapshots.put(this.#now, slot, acceptor.leaseMs, bytes);
    const { retainSlots, retainBytes } = this.#settings;
    const { dropped, log } = acceptor;
    const from = Math.max(dropped, slot - retainSlots);
    let through = log.dropFor(from, slot, retainBytes);
    if (served !== undefined && served < through) {
      // Liveness: whoever is fetching that snapshot needs what comes after it.
      const pinned = Math.max(dropped, served);
      through = log.dropFor(pinned, slot, retainBytes * RETAIN_PINNED_FACTOR);
    }
    acceptor.drop(through);
  }

  #onHandOver(): void {
    const leader = this.#leader;
    if (leader === undefined || leader.phase !== "leading") return;
    const heir = this.#heir(leader);
    // Nobody could take over at once: leading on serves the cell better.
    if (heir === undefined) return;
    const { ballot, lease } = leader;
    const { leaseRound } = lease;
    this.#stepDown("handed over");
    this.#outbox.send(heir, { kind: "invite", ballot, leaseRound });
    this.#outbox.trace({ kind: "handedOver", ballot: ballotText(ballot), to: heir });
  }

  /** The follower with the longest log of those that answer. */
  #heir(leader: Leader): ReplicaId | undefined {
    let heir: ReplicaId | undefined;
    let longest = -1;
    for (const peer of this.#settings.peers) {
      const { matched, synchronised } = leader.progressOf(peer);
      if (!synchronised || matched <= longest) continue;
      if (!this.#election.isLive(this.#now, peer)) continue;
      heir = peer;
      longest = matched;
    }
    return heir;
  }

  // Roles

  #advance(): void {
    const now = this.#now;
    this.#noteDisk();
    if (this.#electionDue || now >= this.#election.wakeAt(now)) this.#elect();
    const leader = this.#leader;
    if (leader !== undefined) {
      if (!this.#diskAlive) this.#stepDown("the disk does not answer");
      else if (this.#acceptor.restoring && !this.#diskPrompt)
        // Liveness: nothing is flushed before that, and others may have the log already.
        this.#stepDown("a snapshot is being written");
      else if (this.#kept !== undefined) this.#stepDown("a higher ballot prepares");
      else if (!sameBallot(this.#election.leader, leader.ballot))
        this.#stepDown("others follow a greater ballot");
    }
    this.#maybeAnswerKept();
    this.#maybeStand();
    this.#follower.advance(now);
    this.#leader?.advance(now);
  }

  #elect(): void {
    this.#electionDue = false;
    const election = this.#election;
    const before = election.own;
    const established = this.#leader?.phase === "leading";
    const mayPromise = this.#diskPrompt && !this.#restartBinds;
    const { lags } = this.#follower;
    const context = { diskAlive: this.#diskAlive, mayPromise, lags, established };
    const began = election.advance(this.#now, context);
    if (!sameBallot(before, election.own)) this.#tookOver("no leader answers");
    if (!began) return;
    const { peers } = this.#settings;
    const request = { kind: "heartbeatRequest", round: election.round } as const;
    for (const peer of peers) this.#outbox.send(peer, request);
    const live = peers.filter((peer) => election.isLive(this.#now, peer));
    this.#leader?.retransmit(this.#now, live);
    this.#releaseAgain(live);
    this.#snapshots.expire(this.#now);
  }

  /** Liveness: a release that was lost would bind its peer for the rest of the lease. */
  #releaseAgain(live: readonly ReplicaId[]): void {
    const givenUp = this.#givenUp;
    if (givenUp === undefined) return;
    if (givenUp.until <= this.#now) this.#givenUp = undefined;
    else for (const peer of live) this.#outbox.send(peer, givenUp.message);
  }

  #tookOver(reason: string): void {
    this.#outbox.trace({ kind: "tookOver", ballot: ballotText(this.#election.own), reason });
  }

  #maybeAnswerKept(): void {
    const kept = this.#kept;
    if (kept === undefined) return;
    const { message, from } = kept;
    if (compareBallots(message.ballot, this.#acceptor.promised) <= 0) {
      this.#kept = undefined;
      return;
    }
    if (this.#grantor.boundUntil(message.ballot) > this.#now) return;
    this.#kept = undefined;
    this.#promise(from, message);
  }

  /** The election chose us: phase 1 begins as soon as our own grant allows it. */
  #maybeStand(): void {
    const election = this.#election;
    if (!election.leads || this.#leader !== undefined || !this.#diskAlive) return;
    if (compareBallots(election.own, this.#acceptor.promised) <= 0) return;
    if (this.#grantor.boundUntil(election.own) > this.#now) return;
    this.#acceptor.promise(this.#now, election.own);
    this.#follower.onPromised();
    this.#kept = undefined;
    this.#leases.renewNow(this.#now);
    this.#leader = new Leader(
      this.#settings,
      this.#acceptor,
      this.#snapshots,
      this.#outbox,
      this.#now,
    );
  }

  /** Ends our lease, tells everybody so, and leads no more in this ballot. */
  #stepDown(reason: string): void {
    const leader = this.#leader;
    if (leader === undefined) return;
    this.#leader = undefined;
    const { ballot, lease } = leader;
    const { leaseRound } = lease;
    lease.void();
    this.#grantor.release(ballot, leaseRound);
    if (leaseRound > 0) {
      const release = { kind: "leaseRelease", ballot, leaseRound } as const;
      for (const peer of this.#settings.peers) this.#outbox.send(peer, release);
      const bindsMs = grantBindsMs(this.#grantor.grantMaxMs, this.#settings.driftPerMille);
      this.#givenUp = { message: release, until: after(this.#now, bindsMs) };
    }
    if (this.#election.leads && sameBallot(this.#election.own, ballot)) {
      this.#election.resign(this.#now);
    }
    const count = leader.dropProposals();
    if (count > 0) this.#outbox.trace({ kind: "proposalsDropped", count, reason });
    this.#outbox.trace({ kind: "steppedDown", ballot: ballotText(ballot), reason });
  }

  #wakeAt(): Instant {
    const now = this.#now;
    let at = this.#genesis.wakeAt;
    if (!this.#genesis.complete) return at;
    if (this.#electionDue) return now;
    at = earliest(at, this.#election.wakeAt(now));
    at = earliest(at, this.#follower.wakeAt ?? NEVER);
    const leader = this.#leader;
    if (leader !== undefined) {
      at = earliest(at, leader.wakeAt);
      if (this.#leases.renewAt > now) at = earliest(at, this.#leases.renewAt);
    }
    if (this.#kept !== undefined) {
      at = earliest(at, this.#grantor.boundUntil(this.#kept.message.ballot));
    } else if (this.#election.leads && leader === undefined) {
      const boundUntil = this.#grantor.boundUntil(this.#election.own);
      if (boundUntil > now) at = earliest(at, boundUntil);
    }
    return at < now ? now : at;
  }

  // Small things

  /** A kept prepare has an end only if nothing is granted meanwhile, to others or ourselves. */
  get #mayBind(): boolean {
    return this.#kept === undefined && this.#diskAlive;
  }

  /** The leader we know of. Our own claim is worth nothing before it is reported as leading. */
  #followed(): ReplicaId | undefined {
    const known = this.#election.knownLeader(this.#now);
    return known === this.#settings.self ? undefined : known;
  }

  get #diskAlive(): boolean {
    const { peers, electionTimeoutMs } = this.#settings;
    // Alone there is nobody who could do better.
    if (peers.length === 0) return true;
    return this.#outbox.durability.waitingMs(this.#now) <= electionTimeoutMs;
  }

  /** Whoever is busy leads on, and answers; whoever begins to lead needs its disk at once. */
  get #diskPrompt(): boolean {
    const { peers, electionTimeoutMs } = this.#settings;
    return peers.length === 0 || this.#outbox.durability.oldestMs(this.#now) <= electionTimeoutMs;
  }

  /** An earlier life may have bound us to somebody, whom nothing can release any more. */
  get #restartBinds(): boolean {
    return this.#grantor.restartUntil > this.#now;
  }

  #noteDisk(): void {
    const stalled = !this.#diskAlive;
    if (stalled && !this.#stalled) {
      const stalledMs = this.#outbox.durability.waitingMs(this.#now);
      this.#outbox.trace({ kind: "diskStalled", stalledMs });
    }
    this.#stalled = stalled;
  }

  #sendNack(to: ReplicaId, ballot: Ballot): void {
    const { promised, promisedIndex } = this.#acceptor;
    // One that waits for the disk says all that another would, and a disk may be stuck for hours.
    const isDurable = this.#outbox.durability.covers(promisedIndex);
    if (!isDurable && this.#nackedIndex.get(to) === promisedIndex) return;
    this.#nackedIndex.set(to, promisedIndex);
    this.#outbox.vouch(to, { kind: "nack", ballot, promised }, promisedIndex);
  }

  #requestPrepare(to: ReplicaId, ballot: Ballot): void {
    const last = this.#prepareRequestedAt;
    if (last !== undefined && this.#now < after(last, this.#settings.retransmitMs)) return;
    this.#prepareRequestedAt = this.#now;
    this.#outbox.send(to, { kind: "prepareRequest", ballot });
  }

  #refuse(from: ReplicaId, incarnation: string): void {
    this.#outbox.trace({ kind: "refusedPeer", replica: from, incarnation });
    const reason = `replica ${from} is on record with another incarnation`;
    // Nothing was ever acknowledged then, and nobody can take the place of who is missing.
    const remedy = "; its cell was never formed: format all directories anew, if all are waiting";
    this.#outbox.send(from, {
      kind: "refused",
      incarnation,
      reason: this.#genesis.complete ? reason : reason + remedy,
    });
  }

  #drop(from: ReplicaId, reason: string): void {
    this.#outbox.trace({ kind: "messageDropped", from, reason });
  }
}
