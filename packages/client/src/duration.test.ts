import { describe, expect, it } from "vitest";
import { durationMs, timeoutMsOf } from "./duration.ts";

describe("a duration", () => {
  it("is milliseconds, or text with a unit", () => {
    expect(durationMs(250, "x")).toBe(250);
    expect(durationMs("10s", "x")).toBe(10_000);
    expect(durationMs("1.5s", "x")).toBe(1_500);
    expect(durationMs("500ms", "x")).toBe(500);
    expect(durationMs("2m", "x")).toBe(120_000);
    expect(durationMs("1h", "x")).toBe(3_600_000);
  });

  it("is refused by name when it is neither", () => {
    for (const bad of ["10", "s", "ten seconds", "-1s", "", -1, 1.5, Number.NaN]) {
      expect(() => durationMs(bad, "lockDelay")).toThrow(/\[invalid_argument\] lockDelay is/);
    }
  });

  it("may be without end where it is a timeout", () => {
    expect(timeoutMsOf(Number.POSITIVE_INFINITY)).toBeUndefined();
    expect(timeoutMsOf(5)).toBe(5);
  });
});
