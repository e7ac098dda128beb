import type { Values } from "../values.ts";

/** A small generator with a seed, so that examples are the same everywhere. */
export function random(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function walk(count: number, seed: number, step: number): number[] {
  const next = random(seed);
  let value = 10_000;
  return Array.from({ length: count }, () => {
    value += Math.round((next() + next() - 1) * step);
    return value;
  });
}

/** For each way of writing a series at least one that is written so. Sizes straddle block borders. */
export const EXAMPLES: Readonly<Record<string, () => Values>> = {
  empty: () => new Float64Array(0),
  single: () => Float64Array.of(Math.PI),
  constant: () => new Int32Array(1000).fill(-7),
  integers: () => Int32Array.from(walk(5000, 1, 40)),
  integersWithSteps: () => Int32Array.from(walk(3001, 2, 9), (value) => value * 250),
  unsigned: () => Uint32Array.from(walk(700, 3, 1e6), (value) => value + 4e9),
  bytes: () => Uint8Array.from(walk(999, 4, 20), (value) => value & 0xff),
  clamped: () => Uint8ClampedArray.from(walk(130, 5, 20), (value) => value & 0xff),
  shorts: () => Int16Array.from(walk(1281, 6, 99)),
  noise32: () => {
    const next = random(7);
    return Int32Array.from({ length: 2000 }, () => next() * 2 ** 32);
  },
  outliers: () => {
    const next = random(8);
    return Int32Array.from(walk(4000, 8, 12), (value) => (next() < 0.01 ? value * 100_000 : value));
  },
  pairs: () => BigInt64Array.from(walk(900, 9, 50), (value) => 2n ** 60n + BigInt(value)),
  unsignedPairs: () =>
    BigUint64Array.from(walk(300, 10, 50), (value) => 2n ** 63n + BigInt(value) ** 4n),
  noise64: () => {
    const next = random(11);
    const word = (): bigint => BigInt(Math.floor(next() * 2 ** 32));
    return BigInt64Array.from({ length: 700 }, () => BigInt.asIntN(64, (word() << 32n) | word()));
  },
  cents: () => Float64Array.from(walk(3000, 12, 30), (value) => value / 100),
  feet: () => Float64Array.from(walk(3000, 13, 30), (value) => value * 0.3048),
  minutes: () => Float64Array.from(walk(2000, 14, 30), (value) => value / 60),
  singles: () => Float32Array.from(walk(2000, 15, 30), (value) => value / 100),
  singleNoise: () => {
    const next = random(16);
    return Float32Array.from({ length: 500 }, () => next());
  },
  printedSingles: () =>
    Float64Array.from(walk(2000, 17, 30), (value) => Number(Math.fround(value / 100).toFixed(6))),
  doubles: () => {
    const next = random(18);
    return Float64Array.from({ length: 1000 }, () => Math.sqrt(next()));
  },
  specialFloats: () => {
    const values = Float64Array.from(walk(600, 19, 30), (value) => value / 10);
    values.set([Number.NaN, -0, 0, Infinity, -Infinity, 5e-324, 1.7976931348623157e308], 100);
    new Uint32Array(values.buffer).set([0x7a2, 0x7ff00000, 0xffffffff, 0xffffffff], 400);
    return values;
  },
  specialSingles: () => {
    const values = Float32Array.from(walk(300, 20, 30), (value) => value / 4);
    values.set([Number.NaN, -0, Infinity], 10);
    new Uint32Array(values.buffer).set([0x7f800001, 0xffffffff], 40);
    return values;
  },
  runs: () => {
    const next = random(28);
    let value = 0;
    let left = 0;
    return Float64Array.from({ length: 5000 }, () => {
      if (left-- > 0) return value / 60;
      left = 38 + Math.floor(next() * 5);
      return ++value / 60;
    });
  },
  grid: () =>
    Int32Array.from({ length: 8000 }, (_, i) => ((i % 97) ** 2 % 1009) * 31 + Math.floor(i / 97)),
  curve: () => Int32Array.from({ length: 3000 }, (_, i) => Math.round(1e6 * Math.sin(i / 50))),
  numbers: () => walk(500, 21, 10).map((value) => value / 8),
  nullableNumbers: () => walk(500, 22, 10).map((value, i) => (i % 7 < 2 ? null : value / 10)),
  bigints: () => walk(200, 23, 10).map((value) => BigInt(value) * 10n ** 12n),
  nullableBigints: () => [null, 1n, null, -(2n ** 63n), 2n ** 63n - 1n],
  dates: () => walk(400, 24, 1000).map((value) => new Date(value * 60_000)),
  invalidDates: () => [new Date(0), new Date(Number.NaN), null, new Date(8.64e15)],
  booleans: () => walk(300, 25, 3).map((value) => value % 2 === 0),
  nullableBooleans: () => [true, null, false, false, null],
  strings: () =>
    walk(300, 26, 1e6)
      .map((value) => `key/${value}`)
      .sort((a, b) => (a < b ? -1 : 1)),
  categories: () => walk(900, 27, 5).map((value) => ["red", "green", "blue", ""][value & 3] ?? ""),
  nullableStrings: () => ["a", null, "", "\ud800", "é\u0000", "😀", null],
  allNull: () => [null, null, null],
};

/** Integers narrower than a lane's: noise, which is written raw, and what is packed; negative ones too. */
export const NARROW_EXAMPLES: Readonly<Record<string, () => Values>> = {
  noise8: () => Int8Array.from(noise(500, 29, 256)),
  noise16: () => Int16Array.from(noise(500, 30, 65_536)),
  unsignedNoise8: () => Uint8Array.from(noise(500, 31, 256)),
  unsignedNoise16: () => Uint16Array.from(noise(500, 32, 65_536)),
  smooth8: () => Int8Array.from({ length: 500 }, (_, i) => Math.round(100 * Math.sin(i / 30))),
  smooth16: () => Int16Array.from({ length: 500 }, (_, i) => Math.round(3e4 * Math.sin(i / 30))),
  runs8: () => Int8Array.from({ length: 500 }, (_, i) => Math.floor(i / 40) * -9),
};

function noise(count: number, seed: number, range: number): number[] {
  const next = random(seed);
  return Array.from({ length: count }, () => Math.floor(next() * range - range / 2));
}
