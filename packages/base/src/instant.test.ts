import { describe, expect, it } from "vitest";
import { AssertionError } from "./assert.ts";
import { after, earliest, instant, msBetween, NEVER } from "./instant.ts";

describe("Instant", () => {
  it("is a whole number of milliseconds", () => {
    expect(instant(1500)).toBe(1500);
    expect(() => instant(0.5)).toThrow(AssertionError);
    expect(() => instant(Number.NaN)).toThrow(AssertionError);
    expect(() => instant(2 ** 53)).toThrow(AssertionError);
  });

  it("moves by durations both ways", () => {
    expect(after(instant(100), 50)).toBe(150);
    expect(after(instant(100), -50)).toBe(50);
    expect(msBetween(instant(100), instant(150))).toBe(50);
    expect(msBetween(instant(150), instant(100))).toBe(-50);
  });

  it("refuses a duration that nobody has rounded", () => {
    expect(() => after(instant(100), 660.0000000000001)).toThrow(AssertionError);
  });

  it("never passes NEVER, and NEVER stays", () => {
    expect(after(NEVER, 1)).toBe(NEVER);
    expect(after(NEVER, -1)).toBe(NEVER);
    expect(after(instant(1), Number.MAX_SAFE_INTEGER)).toBe(NEVER);
  });

  it("picks the earlier of two, and anything before NEVER", () => {
    expect(earliest(instant(3), instant(2))).toBe(2);
    expect(earliest(NEVER, instant(2))).toBe(2);
  });
});
