import { after, assert, type Instant } from "@cubby/base";
import { type Ballot, compareBallots, type ReplicaId, sameBallot, ZERO_BALLOT } from "./ballot.ts";

/** How long a grant of `leaseMs` binds its giver: rounded up, as its clock may be the fast one. */
export function grantBindsMs(leaseMs: number, driftPerMille: number): number {
  // One more, since an instant is a clock rounded down.
  return Math.ceil((leaseMs * (1000 + driftPerMille)) / 1000) + 1;
}

/** How long a leader may believe in a lease of `leaseMs`: rounded down, as its clock may be slow. */
export function leaseHoldsMs(leaseMs: number, driftPerMille: number): number {
  return Math.floor((leaseMs * (1000 - driftPerMille)) / 1000);
}

/**
 * The acceptor's side of the master lease: to whom it has bound itself, and until when. While a
 * grant lasts it promises nobody but the leader who holds it, itself included (PML-11, PML-12).
 */
export class LeaseGrantor {
  readonly #driftPerMille: number;
  #grant: { ballot: Ballot; leaseRound: number; until: Instant } | undefined;
  #released: { ballot: Ballot; leaseRound: number } = { ballot: ZERO_BALLOT, leaseRound: 0 };
  /** Earlier lives may have granted what this one does not know of. */
  readonly restartUntil: Instant;
  #grantMaxMs: number;
  /** The longest grant since this instant; whatever was granted before, it says nothing of. */
  #window: { readonly from: Instant; longestMs: number };

  /** `alone`: there is nobody to whom an earlier life could have granted anything. */
  constructor(driftPerMille: number, grantMaxMs: number, startedAt: Instant, alone: boolean) {
    this.#driftPerMille = driftPerMille;
    this.#grantMaxMs = grantMaxMs;
    this.#window = { from: startedAt, longestMs: 0 };
    this.restartUntil =
      grantMaxMs === 0 || alone
        ? startedAt
        : after(startedAt, grantBindsMs(grantMaxMs, driftPerMille));
  }

  /** The longest grant that is on record, and that may still bind. */
  get grantMaxMs(): number {
    return this.#grantMaxMs;
  }

  raiseGrantMax(leaseMs: number): void {
    assert(leaseMs > this.#grantMaxMs, "a longest grant is raised to a longer one");
    this.#grantMaxMs = leaseMs;
  }

  /**
   * True once all longer grants are over: then the longest on record falls to what was granted since,
   * or who once had a long lease would wait for as long after every restart.
   */
  lowerGrantMax(now: Instant): boolean {
    const { from, longestMs } = this.#window;
    // Safety: what an earlier life or this one granted before the window binds for no longer.
    if (now < after(from, grantBindsMs(this.#grantMaxMs, this.#driftPerMille))) return false;
    this.#window = { from: now, longestMs: 0 };
    if (longestMs === 0 || longestMs === this.#grantMaxMs) return false;
    this.#grantMaxMs = longestMs;
    return true;
  }

  /** When a promise of `ballot` stops being forbidden; a past instant means that it may be given. */
  boundUntil(ballot: Ballot): Instant {
    const grant = this.#grant;
    if (grant === undefined || grant.ballot.replica === ballot.replica) return this.restartUntil;
    return this.#orRestart(grant.until);
  }

  /** A release that overtook the round it names has ended that round already. */
  mayGrant(ballot: Ballot, leaseRound: number): boolean {
    return !sameBallot(ballot, this.#released.ballot) || leaseRound > this.#released.leaseRound;
  }

  grant(now: Instant, ballot: Ballot, leaseRound: number, leaseMs: number): void {
    assert(leaseMs <= this.#grantMaxMs, "a grant is no longer than the longest on record");
    const until = after(now, grantBindsMs(leaseMs, this.#driftPerMille));
    this.#window.longestMs = Math.max(this.#window.longestMs, leaseMs);
    const grant = this.#grant;
    if (grant === undefined || compareBallots(ballot, grant.ballot) > 0) {
      this.#grant = { ballot, leaseRound, until };
      return;
    }
    assert(sameBallot(ballot, grant.ballot), "grants go to the promised ballot, which only rises");
    grant.leaseRound = Math.max(grant.leaseRound, leaseRound);
    grant.until = grant.until > until ? grant.until : until;
  }

  /** The leader of `ballot` gave up the lease of `leaseRound` and all before it. */
  release(ballot: Ballot, leaseRound: number): void {
    const isNews = compareBallots(ballot, this.#released.ballot) >= 0;
    if (isNews && this.mayGrant(ballot, leaseRound)) this.#released = { ballot, leaseRound };
    const grant = this.#grant;
    if (grant === undefined || !sameBallot(grant.ballot, ballot)) return;
    // A grant of a later round stands: this release was on its way for a while.
    if (grant.leaseRound <= leaseRound) this.#grant = undefined;
  }

  /** The last instant at which anything binds, for `status`. */
  get lastBound(): Instant {
    return this.#orRestart(this.#grant?.until);
  }

  /** For checkers: until when a promise to anybody but `replica` is forbidden. */
  boundToUntil(replica: ReplicaId): Instant {
    return this.#orRestart(this.#grant?.ballot.replica === replica ? this.#grant.until : undefined);
  }

  /** The later of the two: what an earlier life may have granted binds beside what this one did. */
  #orRestart(until: Instant | undefined): Instant {
    return until === undefined || until < this.restartUntil ? this.restartUntil : until;
  }

  /** The ballot whose leader holds the grant, if one is live. */
  holder(now: Instant): Ballot | undefined {
    const grant = this.#grant;
    return grant !== undefined && grant.until > now ? grant.ballot : undefined;
  }
}
