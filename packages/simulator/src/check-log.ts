import { equalBytes } from "@cubby/base";
import {
  type Ballot,
  compareBallots,
  type PaxosMessage,
  type RecoveredLog,
  ZERO_BALLOT,
} from "@cubby/paxos";
import type { Applied } from "./observed-cell.ts";
import { Violation } from "./violation.ts";

/** What one replica ever let out, over all its lives: it must keep to it (reliability §3, 3). */
type Vows = {
  promised: Ballot;
  /** The greatest (ballot, length) that it called durable. */
  acceptedBallot: Ballot;
  acceptedLength: number;
};

/** Invariants 1, 3, 4 and 5: one chain of commands, promises kept, ballots never used twice. */
export class LogChecker {
  /** By index: the command that the first replica applied there. */
  readonly #chain = new Map<number, Uint8Array>();
  /** The index before each, since slots of the engine itself are skipped. */
  readonly #previous = new Map<number, number>();
  readonly #hashes = new Map<number, string>();
  readonly #led = new Set<number>();
  readonly #vows = new Map<number, Vows>();
  /** Which life of which replica proposed in a ballot. */
  readonly #proposers = new Map<string, string>();
  newest = 0;

  /** True if nobody has applied this index before. */
  onApplied(replica: number, { index, previous, command }: Applied): boolean {
    const known = this.#chain.get(index);
    if (known === undefined) {
      if (index < this.newest) {
        const detail = `replica ${replica} applies ${index}, which the first one to pass it skipped`;
        throw new Violation(1, "agreement", detail);
      }
      this.#chain.set(index, command.slice());
      this.#previous.set(index, this.newest);
      if (previous !== this.newest) {
        const detail = `replica ${replica} goes from ${previous} to ${index}, over ${this.newest}`;
        throw new Violation(5, "exact-prefix", detail);
      }
      this.newest = index;
      return true;
    }
    if (!equalBytes(known, command)) {
      throw new Violation(1, "agreement", `replica ${replica} applies another command at ${index}`);
    }
    if (this.#previous.get(index) !== previous) {
      const detail = `replica ${replica} goes from ${previous} to ${index}`;
      throw new Violation(5, "exact-prefix", detail);
    }
    return false;
  }

  command(index: number): Uint8Array | undefined {
    return this.#chain.get(index);
  }

  /** 6: of what the chain holds, and of no more. */
  onRestored(replica: number, index: number): void {
    if (index > this.newest) {
      const detail = `replica ${replica} restores ${index}, and only ${this.newest} was ever applied`;
      throw new Violation(6, "snapshot-of-the-chain", detail);
    }
  }

  onLeads(replica: number): void {
    this.#led.add(replica);
  }

  /** How far its log was durable at the most: as far as it said; who has led need not have said it. */
  heldUpTo(replica: number): number {
    const said = this.#vows.get(replica)?.acceptedLength ?? 0;
    return this.#led.has(replica) ? Math.max(this.newest, said) : said;
  }

  knowsState(index: number): boolean {
    return this.#hashes.has(index);
  }

  /** 5 and 6: however a replica came by its state, it is the one state of that index. */
  onState(replica: number, index: number, hash: string): void {
    const known = this.#hashes.get(index);
    if (known === undefined) {
      this.#hashes.set(index, hash);
      return;
    }
    if (known !== hash) {
      throw new Violation(5, "equal-state", `replica ${replica} has another state at ${index}`);
    }
  }

  /** 3: what a disk gives back is what this replica said that it would keep. */
  onRecovered(replica: number, log: RecoveredLog): void {
    const vows = this.#vows.get(replica);
    if (vows === undefined) return;
    if (compareBallots(log.promised, vows.promised) < 0) {
      const detail = `replica ${replica} promised ${name(vows.promised)} and comes back with ${name(log.promised)}`;
      throw new Violation(3, "promises-recovered", detail);
    }
    const byBallot = compareBallots(log.acceptedBallot, vows.acceptedBallot);
    const length = log.firstSlot - 1 + log.entries.length;
    if (byBallot < 0 || (byBallot === 0 && length < vows.acceptedLength)) {
      const detail =
        `replica ${replica} called slot ${vows.acceptedLength} in ${name(vows.acceptedBallot)} durable ` +
        `and comes back with ${length} in ${name(log.acceptedBallot)}`;
      throw new Violation(3, "acceptances-recovered", detail);
    }
  }

  onLeave(replica: number, life: number, message: PaxosMessage): void {
    switch (message.kind) {
      case "prepare":
        this.#onProposes(replica, life, name(message.ballot));
        this.#onVow(replica, message.ballot, "prepares");
        return;
      case "promise":
        this.#onPromise(replica, message);
        return;
      case "accepted":
        raise(this.#onVow(replica, message.ballot, "accepts in"), {
          acceptedBallot: message.ballot,
          length: message.length,
        });
        return;
      default:
        return;
    }
  }

  /** Proposals in a ballot come from one life of one replica. */
  #onProposes(replica: number, life: number, text: string): void {
    const proposer = `${replica}, life ${life}`;
    const known = this.#proposers.get(text) ?? proposer;
    this.#proposers.set(text, proposer);
    if (known !== proposer) {
      const detail = `ballot ${text} is proposed in by replica ${proposer} and by ${known}`;
      throw new Violation(4, "ballots-unique", detail);
    }
  }

  /** Of a log in the same ballot the proposer counts as much as the promise says. */
  #onPromise(replica: number, promise: Extract<PaxosMessage, { kind: "promise" }>): void {
    const vows = this.#onVow(replica, promise.ballot, "promises");
    if (compareBallots(promise.acceptedBallot, promise.ballot) === 0) raise(vows, promise);
  }

  #onVow(replica: number, ballot: Ballot, what: string): Vows {
    const vows = this.#vows.get(replica) ?? {
      promised: ZERO_BALLOT,
      acceptedBallot: ZERO_BALLOT,
      acceptedLength: 0,
    };
    this.#vows.set(replica, vows);
    if (compareBallots(ballot, vows.promised) < 0) {
      const detail = `replica ${replica} ${what} ${name(ballot)} and had promised ${name(vows.promised)}`;
      throw new Violation(3, "promises-kept", detail);
    }
    vows.promised = ballot;
    return vows;
  }
}

/** It has called so much of its log durable. */
function raise(vows: Vows, said: { acceptedBallot: Ballot; length: number }): void {
  const byBallot = compareBallots(said.acceptedBallot, vows.acceptedBallot);
  if (byBallot < 0) return;
  const length = byBallot === 0 ? Math.max(vows.acceptedLength, said.length) : said.length;
  vows.acceptedBallot = said.acceptedBallot;
  vows.acceptedLength = length;
}

function name({ round, replica }: Ballot): string {
  return `${round}.${replica}`;
}
