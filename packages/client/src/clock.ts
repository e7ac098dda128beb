import { uptime } from "node:os";
import { performance } from "node:perf_hooks";
import { type Instant, instant } from "@cubby/base";

/** A jump of this much says that the machine slept: uptime counts sleep, the clock does not. */
const SUSPEND_JUMP_MS = 50;

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

  constructor(
    uptimeMs: () => number = () => uptime() * 1000,
    clockMs: () => number = () => performance.now(),
  ) {
    this.#uptimeMs = uptimeMs;
    this.#clockMs = clockMs;
    this.#offsetMs = uptimeMs() - clockMs();
  }

  /** True when uptime has run ahead of the clock since the last look. */
  hasSlept(): boolean {
    const offsetMs = this.#uptimeMs() - this.#clockMs();
    const jumpMs = offsetMs - this.#offsetMs;
    // Small differences are uptime's coarse resolution; they are followed only downwards, so that
    // many small sleeps add up to a large one.
    if (jumpMs < 0) this.#offsetMs = offsetMs;
    if (jumpMs <= SUSPEND_JUMP_MS) return false;
    this.#offsetMs = offsetMs;
    return true;
  }
}
