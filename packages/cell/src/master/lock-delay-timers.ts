import { after, earliest, type Instant, NEVER } from "@cubby/base";
import type { EndLockDelay } from "@cubby/protocol";
import type { CellState } from "../state/cell-state.ts";
import { type Timed, TimerHeap } from "./timer-heap.ts";

type DelayTimer = Timed & EndLockDelay;

/** Ends under way at once: many that are due together must not crowd out what clients ask for. */
export const DELAY_ENDS_UNDER_WAY_MAX = 1_024;
/** How long to wait before proposing the end of a delay once more, should it not be applied. */
const REPEAT_MS = 1_000;

/**
 * LCK-7, GAP-3: the master times lock-delays and ends each by a command that names it. A new master
 * times every delay in full, since nobody knows how much of it the last one had seen.
 */
export class LockDelayTimers {
  readonly #timers = new TimerHeap<DelayTimer>();
  /** Those whose end has been proposed, by when it is proposed again; and by path. */
  readonly #underWay = new TimerHeap<DelayTimer>();
  readonly #underWayByPath = new Map<string, DelayTimer>();

  get wakeAt(): Instant {
    const repeat = dueAt(this.#underWay);
    // The end of one under way makes room for the next, and needs no wake.
    return this.#isFull ? repeat : earliest(repeat, dueAt(this.#timers));
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
  takeDue(now: Instant, state: CellState): EndLockDelay | undefined {
    for (;;) {
      const timer = this.#nextDue(now);
      if (timer === undefined) return undefined;
      if (state.namespace.delayOf(timer.path)?.beganAt !== timer.beganAt) continue;
      // An older one of the name is past, should it still be under way.
      this.#leave(this.#underWayByPath.get(timer.path));
      this.#underWayByPath.set(timer.path, timer);
      this.#underWay.add(timer, after(now, REPEAT_MS));
      return timer;
    }
  }

  /** The command has been applied; a repetition of it may have been applied before. */
  onApplied({ path, beganAt }: EndLockDelay): void {
    const timer = this.#underWayByPath.get(path);
    if (timer?.beganAt === beganAt) this.#leave(timer);
  }

  get #isFull(): boolean {
    return this.#underWay.size >= DELAY_ENDS_UNDER_WAY_MAX;
  }

  /** Taken out of its timers. What was proposed before goes first: it has its place already. */
  #nextDue(now: Instant): DelayTimer | undefined {
    const again = this.#underWay.peek();
    if (again !== undefined && again.dueAt <= now) {
      this.#leave(again);
      return again;
    }
    const timer = this.#timers.peek();
    if (timer === undefined || timer.dueAt > now || this.#isFull) return undefined;
    this.#timers.remove(timer);
    return timer;
  }

  #leave(timer: DelayTimer | undefined): void {
    if (timer === undefined) return;
    this.#underWayByPath.delete(timer.path);
    this.#underWay.remove(timer);
  }
}

function dueAt(timers: TimerHeap<DelayTimer>): Instant {
  return (timers.peek()?.dueAt as Instant | undefined) ?? NEVER;
}
