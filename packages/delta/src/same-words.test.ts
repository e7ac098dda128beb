import { afterEach, describe, expect, it, vi } from "vitest";
import { sameBytes, sameWords } from "./same-words.ts";

afterEach(() => {
  vi.unstubAllGlobals();
});

describe("arrays are the same", () => {
  for (const isNode of [true, false]) {
    it(`word by word, ${isNode ? "by the runtime" : "by a loop"}`, () => {
      if (!isNode) vi.stubGlobal("Buffer", undefined);
      const words = Int32Array.from({ length: 300 }, (_, i) => i * 0x1234567);
      const inner = words.subarray(3, 200);
      expect(sameWords(inner, inner.slice())).toBe(true);
      for (const place of [0, 100, inner.length - 1]) {
        const other = inner.slice();
        other[place] = (other[place] ?? 0) ^ -0x80000000;
        expect(sameWords(inner, other)).toBe(false);
      }
      expect(sameWords(inner, inner.subarray(1))).toBe(false);
      const bytes = new Uint8Array(inner.slice().buffer);
      expect(sameBytes(bytes, bytes.slice())).toBe(true);
      expect(sameBytes(bytes, bytes.subarray(1))).toBe(false);
      expect(
        sameBytes(
          bytes,
          bytes.map((byte, i) => (i === 99 ? byte ^ 1 : byte)),
        ),
      ).toBe(false);
    });
  }
});
