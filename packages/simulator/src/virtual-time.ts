import { assert, EventQueue } from "@cubby/base";

/**
 * True time of a run, in ms. What happens at one instant happens in the order in which it was
 * asked for; whoever delivers messages draws their delays, so that no order is favored.
 */
export class VirtualTime {
  now = 0;
  readonly #events = new EventQueue();

  /** Runs it at that time, or next if that has passed. */
  at(time: number, run: () => void): void {
    this.#events.push(time > this.now ? time : this.now, run);
  }

  after(ms: number, run: () => void): void {
    this.at(this.now + ms, run);
  }

  /** All there is up to `end`. */
  runTo(end: number): void {
    while (this.step(end));
  }

  /** Skips to the next event and runs it; false if there is none before `end`. */
  step(end: number): boolean {
    if (this.#events.nextAt > end) {
      this.now = Math.max(this.now, end);
      return false;
    }
    const next = this.#events.pop();
    assert(next !== undefined, "an event that is due is there");
    this.now = next.at;
    next.run();
    return true;
  }
}
