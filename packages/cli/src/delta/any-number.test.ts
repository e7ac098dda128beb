import { describe, expect, it } from "vitest";
import { readNumber } from "./any-number.ts";

describe("a number that is written in any way", () => {
  it("is read where its double is that number, or of a fraction the nearest", () => {
    for (const [text, value] of [
      ["+3", 3],
      [" 1000", 1000],
      ["1e5", 100_000],
      ["1.50", 1.5],
      [".5", 0.5],
      ["5.", 5],
      ["007", 7],
      ["-0", -0],
      ["0e400", 0],
      ["0x1F", 31],
      ["9007199254740992", 2 ** 53],
      ["1152921504606846976", 2 ** 60],
      ["1152921504606847000", 2 ** 60],
      ["1.152921504606846976e18", 2 ** 60],
      ["1e23", 1e23],
      ["1.7976931348623157e308", Number.MAX_VALUE],
      ["0.1000000000000000055511151231257827021181583404541015625", 0.1],
      ["1.00000000000000000001", 1],
      ["5e-324", 5e-324],
      ["Infinity", Number.POSITIVE_INFINITY],
      ["-Infinity", Number.NEGATIVE_INFINITY],
      ["NAN", Number.NaN],
    ] as const) {
      expect([text, readNumber(text, false)]).toEqual([text, value]);
    }
  });

  it("is refused where its double is another one", () => {
    for (const text of [
      "9007199254740993",
      "-9007199254740993",
      "9007199254740993.0",
      "9007199254740993.5",
      "12345678901234567890",
      "0x20000000000001",
      "1e400",
      "-1e400",
      "1e-400",
      "",
      " ",
      "x",
      "1,5",
    ]) {
      expect([text, readNumber(text, false)]).toEqual([text, undefined]);
    }
  });

  it("is a whole one where only whole ones are wanted", () => {
    for (const text of ["1.00000000000000000001", "1.5", "5e-1", "Infinity", "NaN", "1e-400"]) {
      expect([text, readNumber(text, true)]).toEqual([text, undefined]);
    }
    for (const text of ["1.000", "10e-1", "0.01e2", "+1", "1"]) {
      expect([text, readNumber(text, true)]).toEqual([text, 1]);
    }
    expect(readNumber("0.000", true)).toBe(0);
  });
});
