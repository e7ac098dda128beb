import type { OpenNode } from "../cell-access.ts";
import { monotonicMs } from "../process/monotonic.ts";
import { sleep } from "../process/sleep.ts";
import type { LockView } from "./drawing.ts";
import type { LockSighting } from "./timeline.ts";

const EVERY_MS = 20;
/** Some minutes' worth; a story asks about the last seconds only. */
const SIGHTINGS_MAX = 20_000;

/** Looks at a lock from outside, many times a second, and keeps what it saw. */
export class LockWatch {
  readonly #sightings: LockSighting[] = [];
  #view: LockView = { state: "unknown" };

  get sightings(): readonly LockSighting[] {
    return this.#sightings;
  }

  get view(): LockView {
    return this.#view;
  }

  /** Until `signal` aborts. `node` is asked for anew after each failure. */
  async run(node: () => Promise<OpenNode>, signal: AbortSignal): Promise<void> {
    let open: OpenNode | undefined;
    while (!signal.aborted) {
      try {
        open ??= await node();
        await this.#look(open);
      } catch {
        // No answer is no sighting: the cell has no master now, or the session is over.
        this.#view = { state: "unknown" };
        open = undefined;
      }
      await sleep(EVERY_MS, signal).catch(() => undefined);
    }
  }

  async #look(node: OpenNode): Promise<void> {
    const askedAtMs = monotonicMs();
    const stat = await node.stat();
    const held = stat.lock !== "free";
    this.#view = { state: stat.lockDelayed ? "delayed" : held ? "held" : "free" };
    this.#sightings.push({
      askedAtMs,
      answeredAtMs: monotonicMs(),
      held: held && !stat.lockDelayed,
      generation: stat.lockGeneration,
    });
    if (this.#sightings.length > SIGHTINGS_MAX) this.#sightings.shift();
  }
}
