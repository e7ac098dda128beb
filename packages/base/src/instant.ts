import { assert } from "./assert.ts";
import type { Branded } from "./brand.ts";

/**
 * Whole milliseconds on this machine's monotonic clock. Never a wall-clock time, never sent to
 * another machine. Durations are plain numbers whose names end in `Ms`.
 */
export type Instant = Branded<number, "Instant">;

/** Later than every instant that a clock can show: nothing is pending. */
export const NEVER = Number.MAX_SAFE_INTEGER as Instant;

export function instant(ms: number): Instant {
  assert(Number.isSafeInteger(ms), "an instant is a whole number of milliseconds");
  return ms as Instant;
}

/** The instant `durationMs` later (or earlier, when negative). What would pass NEVER is NEVER. */
export function after(from: Instant, durationMs: number): Instant {
  assert(Number.isSafeInteger(durationMs), "a duration is a whole number of milliseconds");
  const sum = from + durationMs;
  if (from === NEVER || sum >= NEVER) return NEVER;
  return instant(sum);
}

/** Milliseconds from one instant to the other; negative when `to` is the earlier one. */
export function msBetween(from: Instant, to: Instant): number {
  return to - from;
}

export function earliest(a: Instant, b: Instant): Instant {
  return a < b ? a : b;
}
