import { after, type Instant } from "@cubby/base";
import type { Acceptor } from "./acceptor.ts";
import type { Ballot, ReplicaId } from "./ballot.ts";
import type { BallotLeaderElection } from "./ballot-leader-election.ts";
import type { Leader } from "./leader.ts";
import type { LeaseGrantor } from "./lease-grantor.ts";
import { leaseRenewMsMax } from "./master-lease.ts";
import type { LeaseRequestMessage } from "./messages.ts";
import type { Settings } from "./options.ts";
import type { Outbox } from "./outbox.ts";
import type { RecordIndex } from "./record.ts";

/**
 * When a lease is asked for and when it is granted: where election, promise and grants meet. The
 * caller asks only while nothing of its own forbids it: no prepare is kept, and the disk answers.
 */
export class LeaseProtocol {
  readonly #settings: Settings;
  readonly #acceptor: Acceptor;
  readonly #election: BallotLeaderElection;
  readonly #grantor: LeaseGrantor;
  readonly #outbox: Outbox;
  #renewAt: Instant;
  #grantMaxIndex: RecordIndex = 0;

  constructor(
    parts: {
      readonly settings: Settings;
      readonly acceptor: Acceptor;
      readonly election: BallotLeaderElection;
      readonly grantor: LeaseGrantor;
      readonly outbox: Outbox;
    },
    now: Instant,
  ) {
    this.#settings = parts.settings;
    this.#acceptor = parts.acceptor;
    this.#election = parts.election;
    this.#grantor = parts.grantor;
    this.#outbox = parts.outbox;
    this.#renewAt = now;
  }

  get renewAt(): Instant {
    return this.#renewAt;
  }

  renewNow(now: Instant): void {
    this.#renewAt = now;
  }

  /** Acceptor: grants what is asked for the promised ballot; a refusal is silence. */
  onRequest(now: Instant, from: ReplicaId, message: LeaseRequestMessage): void {
    const { ballot, leaseRound, leaseMs } = message;
    if (!this.#election.follows(ballot)) return;
    if (!this.#grantor.mayGrant(ballot, leaseRound)) return;
    this.#raiseGrantMax(now, leaseMs);
    this.#grant(now, ballot, leaseRound, leaseMs);
    // Safety: the promise and the longest grant are durable before the grant leaves.
    const index = Math.max(this.#acceptor.promisedIndex, this.#grantMaxIndex);
    this.#outbox.vouch(from, { kind: "leaseGrant", ballot, leaseRound }, index);
  }

  /** Leader: begins a round if one is due, and we are connected to a quorum that follows us. */
  maybeRenew(now: Instant, leader: Leader): void {
    if (leader.phase !== "leading" || now < this.#renewAt) return;
    const { leaseMs, chosen } = this.#acceptor;
    if (leaseMs === 0 || !this.#election.leads || !this.#election.quorumFollows(now)) return;
    this.#raiseGrantMax(now, leaseMs);
    // Our own grant, like any other, comes after the record of its length.
    if (!this.#outbox.durability.covers(this.#grantMaxIndex)) return;
    const { ballot } = leader;
    const leaseRound = leader.lease.begin(now, leaseMs);
    const { self, peers, retransmitMs } = this.#settings;
    this.#grant(now, ballot, leaseRound, leaseMs);
    leader.lease.onGrant(self, leaseRound);
    const request = { kind: "leaseRequest", ballot, leaseRound, leaseMs, chosen } as const;
    for (const peer of peers) {
      this.#outbox.send(peer, { ...request, length: leader.streamedTo(peer) });
    }
    // Liveness: a renewal that is lost may be missed, but not a round that somebody waits for.
    const isAwaited = !leader.lease.held(now) || leader.lease.isAsked;
    const renewMs = this.#renewMs(leaseMs);
    this.#renewAt = after(now, isAwaited ? Math.min(renewMs, retransmitMs) : renewMs);
  }

  /** The lease in force may be shorter than the one of our settings, until the log names that. */
  #renewMs(leaseMs: number): number {
    const { leaseRenewMs, driftPerMille } = this.#settings;
    return Math.min(leaseRenewMs, leaseRenewMsMax(leaseMs, driftPerMille));
  }

  #grant(now: Instant, ballot: Ballot, leaseRound: number, leaseMs: number): void {
    this.#grantor.grant(now, ballot, leaseRound, leaseMs);
    if (!this.#grantor.lowerGrantMax(now)) return;
    // Nothing waits for this record: without it the next life waits longer than it must.
    this.#outbox.record(now, { kind: "grantMax", leaseMs: this.#grantor.grantMaxMs });
  }

  #raiseGrantMax(now: Instant, leaseMs: number): void {
    if (leaseMs <= this.#grantor.grantMaxMs) return;
    this.#grantor.raiseGrantMax(leaseMs);
    this.#grantMaxIndex = this.#outbox.record(now, { kind: "grantMax", leaseMs });
  }
}
