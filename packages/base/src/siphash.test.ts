import { describe, expect, it } from "vitest";
import { AssertionError } from "./assert.ts";
import { toHex } from "./bytes.ts";
import { checksum64, sipHash } from "./siphash.ts";
import { utf8Encode } from "./utf8.ts";

const counting = (length: number) => Uint8Array.from({ length }, (_, i) => i);

describe("sipHash", () => {
  // The reference implementation's vectors for key 00..0f; 15 is the paper's own (appendix A).
  const vectors: [number, string][] = [
    [0, "310e0edd47db6f72"],
    [1, "fd67dc93c539f874"],
    [2, "5a4fa9d909806c0d"],
    [3, "2d7efbd796666785"],
    [7, "37d1018bf50002ab"],
    [8, "6224939a79f5f593"],
    [9, "b0e4a90bdf82009e"],
    [15, "e545be4961ca29a1"],
    [16, "db9bc2577fcc2a3f"],
    [63, "724506eb4c328a95"],
  ];
  it.each(vectors)("gives the reference vector for %d bytes", (length, expected) => {
    expect(toHex(sipHash(counting(16), counting(length)))).toBe(expected);
  });

  it("takes a key of 16 bytes and no other", () => {
    expect(() => sipHash(counting(15), counting(1))).toThrow(AssertionError);
  });
});

describe("checksum64", () => {
  it("never changes: files in the field carry it", () => {
    expect(checksum64(new Uint8Array(0))).toBe("1923bcb9b36a3bd2");
    expect(checksum64(utf8Encode("cubby"))).toBe("194ae07eeb4fda60");
  });
});
