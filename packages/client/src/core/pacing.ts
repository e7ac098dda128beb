import { assert, type Rng } from "@cubby/base";
import {
  FAST_PROBE_MS_MAX,
  FAST_PROBE_MS_MIN,
  FAST_PROBE_PHASE_MS,
  RECONNECT_MS_FIRST,
  RECONNECT_MS_MAX,
  REPEAT_MS_FIRST,
  REPEAT_MS_MAX,
  SLOW_PROBE_MS_MAX,
} from "./limits.ts";

/** Half of the doubling delay is fixed and half is drawn, so that clients do not march in step. */
function doubling(rng: Rng, attempt: number, firstMs: number, maxMs: number): number {
  assert(attempt >= 1, "attempts count from 1");
  const delayMs = Math.min(maxMs, firstMs * 2 ** Math.min(attempt - 1, 20));
  return Math.ceil(delayMs / 2) + rng.below(Math.floor(delayMs / 2) + 1);
}

/** While a search is young: quick enough for a fail-over, and no storm. */
export function firstProbeDelayMs(rng: Rng): number {
  return rng.between(FAST_PROBE_MS_MIN, FAST_PROBE_MS_MAX);
}

/** Until the next replicas are asked for the master; `slowSteps` counts those past the fast phase. */
export function probeDelayMs(rng: Rng, seekingForMs: number, slowSteps: number): number {
  if (seekingForMs < FAST_PROBE_PHASE_MS) return firstProbeDelayMs(rng);
  return doubling(rng, slowSteps + 1, FAST_PROBE_MS_MAX, SLOW_PROBE_MS_MAX);
}

export function reconnectDelayMs(rng: Rng, failures: number): number {
  return doubling(rng, failures, RECONNECT_MS_FIRST, RECONNECT_MS_MAX);
}

export function repeatDelayMs(rng: Rng, refusals: number): number {
  return doubling(rng, refusals, REPEAT_MS_FIRST, REPEAT_MS_MAX);
}
