import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decode, encode, Series } from "./complete.ts";
import { EXAMPLES } from "./test-support/series-examples.ts";
import type { Element, Values } from "./values.ts";

/** Whether `at` reads each value of `bytes` that `decode` gives, bit for bit. */
function readsAlike(bytes: Uint8Array, places: readonly number[]): void {
  const series = Series.fromBytes(bytes);
  const values = decode(bytes) as readonly Element[];
  for (const place of places) expect(series.at(place)).toEqual(values[place]);
}

function isRead(bytes: Uint8Array): boolean {
  try {
    decode(bytes);
    return true;
  } catch {
    return false;
  }
}

const every = (count: number, step: number): number[] =>
  Array.from({ length: Math.ceil(count / step) }, (_, k) => k * step);

describe("one value", () => {
  for (const [name, make] of Object.entries(EXAMPLES)) {
    it(`is that of the whole series, however it is written: ${name}`, () => {
      const values = make();
      for (const backend of ["fast", "small"] as const) {
        readsAlike(encode(values, { backend }), every(values.length, 7));
      }
    });
  }

  it("may be null, an exception, in a run, or all of that", () => {
    const value = fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: 0, max: 300 }).map((cents) => cents / 100) },
      { weight: 2, arbitrary: fc.constant(null) },
      { weight: 1, arbitrary: fc.double() },
    );
    const run = fc.tuple(value, fc.integer({ min: 1, max: 60 }));
    fc.assert(
      fc.property(fc.array(run, { maxLength: 60 }), (runs) => {
        const values = runs.flatMap(([each, length]) =>
          new Array<number | null>(length).fill(each),
        );
        const bytes = encode(values, { backend: "fast", type: "number" });
        readsAlike(bytes, every(values.length, 5));
      }),
      { numRuns: 60 },
    );
  });

  it("is refused as the whole series is, if its chunk is of a shape that is not known or another type's", () => {
    const cents = Array.from({ length: 30 }, (_, i) => (i * i) / 100);
    const all: Values[] = [Float64Array.from(cents), Int32Array.from(cents, (cent) => 100 * cent)];
    for (const values of all) {
      const bytes = encode(values, { backend: "fast", checksum: false });
      // Behind the header: the chunk's tag, its size, how many values, nulls or none.
      const at = 6 + 4;
      for (const shape of bytes[at] === 1 ? [2, 3, 5, 77] : [1, 5, 77]) {
        bytes[at] = shape;
        const refused = /unsupported_feature.*shape|corrupt.*(integers|floats)/;
        expect(() => decode(bytes), `decode, ${shape}`).toThrow(refused);
        const series = Series.fromBytes(bytes, { checksum: false });
        expect(() => series.at(3), `at, ${shape}`).toThrow(refused);
      }
    }
  });

  // Outliers, so that the last bytes of a chunk are the packed exceptions of its last blocks.
  const walk = (count: number): number[] =>
    Array.from({ length: count }, (_, i) => {
      const value = Math.round(5_000 * Math.sin(i * i)) / 100;
      return i % 61 === 0 ? value * 1_000 : value;
    });
  const cases: Record<string, Values> = {
    integers: Int32Array.from(walk(4_096)),
    decimals: Float64Array.from(walk(4_096)),
    nulls: walk(4_096).map((value, i) => (i % 100 < 3 ? null : value)),
    exceptions: Float64Array.from(walk(4_096), (v, i) => (i % 200 === 9 ? Math.PI : v)),
    "float bits": Float64Array.from(
      walk(4_096),
      (_, i) => Math.sqrt(2 + i) + (i % 50 === 0 ? 1e250 : 0),
    ),
    runs: Int32Array.from(walk(2_000).flatMap((value) => new Array<number>(90).fill(value))),
  };
  for (const [name, values] of Object.entries(cases)) {
    it(`is read from its block, and no other: ${name}`, () => {
      const options = { checksum: false, chunkValues: values.length };
      const bytes = encode(values, { ...options, backend: "fast" });
      const broken = bytes.slice();
      // From the end of the chunk on, until the whole is refused.
      let at = bytes.length - 8 - 10;
      while (isRead(broken)) broken[--at] = 255;
      expect(bytes.length - at).toBeLessThan(100);
      const damaged = Series.fromBytes(broken, options);
      const sound = Series.fromBytes(bytes, options);
      for (const place of every(values.length >> 1, 97)) {
        expect(damaged.at(place)).toEqual(sound.at(place));
      }
    });
  }
});
