import { CubbyError } from "@cubby/protocol";
import { contentsBytes } from "./arguments.ts";
import type { Duration } from "./duration.ts";
import type { Handle } from "./handle.ts";
import type { Lock } from "./lock.ts";
import type { CubbySession } from "./session.ts";

export type ElectOptions = {
  /** Who leads: written into the file for everybody to read. */
  readonly value: Uint8Array | string;
  readonly lockDelay?: Duration;
  /** Gives up the candidacy. Once elected, `lead` is told through its own signal. */
  readonly signal?: AbortSignal;
};

/** What a leader needs in order to lead safely. */
export type LeaderContext = {
  /** Aborts when the leadership is lost, or when the candidate's own signal is aborted. */
  readonly signal: AbortSignal;
  /** To be sent along with everything that only a leader may do. */
  readonly sequencer: Uint8Array;
  readonly lock: Lock;
};

/** How long resigning may take: what is not cleared by then is overwritten by the next leader. */
const RESIGN_MS = 5_000;

const LOST: ReadonlySet<string> = new Set(["sequencer_stale", "stale_handle"]);

/** Why the leadership was not there to the end, if it is known to be lost. */
async function resign(file: Handle, lock: Lock): Promise<CubbyError | undefined> {
  // By the clock: what aborts the signal is a timer, which waits for a loop that was blocked.
  let { loss } = lock;
  if (lock.held) {
    await file.setContents("", { timeoutMs: RESIGN_MS }).catch((error: unknown) => {
      // Another leads, or could. Other errors say nothing of the lock: the next leader writes over it.
      const isLost = error instanceof CubbyError && LOST.has(error.code);
      if (isLost) loss = new CubbyError("lock_lost", error.message);
    });
  }
  await lock.release();
  return loss;
}

export async function elect<T>(
  session: CubbySession,
  path: string,
  options: ElectOptions,
  lead: (context: LeaderContext) => T | Promise<T>,
): Promise<T> {
  const { lockDelay, signal } = options;
  // Now, and not once the lock is held: that may be in days.
  const value = contentsBytes(options.value);
  const file = await session.open(path, {
    create: true,
    directory: false,
    signal,
    ...(lockDelay === undefined ? {} : { lockDelay }),
  });
  try {
    // A candidate may wait for days: only its signal ends that.
    const lock = await file.acquire({ signal, timeoutMs: Number.POSITIVE_INFINITY });
    // From here on a write that comes late is refused once another leads (SEQ-7).
    file.setSequencer(lock.sequencer);
    await file.setContents(value, { signal });
    const signals = signal === undefined ? [lock.signal] : [lock.signal, signal];
    const context = { signal: AbortSignal.any(signals), sequencer: lock.sequencer, lock };
    let loss: CubbyError | undefined;
    let result: T;
    try {
      result = await lead(context);
    } finally {
      loss = await resign(file, lock);
    }
    // Whoever counts on having led to the end must hear that it was not so.
    if (loss !== undefined) throw loss;
    return result;
  } finally {
    await file.close();
  }
}
