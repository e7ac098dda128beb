import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decode, encode, inspect, Series } from "./complete.ts";
import { DeltaError } from "./delta-error.ts";
import { NARROW_EXAMPLES } from "./test-support/series-examples.ts";
import type { Element, Values } from "./values.ts";

const CHUNK = 100;

/** Each way to read a series gives its values, and what its index says of them is true. */
function readsAlike(values: Values, backend: "fast" | "small" | undefined): void {
  const expected = [...values] as number[];
  const bytes = encode(values, { backend, chunkValues: CHUNK });
  const series = Series.fromBytes(bytes);
  expect(expected.map((_, i) => series.at(i))).toEqual(expected);
  expect([...series]).toEqual(expected);
  expect(series.slice(3, -5)).toEqual(values.slice(3, -5));
  expect(decode(series.toBytes())).toEqual(values);
  const bounds = Array.from({ length: Math.ceil(expected.length / CHUNK) }, (_, k) => {
    const part = expected.slice(k * CHUNK, (k + 1) * CHUNK);
    return { nulls: 0, min: Math.min(...part), max: Math.max(...part) };
  });
  expect(inspect(bytes)).toMatchObject({ chunks: bounds });
  if (bounds.length > 1) {
    expect(series.chunks.map(({ statistics }) => statistics)).toEqual(bounds);
  }
  // Without checksums the chunks are written anew, of values that must fit their type.
  const plain = encode(values, { backend, chunkValues: CHUNK, checksum: false });
  expect([...Series.fromBytes(plain)]).toEqual(expected);
}

describe("integers narrower than 32 bits", () => {
  for (const [name, make] of Object.entries(NARROW_EXAMPLES)) {
    it(`are the same by every way to read them: ${name}`, () => {
      for (const backend of ["fast", "small", undefined] as const) readsAlike(make(), backend);
    });
  }

  it("may be any, and few or many", () => {
    const any = fc.oneof<fc.Arbitrary<Values>[]>(
      fc.int8Array({ maxLength: 350 }),
      fc.int16Array({ maxLength: 350 }),
      fc.uint8Array({ maxLength: 350 }),
      fc.uint16Array({ maxLength: 350 }),
      fc.int8Array({ maxLength: 350, min: -3, max: 2 }),
    );
    fc.assert(fc.property(any, fc.constantFrom("fast", "small", undefined), readsAlike), {
      numRuns: 60,
    });
  });

  it("are the same where damage made them too large for their type, and nothing checks them", () => {
    const bytes = encode(NARROW_EXAMPLES["smooth8"]?.() as Int8Array, {
      backend: "fast",
      checksum: false,
    });
    let altered = 0;
    for (let at = 30; at < bytes.length - 30; at += 1) {
      const broken = bytes.slice();
      broken[at] = 255;
      let values: Int8Array;
      try {
        values = decode(broken) as Int8Array;
      } catch (error) {
        expect(error).toBeInstanceOf(DeltaError);
        continue;
      }
      const series = Series.fromBytes(broken, { checksum: false });
      expect(Array.from(values, (_, i) => series.at(i))).toEqual([...values]);
      altered += 1;
    }
    expect(altered).toBeGreaterThan(100);
  });

  it("are the same in a series that grows", () => {
    const values = NARROW_EXAMPLES["noise16"]?.() as Int16Array;
    const series = new Series({ type: "i16", chunkValues: CHUNK });
    for (const value of values) series.append(value as Element);
    expect(Array.from(values, (_, i) => series.at(i))).toEqual([...values]);
  });
});
