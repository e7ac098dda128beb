import { LockMode } from "@cubby/protocol";

/**
 * LCK-7: the lock of a failed holder stays closed. The state holds no deadline: the master times
 * the delay and ends it by a command, and a new master times it again from the start (GAP-3).
 */
export type LockDelay = {
  readonly lengthMs: number;
  /** What the failed holder held. After a shared holder only exclusive claims wait (GAP-4). */
  readonly mode: LockMode;
  /**
   * Index of the log entry that began it, or last prolonged it. The command that ends a delay names
   * this and not the lock generation, which two shared holders that fail one after the other share:
   * the end of the first one's delay must not cut the second one's short.
   */
  readonly beganAt: number;
};

/** The delay after one more holder has failed (GAP-4: the longest one holds, and starts again). */
export function prolonged(
  delay: LockDelay | undefined,
  failed: { lengthMs: number; mode: LockMode; index: number },
): LockDelay {
  return {
    lengthMs: Math.max(failed.lengthMs, delay?.lengthMs ?? 0),
    mode: failed.mode,
    beganAt: failed.index,
  };
}

/** True when the delay keeps a claim in `mode` out. */
export function delaysClaim(delay: LockDelay | undefined, mode: LockMode): boolean {
  if (delay === undefined) return false;
  return mode === LockMode.EXCLUSIVE || delay.mode === LockMode.EXCLUSIVE;
}
