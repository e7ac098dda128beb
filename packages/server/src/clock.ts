import { performance } from "node:perf_hooks";
import { type Instant, instant } from "@cubby/base";

/** This machine's monotonic clock, as the cores want it. */
export function monotonicNow(): Instant {
  return instant(Math.floor(performance.now()));
}

export type Clock = () => Instant;
