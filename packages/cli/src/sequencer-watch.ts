import { CubbyError } from "@cubby/protocol";
import type { CellSession } from "./cell-access.ts";
import { sleep } from "./process/sleep.ts";

const ASK_EVERY_MS = 3_000;

/**
 * Notices that a lock has gone with its node (GAP-8), which is how an operator breaks one. The
 * session is none the worse for it, so nothing else tells its holder.
 */
export class SequencerWatch implements Disposable {
  readonly #loss = new AbortController();
  readonly #end = new AbortController();

  constructor(session: CellSession, path: string, sequencerText: string) {
    this.#watch(session, path, sequencerText).catch((error: unknown) => {
      if (!this.#end.signal.aborted) this.#loss.abort(error);
    });
  }

  /** Aborts, with lock_lost as the reason, when the cell says that the sequencer is stale. */
  get signal(): AbortSignal {
    return this.#loss.signal;
  }

  [Symbol.dispose](): void {
    this.#end.abort();
  }

  async #watch(session: CellSession, path: string, sequencerText: string): Promise<void> {
    for (;;) {
      await sleep(ASK_EVERY_MS, this.#end.signal);
      // A cell that does not answer has said nothing: the session's lease decides then.
      const verdict = await session.checkSequencer(path, sequencerText).catch(() => undefined);
      if (verdict?.valid === false) throw new CubbyError("lock_lost", verdict.reason);
    }
  }
}
