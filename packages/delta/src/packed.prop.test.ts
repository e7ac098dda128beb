import fc from "fast-check";
import "./complete.ts";
import { expect, test } from "vitest";
import { DeltaError } from "./delta-error.ts";
import {
  decodePacked32,
  decodePacked32Resident,
  decodePacked64,
  decodePackedBlock32,
  decodePackedBlock64,
  describePacked,
  encodePacked32,
  encodePacked64,
  type PackedOrder,
} from "./packed.ts";

const ENGINES = [false, "now"] as const;
const order = fc.constantFrom<PackedOrder>(0, 1, 2, 3);

/** Series of a few blocks: residuals of some width, with outliers now and then, summed up or not. */
const series64 = fc
  .record({
    count: fc.integer({ min: 0, max: 700 }),
    width: fc.integer({ min: 0, max: 64 }),
    outlierWidth: fc.integer({ min: 0, max: 64 }),
    outlierEvery: fc.constantFrom(3, 17, 90, 1000),
    isOneSided: fc.boolean(),
    drift: fc.constantFrom(0n, 1n, 1000n, -(2n ** 40n)),
    sums: fc.integer({ min: 0, max: 3 }),
    seed: fc.integer({ min: 1, max: 0x7fffffff }),
  })
  .map((shape) => {
    let state = shape.seed;
    const word = (): bigint => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return BigInt(state >>> 0);
    };
    const values = new BigInt64Array(shape.count);
    for (let i = 0; i < shape.count; i += 1) {
      const bits = i % shape.outlierEvery === 2 ? shape.outlierWidth : shape.width;
      const random = (word() << 32n) | word();
      const residual = shape.isOneSided
        ? BigInt.asUintN(bits, random)
        : BigInt.asIntN(bits, random);
      values[i] = residual + shape.drift;
    }
    for (let d = 0; d < shape.sums; d += 1) {
      for (let i = 1; i < shape.count; i += 1) {
        values[i] = (values[i] as bigint) + (values[i - 1] as bigint);
      }
    }
    return new Uint32Array(values.buffer);
  });

const series32 = series64.map((words) =>
  Int32Array.from({ length: words.length / 2 }, (_, i) => words[2 * i] as number),
);

test("32-bit latents come back in both engines, and block by block", () => {
  fc.assert(
    fc.property(series32, order, (latents, differences) => {
      const payload = encodePacked32(latents, differences, { wasm: false });
      expect(encodePacked32(latents, differences, { wasm: "now" })).toEqual(payload);
      for (const wasm of ENGINES) {
        const out = new Int32Array(latents.length).fill(-7);
        decodePacked32(payload, differences, out, { wasm });
        expect(out).toEqual(latents);
      }
      const resident = decodePacked32Resident(payload, differences, latents.length, {
        wasm: "now",
      });
      expect(resident.slice()).toEqual(latents);
      const blocks = describePacked(payload, latents.length, differences, false);
      blocks.forEach((_, block) => {
        const out = new Int32Array(128);
        const count = decodePackedBlock32(payload, latents.length, differences, block, out);
        expect(out.subarray(0, count)).toEqual(latents.slice(128 * block, 128 * block + 128));
      });
    }),
  );
});

test("64-bit latents come back in both engines, and block by block", () => {
  fc.assert(
    fc.property(series64, order, (words, differences) => {
      const count = words.length / 2;
      const payload = encodePacked64(words, differences, { wasm: false });
      expect(encodePacked64(words, differences, { wasm: "now" })).toEqual(payload);
      for (const wasm of ENGINES) {
        const out = new Uint32Array(words.length).fill(7);
        decodePacked64(payload, differences, out, { wasm });
        expect(out).toEqual(words);
      }
      const blocks = describePacked(payload, count, differences, true);
      blocks.forEach((_, block) => {
        const out = new Uint32Array(256);
        const length = decodePackedBlock64(payload, count, differences, block, out);
        const wanted = words.slice(256 * block, 256 * block + 256);
        expect(out.subarray(0, 2 * length)).toEqual(wanted);
      });
    }),
  );
});

test("every width of fields comes back", () => {
  for (let width = 0; width <= 32; width += 1) {
    const latents = Int32Array.from(
      { length: 300 },
      (_, i) => (Math.imul(i + 1, 0x9e3779b1) >>> 0) & (width === 0 ? 0 : -1 >>> (32 - width)),
    );
    const payload = encodePacked32(latents, 0, { wasm: false });
    expect(describePacked(payload, 300, 0, false).every(({ bits }) => bits <= width + 1)).toBe(
      true,
    );
    for (const wasm of ENGINES) {
      const out = new Int32Array(300);
      decodePacked32(payload, 0, out, { wasm });
      expect(out).toEqual(latents);
    }
  }
});

/** What a decoder makes of a payload: its latents, or the code of its error. */
function outcome(decode: (out: Int32Array) => void, words: number): Int32Array | string {
  const out = new Int32Array(words);
  try {
    decode(out);
  } catch (error) {
    if (error instanceof DeltaError) return error.code;
    throw error;
  }
  return out;
}

function expectSameOutcome(
  payload: Uint8Array,
  differences: PackedOrder,
  count: number,
  isPairs: boolean,
): void {
  const [javascript, wasm] = ENGINES.map((engine) =>
    outcome(
      (out) => {
        const options = { wasm: engine };
        if (isPairs) decodePacked64(payload, differences, new Uint32Array(out.buffer), options);
        else decodePacked32(payload, differences, out, options);
      },
      isPairs ? 2 * count : count,
    ),
  );
  expect(wasm).toEqual(javascript);
}

const damage = fc.array(
  fc.tuple(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), fc.nat(255)),
  { minLength: 1, maxLength: 4 },
);

test("damaged payloads give the same latents or the same DeltaError in both engines", () => {
  fc.assert(
    fc.property(
      series64,
      order,
      fc.boolean(),
      damage,
      fc.integer({ min: -3, max: 3 }),
      (words, differences, isPairs, hits, more) => {
        const count = words.length / 2;
        const ints = Int32Array.from({ length: count }, (_, i) => words[2 * i] as number);
        const payload = isPairs
          ? encodePacked64(words, differences)
          : encodePacked32(ints, differences);
        for (const [place, byte] of hits) {
          // The head and the directory come first and are the more sensitive.
          payload[Math.floor(place * place * payload.length)] = byte;
        }
        expectSameOutcome(payload, differences, count, isPairs);
        expectSameOutcome(payload, differences, Math.max(0, count + more), isPairs);
      },
    ),
    { numRuns: 300 },
  );
});

test("a payload cut short or made longer is refused", () => {
  fc.assert(
    fc.property(series32, order, fc.double({ min: 0, max: 1, noNaN: true }), (latents, d, part) => {
      const payload = encodePacked32(latents, d);
      const out = new Int32Array(latents.length);
      const cut = payload.subarray(0, Math.min(payload.length - 1, part * payload.length));
      const longer = Uint8Array.of(...payload, 0);
      for (const wasm of ENGINES) {
        expect(() => decodePacked32(cut, d, out, { wasm })).toThrow(DeltaError);
        expect(() => decodePacked32(longer, d, out, { wasm })).toThrow(DeltaError);
      }
    }),
  );
});

test("arbitrary bytes give latents or a DeltaError, alike in both engines", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 400 }),
      order,
      fc.integer({ min: 0, max: 600 }),
      fc.boolean(),
      (bytes, differences, count, isPairs) => expectSameOutcome(bytes, differences, count, isPairs),
    ),
    { numRuns: 300 },
  );
});
