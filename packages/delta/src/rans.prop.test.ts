import fc from "fast-check";
import { ByteWriter } from "./byte-writer.ts";
import "./complete.ts";
import { describe, expect, it } from "vitest";
import { BitReader, normalize } from "./rans.ts";
import { decodeSmall32, decodeSmall64, encodeSmall } from "./small.ts";

describe("frequencies", () => {
  it("fill the table, keep every symbol that occurs, and give none to the others", () => {
    const counts = fc.array(fc.oneof(fc.constant(0), fc.nat(5), fc.nat(100_000)), {
      minLength: 1,
      maxLength: 200,
    });
    fc.assert(
      fc.property(counts, fc.constantFrom(8, 10, 12, 14), (list, log) => {
        fc.pre(list.some((count) => count > 0));
        const frequencies = normalize(Float64Array.from(list), log);
        expect(frequencies.reduce((sum, each) => sum + each, 0)).toBe(2 ** log);
        list.forEach((count, s) => {
          expect((frequencies[s] as number) > 0).toBe(count > 0);
        });
      }),
    );
  });
});

describe("bits", () => {
  it("of any widths up to 53 come back in order", () => {
    const field = fc.integer({ min: 0, max: 53 }).chain((width) =>
      fc.tuple(
        fc.constant(width),
        fc.maxSafeNat().map((value) => value % 2 ** width),
      ),
    );
    fc.assert(
      fc.property(fc.array(field), (fields) => {
        const writer = new ByteWriter();
        for (const [width, value] of fields) writer.bits(value, width);
        writer.endBits();
        const bytes = writer.finish();
        const padded = new Uint8Array(bytes.length + 8);
        padded.set(bytes);
        const reader = new BitReader(padded, bytes.length);
        for (const [width, value] of fields) expect(reader.take(width)).toBe(value);
        expect((reader.position + 7) >> 3).toBe(bytes.length);
      }),
    );
  });
});

describe("residuals", () => {
  const numbers = (min: number, max: number): fc.Arbitrary<number[]> =>
    fc.array(fc.oneof(fc.integer({ min: -3, max: 3 }), fc.integer({ min, max })), {
      minLength: 1,
      maxLength: 6000,
      size: "max",
    });

  it("of 32 bits come back, in the fast decoder and in the general one", () => {
    for (const bound of [100, 2 ** 20, 2 ** 31 - 1]) {
      fc.assert(
        fc.property(numbers(-bound, bound), (list) => {
          const payload = encodeSmall(Float64Array.from(list));
          for (const wasm of [true, false]) {
            const out = new Int32Array(list.length);
            decodeSmall32(payload, out, { wasm });
            expect(Array.from(out)).toEqual(list);
          }
        }),
        { numRuns: 30 },
      );
    }
  });

  it("of 52 bits come back", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -(2 ** 51), max: 2 ** 51 }), { minLength: 1 }),
        (list) => {
          const out = new Float64Array(list.length);
          decodeSmall64(encodeSmall(Float64Array.from(list)), out);
          expect(Array.from(out)).toEqual(list.map((value) => value + 0));
        },
      ),
    );
  });

  it("are summed on the way if that is asked", () => {
    const list = Array.from({ length: 5000 }, (_, i) => (i % 17) - 8);
    const out = new Int32Array(list.length);
    for (const wasm of [true, false]) {
      decodeSmall32(encodeSmall(Float64Array.from(list)), out, { sumFrom: 1000, wasm });
      let sum = 1000;
      expect(Array.from(out)).toEqual(list.map((value) => (sum += value)));
    }
  });
});
