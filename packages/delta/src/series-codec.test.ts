import { deflateSync, inflateSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { decode, decodeTable, encode, encodeTable, inspect, Series } from "./complete.ts";
import { DeltaError } from "./delta-error.ts";
import { EXAMPLES } from "./test-support/series-examples.ts";
import type { Element, Values } from "./values.ts";

const BACKENDS = [undefined, "fast", "small", "handoff"] as const;

/** The bits of a series, so that -0 and the payload of a NaN count. */
function bits(values: Values): unknown {
  if (Array.isArray(values)) {
    return values.map((value) => (value instanceof Date ? `date ${value.getTime()}` : value));
  }
  const { buffer, byteOffset, byteLength } = values as Float64Array;
  return [values.constructor.name, ...new Uint8Array(buffer, byteOffset, byteLength)];
}

describe("encode and decode", () => {
  for (const [name, make] of Object.entries(EXAMPLES)) {
    for (const backend of BACKENDS) {
      it(`give back the same type and the same bits: ${name}, ${backend ?? "default"}`, () => {
        const values = make();
        for (const wasm of [true, false]) {
          const bytes = encode(values, { backend, wasm });
          expect(bits(decode(bytes, { wasm: !wasm }))).toEqual(bits(values));
        }
      });
    }
  }

  it("count the nulls among strings once, however many chunks there are", () => {
    const values = Array.from({ length: 2_000 }, (_, i) => (i % 9 === 0 ? null : `item ${i % 7}`));
    const reduce = vi.spyOn(Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array, "reduce");
    const bytes = encode(values, { chunkValues: 20 });
    const looked = reduce.mock.contexts as readonly Uint8Array[];
    const looks = looked.reduce((sum, { length }) => sum + length, 0);
    reduce.mockRestore();
    expect(looks).toBeLessThanOrEqual(3 * values.length);
    expect(decode(bytes)).toEqual(values);
  });

  it("write the same bytes with WebAssembly and without", { timeout: 60_000 }, () => {
    for (const [name, make] of Object.entries(EXAMPLES)) {
      for (const backend of BACKENDS) {
        const [first, second] = [true, false].map((wasm) => encode(make(), { backend, wasm }));
        expect(first, name).toEqual(second);
      }
    }
  });

  it("read a Buffer of Node as any other bytes", () => {
    for (const [name, make] of Object.entries(EXAMPLES)) {
      for (const backend of BACKENDS) {
        const values = make().slice(0, 500) as Values;
        const pooled = Buffer.from(encode(values, { backend }));
        expect(decode(pooled), name).toEqual(values);
      }
    }
  });

  it("read several files in a row as one series", () => {
    const parts = [Int32Array.of(1, 2, 3), new Int32Array(0), Int32Array.of(4)];
    const bytes = parts.flatMap((part) => [...encode(part)]);
    expect(decode(Uint8Array.from(bytes))).toEqual(Int32Array.of(1, 2, 3, 4));
  });

  it("take any chunk size, and bytes that do not begin at the start of their buffer", () => {
    const values = Float64Array.from({ length: 1000 }, (_, i) => i / 10);
    for (const chunkValues of [1, 7, 128, 999, 1000, 262_144]) {
      const bytes = encode(values, { chunkValues });
      expect(decode(Buffer.from(bytes))).toEqual(values);
      const moved = new Uint8Array(bytes.length + 3).subarray(3);
      moved.set(bytes);
      expect(decode(moved)).toEqual(values);
    }
  });

  it("decode into an array that is there, of the right type and room", () => {
    for (const name of ["integers", "cents", "singles", "bytes", "pairs"]) {
      const values = EXAMPLES[name]?.() as Float64Array;
      const Same = values.constructor as Float64ArrayConstructor;
      const into = new Same(
        new ArrayBuffer((values.length + 9) * values.BYTES_PER_ELEMENT),
        values.BYTES_PER_ELEMENT,
      );
      const read = decode(encode(values, { chunkValues: 700 }), { into });
      expect(bits(read)).toEqual(bits(values));
      expect((read as Float64Array).buffer).toBe(into.buffer);
    }
    const bytes = encode(Int32Array.of(1, 2));
    expect(() => decode(bytes, { into: new Int32Array(1) })).toThrow(/room for 2 values/);
    expect(() => decode(bytes, { into: new Uint32Array(2) })).toThrow(/array of i32/);
  });

  it("expand what cannot be made smaller by less than 0.1 % and a frame of 64 bytes", () => {
    for (const name of ["noise32", "noise64", "doubles", "singleNoise", "bytes"]) {
      const values = EXAMPLES[name]?.() as Float64Array;
      for (const backend of BACKENDS) {
        const { length } = encode(values, { backend });
        expect(length, name).toBeLessThanOrEqual(values.byteLength * 1.001 + 64);
      }
    }
  });

  it("find how values were made", () => {
    const modes = (name: string): string[] => {
      const report = inspect(encode(EXAMPLES[name]?.() as Values, { backend: "small" }));
      return report.kind === "series" ? report.chunks.map(({ mode }) => mode) : [];
    };
    expect(modes("cents")).toEqual(["decimal 10^-2"]);
    expect(modes("feet")).toEqual(["multiple of 0.3048"]);
    expect(modes("minutes")).toEqual(["multiple of 1/60"]);
    expect(modes("singles")).toEqual(["decimal 10^-2 as float32"]);
    expect(modes("printedSingles")).toEqual(["decimal 10^-2 as float32 printed with 6 decimals"]);
    expect(modes("doubles")).toEqual(["float bits"]);
    expect(modes("integersWithSteps")).toEqual(["integer, in steps of 250"]);
    expect(modes("runs")[0]).toMatch(/^\d+ runs of multiple of 1\/60/);
  });
});

describe("arbitrary series", () => {
  const check = (arbitrary: fc.Arbitrary<Values>): void => {
    fc.assert(
      fc.property(arbitrary, fc.constantFrom(...BACKENDS), (values, backend) => {
        expect(bits(decode(encode(values, { backend, chunkValues: 300 })))).toEqual(bits(values));
      }),
      { numRuns: 60 },
    );
  };

  it("of doubles come back", () => {
    check(fc.float64Array({ maxLength: 700 }));
    check(fc.array(fc.double(), { maxLength: 700 }));
  });

  it("of decimals with exceptions come back", () => {
    const decimal = fc.integer({ min: -1e6, max: 1e6 }).map((value) => value / 1000);
    const mixed = fc.oneof(
      { arbitrary: decimal, weight: 20 },
      { arbitrary: fc.double(), weight: 1 },
    );
    check(
      fc.array(mixed, { minLength: 30, maxLength: 900 }).map((values) => Float64Array.from(values)),
    );
  });

  it("of integers come back", () => {
    check(fc.int32Array({ maxLength: 900 }));
    check(fc.uint32Array({ maxLength: 900 }));
    check(fc.bigInt64Array({ maxLength: 500 }));
    check(fc.bigUint64Array({ maxLength: 500 }));
    check(fc.int8Array({ maxLength: 500 }));
    check(fc.float32Array({ maxLength: 500 }));
  });

  it("of near integers come back", () => {
    const near = fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 25, maxLength: 900 });
    check(near.map((steps) => Int32Array.from(steps)));
    const far = fc.bigInt({ min: -(2n ** 55n), max: 2n ** 55n });
    check(fc.array(far, { maxLength: 400 }).map((values) => BigInt64Array.from(values)));
  });

  it("with nulls, of strings and dates, come back", () => {
    const nullable = (each: fc.Arbitrary<Element>): fc.Arbitrary<Values> =>
      fc.array(fc.option(each), { maxLength: 300 }) as fc.Arbitrary<Values>;
    check(nullable(fc.string({ unit: "binary" })));
    check(nullable(fc.boolean()));
    check(nullable(fc.date({ noInvalidDate: false })));
    check(nullable(fc.double()));
  });
});

describe("encode refuses, with the place,", () => {
  const refuse = (values: unknown, code: string, offset?: number): void => {
    try {
      encode(values as Values);
    } catch (error) {
      expect(error).toBeInstanceOf(DeltaError);
      expect(error).toMatchObject({ code, offset, retryable: false, outcome: "not-applied" });
      return;
    }
    expect.fail("not refused");
  };

  it("mixed types, holes and what is no value", () => {
    refuse([1, "2"], "invalid_argument", 1);
    refuse([1n, 2], "invalid_argument", 1);
    refuse([true, null, 3], "invalid_argument", 2);
    refuse(["a", new Date(0)], "invalid_argument", 1);
    // biome-ignore lint/suspicious/noSparseArray: the hole is what is tested.
    refuse([1, , 2], "invalid_argument", 1);
    refuse([undefined], "invalid_argument", 0);
    refuse([{}], "invalid_argument", 0);
    refuse("text", "invalid_argument");
    refuse(new DataView(new ArrayBuffer(8)), "invalid_argument");
  });

  it("by the name of what it was given", () => {
    const message = (work: () => unknown): string => {
      try {
        work();
      } catch (error) {
        return (error as DeltaError).detail;
      }
      return "taken";
    };
    const none = "null (a typed array holds none) in a series of f64s";
    expect(message(() => encode([1, null], { type: "f64" }))).toBe(none);
    expect(message(() => new Series({ type: "f64" }).append(null))).toBe(none);
    for (const [values, detail] of [
      [[1, new Date(0)], "a date in a series of numbers"],
      [[new Date(0), 1], "a number in a series of dates"],
      [["a", {}], "an object in a series of strings"],
      [[true, []], "an array in a series of booleans"],
      [[{}], "an object cannot be encoded"],
    ] as const) {
      expect(message(() => encode(values as never))).toBe(detail);
    }
  });

  it("holes, also where a typed array is wanted", () => {
    const [numbers, bigints] = [new Array<number>(3), new Array<bigint>(3)];
    numbers[0] = 1;
    bigints[0] = 1n;
    for (const type of ["f64", "f32", "i8", "u32", "number"] as const) {
      expect(() => encode(numbers, { type }), type).toThrow(/invalid_argument.*hole.*\(at 1\)/);
    }
    expect(() => encode(bigints, { type: "i64" })).toThrow(/invalid_argument.*hole.*\(at 1\)/);
  });

  it("a type that the values are not of", () => {
    expect(decode(encode([1, 2, 3], { type: "i16" }))).toEqual(Int16Array.of(1, 2, 3));
    expect(decode(encode([], { type: "u64" }))).toEqual(new BigUint64Array(0));
    expect(decode(encode([null], { type: "string" }))).toEqual([null]);
    expect(() => encode([1, 2.5], { type: "i16" })).toThrow(/out_of_range/);
    expect(() => encode([1, null], { type: "i16" })).toThrow(/invalid_argument/);
    expect(() => encode(["a"], { type: "number" })).toThrow(/series of string is none of number/);
    expect(() => encode(Int8Array.of(1), { type: "i16" })).toThrow(/series of i8 is none of i16/);
  });

  it("a type that there is not", () => {
    for (const type of ["bogus", "constructor", "", undefined, null]) {
      const options = { type: type as "f64" };
      expect(() => new Series(options), String(type)).toThrow(/invalid_argument.*type/);
      if (typeof type !== "string") continue;
      expect(() => encode([], options), type).toThrow(/invalid_argument/);
      expect(() => encode([1], options), type).toThrow(/invalid_argument/);
    }
  });

  it("bigints beyond 64 bits", () => {
    refuse([1n, 2n ** 63n], "out_of_range", 1);
  });

  it("options out of range", () => {
    expect(() => encode([1], { chunkValues: 0 })).toThrow(/chunkValues/);
    expect(() => encode([1], { chunkValues: 2 ** 18 + 1 })).toThrow(/chunkValues/);
    expect(() => encode([1], { backend: "tiny" as "small" })).toThrow(/no back end tiny/);
    expect(() => encode([1], { backend: "handoff", compressor: "lzw" })).toThrow(
      /no such compressor/,
    );
  });

  it("a handed-off file without its compressor", () => {
    const own = {
      id: 77,
      name: "own",
      compress: (bytes: Uint8Array) => deflateSync(bytes),
      decompress: (bytes: Uint8Array) => inflateSync(bytes),
    };
    const values = EXAMPLES["integers"]?.() as Values;
    const bytes = encode(values, { backend: "handoff", compressor: own });
    expect(decode(bytes, { compressors: [own] })).toEqual(values);
    expect(() => decode(bytes)).toThrow(/unsupported_feature.*compressor 77/);
  });
});

describe("a limit of values", () => {
  it("that is none is refused, and switches nothing off", () => {
    const [series, table] = [encode([1, 2, 3]), encodeTable({ a: [1, 2, 3] })];
    for (const wrong of [Number.NaN, -1, "abc"]) {
      const options = { maxValues: wrong as number };
      const refused = /invalid_argument.*maxValues/;
      expect(() => decode(series, options)).toThrow(refused);
      expect(() => decodeTable(table, options)).toThrow(refused);
      expect(() => inspect(series, options)).toThrow(refused);
      expect(() => inspect(table, options)).toThrow(refused);
      expect(() => Series.fromBytes(series, options)).toThrow(refused);
    }
    for (const read of [decode, inspect, Series.fromBytes]) {
      expect(() => read(series, { maxValues: 2 })).toThrow(/limit_exceeded.*more than 2 values/);
      expect(() => read(series, { maxValues: 3 })).not.toThrow();
    }
  });
});
