import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteReader } from "./byte-reader.ts";
import {
  bigVarint,
  floatsOf,
  integersOfFloats,
  integersOfInts,
  integersOfWords,
  intsOf,
  readBigVarint,
  wordsOf,
} from "./integers.ts";
import {
  differences32,
  differences64,
  integrate32,
  integrate64,
  type Predictor,
} from "./predictor.ts";

const int64 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt({ min: 2n ** 40n, max: 2n ** 40n + 2n ** 33n }),
);

describe("integers as base, step and offsets", () => {
  it("give back 32-bit integers", () => {
    const steps = fc.constantFrom(1, 2, 250, 65_536);
    fc.assert(
      fc.property(fc.int32Array(), steps, (values, step) => {
        const ints = values.map((value) => Math.trunc(value / step) * step);
        const out = new Int32Array(ints.length);
        intsOf(integersOfInts(ints), out);
        expect(out).toEqual(ints);
      }),
    );
  });

  it("give back whole doubles", () => {
    const whole = fc.oneof(
      fc.integer({ min: -(2 ** 53) + 1, max: 2 ** 53 - 1 }),
      fc.integer({ min: 0, max: 2 ** 32 + 5 }),
      fc.integer({ min: -50, max: 50 }).map((value) => value * 10_000_000),
    );
    fc.assert(
      fc.property(fc.array(whole), (list) => {
        const values = Float64Array.from(list, (value) => value + 0);
        const out = new Float64Array(values.length);
        floatsOf(integersOfFloats(values), out, 1);
        expect(out).toEqual(values);
      }),
    );
  });

  it("give back 64-bit integers, near each other or far apart", () => {
    const near = int64.chain((base) =>
      fc.array(
        fc
          .bigInt({ min: -5000n, max: 2n ** 31n })
          .map((more) => BigInt.asIntN(64, base + more * 3n)),
      ),
    );
    fc.assert(
      fc.property(fc.oneof(near, fc.array(int64)), fc.boolean(), (list, isSigned) => {
        const words = new Uint32Array(BigInt64Array.from(list).buffer);
        const out = new Uint32Array(words.length);
        wordsOf(integersOfWords(words, isSigned), out);
        expect(out).toEqual(words);
      }),
      { numRuns: 300 },
    );
  });

  it("stand in headers as varints", () => {
    fc.assert(
      fc.property(int64, (value) => {
        const bytes = bigVarint(value);
        expect(readBigVarint(new ByteReader(bytes))).toBe(value);
        expect(bytes.length).toBeLessThanOrEqual(10);
      }),
    );
  });

  it("stand there in one way alone, and with more than 64 bits where a base is so large", () => {
    const read = (...bytes: number[]): bigint =>
      readBigVarint(new ByteReader(Uint8Array.from(bytes)));
    expect(read(0)).toBe(0n);
    for (const longer of [
      [0x80, 0],
      [0x8a, 0x80, 0],
      [...new Array<number>(9).fill(0x80), 0],
    ]) {
      expect(() => read(...longer)).toThrow(/corrupt/);
    }
    const base = 2n ** 64n + 2n ** 31n;
    expect(read(...bigVarint(base))).toBe(base);
    const far = [2n ** 64n - 10n, ...Array.from({ length: 99 }, (_, i) => BigInt(i) * 43_000_001n)];
    const words = new Uint32Array(BigUint64Array.from(far).buffer);
    const integers = integersOfWords(words, false);
    expect(integers.base).toBeGreaterThanOrEqual(2n ** 64n);
    const out = new Uint32Array(words.length);
    wordsOf(integers, out);
    expect(out).toEqual(words);
  });
});

describe("differences", () => {
  const predictor: fc.Arbitrary<Predictor> = fc.record({
    order: fc.constantFrom(0, 1, 2, 3),
    lag: fc.constantFrom(0, 1, 2, 7, 500),
  });

  it("of 32-bit integers are undone, modulo 2^32", () => {
    fc.assert(
      fc.property(fc.int32Array(), predictor, (values, each) => {
        const { residuals, seeds } = differences32(values, each);
        integrate32(residuals, each, seeds);
        expect(residuals).toEqual(values);
      }),
    );
  });

  it("of 64-bit integers are undone, or refused where they pass 52 bits", () => {
    const values = fc.array(fc.bigInt({ min: -(2n ** 47n), max: 2n ** 47n }));
    fc.assert(
      fc.property(values, predictor, (list, each) => {
        const words = new Uint32Array(BigInt64Array.from(list).buffer);
        const result = differences64(words, each);
        if (result === undefined) return;
        const out = new Uint32Array(words.length);
        integrate64(result.residuals, each, result.seeds, out);
        expect(out).toEqual(words);
      }),
    );
    const far = new Uint32Array(BigInt64Array.of(0n, 2n ** 60n).buffer);
    expect(differences64(far, { order: 1, lag: 0 })).toBeUndefined();
  });
});
