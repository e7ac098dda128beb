import { describe, expect, it } from "vitest";
import { xxh32 } from "./checksum.ts";

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));

describe("xxh32", () => {
  it("gives the published values", () => {
    expect(xxh32(ascii(""))).toBe(0x02cc5d05);
    expect(xxh32(ascii("a"))).toBe(0x550d7456);
    expect(xxh32(ascii("abc"))).toBe(0x32d153ff);
    expect(xxh32(ascii("Nobody inspects the spammish repetition"))).toBe(0xe2293b2f);
  });

  it("hashes a part as if it stood alone, whatever its alignment", () => {
    const bytes = ascii("xyNobody inspects the spammish repetition!");
    expect(xxh32(bytes, 2, bytes.length - 1)).toBe(0xe2293b2f);
    expect(xxh32(bytes.subarray(2, bytes.length - 1))).toBe(0xe2293b2f);
  });

  it("hashes a part that begins beyond 2^31, as the last chunks of a large file do", () => {
    // Only the pages that are touched take memory.
    const start = 2 ** 31 + 2;
    const bytes = new Uint8Array(start + 100);
    bytes.set(ascii("Nobody inspects the spammish repetition"), start);
    expect(xxh32(bytes, start, start + 39)).toBe(0xe2293b2f);
  });
});
