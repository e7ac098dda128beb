import { equalBytes } from "@cubby/base";
import { type Ballot, compareBallots, isCommand } from "@cubby/paxos";
import { recover, recoveredLog, type SimDisk } from "@cubby/server/core";
import type { LogChecker } from "./check-log.ts";
import type { ReplicaProcess } from "./replica-process.ts";
import { quorumOf } from "./topology.ts";
import { Violation } from "./violation.ts";

/** What a disk would vote with. */
type Vote = { readonly holds: boolean; readonly acceptedBallot: Ballot; readonly length: number };

/** 2: what is acknowledged lies on the disks of a quorum, whatever memory says, and stays chosen. */
export class DurabilityChecker {
  readonly #replicas: readonly ReplicaProcess[];
  readonly #log: LogChecker;

  constructor(replicas: readonly ReplicaProcess[], log: LogChecker) {
    this.#replicas = replicas;
    this.#log = log;
  }

  /** Reads all disks as a process would that starts now, after a power loss. */
  check(index: number, occasion: string): void {
    const command = this.#log.command(index);
    if (command === undefined) return;
    const quorum = quorumOf(this.#replicas.length);
    const votes: Vote[] = [];
    // A damaged or lost disk held it: what was tampered with later is no fault of the log.
    let holding = 0;
    for (const replica of this.#replicas) {
      const isOut = replica.isLost || replica.isWiped;
      const vote = isOut ? undefined : voteOf(replica.disk, index, command);
      if (vote === undefined || vote.holds) holding += 1;
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
}

/** Undefined for a disk that would not be let vote. */
function voteOf(disk: SimDisk, index: number, command: Uint8Array): Vote | undefined {
  const result = disk.findAfterPowerLoss(recover({ expected: {} }));
  if (result.kind !== "recovered") return undefined;
  const { acceptedBallot, snapshot, entries, firstSlot } = recoveredLog(result);
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
