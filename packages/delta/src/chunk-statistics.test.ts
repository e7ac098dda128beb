import { describe, expect, it } from "vitest";
import { decode, encode, encodeStream, inspect, Series } from "./complete.ts";
import { EXAMPLES, random } from "./test-support/series-examples.ts";
import type { Element, Values } from "./values.ts";

/** What a reader of plain values would say. */
function plainBounds(values: readonly Element[]): { nulls: number; min: unknown; max: unknown } {
  const known = values.filter((value) => value !== null && !Number.isNaN(Number(value)));
  const order = (a: Element, b: Element): number => (Number(a) < Number(b) ? -1 : 1);
  const sorted = known.every((value) => typeof value === "bigint")
    ? (known as bigint[]).sort((a, b) => (a < b ? -1 : 1))
    : known.sort(order);
  const nulls = values.filter((value) => value === null).length;
  const [min, max] = [sorted[0], sorted.at(-1)];
  const zero = (value: unknown): unknown => (value === 0 ? 0 : value);
  return { nulls, min: zero(min), max: zero(max) };
}

function chunksOf(bytes: Uint8Array): Series["chunks"] {
  return Series.fromBytes(bytes).chunks;
}

/** Bytes of the end section's content from its statistics on. */
function endOf(bytes: Uint8Array): { start: number; end: number } {
  const trailer = new DataView(bytes.buffer, bytes.byteOffset + bytes.length - 8);
  const start = bytes.length - 8 - trailer.getUint32(0, true);
  return { start, end: bytes.length - 8 };
}

describe("statistics of chunks", () => {
  for (const [name, make] of Object.entries(EXAMPLES)) {
    it(`are those of the chunk's values: ${name}`, () => {
      const values = make();
      const isText = [...values].some((value) => typeof value === "string");
      const size = Math.max(1, Math.ceil(values.length / 3));
      const bytes = encode(values, { chunkValues: size });
      const report = inspect(bytes);
      if (report.kind !== "series") throw new Error("a series is wanted");
      const known = chunksOf(bytes);
      for (const [k, chunk] of report.chunks.entries()) {
        const part = Array.from<Element>(values as Element[]).slice(k * size, (k + 1) * size);
        const expected = plainBounds(part);
        const told = isText ? { ...expected, min: undefined, max: undefined } : expected;
        expect(chunk).toMatchObject(told);
        if (report.chunks.length > 1) expect(known[k]?.statistics).toEqual(told);
      }
    });
  }

  it("are left out where there is one chunk, so that small files stay small", () => {
    const one = encode(Float64Array.of(1, 2, 3));
    expect(chunksOf(one)).toEqual([{ firstValue: 0, values: 3, statistics: undefined }]);
    expect(inspect(one)).toMatchObject({ chunks: [{ nulls: 0, min: 1, max: 3 }] });
  });

  it("tell nothing of the sign of zero, and of NaN nothing at all", () => {
    const values = Float64Array.of(-0, 0, Number.NaN, Number.NaN, -0, -Infinity);
    const told = chunksOf(encode(values, { chunkValues: 2 })).map((chunk) => chunk.statistics);
    expect(told).toEqual([
      { nulls: 0, min: 0, max: 0 },
      { nulls: 0, min: undefined, max: undefined },
      { nulls: 0, min: -Infinity, max: 0 },
    ]);
  });

  it("are the same by stream, by series, and after bytes were read again", async () => {
    const values = EXAMPLES["nullableNumbers"]?.() as Values;
    const pieces: Uint8Array[] = [];
    for await (const piece of encodeStream([values], { chunkValues: 100 })) pieces.push(piece);
    const series = new Series({ type: "number", chunkValues: 100 });
    series.extend(values as Iterable<Element>);
    const expected = chunksOf(encode(values, { chunkValues: 100 }));
    expect(expected).toHaveLength(5);
    expect(chunksOf(Uint8Array.from(pieces.flatMap((piece) => [...piece])))).toEqual(expected);
    expect(series.chunks).toEqual(expected);
    expect(chunksOf(Series.fromBytes(series.toBytes()).toBytes())).toEqual(expected);
  });

  it("may lie: values are read all the same, and inspect says that they do", () => {
    const values = EXAMPLES["cents"]?.() as Float64Array;
    const bytes = encode(values, { chunkValues: 1_000, checksum: false });
    const { end } = endOf(bytes);
    const lying = bytes.slice();
    // The last byte of the last chunk's greatest value: its sign.
    lying[end - 1] = (lying[end - 1] as number) ^ 0x80;
    expect(decode(lying)).toEqual(values);
    expect(Series.fromBytes(lying).at(2_999)).toBe(values[2_999]);
    expect(() => inspect(lying)).toThrow(/corrupt.*other values/);
    const checked = encode(values, { chunkValues: 1_000 });
    checked[endOf(checked).end - 5] = (checked[endOf(checked).end - 5] as number) ^ 0x80;
    expect(() => decode(checked)).toThrow(/checksum_mismatch/);
  });

  it("may be made up: no reader takes more memory than there are bytes, or fails otherwise", () => {
    const next = random(77);
    const values = EXAMPLES["nullableNumbers"]?.() as Values;
    const bytes = encode(values, { chunkValues: 50, checksum: false });
    const { start, end } = endOf(bytes);
    const read = (broken: Uint8Array, work: (bytes: Uint8Array) => unknown): void => {
      try {
        work(broken);
      } catch (error) {
        expect(error).toMatchObject({ name: "DeltaError" });
      }
    };
    for (let k = 0; k < 150; k += 1) {
      const broken = bytes.slice();
      broken[start + Math.floor(next() * (end - start))] = Math.floor(next() * 256);
      read(broken, (made) => expect(decode(made)).toEqual(values));
      read(broken, inspect);
      read(broken, (made) => Series.fromBytes(made).chunks);
    }
  });
});
