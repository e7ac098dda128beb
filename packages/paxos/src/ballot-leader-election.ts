import { after, assert, earliest, type Instant, type Rng } from "@cubby/base";
import { type Ballot, compareBallots, maxBallot, type ReplicaId, sameBallot } from "./ballot.ts";
import type { HeartbeatReplyMessage } from "./messages.ts";

export type ElectionOptions = {
  readonly self: ReplicaId;
  readonly peers: readonly ReplicaId[];
  readonly quorum: number;
  readonly priority: number;
  readonly roundMs: number;
  readonly electionTimeoutMs: number;
  readonly electionTimeoutMsMax: number;
};

/** What the rest of the replica knows that bears on an election. */
export type ElectionContext = {
  /** A disk that is stuck leads nobody (reliability §5.18). */
  readonly diskAlive: boolean;
  /** The promise of a ballot of our own would not have to wait, unheard: for the disk, or for a lease. */
  readonly mayPromise: boolean;
  /** It is far behind, and fetches what it lacks: a cell that it leads waits until it has all of that. */
  readonly lags: boolean;
  /** This replica leads with a synchronised log: winning back one peer is not urgent. */
  readonly established: boolean;
};

type Reply = {
  readonly ballot: Ballot;
  readonly leader: Ballot;
  readonly happy: boolean;
  readonly askedAt: Instant;
};

/** Timeouts differ by up to this part of them. */
const TIMEOUT_SPREAD = 3;

/** Rounds begun early, for a change was seen, are at most so many in the time of one. */
const HURRIED_ROUNDS = 5;

/** A stable leader that a peer outbids waits so many rounds before it outbids that peer. */
const OUTBID_PATIENCE_ROUNDS = 3;

/**
 * Ballot Leader Election (Omni-Paxos §5): each replica asks all others in rounds, and follows the
 * greatest ballot whose owner answers. It carries no safety, which sits in prepare and promise.
 *
 * Differences from the paper, each for a network that loses messages: a reply counts for an
 * election timeout rather than for one round; a take-over waits for a random while, so that two
 * rarely start together; who learned of a new leader by its prepare gives it that timeout to
 * answer; and a leader that meets a peer with a higher promise outbids it, or that peer would
 * follow a ballot that nobody owns any more (PML-13).
 */
export class BallotLeaderElection {
  readonly #options: ElectionOptions;
  readonly #rng: Rng;
  #own: Ballot;
  #leader: Ballot;
  /** The greatest ballot that anybody mentioned: a new one must be above it. */
  #highestSeen: Ballot;
  #happy = false;
  #diskAlive = true;
  /** Until then a leader learned of indirectly need not have answered. */
  #graceUntil: Instant;

  #round: number;
  readonly #askedAt = new Map<number, Instant>();
  readonly #longestTimeoutMs: number;
  #nextRoundAt: Instant;
  #lastRoundAt: Instant | undefined;
  readonly #replies = new Map<ReplicaId, Reply>();

  #timeoutMs = 0;
  #attempts = 0;
  #takeOverAt: Instant | undefined;
  #outbidRounds = 0;
  #pausedAt: Instant | undefined;
  #happySince: Instant | undefined;

  constructor(options: ElectionOptions, rng: Rng, promised: Ballot, now: Instant) {
    this.#options = options;
    this.#rng = rng;
    const { electionTimeoutMsMax } = options;
    this.#longestTimeoutMs =
      electionTimeoutMsMax + Math.ceil(electionTimeoutMsMax / TIMEOUT_SPREAD);
    // A replica that comes back starts below everybody, lest it win by the ballot it led before.
    this.#own = { round: 0, priority: options.priority, replica: options.self };
    this.#leader = promised;
    this.#highestSeen = promised;
    // Unlike any round of an earlier life, whose replies may still be under way.
    this.#round = rng.next32();
    this.#nextRoundAt = now;
    this.#graceUntil = now;
    this.#drawTimeout();
    if (options.peers.length > 0) this.#graceUntil = after(now, options.roundMs);
  }

  /** The ballot followed; it may be our own. */
  get leader(): Ballot {
    return this.#leader;
  }

  get own(): Ballot {
    return this.#own;
  }

  get happy(): boolean {
    return this.#happy;
  }

  get leads(): boolean {
    return sameBallot(this.#own, this.#leader);
  }

  /** Safe to grant a lease to: the leader we follow and hear of. */
  follows(ballot: Ballot): boolean {
    return this.#happy && sameBallot(this.#leader, ballot);
  }

  /** Replicas that answered within the timeout, ourselves included. */
  connected(now: Instant): number {
    let count = 1;
    for (const peer of this.#options.peers) if (this.#live(now, peer) !== undefined) count += 1;
    return count;
  }

  isLive(now: Instant, peer: ReplicaId): boolean {
    return this.#live(now, peer) !== undefined;
  }

  /** When the last answered heartbeat was asked. */
  lastHeard(peer: ReplicaId): Instant | undefined {
    return this.#replies.get(peer)?.askedAt;
  }

  /** Enough of those that answer would follow us for us to lead. */
  quorumFollows(now: Instant): boolean {
    let followers = 1;
    for (const peer of this.#options.peers) {
      const reply = this.#live(now, peer);
      if (reply !== undefined && compareBallots(reply.leader, this.#own) <= 0) followers += 1;
    }
    return followers >= this.#options.quorum;
  }

  /** The leader to name to others: ours if it answers, or the one a content neighbour follows. */
  knownLeader(now: Instant): ReplicaId | undefined {
    let known: Ballot | undefined = this.#happy ? this.#leader : undefined;
    if (known === undefined) {
      for (const peer of this.#options.peers) {
        const reply = this.#live(now, peer);
        if (reply?.happy) known = known ? maxBallot(known, reply.leader) : reply.leader;
      }
    }
    return known === undefined || known.round === 0 ? undefined : known.replica;
  }

  wakeAt(now: Instant): Instant {
    let at = this.#nextRoundAt;
    if (this.#takeOverAt !== undefined) at = earliest(at, this.#takeOverAt);
    // A leader's silence is noticed when it has lasted, not at the next round.
    if (this.#happy && !this.leads) {
      const reply = this.#replies.get(this.#leader.replica);
      if (reply !== undefined) {
        const staleAt = after(reply.askedAt, this.#timeoutMs);
        if (staleAt > now) at = earliest(at, staleAt);
      }
    }
    return at;
  }

  /** True if a round began: the caller sends `heartbeatRequest` with `round` to all peers. */
  advance(now: Instant, context: ElectionContext): boolean {
    if (now >= this.#nextRoundAt) {
      // After a pause of our own nobody's silence means anything.
      const lateMs = this.#lastRoundAt === undefined ? 0 : now - this.#nextRoundAt;
      if (lateMs > this.#options.electionTimeoutMs / 2) this.#excusePause(now);
      this.#evaluate(now, context, true);
      this.#beginRound(now);
      return true;
    }
    const wasHappy = this.#happy;
    const before = this.#leader;
    this.#evaluate(now, context, false);
    // Ask soon: the others' consent is what a take-over waits for, and their answers its proof.
    if ((wasHappy && !this.#happy) || !sameBallot(before, this.#leader)) this.#hurryRound(now);
    return false;
  }

  get round(): number {
    return this.#round;
  }

  reply(round: number): HeartbeatReplyMessage {
    return {
      kind: "heartbeatReply",
      round,
      ballot: this.#own,
      leader: this.#leader,
      happy: this.#happy,
    };
  }

  /** Only an answer to our own question counts: one-way evidence deposes nobody. */
  onReply(from: ReplicaId, message: HeartbeatReplyMessage): void {
    const askedAt = this.#askedAt.get(message.round);
    if (askedAt === undefined) return;
    const previous = this.#replies.get(from);
    if (previous !== undefined && previous.askedAt > askedAt) return;
    const { ballot, leader, happy } = message;
    this.#replies.set(from, { ballot, leader, happy, askedAt });
    this.#highestSeen = maxBallot(this.#highestSeen, maxBallot(ballot, leader));
  }

  /** We promised `ballot`, or hold its prepare: its owner gets time to answer us. */
  observe(now: Instant, ballot: Ballot): void {
    this.#highestSeen = maxBallot(this.#highestSeen, ballot);
    if (compareBallots(ballot, this.#leader) <= 0) return;
    this.#follow(now, ballot);
    this.#graceUntil = after(now, this.#timeoutMs);
    this.#happy = this.#diskAlive;
  }

  /** Somebody refused us for having promised `ballot`. */
  onRefusal(ballot: Ballot): void {
    this.#highestSeen = maxBallot(this.#highestSeen, ballot);
  }

  /** Leads no more, and does not want to until the others have had their turn. */
  resign(now: Instant): void {
    this.#own = { ...this.#own, round: 0 };
    this.#happy = false;
    this.#takeOverAt = undefined;
    this.#graceUntil = now;
  }

  /** The leader itself asked us to. */
  takeOver(now: Instant): void {
    const round = Math.max(this.#leader.round, this.#highestSeen.round) + 1;
    const before = this.#own;
    this.#own = { ...this.#own, round };
    assert(compareBallots(this.#own, before) > 0, "a replica's own ballots only rise");
    this.#highestSeen = this.#own;
    this.#follow(now, this.#own);
    this.#happy = true;
    this.#attempts += 1;
    this.#hurryRound(now);
  }

  /** Liveness: not again and again, or a machine that is always late would never elect anybody. */
  #excusePause(now: Instant): void {
    if (this.#pausedAt !== undefined && now < after(this.#pausedAt, 4 * this.#timeoutMs)) return;
    this.#pausedAt = now;
    this.#graceUntil = after(now, this.#timeoutMs);
  }

  /** The next round is due at once, if the last one is not too recent for that. */
  #hurryRound(now: Instant): void {
    const spacingMs = Math.floor(this.#options.roundMs / HURRIED_ROUNDS);
    const soonest = this.#lastRoundAt === undefined ? now : after(this.#lastRoundAt, spacingMs);
    this.#nextRoundAt = earliest(this.#nextRoundAt, soonest > now ? soonest : now);
  }

  #beginRound(now: Instant): void {
    this.#round += 1;
    this.#lastRoundAt = now;
    this.#nextRoundAt = after(now, this.#options.roundMs);
    this.#askedAt.set(this.#round, now);
    // Oldest first. What was asked before the longest timeout says nothing any more, whenever it is answered.
    for (const [round, askedAt] of this.#askedAt) {
      if (now < after(askedAt, this.#longestTimeoutMs)) break;
      this.#askedAt.delete(round);
    }
  }

  #evaluate(now: Instant, context: ElectionContext, atRound: boolean): void {
    this.#diskAlive = context.diskAlive;
    this.#followGreatest(now);
    this.#happy = context.diskAlive && this.#isHappy(now);
    this.#noteStability(now);
    if (atRound) this.#maybeOutbid(now, context);
    this.#maybeTakeOver(now, context);
  }

  #followGreatest(now: Instant): void {
    let greatest = this.#leader;
    for (const peer of this.#options.peers) {
      const reply = this.#live(now, peer);
      // Round 0 is nobody's claim: a replica that has not stood for election since it started.
      if (reply !== undefined && reply.ballot.round > 0) {
        greatest = maxBallot(greatest, reply.ballot);
      }
    }
    if (this.leads && !this.quorumFollows(now)) {
      // Overruled: a content neighbour follows a greater ballot, though its owner is out of reach.
      for (const peer of this.#options.peers) {
        const reply = this.#live(now, peer);
        if (reply?.happy) greatest = maxBallot(greatest, reply.leader);
      }
    }
    if (compareBallots(greatest, this.#leader) > 0) this.#follow(now, greatest);
  }

  #follow(now: Instant, ballot: Ballot): void {
    this.#leader = ballot;
    this.#graceUntil = earliest(this.#graceUntil, now);
    this.#outbidRounds = 0;
    this.#takeOverAt = undefined;
    this.#drawTimeout();
  }

  #isHappy(now: Instant): boolean {
    if (now < this.#graceUntil) return true;
    if (this.leads) return this.quorumFollows(now);
    for (const peer of this.#options.peers) {
      const reply = this.#live(now, peer);
      if (reply?.happy && sameBallot(reply.ballot, this.#leader)) return true;
    }
    return false;
  }

  /** Timeouts grow with failed attempts and shrink back once a leader has lasted. */
  #noteStability(now: Instant): void {
    if (!this.#happy) {
      this.#happySince = undefined;
      return;
    }
    this.#happySince ??= now;
    if (this.#attempts > 0 && now - this.#happySince > this.#options.electionTimeoutMsMax) {
      this.#attempts = 0;
      this.#drawTimeout();
    }
  }

  /** A peer that promised more than our ballot is lost to us until we go above that. */
  #maybeOutbid(now: Instant, context: ElectionContext): void {
    if (!this.leads || !context.mayPromise || compareBallots(this.#highestSeen, this.#own) <= 0) {
      this.#outbidRounds = 0;
      return;
    }
    for (const peer of this.#options.peers) {
      const reply = this.#live(now, peer);
      // There is a greater leader, and it lives: ours is the ballot that has to go.
      if (reply?.happy && compareBallots(reply.leader, this.#own) > 0) {
        this.#outbidRounds = 0;
        return;
      }
    }
    this.#outbidRounds += 1;
    const patience = context.established ? OUTBID_PATIENCE_ROUNDS : 1;
    if (this.#outbidRounds > patience && this.quorumFollows(now)) this.takeOver(now);
  }

  #maybeTakeOver(now: Instant, context: ElectionContext): void {
    if (!this.#mayTakeOver(now, context)) {
      this.#takeOverAt = undefined;
      return;
    }
    if (this.#options.peers.length === 0) {
      this.takeOver(now);
      return;
    }
    const spreadMs = this.#options.roundMs * Math.min(8, 1 + this.#attempts);
    // Liveness: those who have the log go first, and whoever lacks it only if nobody else does.
    const laterMs = context.lags ? this.#options.electionTimeoutMs : 0;
    this.#takeOverAt ??= after(now, laterMs + this.#rng.below(spreadMs));
    if (now >= this.#takeOverAt) this.takeOver(now);
  }

  /** Omni-Paxos: unhappy, all who answer are unhappy, and they are enough for a quorum. */
  #mayTakeOver(now: Instant, context: ElectionContext): boolean {
    if (this.#happy || !context.mayPromise) return false;
    let connected = 1;
    for (const peer of this.#options.peers) {
      const reply = this.#live(now, peer);
      if (reply === undefined) continue;
      if (reply.happy) return false;
      connected += 1;
    }
    return connected >= this.#options.quorum;
  }

  #live(now: Instant, peer: ReplicaId): Reply | undefined {
    const reply = this.#replies.get(peer);
    if (reply === undefined || now >= after(reply.askedAt, this.#timeoutMs)) return undefined;
    return reply;
  }

  #drawTimeout(): void {
    const { electionTimeoutMs, electionTimeoutMsMax } = this.#options;
    const grown = electionTimeoutMs * 1.5 ** Math.min(this.#attempts, 16);
    const base = Math.floor(Math.min(electionTimeoutMsMax, grown));
    this.#timeoutMs = base + this.#rng.below(Math.ceil(base / TIMEOUT_SPREAD));
  }
}
