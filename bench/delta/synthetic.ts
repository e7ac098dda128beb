/**
 * Two made series of prices in cents, the same on every machine: `walk`, closes of bars, and
 * `ticks`, trades. Their generators are matched to the sizes that other codecs were measured at on
 * series of the same kind, so that those stay meaningful as references. In bytes per value, listed
 * and (in parentheses) here:
 *
 * - walk: entropy of the deltas 5.09 bits (5.09); TurboPFor p4nzenc128v32 0.7537 (0.7512),
 *   p4nzenc256v32 0.7409 (0.7436), bitnzpack128v32 0.8149 (0.8142); gzip -6 1.390 (1.383); xz -3
 *   1.026 (1.022), after its delta filter 0.801 (0.803).
 * - ticks: entropy 1.67 bits (1.67); p4nzenc128v32 0.3785 (0.3786), p4nzenc256v32 0.3770 (0.3798),
 *   bitnzpack128v32 0.4718 (0.4729); gzip -6 0.490 (0.491); xz -3 0.398 (0.398), after its delta
 *   filter 0.326 (0.329).
 */

import type { Columns } from "./real-series.ts";

export const SYNTHETIC_VALUES = 2_000_000;

export const SYNTHETIC_SERIES = [
  "walk",
  "ticks",
  "walk_prices",
  "ticks_prices",
  "timestamps",
  "timestamps_ns",
] as const;

/** The listed sizes, to be held against these series like those of the real ones. */
export const SYNTHETIC_GZIP6: ReadonlyMap<string, number> = new Map([
  ["walk", 1.39],
  ["ticks", 0.49],
]);

export function syntheticSeries(): Columns {
  const walk = makeWalk(11);
  const ticks = makeTicks(12);
  return {
    walk,
    ticks,
    walk_prices: Float64Array.from(walk, (cents) => cents / 100),
    ticks_prices: Float64Array.from(ticks, (cents) => cents / 100),
    timestamps: makeTimestamps(13),
    timestamps_ns: makeArrivals(14),
  };
}

/** Moves whose volatility comes in clusters, rare jumps, and a band that they do not leave. */
function makeWalk(seed: number): Int32Array {
  const random = uniform(seed);
  const [persistence, spread, cents, jumpChance, jump] = [0.99, 0.3, 7.5, 0.0018, 20];
  const shock = spread * Math.sqrt(1 - persistence * persistence);
  let logVolatility = 0;
  let price = 10_000;
  return Int32Array.from({ length: SYNTHETIC_VALUES }, () => {
    logVolatility = persistence * logVolatility + shock * normal(random);
    const size = cents * Math.exp(logVolatility) * (random() < jumpChance ? jump : 1);
    const move = Math.round(size * normal(random));
    price += price + move < 5_000 || price + move > 25_000 ? -move : move;
    return price;
  });
}

/** Moves of hardly a cent, and now and then one of up to six. */
function makeTicks(seed: number): Int32Array {
  const random = uniform(seed);
  let price = 10_000;
  return Int32Array.from({ length: SYNTHETIC_VALUES }, () => {
    const move = random() < 0.028 ? (2 * random() - 1) * 6.5 : 0.62 * normal(random);
    price += Math.round(move);
    return price;
  });
}

/** Milliseconds of a timer of ten a second, which is late by a little each time. */
function makeTimestamps(seed: number): BigInt64Array {
  const random = uniform(seed);
  const start = 1_700_000_000_000;
  return BigInt64Array.from({ length: SYNTHETIC_VALUES }, (_, i) =>
    BigInt(start + 100 * i + Math.floor(-2 * Math.log(1 - random()))),
  );
}

/** Nanoseconds of events that do not know of each other, twenty a second. */
function makeArrivals(seed: number): BigInt64Array {
  const random = uniform(seed);
  let now = 1_700_000_000_000_000_000n;
  return BigInt64Array.from({ length: SYNTHETIC_VALUES }, () => {
    now += BigInt(Math.floor(-5e7 * Math.log(1 - random())));
    return now;
  });
}

function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Numbers in [0, 1), the same for the same seed: a counter, and a mix of its bits. */
function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let bits = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    bits = Math.imul(bits ^ (bits >>> 15), 0x735a2d97);
    return ((bits ^ (bits >>> 15)) >>> 0) / 2 ** 32;
  };
}
