import type { Status } from "@cubby/protocol";

export type Health = { readonly ok: boolean; readonly reason: string };

/** A request that takes longer is no slow disk any more. */
const DISK_STUCK_MS = 5_000;

/** The loop turns, or this would not run; so what is asked here is the disk. */
export function livenessOf(oldestDiskRequestMs: number): Health {
  if (oldestDiskRequestMs < DISK_STUCK_MS) {
    return { ok: true, reason: "the event loop and the disk answer" };
  }
  const reason = `the disk has not answered a request for ${oldestDiskRequestMs} ms`;
  return { ok: false, reason };
}

/** It can serve: a master is known, or it is the master and its lease is live. */
export function readinessOf(status: Status): Health {
  const { role, masterId, leaseLeftMs } = status;
  if (role === "master") {
    return leaseLeftMs > 0
      ? { ok: true, reason: "master with a live lease" }
      : { ok: false, reason: "master, but its lease is not live: no quorum answers" };
  }
  if (!knowsMaster(status)) return { ok: false, reason: `no master is known (role: ${role})` };
  return { ok: true, reason: `replica ${masterId} is master` };
}

/** One that was master and is cut off from its quorum still names itself, though it serves nothing. */
export function knowsMaster({ role, masterId, replicaId }: Status): boolean {
  return masterId !== 0 && (masterId !== replicaId || role === "master");
}
