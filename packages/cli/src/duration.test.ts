import { describe, expect, it } from "vitest";
import { parseDurationMs } from "./duration.ts";

describe("a duration", () => {
  it("is a number and a unit; without a unit it is seconds", () => {
    const texts = ["10s", "500ms", "1m", "2", "1.5s", "0"];
    expect(texts.map((text) => parseDurationMs(text, "--wait"))).toEqual([
      10_000, 500, 60_000, 2_000, 1_500, 0,
    ]);
  });

  it("is refused when it is something else, naming the option", () => {
    for (const text of ["", "-1s", "ten", "5h", "1e3"]) {
      expect(() => parseDurationMs(text, "--wait")).toThrow(/invalid_argument.*--wait/);
    }
  });
});
