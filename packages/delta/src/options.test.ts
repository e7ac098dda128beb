import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import {
  decode,
  decodeStream,
  decodeTable,
  encode,
  encodeStream,
  encodeTable,
  inspect,
  Series,
} from "./complete.ts";
import { diff } from "./diff.ts";
import { patch } from "./patch.ts";

const values = Float64Array.of(1.5, 2.5, 3.5);
const bytes = encode(values);
const [old, made] = [new Uint8Array(9), new Uint8Array(8).fill(1)];

describe("options", () => {
  it("that are no object are refused, not passed over", async () => {
    const foreignMap = runInNewContext(`new Map([["backend", "fast"]])`);
    for (const wrong of [null, "small", 7, true, new Map(), foreignMap, ["fast"]] as never[]) {
      const calls = [
        () => encode(values, wrong),
        () => decode(bytes, wrong),
        () => encodeTable({ values }, wrong),
        () => decodeTable(encodeTable({ values }), wrong),
        () => inspect(bytes, wrong),
        () => new Series(wrong),
        () => Series.fromBytes(bytes, wrong),
        () => patch(old, diff(old, made), wrong),
      ];
      for (const call of calls)
        expect(call, `${wrong} ${call}`).toThrow(/invalid_argument.*options/);
      for (const stream of [encodeStream([values], wrong), decodeStream([bytes], wrong)]) {
        await expect(stream.next(), `${wrong}`).rejects.toThrow(/invalid_argument.*options/);
      }
    }
    expect(() => encode(values, { compressor: null as never })).toThrow(/invalid_argument/);
    expect(() => decode(bytes, { compressors: null as never })).toThrow(/invalid_argument/);
  });

  it("that are undefined are not given: the default holds, and for a column what holds for the table", () => {
    const none = { backend: undefined, chunkValues: undefined, statistics: undefined };
    const numbers = Float64Array.from({ length: 70_000 }, (_, i) => (i * 7_919) % 1_000);
    const [given, left] = [none, {}].map((options) => {
      const series = new Series({ ...options, type: "f64" });
      series.extend(numbers);
      return series.toBytes();
    });
    expect(given).toEqual(left);
    const table = { backend: "small", chunkValues: 3_000, statistics: false } as const;
    const column = encodeTable({ numbers }, { ...table, columns: { numbers: none } });
    expect(column).toEqual(encodeTable({ numbers }, table));
  });

  it("of an array to decode into are for typed series alone, and refused where they would do nothing", async () => {
    const into = new Float64Array(3);
    expect(decode(bytes, { into })).toEqual(values);
    expect(() => decode(encode([1, 2, null]), { into })).toThrow(
      /invalid_argument.*`into`.*number/,
    );
    await expect(decodeStream([bytes], { into }).next()).rejects.toThrow(
      /invalid_argument.*`into`/,
    );
    expect(() => new Series({ type: "f64", into })).toThrow(/invalid_argument.*`into`/);
    for (const file of [bytes, encodeTable({ values }), diff(old, made)]) {
      expect(() => inspect(file, { into })).toThrow(/invalid_argument.*`into`.*inspect/);
    }
  });

  it("limit the values that a series is read from, and not one that is new", () => {
    expect(Series.fromBytes(bytes, { maxValues: 3 }).slice()).toEqual(values);
    expect(() => Series.fromBytes(bytes, { maxValues: 2 })).toThrow(/limit_exceeded/);
    expect(() => new Series({ type: "f64", maxValues: 2 })).toThrow(/invalid_argument.*maxValues/);
  });

  it("limit a stream's values only if they say so", async () => {
    const two = [bytes, bytes];
    const read = async (maxValues?: number): Promise<number> => {
      let count = 0;
      for await (const { length } of decodeStream(two, { maxValues })) count += length;
      return count;
    };
    expect(await read()).toBe(6);
    expect(await read(6)).toBe(6);
    await expect(read(5)).rejects.toThrow(/limit_exceeded.*more than 5 values/);
    await expect(read(Number.NaN)).rejects.toThrow(/invalid_argument.*maxValues/);
  });
});
