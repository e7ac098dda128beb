import { CubbyError, quoted, sequencerToText } from "@cubby/protocol";
import type { Handle } from "./handle.ts";
import type { CubbySession } from "./session.ts";
import type { LockMode } from "./stat.ts";

/**
 * A lock in hand. It is a lease: `assertHeld` says whether it still holds *here and now*, and the
 * sequencer lets others refuse what arrives after it has passed on. Only the latter is proof.
 */
export class Lock implements AsyncDisposable {
  readonly mode: LockMode;
  /** SEQ-1: for those whom the lock protects; they compare it or have it checked. */
  readonly sequencer: Uint8Array;
  /** Rises each time that a free lock of this name is taken: the fencing number. Those who share a lock share it. */
  readonly lockGeneration: number;
  readonly #handle: Handle;
  readonly #session: CubbySession;
  #loss: CubbyError | undefined;
  #controller: AbortController | undefined;
  #release: Promise<boolean> | undefined;

  /** Made by `acquire` alone. */
  constructor(
    session: CubbySession,
    handle: Handle,
    grant: { mode: LockMode; sequencer: Uint8Array; lockGeneration: number },
  ) {
    this.#session = session;
    this.#handle = handle;
    this.mode = grant.mode;
    this.sequencer = grant.sequencer;
    this.lockGeneration = grant.lockGeneration;
  }

  get path(): string {
    return this.#handle.path;
  }

  /** The sequencer as text, for environment variables and headers. */
  get sequencerText(): string {
    return sequencerToText(this.sequencer);
  }

  /** True while `assertHeld` would not throw. */
  get held(): boolean {
    return this.#problem() === undefined;
  }

  /**
   * Throws unless the lock may be relied on now: `lock_lost` once it is gone, `session_jeopardy`
   * while nobody knows. Compares clocks and trusts no timer, so that it is right even when the
   * event loop was blocked past the deadline.
   */
  assertHeld(): void {
    const problem = this.#problem();
    if (problem !== undefined) throw problem;
  }

  /**
   * Aborts, with a `CubbyError` lock_lost as reason, when the lock is lost for good: the session
   * expired or was closed, a call on the handle found that the node was deleted, or another `Lock` of the
   * same handle was released. Jeopardy does not abort it, since the session may yet be safe; `assertHeld`
   * throws then. Its own release does not abort it either, nor that of its handle.
   */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#loss !== undefined) this.#controller.abort(this.#loss);
    }
    return this.#controller.signal;
  }

  /**
   * Gives the lock back: true when the cell has said so. Never throws, may be called twice, and
   * returns in bounded time; what could not be said by then is said later, or the session's end
   * frees the lock.
   */
  release(): Promise<boolean> {
    this.#release ??= this.#loss === undefined ? this.#handle.releaseQuietly(this) : NOT_RELEASED;
    return this.#release;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }

  /** For the handle: the lock is being given back by other means than `release`. */
  markReleased(): void {
    this.#release ??= NOT_RELEASED;
  }

  /** For the session and the handle: the lock is gone. */
  lose(why: string): void {
    if (this.#loss !== undefined || this.#release !== undefined) return;
    this.#loss = this.#lossError(why);
    this.#controller?.abort(this.#loss);
  }

  /** For `elect`: why it is gone or in doubt, by the clock; given back on purpose, it is not lost. */
  get loss(): CubbyError | undefined {
    return this.#release === undefined ? this.#problem() : this.#loss;
  }

  #problem(): CubbyError | undefined {
    if (this.#loss !== undefined) return this.#loss;
    if (this.#release !== undefined) return this.#lossError("it was released");
    switch (this.#session.leaseNow()) {
      case "live":
        return undefined;
      case "over":
        return this.#lossError("the session has expired");
      case "inDoubt":
        return new CubbyError(
          "session_jeopardy",
          `The session's lease has run out, so the lock on ${quoted(this.path)} is in doubt.`,
        );
    }
  }

  #lossError(why: string): CubbyError {
    return new CubbyError(
      "lock_lost",
      `The lock on ${quoted(this.path)} (generation ${this.lockGeneration}) is lost: ${why}.`,
    );
  }
}

const NOT_RELEASED = Promise.resolve(false);
