import { LockMode } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import { delaysClaim, type LockDelay, prolonged } from "./lock-delay.ts";

const { EXCLUSIVE, SHARED } = LockMode;

describe("a lock-delay that another failed holder prolongs", () => {
  it.each([
    [5_000, 20_000],
    [20_000, 5_000],
  ])("lasts for the longer of %d and %d ms, whichever failed last (GAP-4)", (first, second) => {
    const before = prolonged(undefined, { lengthMs: first, mode: SHARED, index: 7 });
    const after: LockDelay = { lengthMs: 20_000, mode: SHARED, beganAt: 9 };
    expect(prolonged(before, { lengthMs: second, mode: SHARED, index: 9 })).toEqual(after);
  });
});

describe("a lock-delay", () => {
  it("keeps everybody out after an exclusive holder, and exclusive claims after a shared one", () => {
    const after = (mode: LockMode) => prolonged(undefined, { lengthMs: 1, mode, index: 1 });
    expect([EXCLUSIVE, SHARED].map((mode) => delaysClaim(after(EXCLUSIVE), mode))).toEqual([
      true,
      true,
    ]);
    expect([EXCLUSIVE, SHARED].map((mode) => delaysClaim(after(SHARED), mode))).toEqual([
      true,
      false,
    ]);
    expect(delaysClaim(undefined, EXCLUSIVE)).toBe(false);
  });
});
