import { describe, expect, it, vi } from "vitest";
import { decode, decodeStream, decodeTable, encode, encodeTable, Series } from "./complete.ts";
import type { Values } from "./values.ts";

// A thousand values and ten or twenty thousand bytes, where the heap would have to hold gigabytes.
vi.mock("./limits.ts", async (importOriginal) => {
  const limits = await importOriginal<object>();
  return { ...limits, PLAIN_VALUES_MAX: 1_000, DECODED_TEXT_MAX: 10_000, TEXT_BYTES_MAX: 20_000 };
});

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

describe("what a few bytes can put on the heap, whose end no program survives", () => {
  it("is limited in plain arrays, by less than in typed ones, unless more is allowed", async () => {
    for (const value of [true, 1.5, 7n, "x", null, new Date(0)]) {
      const limit = value instanceof Date ? 500 : 1_000;
      const most = new Array<unknown>(limit).fill(value) as Values;
      const file = joined(encode(most), encode(most.slice(0, 1) as Values));
      expect(decode(encode(most))).toHaveLength(limit);
      expect(() => decode(file)).toThrow(/limit_exceeded.*1000 values in plain arrays.*by stream/);
      expect(decode(file, { maxValues: limit + 1 })).toHaveLength(limit + 1);
      let count = 0;
      for await (const { length } of decodeStream([file])) count += length;
      expect(count).toBe(limit + 1);
      expect(Series.fromBytes(file)).toHaveLength(limit + 1);
    }
    expect(decode(encode(new Float64Array(5_000)))).toHaveLength(5_000);
  });

  it("is limited in all columns of a table that are decoded", () => {
    const half = new Array<boolean>(501).fill(true);
    const table = encodeTable({ a: half, b: half, c: new Int32Array(501) });
    expect(() => decodeTable(table)).toThrow(/limit_exceeded.*or name fewer `columns`/);
    expect(Object.keys(decodeTable(table, { columns: ["a", "c"] }))).toEqual(["a", "c"]);
    expect(Object.keys(decodeTable(table, { maxValues: 1_503 }))).toHaveLength(3);
  });

  it("is limited in text, of all chunks and columns together", () => {
    for (const backend of ["fast", "small", "handoff"] as const) {
      const texts = [0, 1, 2, 3].map((k) => String(k).repeat(2_499));
      const options = { backend, chunkValues: 1 };
      expect(decode(encode(texts, options))).toEqual(texts);
      const more = encode([...texts, "x"], options);
      expect(() => decode(more)).toThrow(/limit_exceeded.*2 bytes of text, 0 left/);
      expect(decode(more, { maxValues: 2_501 })).toHaveLength(5);
      const table = encodeTable({ a: texts, b: texts }, options);
      expect(() => decodeTable(table)).toThrow(/limit_exceeded.*text.*fewer `columns`/);
      expect(decodeTable(table, { columns: ["b"] })).toEqual({ b: texts });
    }
  });

  it("is limited in the text of a chunk, by an error that names no place inside of the chunk", () => {
    const texts = [null, "a", "b", "x".repeat(19_990), "y".repeat(10)];
    expect(() => encode(texts)).toThrow(/limit_exceeded.*in one chunk: take fewer `chunkValues`$/);
    expect(() => encode(texts, { chunkValues: 2 })).not.toThrow();
  });
});
