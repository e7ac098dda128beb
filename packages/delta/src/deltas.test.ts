import { describe, expect, it } from "vitest";
import { DeltaError } from "./delta-error.ts";
import { deltas, undelta } from "./deltas.ts";

describe("deltas", () => {
  it("takes the example apart without the noise of binary fractions, and back", () => {
    const prices = [100.5, 100.75, 100.6, 101.1, 100.9];
    const apart = deltas(prices);
    expect(apart).toEqual({ base: 100.5, deltas: [0.25, -0.15, 0.5, -0.2] });
    expect(undelta(apart)).toEqual(prices);
  });

  it("takes bigints and dates, whose differences are milliseconds", () => {
    const ids = [9007199254740993n, 9007199254740995n, -1n];
    expect(deltas(ids)).toEqual({ base: ids[0], deltas: [2n, -9007199254740996n] });
    expect(undelta(deltas(ids))).toEqual(ids);
    const days = [new Date(0), new Date(86_400_000)];
    expect(deltas(days)).toEqual({ base: new Date(0), deltas: [86_400_000] });
    expect(undelta(deltas(days))).toEqual(days);
  });

  it("gives back one value, and numbers of many digits or far apart, or refuses by name", () => {
    expect(undelta(deltas([1.5]))).toEqual([1.5]);
    expect(undelta(deltas([1e21, 1e21, 3e21]))).toEqual([1e21, 1e21, 3e21]);
    expect(() => deltas([1e300, 1e-300, 0.1])).toThrow(DeltaError);
    expect(() => deltas([1, Number.NaN])).toThrow(/out_of_range/);
    expect(() => deltas([])).toThrow(/empty/);
    expect(() => deltas([1, "2" as unknown as number])).toThrow(/invalid_argument/);
  });

  it("refuses what is no series, and no deltas", () => {
    const refused = /invalid_argument/;
    for (const wrong of [undefined, null, true, {}, "abc"] as never[]) {
      expect(() => deltas(wrong), String(wrong)).toThrow(refused);
      expect(() => undelta(wrong), String(wrong)).toThrow(refused);
      expect(() => undelta({ base: 1, deltas: wrong }), String(wrong)).toThrow(refused);
      expect(() => undelta({ base: wrong, deltas: [] }), String(wrong)).toThrow(refused);
    }
  });

  it("refuses holes, of values and of differences", () => {
    const [numbers, bigints] = [new Array<number>(3), new Array<bigint>(3)];
    expect(() => deltas(numbers)).toThrow(/invalid_argument/);
    expect(() => undelta({ base: 1, deltas: numbers })).toThrow(/invalid_argument/);
    expect(() => undelta({ base: 1n, deltas: bigints })).toThrow(/invalid_argument/);
    numbers[0] = 1;
    bigints[0] = 1n;
    for (const end of [2, 3]) {
      expect(() => deltas(numbers.slice(0, end))).toThrow(/invalid_argument/);
      expect(() => deltas(bigints.slice(0, end))).toThrow(/invalid_argument/);
    }
  });

  it("names the values that no difference leads between, a zero with its sign", () => {
    expect(() => deltas([0, -0])).toThrow(/out_of_range.*from 0 to -0 exactly/);
  });
});
