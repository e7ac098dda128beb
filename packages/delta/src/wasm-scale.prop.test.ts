import fc from "fast-check";
import "./complete.ts";
import { describe, expect, test } from "vitest";
import { fillFloats } from "./float-mode.ts";
import { floatsOf } from "./integers.ts";
import { decodePacked32Resident, encodePacked32, scaleByWasm } from "./packed.ts";

const int = fc.oneof(fc.integer(), fc.constantFrom(0, -1, 1, 2 ** 31 - 1, -(2 ** 31)));
const factor = fc.oneof(fc.constantFrom(1, 0.3048, 10, 100, 1e22, 1e308, -60), fc.double());
const scales = fc.record({
  step: fc.oneof(fc.constant(1), fc.maxSafeNat()),
  start: fc.oneof(fc.constant(0), fc.maxSafeInteger()),
  multiplier: factor,
  divisor: factor,
});
/** Slices are of 4,096 integers; four are taken at a time. */
const counts = fc.constantFrom(128, 129, 130, 131, 500, 4_095, 4_096, 4_097, 10_000);

function byJavaScript(
  ints: Int32Array,
  { step, start, multiplier, divisor }: Parameters<typeof scaleByWasm>[2],
): BigInt64Array {
  const floats = new Float64Array(ints.length);
  floatsOf({ base: BigInt(start), step, offsets: { kind: "narrow", ints } }, floats, 1);
  fillFloats({ multiplier, divisor, isSingle: false, printedDigits: -1 }, floats);
  return new BigInt64Array(floats.buffer);
}

function isSame(floats: Float64Array, bits: BigInt64Array): boolean {
  return new BigInt64Array(floats.buffer).every((each, i) => each === bits[i]);
}

describe("integers that stand for doubles", () => {
  test("become the same bits in both engines, from any memory; a scale that makes NaNs is left", () => {
    const cases = fc.tuple(fc.array(int, { minLength: 8, maxLength: 64 }), counts, scales);
    fc.assert(
      fc.property(cases, ([some, count, scale]) => {
        const ints = Int32Array.from({ length: count }, (_, i) => some[i % some.length] as number);
        const out = new Float64Array(count);
        const { multiplier, divisor } = scale;
        const isSound = [multiplier, divisor].every(Number.isFinite) && divisor !== 0;
        expect(scaleByWasm(ints, out, scale, { wasm: "now" })).toBe(isSound);
        if (!isSound) return;
        const wanted = byJavaScript(ints, scale);
        expect(isSame(out, wanted)).toBe(true);
        const resident = decodePacked32Resident(encodePacked32(ints, 1), 1, count, { wasm: "now" });
        expect(scaleByWasm(resident, out.fill(0), scale, { wasm: "now" })).toBe(true);
        expect(isSame(out, wanted)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });
});
