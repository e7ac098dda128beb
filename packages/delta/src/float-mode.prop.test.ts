import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { factorsOf } from "./float-mode.ts";

const divisors = fc.oneof(
  fc.constantFrom(1, 2, 3, 10, 60, 100, 1_000, 10_000, 100_000, 1_000_000, 2 ** 20 - 1, 2 ** 20),
  fc.integer({ min: 1, max: 2 ** 20 }),
);
const ints = fc.oneof(fc.integer(), fc.constantFrom(0, 1, -1, 2 ** 31 - 1, -(2 ** 31)));

describe("factors in place of a divisor", () => {
  test("give the quotient of every 32-bit integer, bit for bit, near multiples too", () => {
    fc.assert(
      fc.property(divisors, ints, (divisor, first) => {
        const factors = factorsOf(divisor);
        if (factors === undefined) throw new Error("this divisor has factors");
        // Small quotients have no bits to round off: many of a size are tried.
        for (let q = first; Math.abs(q) <= 2 ** 31 && q < first + 500; q += 1) {
          const { high, low } = factors;
          if (!Object.is(q * high + q * low, q / divisor)) expect([divisor, q]).toBe("the same");
        }
      }),
      { numRuns: 4_000 },
    );
  });

  test("are for whole divisors up to 2^20 alone", () => {
    for (const divisor of [0, -1, 0.5, 2 ** 20 + 1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(factorsOf(divisor)).toBeUndefined();
    }
  });
});
