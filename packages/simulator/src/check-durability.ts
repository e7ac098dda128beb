import { equalBytes } from "@cubby/base";
import { type Ballot, compareBallots, isCommand, type RecoveredLog } from "@cubby/paxos";
import { recover, recoveredLog, type SimDisk } from "@cubby/server/core";
import type { LogChecker } from "./check-log.ts";
import type { ReplicaProcess } from "./replica-process.ts";
import { quorumOf } from "./topology.ts";
import { Violation } from "./violation.ts";

/** What a disk would vote with. */
type Vote = { readonly holds: boolean; readonly acceptedBallot: Ballot; readonly length: number };

type Found = { readonly version: number; readonly log: RecoveredLog | undefined };

/** 2: what is acknowledged lies on the disks of a quorum, whatever memory says, and stays chosen. */
export class DurabilityChecker {
  readonly #replicas: readonly ReplicaProcess[];
  readonly #log: LogChecker;
  /** To read a disk costs much, and a third of those looked at have not changed since. */
  readonly #found = new WeakMap<SimDisk, Found>();
  /** How far a disk that is lost had got by then, at the most. */
  readonly #lostAt = new Map<ReplicaProcess, number>();

  constructor(replicas: readonly ReplicaProcess[], log: LogChecker) {
    this.#replicas = replicas;
    this.#log = log;
  }

  /** Reads all disks as a process would that starts now, after a power loss. */
  check(index: number, occasion: string): void {
    this.#noteLost();
    const command = this.#log.command(index);
    if (command === undefined) return;
    const quorum = quorumOf(this.#replicas.length);
    const votes: Vote[] = [];
    // What was tampered with later is no fault of the log: a damaged or lost disk held what it called durable.
    let holding = 0;
    for (const replica of this.#replicas) {
      const lostAt = this.#lostAt.get(replica);
      const isLost = lostAt !== undefined;
      const vote = isLost ? undefined : voteOf(this.#logOn(replica), index, command);
      const held = isLost
        ? index <= lostAt
        : (vote?.holds ?? index <= this.#log.heldUpTo(replica.id));
      if (held) holding += 1;
      if (vote !== undefined) votes.push(vote);
    }
    if (holding < quorum) {
      const detail = `${occasion}, and only ${holding} of ${quorum} disks hold it`;
      throw new Violation(2, "durable-on-a-quorum", detail);
    }
    // A new leader goes on with the freshest log of a quorum: there must be none without it.
    for (const vote of votes) {
      if (vote.holds || votes.filter((each) => !isFresher(each, vote)).length < quorum) continue;
      const detail = `${occasion}, and a quorum could elect a log of ${vote.length} without it`;
      throw new Violation(2, "chosen-for-ever", detail);
    }
  }

  #noteLost(): void {
    for (const replica of this.#replicas) {
      const isOut = replica.isLost || replica.isWiped;
      if (!isOut || this.#lostAt.has(replica)) continue;
      this.#lostAt.set(replica, this.#log.heldUpTo(replica.id));
    }
  }

  #logOn({ id, disk, tampered, hasLostSnapshot }: ReplicaProcess): RecoveredLog | undefined {
    const { version } = disk;
    const found = this.#found.get(disk);
    if (found?.version === version) return found.log;
    const result = disk.findAfterPowerLoss(recover({ expected: {} }));
    if (result.kind !== "recovered" && tampered.size === 0 && !hasLostSnapshot) {
      const detail = `replica ${id} would find ${result.kind} after a power loss, on a disk that was not damaged`;
      throw new Violation(24, "recovers-alone", detail);
    }
    const log = result.kind === "recovered" ? recoveredLog(result) : undefined;
    this.#found.set(disk, { version, log });
    return log;
  }
}

/** Undefined for a disk that would not be let vote. */
function voteOf(
  log: RecoveredLog | undefined,
  index: number,
  command: Uint8Array,
): Vote | undefined {
  if (log === undefined) return undefined;
  const { acceptedBallot, snapshot, entries, firstSlot } = log;
  const entry = entries[index - firstSlot];
  const isInSnapshot = snapshot !== undefined && snapshot.slot >= index;
  const isEntry = entry !== undefined && isCommand(entry) && equalBytes(entry, command);
  const length = firstSlot - 1 + entries.length;
  return { holds: isInSnapshot || isEntry, acceptedBallot, length };
}

function isFresher(a: Vote, b: Vote): boolean {
  const byBallot = compareBallots(a.acceptedBallot, b.acceptedBallot);
  return byBallot > 0 || (byBallot === 0 && a.length > b.length);
}
