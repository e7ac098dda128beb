import { after, type Instant, NEVER } from "@cubby/base";
import type { CellState } from "../state/cell-state.ts";
import { type Timed, TimerHeap } from "./timer-heap.ts";

type DelayTimer = Timed & { readonly path: string; readonly beganAt: number };

/** How long to wait before proposing the end of a delay once more, should it not be applied. */
const REPEAT_MS = 1_000;

/**
 * LCK-7, GAP-3: the master times lock-delays and ends each by a command that names it. A new master
 * times every delay in full, since nobody knows how much of it the last one had seen.
 */
export class LockDelayTimers {
  readonly #timers = new TimerHeap<DelayTimer>();

  get wakeAt(): Instant {
    return (this.#timers.peek()?.dueAt as Instant | undefined) ?? NEVER;
  }

  /** A delay began, or was prolonged: an older timer of it will find that it names the past. */
  begin(now: Instant, state: CellState, path: string): void {
    const delay = state.namespace.delayOf(path);
    if (delay === undefined) return;
    const timer = { path, beganAt: delay.beganAt, dueAt: 0, heapIndex: -1 };
    this.#timers.add(timer, after(now, delay.lengthMs));
  }

  beginAll(now: Instant, state: CellState): void {
    for (const path of state.namespace.sortedPathsInDelay()) this.begin(now, state, path);
  }

  /** The next delay that is over, to be ended by a command. */
  takeDue(now: Instant, state: CellState): { path: string; beganAt: number } | undefined {
    for (;;) {
      const timer = this.#timers.peek();
      if (timer === undefined || timer.dueAt > now) return undefined;
      this.#timers.remove(timer);
      if (state.namespace.delayOf(timer.path)?.beganAt !== timer.beganAt) continue;
      this.#timers.add(timer, after(now, REPEAT_MS));
      return timer;
    }
  }
}
