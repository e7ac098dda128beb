import { after, type Instant } from "@cubby/base";
import type { ReplicaId } from "./ballot.ts";
import { leaseHoldsMs } from "./lease-grantor.ts";
import { LEASE_RENEWALS } from "./limits.ts";

/** The longest time between two renewals of a lease that survives two lost ones in a row. */
export function leaseRenewMsMax(leaseMs: number, driftPerMille: number): number {
  return Math.max(1, Math.floor(leaseHoldsMs(leaseMs, driftPerMille) / LEASE_RENEWALS));
}

type LeaseRound = {
  readonly leaseRound: number;
  readonly until: Instant;
  readonly granted: ReplicaId[];
};

/**
 * The leader's side of the master lease, in one ballot. Time counts from the *sending* of a round,
 * shortened by the drift allowance, and an answer counts for the round that it names alone.
 */
export class MasterLease {
  readonly #quorum: number;
  readonly #driftPerMille: number;
  #leaseRound = 0;
  #open: LeaseRound[] = [];
  #until: Instant | undefined;
  /** Each with the first round that was begun after it was asked for. */
  #asked: { readonly token: number; readonly fromRound: number }[] = [];
  #quorumRound = 0;

  constructor(quorum: number, driftPerMille: number) {
    this.#quorum = quorum;
    this.#driftPerMille = driftPerMille;
  }

  /** Held before this instant, by our clock; `undefined` if no quorum granted it since the void. */
  get until(): Instant | undefined {
    return this.#until;
  }

  /** The last round begun: what a release must name. */
  get leaseRound(): number {
    return this.#leaseRound;
  }

  held(now: Instant): boolean {
    return this.#until !== undefined && now < this.#until;
  }

  begin(now: Instant, leaseMs: number): number {
    this.#leaseRound += 1;
    // No more than a lease has renewals, and proofs that were asked for.
    this.#open = this.#open.filter((round) => this.#isUseful(now, round));
    this.#open.push({
      leaseRound: this.#leaseRound,
      until: after(now, leaseHoldsMs(leaseMs, this.#driftPerMille)),
      granted: [],
    });
    return this.#leaseRound;
  }

  #isUseful(now: Instant, { leaseRound, until }: LeaseRound): boolean {
    return until > now && (until > (this.#until ?? now) || leaseRound > this.#quorumRound);
  }

  /** Safety: a late answer to an old round can give no more than that round could. */
  onGrant(from: ReplicaId, leaseRound: number): void {
    // A round that was never begun is not open either: what a peer makes up counts for nothing.
    const round = this.#open.find((open) => open.leaseRound === leaseRound);
    if (round === undefined || round.granted.includes(from)) return;
    round.granted.push(from);
    if (round.granted.length < this.#quorum) return;
    this.#quorumRound = Math.max(this.#quorumRound, leaseRound);
    if (this.#until === undefined || round.until > this.#until) this.#until = round.until;
  }

  /** Asks for proof, by a round begun from now on, that we lead. Tokens rise. */
  confirm(token: number): void {
    this.#asked.push({ token, fromRound: this.#leaseRound + 1 });
  }

  /** A proof is asked for and not there yet. */
  get isAsked(): boolean {
    return this.#asked.length > 0;
  }

  /**
   * The highest token that is proven. Safety: a grant is given only under a durable promise to our
   * ballot, so when its round began no quorum had promised a higher one. No clock is in it.
   */
  takeConfirmed(): number | undefined {
    const proven = this.#asked.filter((asked) => asked.fromRound <= this.#quorumRound);
    if (proven.length === 0) return undefined;
    this.#asked = this.#asked.slice(proven.length);
    return proven[proven.length - 1]?.token;
  }

  /** Gives the lease up, with every answer still under way; only a round begun later counts. */
  void(): void {
    this.#open = [];
    this.#until = undefined;
  }
}
