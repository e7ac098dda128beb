import { describe, expect, it } from "vitest";
import { encode, encodeTable, inspect } from "./complete.ts";
import { diff } from "./diff.ts";
import { EXAMPLES } from "./test-support/series-examples.ts";
import type { Values } from "./values.ts";

describe("inspect", () => {
  it("tells of each chunk where it is, how it is written, and what else was weighed", () => {
    const values = EXAMPLES["cents"]?.() as Float64Array;
    const bytes = encode(values, { backend: "fast", chunkValues: 2000 });
    const report = inspect(bytes);
    if (report.kind !== "series") throw new Error("a series is wanted");
    expect(report).toMatchObject({ version: 1, type: "f64", values: 3000, bytes: bytes.length });
    expect(report.chunks).toHaveLength(2);
    const [first, second] = report.chunks;
    expect(first).toMatchObject({
      offset: 6,
      firstValue: 0,
      values: 2000,
      nulls: 0,
      exceptions: 0,
    });
    expect(first).toMatchObject({ mode: "decimal 10^-2", backend: "fast", predictor: "order 1" });
    expect(second).toMatchObject({
      offset: 6 + (first?.bytes ?? 0),
      firstValue: 2000,
      values: 1000,
    });
    expect(first?.blocks).toHaveLength(16);
    const questions = first?.why.map(({ question }) => question) ?? [];
    expect(new Set(questions)).toEqual(new Set(["mode", "predictor"]));
    const modes = first?.why.filter(({ question }) => question === "mode") ?? [];
    expect(modes[0]?.candidate).toBe("decimal 10^-2");
    expect(modes.map(({ bytes: size }) => size)).toEqual(
      modes.map(({ bytes: size }) => size).sort((a, b) => a - b),
    );
  });

  it("explains every example, with nulls and exceptions counted", () => {
    for (const [name, make] of Object.entries(EXAMPLES)) {
      for (const backend of ["fast", "small", "handoff"] as const) {
        const report = inspect(encode(make(), { backend }));
        expect(report, name).toMatchObject({ kind: "series", values: make().length });
      }
    }
    const nulls = inspect(encode([null, 1, null, 2] as Values));
    expect(nulls).toMatchObject({ chunks: [{ nulls: 2, values: 4 }] });
    const special = inspect(encode(EXAMPLES["specialFloats"]?.() as Values));
    expect(special).toMatchObject({ chunks: [{ mode: "decimal 10^-1", exceptions: 8 }] });
  });

  it("knows tables and patches", () => {
    const table = inspect(
      encodeTable({ a: [1, 2], b: ["x", "y"] }, { metadata: { from: "here" } }),
    );
    expect(table).toMatchObject({ kind: "table", values: 2, metadata: { from: "here" } });
    const bytes = diff(Uint8Array.of(1, 2, 3), Uint8Array.of(1, 2, 3, 4));
    expect(inspect(bytes)).toMatchObject({ kind: "patch", oldBytes: 3, newBytes: 4 });
  });
});
