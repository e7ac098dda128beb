import { CubbyError } from "@cubby/protocol";
import type { CellSession } from "./cell-access.ts";
import { sleep } from "./process/sleep.ts";

const ASK_EVERY_MS = 3_000;
/** A session that is over has lost its lock, whose own signal tells it. */
const NO_DOUBT_IN: ReadonlySet<string> = new Set(["safe", "expired", "closed"]);

/**
 * Notices what a lock's own signal tells too late for a command that cannot hold its work: that the
 * lock has gone with its node (GAP-8), which is how an operator breaks one, and that the session has
 * been in jeopardy for so long that another may be granted the lock.
 */
export class HoldWatch implements Disposable {
  readonly #session: CellSession;
  readonly #graceMs: number;
  readonly #loss = new AbortController();
  readonly #end = new AbortController();
  readonly #stopListening: () => void;
  #doubt: NodeJS.Timeout | undefined;

  constructor(
    session: CellSession,
    hold: { readonly path: string; readonly sequencerText: string; readonly graceMs: number },
  ) {
    this.#session = session;
    this.#graceMs = hold.graceMs;
    this.#stopListening = session.onState((state) => this.#onState(state));
    // The grant may have come with the news of the jeopardy, for which nobody listened yet.
    if (session.inJeopardy) this.#onState("jeopardy");
    this.#ask(hold.path, hold.sequencerText).catch((error: unknown) => {
      if (!this.#end.signal.aborted) this.#loss.abort(error);
    });
  }

  /** Aborts with lock_lost as the reason. */
  get signal(): AbortSignal {
    return this.#loss.signal;
  }

  [Symbol.dispose](): void {
    this.#end.abort();
    this.#stopListening();
    this.#endDoubt();
  }

  async #ask(path: string, sequencerText: string): Promise<void> {
    for (;;) {
      await sleep(ASK_EVERY_MS, this.#end.signal);
      // A cell that does not answer has said nothing.
      const verdict = await this.#session
        .checkSequencer(path, sequencerText)
        .catch(() => undefined);
      if (verdict?.valid === false) {
        throw new CubbyError("lock_lost", `The command was ended: ${verdict.reason}.`);
      }
    }
  }

  #onState(state: string): void {
    if (state === "jeopardy") {
      this.#doubt ??= setTimeout(() => this.#loseByDoubt(), this.#graceMs);
    } else if (NO_DOUBT_IN.has(state)) {
      this.#endDoubt();
    }
  }

  #endDoubt(): void {
    clearTimeout(this.#doubt);
    this.#doubt = undefined;
  }

  #loseByDoubt(): void {
    this.#doubt = undefined;
    // A jeopardy that the clock alone knew of ends without a notice.
    if (!this.#session.inJeopardy) return;
    const detail =
      "The command was ended: the cell does not answer, and another may be granted the lock.";
    this.#loss.abort(new CubbyError("lock_lost", detail));
  }
}
