import { describe, expect, test } from "vitest";
import { isZero } from "./segment-sector.ts";

describe("isZero", () => {
  test("finds one byte wherever it lies, and none outside the range, at any alignment", () => {
    for (const [offset, from, length] of cases()) {
      const bytes = new Uint8Array(new ArrayBuffer(offset + 200), offset);
      const to = from + length;
      for (let at = 0; at < bytes.length; at += 1) {
        bytes[at] = 1;
        expect(isZero(bytes, from, to)).toBe(at < from || at >= to);
        bytes[at] = 0;
      }
    }
  });

  test("what is not there is not zero", () => {
    const bytes = new Uint8Array(new ArrayBuffer(200), 0, 100);
    expect(isZero(bytes, 0, 100)).toBe(true);
    expect(isZero(bytes, 0, 101)).toBe(false);
  });
});

function* cases(): Iterable<readonly [offset: number, from: number, length: number]> {
  for (const offset of [0, 1, 2, 3]) {
    for (const from of [0, 1, 6, 7]) {
      for (const length of [0, 3, 63, 64, 65, 66, 67, 130]) yield [offset, from, length];
    }
  }
}
