import { describe, expect, it } from "vitest";
import { crc32c } from "./crc32c.ts";
import { utf8Encode } from "./utf8.ts";

const made = (make: (i: number) => number) => Uint8Array.from({ length: 32 }, (_, i) => make(i));

describe("crc32c", () => {
  // RFC 3720 §B.4, and the check value of the catalogue of CRC algorithms.
  const vectors: [string, Uint8Array, number][] = [
    ["the check string", utf8Encode("123456789"), 0xe3069283],
    ["32 zeros", made(() => 0), 0x8a9136aa],
    ["32 ones", made(() => 0xff), 0x62a8ab43],
    ["0 to 31", made((i) => i), 0x46dd794e],
    ["31 to 0", made((i) => 31 - i), 0x113fdb5c],
    ["nothing", new Uint8Array(0), 0],
  ];
  it.each(vectors)("gives the published value for %s", (_what, bytes, expected) => {
    expect(crc32c(bytes)).toBe(expected);
  });

  it("depends on the bytes of a view alone, not on its place", () => {
    const around = new Uint8Array(40).fill(9);
    around.set(
      made((i) => i),
      3,
    );
    expect(crc32c(around.subarray(3, 35))).toBe(0x46dd794e);
  });
});
