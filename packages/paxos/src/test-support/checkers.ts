import { assert, type Rng, toHex } from "@cubby/base";
import { type Ballot, ballotText, compareBallots, type ReplicaId, type Slot } from "../ballot.ts";
import type { PaxosMessage } from "../messages.ts";
import type { PaxosEvent } from "../outbox.ts";
import type { SimulatedDisk } from "./simulated-disk.ts";

/** A broken property of the cell as a whole, found from outside. */
export class Violation extends Error {
  override readonly name = "Violation";
}

type Belief = { epoch: number; untilTrue: number };

/** Watches all replicas at once, in true time, and media rather than memory. */
export class Checkers {
  readonly #quorum: number;
  readonly #disks: ReadonlyMap<ReplicaId, SimulatedDisk>;
  readonly chosen = new Map<Slot, Uint8Array>();
  readonly #promiseLeft = new Map<ReplicaId, Ballot>();
  readonly #ballotLife = new Map<string, string>();
  readonly #beliefs = new Map<ReplicaId, Belief>();
  readonly #lastDelivered = new Map<ReplicaId, Slot>();
  readonly #epochs = new Set<number>();
  readonly #confirms = new Map<string, number>();
  readonly #epochOf = new Map<ReplicaId, number>();
  lastChosen: Slot = 0;
  #confirmed = 0;

  constructor(quorum: number, disks: ReadonlyMap<ReplicaId, SimulatedDisk>) {
    this.#quorum = quorum;
    this.#disks = disks;
  }

  /** A read was asked for at this replica: what is proven later must be true of this moment. */
  onConfirm(replica: ReplicaId, token: number): void {
    this.#confirms.set(`${replica}/${token}`, Math.max(0, ...this.#epochs));
  }

  /** How many masterships there were. */
  get epochs(): number {
    return this.#epochs.size;
  }

  /** A message leaves: from here on the world may know what it says. */
  onLeave(from: ReplicaId, life: number, message: PaxosMessage): void {
    if (message.kind === "prepare") {
      // Invariant 4: a ballot belongs to one life of one replica.
      const text = ballotText(message.ballot);
      const owner = `${from}/${life}`;
      const known = this.#ballotLife.get(text);
      if (known !== undefined && known !== owner) {
        throw new Violation(`ballot ${text} of ${known} is used by ${owner}`);
      }
      this.#ballotLife.set(text, owner);
    }
    if (message.kind === "promise") {
      const left = this.#promiseLeft.get(from);
      if (left === undefined || compareBallots(message.ballot, left) > 0) {
        this.#promiseLeft.set(from, message.ballot);
      }
    }
    if (message.kind === "accepted" || message.kind === "leaseGrant") {
      // Invariant 3, across restarts.
      const left = this.#promiseLeft.get(from);
      if (left !== undefined && compareBallots(message.ballot, left) < 0) {
        throw new Violation(`${from} backs ${ballotText(message.ballot)} below its promise`);
      }
    }
  }

  onEvent(
    now: number,
    replica: ReplicaId,
    event: PaxosEvent,
    trueOf: (at: number) => number,
  ): void {
    switch (event.kind) {
      case "chosen":
        this.#onChosen(replica, event.slot, event.command);
        break;
      case "restored":
        this.#lastDelivered.set(replica, event.slot);
        break;
      case "leading":
        this.#epochs.add(event.epoch);
        this.#epochOf.set(replica, event.epoch);
        this.#onLeading(now, replica, event.epoch, trueOf(event.leaseUntil));
        break;
      case "following":
        this.#beliefs.delete(replica);
        break;
      case "confirmed": {
        // Invariant 8: with no clock, only who still led when it was asked may answer a read.
        const newest = this.#confirms.get(`${replica}/${event.token}`) ?? 0;
        if (newest > (this.#epochOf.get(replica) ?? 0)) {
          throw new Violation(`${replica} is confirmed though ${newest} led when it was asked`);
        }
        this.#confirmed += 1;
        break;
      }
      case "refused":
        break;
      default:
        assert(false, "an event of a known kind");
    }
  }

  onCrash(replica: ReplicaId, snapshotSlot: Slot): void {
    this.#beliefs.delete(replica);
    this.#lastDelivered.set(replica, snapshotSlot);
  }

  get confirmed(): number {
    return this.#confirmed;
  }

  /** The replica that believes to hold the lease, if one does. */
  master(now: number): ReplicaId | undefined {
    for (const [replica, belief] of this.#beliefs) if (belief.untilTrue > now) return replica;
    return undefined;
  }

  believes(now: number, replica: ReplicaId): boolean {
    const belief = this.#beliefs.get(replica);
    return belief !== undefined && belief.untilTrue > now;
  }

  #onChosen(replica: ReplicaId, slot: Slot, command: Uint8Array): void {
    const last = this.#lastDelivered.get(replica) ?? 0;
    if (slot <= last) throw new Violation(`${replica} is told slot ${slot} after ${last}`);
    this.#lastDelivered.set(replica, slot);
    const known = this.chosen.get(slot);
    if (known !== undefined) {
      // Invariant 1: agreement.
      if (toHex(known) !== toHex(command)) {
        throw new Violation(`slot ${slot}: ${replica} has ${toHex(command)}, not ${toHex(known)}`);
      }
      return;
    }
    // Invariant 2: durable on a quorum's media before anybody is told.
    let holders = 0;
    for (const disk of this.#disks.values()) if (disk.holds(slot, command)) holders += 1;
    if (holders < this.#quorum) {
      throw new Violation(`slot ${slot} is chosen with ${holders} durable copies`);
    }
    this.chosen.set(slot, command);
    this.lastChosen = Math.max(this.lastChosen, slot);
  }

  /** No two replicas believe at one true time that they hold the lease. */
  #onLeading(now: number, replica: ReplicaId, epoch: number, untilTrue: number): void {
    for (const [other, belief] of this.#beliefs) {
      if (other === replica || belief.untilTrue <= now || untilTrue <= now) continue;
      throw new Violation(
        `at ${now} ${replica} leads in ${epoch} while ${other} does in ${belief.epoch} until ${belief.untilTrue}`,
      );
    }
    this.#beliefs.set(replica, { epoch, untilTrue });
  }
}

/** What a link does to messages, drawn anew for every run. */
export type Faults = {
  readonly lossRate: number;
  readonly duplicateRate: number;
  readonly delayMsMin: number;
  readonly delayMsMax: number;
};

export const NO_FAULTS: Faults = {
  lossRate: 0,
  duplicateRate: 0,
  delayMsMin: 0.1,
  delayMsMax: 0.5,
};

export function drawFaults(rng: Rng): Faults {
  return {
    lossRate: rng.chance(0.5) ? rng.below(20) / 100 : 0,
    duplicateRate: rng.chance(0.5) ? rng.below(20) / 100 : 0,
    delayMsMin: 0.1,
    delayMsMax: rng.chance(0.5) ? 1 : 1 + rng.below(60),
  };
}
