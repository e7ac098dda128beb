import { deflateSync, inflateSync } from "node:zlib";
import { describe, expect, it, vi } from "vitest";
import { decode, encode, Series } from "./complete.ts";
import { SegmentWriter } from "./series-codec.ts";
import { SeriesTail } from "./series-tail.ts";
import { EXAMPLES, random } from "./test-support/series-examples.ts";
import type { Element, Values } from "./values.ts";

describe("a series", () => {
  for (const type of ["f64", "i32", "u8", "i64", "f32", "number", "date", "string"] as const) {
    it(`of ${type} reads each value alone, slices, iterates, and goes to bytes and back`, () => {
      const name = {
        f64: "cents",
        i32: "outliers",
        u8: "bytes",
        i64: "pairs",
        f32: "singles",
        number: "nullableNumbers",
        date: "invalidDates",
        string: "nullableStrings",
      }[type];
      const values = EXAMPLES[name]?.() as Values;
      const expected = Array.from<Element>(values as Element[]);
      const series = new Series({ type, chunkValues: 300 });
      series.extend(expected);
      expect(series.length).toBe(values.length);
      const next = random(3);
      for (let k = 0; k < 200; k += 1) {
        const i = Math.floor(next() * values.length);
        expect(series.at(i)).toEqual(expected[i]);
      }
      expect(series.at(-1)).toEqual(expected.at(-1));
      expect(series.at(values.length)).toBeUndefined();
      expect(series.at(0.5)).toBeUndefined();
      expect([...series]).toEqual(expected);
      expect(series.slice(250, 650)).toEqual(values.slice(250, 650));
      expect(series.slice(-3)).toEqual(values.slice(-3));
      expect(series.slice(9, 3)).toEqual(values.slice(9, 3));
      expect(decode(series.toBytes())).toEqual(values);
    });
  }

  for (const [type, nan, quiet] of [
    ["f64", [1, 0, 0, 0, 0, 0, 0xf0, 0x7f], 0xf8],
    ["f32", [1, 0, 0x80, 0xff], 0xc0],
  ] as const) {
    it(`of ${type} keeps every bit of NaNs, also of signaling ones, which no number does`, () => {
      const size = nan.length;
      const bits = Uint8Array.from({ length: 10 * size }, (_, i) => nan[i % size] as number);
      // Those at even places are quiet.
      for (let i = 0; i < bits.length; i += 2 * size) bits[i + size - 2] = quiet;
      const values = type === "f64" ? new Float64Array(bits.buffer) : new Float32Array(bits.buffer);
      const bitsOf = (slice: Values): Uint8Array => new Uint8Array((slice as Float64Array).buffer);
      for (const chunkValues of [3, 5, 10, 64]) {
        const series = new Series({ type, chunkValues });
        series.extend(values.subarray(0, 4));
        series.extend(values.subarray(4));
        for (const each of [
          series,
          Series.fromBytes(encode(values, { checksum: false, chunkValues }), { chunkValues: 4 }),
          Series.fromBytes(encode(values, { chunkValues })),
        ]) {
          expect(bitsOf(each.slice()), `${chunkValues}`).toEqual(bits);
          expect(bitsOf(each.slice(3, 9)), `${chunkValues}`).toEqual(
            bits.slice(3 * size, 9 * size),
          );
          expect(bitsOf(decode(each.toBytes())), `${chunkValues}`).toEqual(bits);
        }
      }
    });
  }

  it("goes on growing after it went to bytes", () => {
    const series = new Series({ type: "i32", chunkValues: 4 });
    series.extend([1, 2, 3, 4, 5]);
    const before = series.toBytes();
    series.append(6);
    expect(decode(before)).toEqual(Int32Array.of(1, 2, 3, 4, 5));
    expect(decode(series.toBytes())).toEqual(Int32Array.of(1, 2, 3, 4, 5, 6));
  });

  it("iterates what it holds when it is begun, though it grows past the end of a chunk meanwhile", () => {
    for (const already of [0, 3, 4, 6]) {
      const series = new Series({ type: "i32", chunkValues: 4 });
      const values = [1, 2, 3, 4, 5, 6];
      series.extend(values);
      const seen: unknown[] = [];
      for (const value of series) {
        if (seen.length === already) series.extend([7, 8, 9]);
        seen.push(value);
      }
      expect(seen, `${already}`).toEqual(values);
    }
  });

  it("comes from bytes of any back end, of files in a row, with checksums or without", () => {
    const values = EXAMPLES["integers"]?.() as Int32Array;
    for (const backend of ["fast", "small", "handoff"] as const) {
      for (const checksum of [true, false]) {
        const parts = [values.slice(0, 1000), values.slice(1000)];
        const bytes = parts.flatMap((part) => [
          ...encode(part, { backend, checksum, chunkValues: 700 }),
        ]);
        const series = Series.fromBytes(Uint8Array.from(bytes));
        expect(series.at(1500)).toBe(values[1500]);
        series.append(42);
        expect(decode(series.toBytes())).toEqual(Int32Array.of(...values, 42));
      }
    }
  });

  it("tells where in the bytes that it comes from a chunk is that cannot be read", () => {
    const values = EXAMPLES["integers"]?.() as Int32Array;
    const compressor = {
      id: 70,
      name: "own",
      compress: (plain: Uint8Array): Uint8Array => deflateSync(plain),
      decompress: (packed: Uint8Array): Uint8Array => inflateSync(packed),
    };
    const first = encode(values);
    const bytes = Buffer.concat([first, encode(values, { backend: "handoff", compressor })]);
    const series = Series.fromBytes(bytes);
    expect(() => series.at(values.length)).toThrow(
      expect.objectContaining({ code: "unsupported_feature", offset: first.length + 6 }),
    );
  });

  it("refuses what its type cannot hold, and keeps what it had", () => {
    const series = new Series({ type: "u8" });
    series.append(255);
    for (const value of [256, -1, 1.5, -0, "1", null, 1n]) {
      expect(() => series.append(value as number), String(value)).toThrow(
        /DeltaError|out_of_range|invalid/,
      );
    }
    for (const values of [undefined, null, 7, {}] as never[]) {
      expect(() => series.extend(values), String(values)).toThrow(/invalid_argument/);
    }
    expect(decode(series.toBytes())).toEqual(Uint8Array.of(255));
    expect(() => new Series({ type: "f32" }).append(0.1)).toThrow(
      /out_of_range.*0\.1 does not fit into f32/,
    );
    expect(() => new Series({ type: "i32" }).append(-0)).toThrow(/-0 does not fit/);
    expect(() => new Series({ type: "i64" }).append(2n ** 63n)).toThrow(/out_of_range/);
    expect(() => new Series({ type: "bigint" }).append(null)).not.toThrow();
  });

  it("takes all the values of one call or none", () => {
    const series = new Series({ type: "f64", chunkValues: 2 });
    const fails = function* (): Generator<number> {
      yield* [6, 7, 8];
      throw new RangeError("no more");
    };
    series.extend([1, 2, 3]);
    expect(() => series.extend([4, 5, "x"] as number[])).toThrow(/invalid_argument.*\(at 5\)/);
    expect(() => series.extend(fails())).toThrow("no more");
    expect([series.length, ...series]).toEqual([3, 1, 2, 3]);
    series.extend(series);
    expect(decode(series.toBytes())).toEqual(Float64Array.of(1, 2, 3, 1, 2, 3));
    const grows = function* (): Generator<number> {
      series.append(9);
      yield 4;
    };
    expect(() => series.extend(grows())).toThrow(/invalid_argument/);
    expect([series.length, series.at(-1)]).toEqual([7, 9]);
  });

  it("keeps no more than a chunk of plain values while it is extended", () => {
    let encoded = 0;
    const compress = (bytes: Uint8Array): Uint8Array => {
      encoded += 1;
      return bytes.slice();
    };
    const compressor = { id: 64, name: "own", compress, decompress: compress };
    const options = { type: "f64", backend: "handoff", compressor, chunkValues: 100 } as const;
    const behind: number[] = [];
    const values = function* (): Generator<number> {
      for (let i = 0; i < 1_000; i += 1) {
        if (i % 100 === 0) behind.push(encoded);
        yield ((i * 7_919) % 1_000) / 7;
      }
    };
    new Series({ ...options, compressors: [compressor] }).extend(values());
    expect(behind.every((count, i) => i === 0 || count > (behind[i - 1] ?? 0))).toBe(true);
  });

  it("looks at a chunk of typed values at a time, and copies none but the first", () => {
    const copies = vi.spyOn(SeriesTail.prototype, "with");
    const looks = vi.spyOn(SegmentWriter.prototype, "ownChunks");
    for (const values of [
      Float64Array.from({ length: 1_234 }, (_, i) => i / 4),
      Uint8Array.from({ length: 1_234 }, (_, i) => i),
    ]) {
      const type = values instanceof Float64Array ? "f64" : "u8";
      for (const first of [0, 1, 99, 100, 101, 250]) {
        const series = new Series({ type, chunkValues: 100 });
        series.extend(values.subarray(0, first));
        copies.mockClear();
        looks.mockClear();
        series.extend(values.subarray(first));
        expect(copies.mock.calls.map(([part]) => part.length)).toEqual([100 - (first % 100)]);
        for (const [taken] of looks.mock.calls) expect(taken.count).toBe(100);
        expect(series.slice()).toEqual(values);
        expect(series.toBytes()).toEqual(encode(values, { backend: "fast", chunkValues: 100 }));
      }
    }
    vi.restoreAllMocks();
  });

  it("has what it had if a compressor fails", () => {
    let isBroken = false;
    const compress = (bytes: Uint8Array): Uint8Array => {
      if (isBroken) throw new RangeError("broken");
      return bytes.slice();
    };
    const compressor = { id: 64, name: "own", compress, decompress: compress };
    const series = new Series({
      type: "f64",
      chunkValues: 50,
      backend: "handoff",
      compressor,
      compressors: [compressor],
    });
    const values = Array.from({ length: 120 }, (_, i) => ((i * 7_919) % 1_000) / 100);
    series.extend(values.slice(0, 49));
    isBroken = true;
    expect(() => series.append(1)).toThrow("broken");
    expect(() => series.extend(values)).toThrow("broken");
    expect(() => series.extend(Float64Array.from(values))).toThrow("broken");
    isBroken = false;
    expect([...series]).toEqual(values.slice(0, 49));
    series.extend(values.slice(49));
    expect([...series]).toEqual(values);
    expect(series.chunks.map((chunk) => chunk.values)).toEqual([50, 50]);
  });

  it("slices by any bounds as an array does", () => {
    const series = new Series({ type: "i32", chunkValues: 2 });
    const values = [1, 2, 3, 4, 5];
    series.extend(values);
    const bounds = [0, 1.5, 3.2, -1.5, -0.5, Number.NaN, Infinity, -Infinity, 99, -99];
    for (const start of bounds) {
      for (const end of [...bounds, undefined]) {
        expect(series.slice(start, end), `${start} ${end}`).toEqual(
          Int32Array.from(values.slice(start, end)),
        );
      }
    }
  });

  it("holds dates that nobody else can change", () => {
    const date = new Date(0);
    const series = new Series({ type: "date", chunkValues: 3, backend: "small" });
    for (let i = 0; i < 5; i += 1) {
      date.setTime(i * 1_000);
      series.append(date);
    }
    series.extend([date, null]);
    const wanted = [0, 1_000, 2_000, 3_000, 4_000, 4_000, null];
    const spoil = (each: unknown): void => {
      if (each instanceof Date) each.setTime(77);
    };
    for (let i = 0; i < wanted.length; i += 1) spoil(series.at(i));
    for (const each of series) spoil(each);
    for (const each of series.slice()) spoil(each);
    date.setTime(99);
    expect(Array.from(series, (each) => (each as Date | null)?.getTime() ?? null)).toEqual(wanted);
    expect(wanted.map((_, i) => (series.at(i) as Date | null)?.getTime() ?? null)).toEqual(wanted);
  });
});
