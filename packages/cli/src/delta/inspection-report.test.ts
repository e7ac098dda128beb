import { encode, inspect } from "@cubby/delta";
import { describe, expect, it } from "vitest";
import { plotDeltas, seriesText } from "./inspection-report.ts";

describe("the report of a series", () => {
  it("takes more blocks than a call has room for arguments", () => {
    const values = Uint8Array.of(1, 2, 3, 5, 8);
    const inspection = inspect(encode(values, { backend: "fast" }));
    if (inspection.kind !== "series") throw new Error("It is a series.");
    const blocks = Array.from({ length: 300_000 }, (_, i) => ({
      bits: i === 200_000 ? 7 : 3,
      exceptions: 0,
    }));
    const chunks = inspection.chunks.map((chunk) => ({ ...chunk, blocks }));
    const text = seriesText({
      name: "value",
      type: "u8",
      values: values.length,
      bytes: 5,
      writtenAs: undefined,
      chunks,
      deltas: plotDeltas(values),
    });
    expect(text).toContain("bits per value, 300,000 blocks of 128, from 3 to 7");
  });

  it("has the differences between the values that are there", () => {
    expect(plotDeltas([1, null, 4, Number.NaN, 2])).toEqual(Float64Array.of(3, -2));
    expect(plotDeltas([new Date(5), new Date(7)])).toEqual(Float64Array.of(2));
    expect(plotDeltas(BigInt64Array.of(2n ** 60n, 2n ** 60n + 1n))).toEqual(Float64Array.of(1));
    expect(plotDeltas(["a"])).toBeUndefined();
    expect(plotDeltas(new Uint8Array(0))).toEqual(new Float64Array(0));
  });
});
