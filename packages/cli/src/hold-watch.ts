import { CLOCK_RATE_ERROR, CubbyError } from "@cubby/protocol";
import type { CellSession } from "./cell-access.ts";
import { sleep } from "./process/sleep.ts";

const ASK_EVERY_MS = 3_000;
/** How long the exit code may wait for a cell that does not answer. */
const LAST_WORD_MS = 2_000;
/** Nobody knows how long the machine slept: a short sleep ends nothing if the cell answers within this. */
const AWAKE_MS = 1_000;
const LOOK_EVERY_MS = 250;
/** A session that is over has lost its lock, whose own signal tells it. */
const NO_DOUBT_IN: ReadonlySet<string> = new Set(["safe", "expired", "closed"]);

type Verdict = Awaited<ReturnType<CellSession["checkSequencer"]>>;

type WatchedHold = {
  readonly path: string;
  readonly sequencerText: string;
  /** How long the session may be in jeopardy. */
  readonly graceMs: number;
  /** For so long in jeopardy nobody else is granted the lock. */
  readonly surelyClosedMs: number;
};

/** A lock-delay that the master may time by a fast clock, by our own, which may be a slow one. */
export function surelyClosedFor(lockDelayMs: number): number {
  return Math.floor((lockDelayMs * (1 - CLOCK_RATE_ERROR)) / (1 + CLOCK_RATE_ERROR));
}

/**
 * Notices what a lock's own signal tells too late for a command that cannot hold its work: that the
 * lock has gone with its node (GAP-8), which is how an operator breaks one, and that the session has
 * been in jeopardy for so long that another may be granted the lock.
 */
export class HoldWatch implements Disposable {
  readonly #session: CellSession;
  readonly #hold: WatchedHold;
  readonly #loss = new AbortController();
  readonly #end = new AbortController();
  readonly #stopListening: () => void;
  #isLostByDoubt = false;
  #doubt: NodeJS.Timeout | undefined;

  constructor(session: CellSession, hold: WatchedHold) {
    this.#session = session;
    this.#hold = hold;
    this.#stopListening = session.onState((state) => this.#onState(state));
    // The grant may have come with the news of the jeopardy, for which nobody listened yet.
    if (session.jeopardyMs !== undefined) this.#onState("jeopardy");
    this.#ask().catch((error: unknown) => {
      if (!this.#end.signal.aborted) this.#loss.abort(error);
    });
  }

  /** Aborts with lock_lost as the reason. */
  get signal(): AbortSignal {
    return this.#loss.signal;
  }

  /** Nobody has said that the lock is lost. */
  get isLostByDoubt(): boolean {
    return this.#isLostByDoubt;
  }

  /**
   * For when the command has ended: throws lock_lost if the lock had gone by then, and nobody saw it, or
   * may have, and the cell cannot be asked.
   */
  async assertHeldToTheEnd(): Promise<void> {
    const { jeopardyMs } = this.#session;
    const verdict = await this.#askOnce(LAST_WORD_MS);
    const loss = lossIn(verdict);
    if (loss !== undefined) {
      throw new CubbyError("lock_lost", `The lock was lost while the command ran: ${loss}.`);
    }
    if (verdict !== undefined || jeopardyMs === undefined) return;
    // It may be news to us: we were frozen together with the command, or the machine slept.
    if (jeopardyMs < this.#hold.surelyClosedMs) return;
    const detail =
      "While the command ran another may have been granted the lock: the cell does not answer.";
    throw new CubbyError("lock_lost", detail);
  }

  [Symbol.dispose](): void {
    this.#end.abort();
    this.#stopListening();
    this.#endDoubt();
  }

  async #ask(): Promise<void> {
    for (;;) {
      await sleep(ASK_EVERY_MS, this.#end.signal);
      const loss = lossIn(await this.#askOnce());
      if (loss !== undefined) throw new CubbyError("lock_lost", `The command was ended: ${loss}.`);
    }
  }

  /** A cell that does not answer has said nothing. */
  #askOnce(timeoutMs?: number): Promise<Verdict | undefined> {
    const { path, sequencerText } = this.#hold;
    return this.#session.checkSequencer(path, sequencerText, { timeoutMs }).catch(() => undefined);
  }

  #onState(state: string): void {
    if (state === "jeopardy") {
      const { jeopardyMs = 0 } = this.#session;
      const { graceMs } = this.#hold;
      // From the lease's end, and not from the notice, which comes late where we were frozen.
      if (this.#doubt === undefined)
        this.#doubtFor(hasSlept(jeopardyMs) ? graceMs : graceMs - jeopardyMs);
    } else if (NO_DOUBT_IN.has(state)) {
      this.#endDoubt();
    }
  }

  /** In short steps: of a sleep in a jeopardy there is no notice. */
  #doubtFor(leftMs: number, hadSlept = false): void {
    const isAwake = !hadSlept && hasSlept(this.#session.jeopardyMs ?? 0);
    const mostMs = isAwake ? Math.min(leftMs, AWAKE_MS) : leftMs;
    if (mostMs <= 0) {
      this.#loseByDoubt();
      return;
    }
    const stepMs = Math.min(mostMs, LOOK_EVERY_MS);
    const goOn = () => this.#doubtFor(mostMs - stepMs, hadSlept || isAwake);
    this.#doubt = setTimeout(goOn, stepMs);
  }

  #endDoubt(): void {
    clearTimeout(this.#doubt);
    this.#doubt = undefined;
  }

  #loseByDoubt(): void {
    this.#endDoubt();
    // A jeopardy that the clock alone knew of ends without a notice.
    if (this.#session.jeopardyMs === undefined) return;
    const detail =
      "The command was ended: the cell does not answer, and another may be granted the lock.";
    this.#isLostByDoubt = !this.#loss.signal.aborted;
    this.#loss.abort(new CubbyError("lock_lost", detail));
  }
}

function hasSlept(jeopardyMs: number): boolean {
  return jeopardyMs === Number.POSITIVE_INFINITY;
}

function lossIn(verdict: Verdict | undefined): string | undefined {
  return verdict?.valid === false ? verdict.reason : undefined;
}
