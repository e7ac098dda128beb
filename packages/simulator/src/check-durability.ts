import { equalBytes } from "@cubby/base";
import { isCommand } from "@cubby/paxos";
import { drive, recover, recoveredLog, type SimDisk } from "@cubby/server/core";
import type { LogChecker } from "./check-log.ts";
import type { ReplicaProcess } from "./replica-process.ts";
import { Violation } from "./violation.ts";

/** 2: what is acknowledged lies on the disks of a quorum, whatever memory says. */
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
    const quorum = Math.floor(this.#replicas.length / 2) + 1;
    let holding = 0;
    for (const replica of this.#replicas) {
      // A damaged or lost disk held it: what was tampered with later is no fault of the log.
      if (replica.isLost || replica.isWiped || holds(replica.disk, index, command)) holding += 1;
    }
    if (holding >= quorum) return;
    const detail = `${occasion}, and only ${holding} of ${quorum} disks hold it`;
    throw new Violation(2, "durable-on-a-quorum", detail);
  }
}

function holds(disk: SimDisk, index: number, command: Uint8Array): boolean {
  const result = drive(disk.copy(), recover({ expected: {} }));
  if (result.kind !== "recovered") return true;
  const { snapshot, entries, firstSlot } = recoveredLog(result);
  if (snapshot !== undefined && snapshot.slot >= index) return true;
  const entry = entries[index - firstSlot];
  return entry !== undefined && isCommand(entry) && equalBytes(entry, command);
}
