/** What happens when, in order of time and then of arrival. */

import { assert, EventQueue } from "@cubby/base";

export class VirtualTime {
  now = 0;
  readonly #events = new EventQueue();

  /** Runs it at that time, or next if that has passed. */
  at(time: number, run: () => void): void {
    this.#events.push(Math.max(time, this.now), run);
  }

  /** How long it took until the condition held; undefined if `maxMs` passed without. */
  runUntil(condition: () => boolean, maxMs: number): number | undefined {
    const start = this.now;
    const end = start + maxMs;
    while (!condition()) {
      if (this.#events.nextAt > end) {
        this.now = end;
        return undefined;
      }
      const next = this.#events.pop();
      assert(next !== undefined, "an event that is due is there");
      this.now = next.at;
      next.run();
    }
    return this.now - start;
  }
}
