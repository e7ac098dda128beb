import type { Instant } from "@cubby/base";
import { ballotText, epochOf, type ReplicaId } from "./ballot.ts";
import type { Leader } from "./leader.ts";
import type { Outbox } from "./outbox.ts";

/** Tells the host who leads: each change once, and every move of our own lease. */
export class HostReports {
  readonly #outbox: Outbox;
  #epoch: number | undefined;
  #until: Instant | undefined;
  #leader: ReplicaId | undefined;
  #leaseHeld = false;

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  /**
   * `known`: the leader we follow, if we know of one and it is not us. `restoring`: a snapshot is on its
   * way to the host, which leads from nothing before that.
   */
  report(
    now: Instant,
    leader: Leader | undefined,
    known: ReplicaId | undefined,
    restoring: boolean,
  ): void {
    this.#traceLease(now, leader);
    if (leader?.phase === "leading") {
      // Liveness: told before, it would forget it with the state, and not be told again for as long as
      // no round of the lease ends later than the first one did.
      if (restoring) return;
      this.#reportLeading(now, leader);
      // A proof is of the mastership that the host was told of, never of one it will be told of.
      if (this.#epoch !== epochOf(leader.ballot)) return;
      const token = leader.lease.takeConfirmed();
      if (token !== undefined) this.#outbox.event({ kind: "confirmed", token });
      return;
    }
    if (this.#epoch === undefined && known === this.#leader) return;
    this.#epoch = undefined;
    this.#until = undefined;
    this.#leader = known;
    this.#outbox.event({ kind: "following", leader: known });
  }

  /** The lease of this leader was given up at `now`, and it leads on. */
  voided(now: Instant, leader: Leader, reason: string): void {
    this.#leaseHeld = false;
    this.#outbox.trace({ kind: "leaseVoided", ballot: ballotText(leader.ballot), reason });
    if (this.#epoch === undefined) return;
    this.#until = now;
    this.#outbox.event({ kind: "leading", epoch: this.#epoch, leaseUntil: now });
  }

  /** The log is synchronised and a quorum's lease is held: only then does the host hear of it. */
  #reportLeading(now: Instant, leader: Leader): void {
    const { until } = leader.lease;
    if (until === undefined || until === this.#until || until <= now) return;
    const epoch = epochOf(leader.ballot);
    if (this.#epoch !== epoch) {
      this.#outbox.trace({ kind: "leading", ballot: ballotText(leader.ballot) });
    }
    this.#epoch = epoch;
    this.#until = until;
    this.#leader = undefined;
    this.#outbox.event({ kind: "leading", epoch, leaseUntil: until });
  }

  #traceLease(now: Instant, leader: Leader | undefined): void {
    const held = leader?.lease.held(now) === true;
    if (held === this.#leaseHeld) return;
    this.#leaseHeld = held;
    // Who stepped down has said so, and its lease with it.
    if (leader === undefined) return;
    const ballot = ballotText(leader.ballot);
    this.#outbox.trace({ kind: held ? "leaseGranted" : "leaseLapsed", ballot });
  }
}
