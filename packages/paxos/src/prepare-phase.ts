import { assert } from "@cubby/base";
import { compareBallots, type ReplicaId, type Slot } from "./ballot.ts";
import type { PromiseMessage } from "./messages.ts";

/** Phase 1 at the proposer: who promised, and whose log is the freshest. */
export class PreparePhase {
  readonly #self: ReplicaId;
  readonly #quorum: number;
  readonly #promises = new Map<ReplicaId, PromiseMessage>();

  constructor(self: ReplicaId, quorum: number) {
    this.#self = self;
    this.#quorum = quorum;
  }

  /** Safety: our own promise counts only once its record is durable, like anybody's. */
  add(from: ReplicaId, promise: PromiseMessage): void {
    // The first answer stands: while the promise does, the log behind it does not change.
    if (!this.#promises.has(from)) this.#promises.set(from, promise);
  }

  /** Its log cannot be got; any other quorum is as good. */
  forget(replica: ReplicaId): void {
    assert(replica !== this.#self, "our own log is at hand");
    this.#promises.delete(replica);
  }

  has(replica: ReplicaId): boolean {
    return this.#promises.has(replica);
  }

  get hasQuorum(): boolean {
    return this.#promises.has(this.#self) && this.#promises.size >= this.#quorum;
  }

  hasQuorumWithout(replica: ReplicaId): boolean {
    assert(replica !== this.#self, "our own log is at hand");
    const others = this.#promises.size - (this.#promises.has(replica) ? 1 : 0);
    return this.#promises.has(this.#self) && others >= this.#quorum;
  }

  /**
   * The promise with the most up-to-date log: the highest accepted ballot, then the longest.
   * Safety: what was chosen below this ballot is in it, for one of any quorum accepted it.
   */
  freshest(): { readonly from: ReplicaId; readonly promise: PromiseMessage } {
    const own = this.#promises.get(this.#self);
    assert(own !== undefined, "a proposer has promised its own ballot");
    let best = { from: this.#self, promise: own };
    for (const [from, promise] of this.#promises) {
      const byBallot = compareBallots(promise.acceptedBallot, best.promise.acceptedBallot);
      if (byBallot > 0 || (byBallot === 0 && promise.length > best.promise.length)) {
        best = { from, promise };
      }
    }
    return best;
  }

  /** What a promiser knows to be chosen is chosen, whoever adopts whose log. */
  get chosen(): Slot {
    let chosen = 0;
    for (const promise of this.#promises.values()) chosen = Math.max(chosen, promise.chosen);
    return chosen;
  }

  /** In the order of their arrival, which the run's inputs determine. */
  promises(): Iterable<readonly [ReplicaId, PromiseMessage]> {
    return this.#promises;
  }
}
