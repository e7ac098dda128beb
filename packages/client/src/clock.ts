import { uptime } from "node:os";
import { performance } from "node:perf_hooks";
import { type Instant, instant } from "@cubby/base";

/** A jump of this much says that the machine slept: uptime counts sleep, the clock does not. */
const SUSPEND_JUMP_MS = 50;
/** Where uptime is counted in whole seconds, as on macOS, its own steps are as long as this. */
const UPTIME_STEP_MS = 1_000;

/** Rounded down: what is counted from here ends early rather than late. */
export function monotonicNow(): Instant {
  return instant(Math.floor(performance.now()));
}

/** True from `deadline` on, without rounding in the caller's favor. */
export function hasPassed(deadline: Instant): boolean {
  return performance.now() >= deadline;
}

/**
 * Notices that the machine was suspended. On Linux the monotonic clock stands still meanwhile, so
 * a lease looks live although the cell has long expired it (reliability §7).
 */
export class SuspendDetector {
  readonly #uptimeMs: () => number;
  readonly #clockMs: () => number;
  #offsetMs: number;
  /** Until a reading shows otherwise. */
  #countsWholeSeconds = true;

  constructor(
    uptimeMs: () => number = () => uptime() * 1000,
    clockMs: () => number = () => performance.now(),
  ) {
    this.#uptimeMs = uptimeMs;
    this.#clockMs = clockMs;
    this.#offsetMs = this.#read().offsetMs;
  }

  /** True when uptime has run ahead of the clock since the last look. */
  hasSlept(): boolean {
    const { offsetMs, leastMs, isRounded } = this.#read();
    const jumpMs = leastMs - this.#offsetMs;
    // Small differences are uptime's coarse resolution; they are followed only downwards, so that
    // many small sleeps add up to a large one.
    if (offsetMs < this.#offsetMs && !isRounded) this.#offsetMs = offsetMs;
    const stepMs = this.#countsWholeSeconds ? UPTIME_STEP_MS : 0;
    if (jumpMs <= SUSPEND_JUMP_MS + stepMs) return false;
    this.#offsetMs = isRounded ? offsetMs + UPTIME_STEP_MS : offsetMs;
    return true;
  }

  /**
   * Where uptime is finer, whole seconds are what Node falls back to when no file can be opened: the
   * true offset is no less than such a reading, and each new second would look like a sleep.
   */
  #read(): { offsetMs: number; leastMs: number; isRounded: boolean } {
    // The clock before and after: a process that stood still between the readings has not slept.
    const clockMs = this.#clockMs();
    const uptimeMs = this.#uptimeMs();
    const isWhole = uptimeMs % UPTIME_STEP_MS === 0;
    if (!isWhole) this.#countsWholeSeconds = false;
    return {
      offsetMs: uptimeMs - clockMs,
      leastMs: uptimeMs - this.#clockMs(),
      isRounded: isWhole && !this.#countsWholeSeconds,
    };
  }
}
