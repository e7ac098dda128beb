import { instant } from "@cubby/base";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SessionClock } from "./session-clock.ts";

const BEGIN = 1_000;

/** What happens once `afterMs` have passed: a stall of the last `ms`, a lease for the next `ms`. */
const anyStep = fc.record({
  kind: fc.constantFrom("lease", "stall", "read"),
  afterMs: fc.integer({ min: 0, max: 40 }),
  ms: fc.integer({ min: 0, max: 60 }),
});
const anyRun = fc.record({
  leaseMs: fc.integer({ min: 0, max: 60 }),
  steps: fc.array(anyStep, { maxLength: 30 }),
});
type Run = typeof anyRun extends fc.Arbitrary<infer T> ? T : never;

/** Looks at every millisecond by itself: it counts, or it does not. */
class NaiveClock {
  now = BEGIN;
  #leaseUntil: number;
  readonly #lost = new Set<number>();

  constructor(leaseMs: number) {
    this.#leaseUntil = BEGIN + leaseMs;
  }

  get read(): number {
    return this.now - this.#lost.size;
  }

  advance(ms: number): void {
    for (const end = this.now + ms; this.now < end; this.now += 1) {
      if (this.now >= this.#leaseUntil) this.#lost.add(this.now);
    }
  }

  lease(ms: number): void {
    this.#leaseUntil = this.now + ms;
  }

  stall(ms: number): void {
    for (let at = Math.max(BEGIN, this.now - ms); at < this.now; at += 1) this.#lost.add(at);
  }
}

function compare({ leaseMs, steps }: Run, stallMsMax: (stepMs: number) => number) {
  const naive = new NaiveClock(leaseMs);
  const clock = new SessionClock(instant(BEGIN), instant(BEGIN + leaseMs));
  return steps.map(({ kind, afterMs, ms }) => {
    naive.advance(afterMs);
    const now = instant(naive.now);
    if (kind === "lease") {
      naive.lease(ms);
      clock.onLease(now, instant(now + ms));
    } else if (kind === "stall") {
      const stalledMs = Math.min(ms, stallMsMax(afterMs));
      naive.stall(stalledMs);
      clock.onStall(now, stalledMs);
    }
    return { read: clock.read(now), naive: naive.read };
  });
}

describe("SessionClock", () => {
  it("loses every millisecond without a lease or in a stall, and loses it once", () => {
    fc.assert(
      fc.property(anyRun, (run) => {
        // Nothing is heard while the loop stands still.
        for (const { read, naive } of compare(run, (stepMs) => stepMs)) expect(read).toBe(naive);
      }),
      { numRuns: 500 },
    );
  });

  it("loses no more than that, should a stall be told late", () => {
    fc.assert(
      fc.property(anyRun, (run) => {
        for (const { read, naive } of compare(run, () => Number.POSITIVE_INFINITY)) {
          expect(read).toBeGreaterThanOrEqual(naive);
        }
      }),
      { numRuns: 500 },
    );
  });
});
