import { CubbyError } from "@cubby/protocol";
import { sleep } from "./process/sleep.ts";

const LOOK_EVERY_MS = 50;

/**
 * Waits while nobody knows whether the lock is held, which ends at the latest with the session.
 * Throws when the lock is lost, and when the signal aborts.
 */
export async function whenHeld(assertHeld: () => void, signal: AbortSignal): Promise<void> {
  for (;;) {
    if (signal.aborted) throw lossOf(signal);
    if (!isInDoubt(assertHeld)) return;
    // The clock says more than a notice of the session, which a lease that is renewed in time spares.
    await sleep(LOOK_EVERY_MS, signal).catch(() => undefined);
  }
}

export function lossOf({ reason }: AbortSignal): CubbyError {
  if (reason instanceof CubbyError) return reason;
  return new CubbyError("lock_lost", "The lock was lost, or may be.");
}

function isInDoubt(assertHeld: () => void): boolean {
  try {
    assertHeld();
    return false;
  } catch (error) {
    if (error instanceof CubbyError && error.code === "session_jeopardy") return true;
    throw error;
  }
}
