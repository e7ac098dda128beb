import { CubbyError } from "@cubby/protocol";
import { contentsBytes, signalOf } from "./arguments.ts";
import type { Duration } from "./duration.ts";
import type { Handle } from "./handle.ts";
import type { Lock } from "./lock.ts";
import type { OpenOptions } from "./open-options.ts";
import { callOptions, detailOf, ignore, onceAborted } from "./pending-call.ts";
import type { CubbySession } from "./session.ts";

export type ElectOptions = {
  /** Who leads: written into the file for everybody to read. */
  readonly value: Uint8Array | string;
  readonly lockDelay?: Duration | undefined;
  /** Gives up the candidacy. Once elected, `lead` is told through its own signal. */
  readonly signal?: AbortSignal | undefined;
};

/** What a leader needs in order to lead safely. */
export type LeaderContext = {
  /** Aborts when the leadership is lost, or when the candidate's own signal is aborted, until `elect` settles. */
  readonly signal: AbortSignal;
  /** To be sent along with everything that only a leader may do. */
  readonly sequencer: Uint8Array;
  /** To resign, return from `lead` instead of releasing it: the value in the file is cleared only then. */
  readonly lock: Lock;
};

/** How long resigning may take: what is not cleared by then is overwritten by the next leader. */
const RESIGN_MS = 5_000;

const LOST: ReadonlySet<string> = new Set(["sequencer_stale", "stale_handle"]);

function isLost(error: unknown): error is CubbyError {
  return error instanceof CubbyError && LOST.has(error.code);
}

/** A deletion takes the lock along (GAP-8), and nothing but a call tells of it. */
const ASK_EVERY_MS = 3_000;

/** Why the leadership was not there to the end, or may not have been. */
async function resign(file: Handle, lock: Lock): Promise<CubbyError | undefined> {
  // By the clock: what aborts the signal is a timer, which waits for a loop that was blocked.
  let { loss } = lock;
  if (lock.held || loss?.code === "session_jeopardy") {
    try {
      await file.setContents("", { timeoutMs: RESIGN_MS });
      // Nobody else was elected meanwhile: the guard would have refused it.
      loss = undefined;
    } catch (error) {
      // Another leads, or could. Other errors say nothing of the lock: the next leader writes over it.
      if (isLost(error)) loss = new CubbyError("lock_lost", detailOf(error));
      else if (loss !== undefined) {
        const detail = "The session was in doubt at the end, and the cell could not be asked.";
        loss = new CubbyError("lock_lost", detail, { cause: loss });
      }
    }
  }
  await lock.release();
  return loss;
}

/** Returns what ends it. */
function askForDeletion(file: Handle): () => void {
  const timer = setInterval(() => {
    // Its handle takes the lock for lost if the answer says so; that there is none says nothing.
    file.getStat({ timeoutMs: ASK_EVERY_MS }).catch(ignore);
  }, ASK_EVERY_MS);
  return () => clearInterval(timer);
}

/** `AbortSignal.any` would hear nothing of a signal of another realm, such as jsdom's. */
function abortWithAny(signals: readonly AbortSignal[]): { signal: AbortSignal; stop: () => void } {
  const controller = new AbortController();
  const stops = signals.map((signal) => {
    const abort = (): void => controller.abort(signal.reason);
    if (signal.aborted) abort();
    return onceAborted(signal, abort);
  });
  const stop = (): void => {
    for (const stopOne of stops) stopOne();
  };
  return { signal: controller.signal, stop };
}

/** The open file with its lock in hand, and the value in it. */
async function win(
  session: CubbySession,
  path: string,
  open: OpenOptions,
  value: Uint8Array,
): Promise<{ file: Handle; lock: Lock }> {
  const how = callOptions(open);
  for (;;) {
    const file = await session.open(path, open);
    let lock: Lock | undefined;
    try {
      lock = await file.acquire(how);
      // From here on a write that comes late is refused once another leads (SEQ-7).
      file.setSequencer(lock.sequencer);
      await file.setContents(value, how);
      return { file, lock };
    } catch (error) {
      // The value may have been written all the same, and would name a leader that there is not.
      if (lock !== undefined) await resign(file, lock);
      await file.close();
      // Deleted, and its lock and those who waited for it (GAP-8): the next one is made anew.
      if (!isLost(error)) throw error;
    }
  }
}

export async function elect<T>(
  session: CubbySession,
  path: string,
  options: ElectOptions,
  lead: (context: LeaderContext) => T | Promise<T>,
): Promise<T> {
  // Now, and not once the lock is held: that may be in days.
  const value = contentsBytes(options?.value);
  if (typeof lead !== "function") {
    const detail = "Give `elect` a function to run while it leads, as its third argument.";
    throw new CubbyError("invalid_argument", detail);
  }
  const { lockDelay } = options;
  const signal = signalOf(options.signal);
  const open = {
    create: true,
    directory: false,
    signal,
    // A candidate may wait for days, for the lock or for the cell: only its signal ends that.
    timeoutMs: Number.POSITIVE_INFINITY,
    ...(lockDelay === undefined ? {} : { lockDelay }),
  };
  const { file, lock } = await win(session, path, open, value);
  const either = abortWithAny(signal === undefined ? [lock.signal] : [lock.signal, signal]);
  try {
    const context = { signal: either.signal, sequencer: lock.sequencer, lock };
    const stopAsking = askForDeletion(file);
    let loss: CubbyError | undefined;
    let result: T;
    try {
      result = await lead(context);
    } finally {
      stopAsking();
      loss = await resign(file, lock);
    }
    // Whoever counts on having led to the end must hear that it was not so.
    if (loss !== undefined) throw loss;
    return result;
  } finally {
    either.stop();
    await file.close();
  }
}
