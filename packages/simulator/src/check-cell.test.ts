import { LockMode } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import { CellChecker } from "./check-cell.ts";
import { Coverage } from "./coverage.ts";
import { fedReference, opening } from "./test-support/fed-reference.ts";
import { VirtualTime } from "./virtual-time.ts";

const PATH = "/ls/local/l";
const DELAY_MS = 2_000;

/** A lock in a delay that began at 1,000 ms; `endAt` ends it. */
function delayed() {
  const { reference, feed } = fedReference();
  const time = new VirtualTime();
  const checker = new CellChecker(reference, new Coverage(), time);
  const lock = { path: PATH, instance: 2, handleId: 1, mode: LockMode.EXCLUSIVE, wait: false };
  feed(1, opening(PATH));
  feed(2, { $case: "acquireLock", value: { ...lock, lockDelayMs: DELAY_MS } });
  time.runTo(1_000);
  feed(0, { $case: "expireSession", value: { sessionId: 2 } });
  checker.onCommand([]);
  const endAt = (ms: number): void => {
    time.runTo(ms);
    feed(0, { $case: "endLockDelay", value: { path: PATH, beganAt: reference.index } });
    checker.onCommand([]);
  };
  return { checker, time, endAt };
}

describe("the checker of lock-delays (20)", () => {
  it("takes what the slowest and the fastest clock may measure, and a moment", () => {
    delayed().endAt(1_000 + 0.9 * DELAY_MS);
    delayed().endAt(1_000 + 1.1 * DELAY_MS + 2_000);
  });

  it("finds one that ends too soon, or much too late", () => {
    expect(() => delayed().endAt(2_700)).toThrow(/ends after 1700 of 2000 ms/);
    expect(() => delayed().endAt(7_000)).toThrow(/ends after 6000 of 2000 ms/);
  });

  it("lets one be late that a new master has timed anew", () => {
    const { checker, time, endAt } = delayed();
    time.runTo(2_000);
    checker.onDisturbed();
    endAt(7_000);
  });

  it("finds one that is late even for that", () => {
    const { checker, time, endAt } = delayed();
    time.runTo(2_000);
    checker.onDisturbed();
    expect(() => endAt(7_300)).toThrow(/ends after 6300 of 2000 ms/);
  });
});
