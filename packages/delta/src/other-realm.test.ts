import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { decode, decodeTable, encode, encodeTable, Series } from "./complete.ts";
import { diff } from "./diff.ts";
import { patch } from "./patch.ts";
import type { TypedValues } from "./values.ts";

/** What a frame, or a test runner with a realm of its own, passes: none of it is an instance of a class here. */
function foreign<T>(source: string): T {
  return runInNewContext(source) as T;
}

function foreignBytes(bytes: Uint8Array): Uint8Array {
  return foreign<(bytes: Uint8Array) => Uint8Array>("(bytes) => Uint8Array.from(bytes)")(bytes);
}

function prices(): typeof Float64Array {
  return class extends Float64Array {
    override get [Symbol.toStringTag](): never {
      return "Prices" as never;
    }
  };
}

describe("what comes from another realm", () => {
  it("is the old file, the new one, or the patch between them", () => {
    const before = Uint8Array.from({ length: 3_000 }, (_, i) => (i * i) >> 3);
    const after = before.map((byte, i) => (i % 700 === 0 ? byte + 1 : byte));
    const delta = diff(foreignBytes(before), foreignBytes(after));
    expect(delta).toEqual(diff(before, after));
    expect(patch(foreignBytes(before), foreignBytes(delta))).toEqual(after);
  });

  it("is bytes by another name", () => {
    const before = Uint8Array.from({ length: 3_000 }, (_, i) => (i * i) >> 3);
    const after = before.map((byte, i) => (i % 700 === 0 ? byte + 1 : byte));
    const signed = (bytes: Uint8Array): Uint8Array =>
      new Int8Array(bytes.buffer) as unknown as Uint8Array;
    expect(patch(signed(before), signed(diff(signed(before), signed(after))))).toEqual(after);
  });

  it("is a series, or an array to decode into", () => {
    for (const type of ["Float64Array", "Float32Array", "Uint8ClampedArray", "BigUint64Array"]) {
      const one = type.startsWith("Big") ? "7n" : "7";
      const values = foreign<TypedValues>(`${type}.of(${one}, ${one})`);
      const bytes = encode(values);
      expect(Array.from(decode(bytes) as Uint8Array)).toEqual(Array.from(values as Uint8Array));
      const into = foreign<TypedValues>(`new ${type}(3)`);
      expect(decode(bytes, { into })).toHaveLength(2);
      expect(into[1]).toBe(values[1]);
    }
  });

  it("is an array of a class of its own, by whatever name that goes", () => {
    const named = `class extends Float64Array { get [Symbol.toStringTag]() { return "Prices"; } }`;
    const foreignClass = foreign<typeof Float64Array>(`(${named})`);
    for (const Prices of [foreignClass, prices()]) {
      const values = Prices.of(1.5, 2.5);
      const bytes = encode(values);
      expect(decode(bytes)).toEqual(Float64Array.of(1.5, 2.5));
      const into = new Prices(3);
      decode(bytes, { into });
      expect(Array.from(into)).toEqual([1.5, 2.5, 0]);
      const series = new Series({ type: "f64", chunkValues: 2 });
      series.extend(Prices.of(1.5, 2.5, 3.5));
      expect(series.slice()).toEqual(Float64Array.of(1.5, 2.5, 3.5));
    }
  });

  it("is no array because it goes by the name of one", () => {
    const posing = { [Symbol.toStringTag]: "Float64Array", BYTES_PER_ELEMENT: 8, length: 1, 0: 1 };
    const view = new DataView(new ArrayBuffer(8));
    Object.defineProperty(view, Symbol.toStringTag, { value: "Float64Array" });
    for (const wrong of [posing, view] as never[]) {
      expect(() => encode(wrong)).toThrow(/invalid_argument/);
    }
  });

  it("is a Map of columns, none of which is lost", () => {
    const columns = foreign<Map<string, number[]>>(`new Map([["a", [1, 2]], ["b", [3, 4]]])`);
    expect(decodeTable(encodeTable(columns))).toEqual({ a: [1, 2], b: [3, 4] });
  });
});
