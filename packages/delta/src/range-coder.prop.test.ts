import fc from "fast-check";
import { expect, test } from "vitest";
import { DeltaError } from "./delta-error.ts";
import { RangeDecoder, RangeEncoder } from "./range-coder.ts";

const extreme = fc.constantFrom(1, 2, 0x7fff, 0x8000, 0xfffe, 0xffff);
const decisions = fc.array(
  fc.tuple(fc.integer({ min: 0, max: 1 }), fc.oneof(extreme, fc.integer({ min: 1, max: 65535 }))),
  { maxLength: 2000 },
);

test("every sequence of decisions comes back, whatever the odds, and near its entropy", () => {
  fc.assert(
    fc.property(decisions, (list) => {
      const encoder = new RangeEncoder();
      let bits = 0;
      for (const [bit, one] of list) {
        encoder.code(bit, one);
        bits -= Math.log2((bit === 1 ? one : 65536 - one) / 65536);
      }
      const bytes = encoder.finish();
      expect(bytes.length).toBeLessThanOrEqual(bits / 8 + 1 + list.length / 500);
      const decoder = new RangeDecoder(bytes);
      for (const [bit, one] of list) expect(decoder.code(1 - bit, one)).toBe(bit);
      decoder.expectEnd();
    }),
  );
});

test("arbitrary bytes give decisions or a DeltaError, and stop within what the bytes can hold", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 64 }),
      fc.integer({ min: 1, max: 65535 }),
      (bytes, one) => {
        const decoder = new RangeDecoder(bytes);
        let count = 0;
        try {
          for (; count < 3000; count += 1) decoder.code(0, one ^ (count & 1));
        } catch (error) {
          expect(error).toBeInstanceOf(DeltaError);
        }
      },
    ),
  );
});
