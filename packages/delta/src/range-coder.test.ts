import { expect, test } from "vitest";
import { DeltaError } from "./delta-error.ts";
import { RangeDecoder, RangeEncoder } from "./range-coder.ts";

test("a decision with even odds costs one bit", () => {
  const encoder = new RangeEncoder();
  for (let at = 0; at < 8000; at += 1) encoder.code((at * 7) & 1, 0x8000);
  expect(encoder.finish().length).toBeLessThanOrEqual(1001);
});

test("decisions that went as expected cost nothing, and no bytes are needed for them", () => {
  const encoder = new RangeEncoder();
  for (let at = 0; at < 1000; at += 1) encoder.code(1, 65535);
  const bytes = encoder.finish();
  expect(bytes.length).toBe(0);
  const decoder = new RangeDecoder(bytes);
  for (let at = 0; at < 1000; at += 1) expect(decoder.code(0, 65535)).toBe(1);
  decoder.expectEnd();
});

test("a carry runs through bytes of 255 already written", () => {
  const encoder = new RangeEncoder();
  const decisions: [number, number][] = [];
  // Zeros of high probability for 1 push the number up to just below a carry, then over it.
  for (let at = 0; at < 40; at += 1) decisions.push([0, 0x8000]);
  for (let at = 0; at < 200; at += 1) decisions.push([at % 3 === 0 ? 1 : 0, 65535 - at]);
  for (const [bit, one] of decisions) encoder.code(bit, one);
  const decoder = new RangeDecoder(encoder.finish());
  expect(decisions.map(([, one]) => decoder.code(0, one))).toEqual(decisions.map(([bit]) => bit));
});

test("reading on past the end fails instead of going on for ever", () => {
  const decoder = new RangeDecoder(Uint8Array.of(0x12, 0x34));
  expect(() => {
    for (;;) decoder.code(0, 0x8000);
  }).toThrow(DeltaError);
});

test("bytes after the last decision are refused", () => {
  const encoder = new RangeEncoder();
  for (let at = 0; at < 100; at += 1) encoder.code(at & 1, 0x8000);
  const bytes = encoder.finish();
  const longer = new Uint8Array(bytes.length + 2);
  longer.set(bytes);
  const decoder = new RangeDecoder(longer);
  for (let at = 0; at < 100; at += 1) decoder.code(0, 0x8000);
  expect(() => decoder.expectEnd()).toThrow(/corrupt/);
});
