import { describe, expect, it } from "vitest";
import { decode, decodeStream, encode, encodeStream, encodeTable, Series } from "./complete.ts";
import { diff } from "./diff.ts";
import { patch } from "./patch.ts";
import type { TypedValues } from "./values.ts";

/** What is left of an array whose memory was given to a worker. */
function handedOn<T extends TypedValues>(array: T): T {
  structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] });
  return array;
}

const REFUSED = /invalid_argument.*handed on/;

type Maker<T> = new (buffer: ArrayBuffer, at: number, length?: number) => T;

/** What is left of arrays behind the end of their buffer, which shrank: of a length, and up to that end. */
function leftOutside<T extends TypedValues>(make: Maker<T>): T[] {
  type Resizable = ArrayBuffer & { resize(bytes: number): void };
  const buffer: Resizable = Reflect.construct(ArrayBuffer, [160, { maxByteLength: 160 }]);
  const arrays = [new make(buffer, 80, 4), new make(buffer, 80)];
  buffer.resize(40);
  return arrays;
}

describe("an array whose buffer shrank", () => {
  it("is refused where nothing is left of it, and not taken for an empty one", async () => {
    for (const make of [Int8Array, Float64Array, BigInt64Array] as Maker<TypedValues>[]) {
      for (const values of leftOutside(make)) {
        expect(values).toHaveLength(0);
        expect(() => encode(values)).toThrow(REFUSED);
        await expect(encodeStream([values]).next()).rejects.toThrow(REFUSED);
      }
    }
    for (const bytes of leftOutside(Uint8Array)) expect(() => decode(bytes)).toThrow(REFUSED);
    const series = new Series({ type: "f64" });
    for (const values of leftOutside(Float64Array)) {
      expect(() => series.extend(values)).toThrow(REFUSED);
    }
  });
});

describe("an array whose memory was handed on", () => {
  it("is refused as a series, and not taken for an empty one", async () => {
    for (const make of [Int8Array, Int16Array, Float32Array, Float64Array, BigInt64Array]) {
      const values = handedOn(new make(5));
      expect(() => encode(values)).toThrow(REFUSED);
      expect(() => encodeTable({ a: values })).toThrow(REFUSED);
      await expect(encodeStream([values]).next()).rejects.toThrow(REFUSED);
      expect(decode(encode(new make(0)))).toEqual(new make(0));
    }
    const series = new Series({ type: "i16" });
    expect(() => series.extend(handedOn(new Int16Array(5)))).toThrow(REFUSED);
    series.extend(new Int16Array(0));
    expect(series).toHaveLength(0);
  });

  it("is refused as bytes", async () => {
    const bytes = handedOn(encode([1, 2]));
    const whole = new Uint8Array(9);
    expect(() => decode(bytes)).toThrow(REFUSED);
    expect(() => Series.fromBytes(bytes)).toThrow(REFUSED);
    expect(() => diff(bytes, whole)).toThrow(REFUSED);
    expect(() => diff(whole, bytes)).toThrow(REFUSED);
    expect(() => patch(bytes, diff(whole, whole))).toThrow(REFUSED);
    await expect(decodeStream([bytes]).next()).rejects.toThrow(REFUSED);
  });
});
