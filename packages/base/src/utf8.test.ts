import { describe, expect, it } from "vitest";
import { fromHex, toHex } from "./bytes.ts";
import { DecodeError } from "./decode-error.ts";
import { isWellFormed, utf8Decode, utf8Encode, utf8Length } from "./utf8.ts";

describe("utf8Encode", () => {
  it("writes one to four bytes a code point", () => {
    expect(toHex(utf8Encode("a\u00e9\u20ac\u{1f512}"))).toBe("61c3a9e282acf09f9492");
    expect(utf8Encode("")).toEqual(new Uint8Array(0));
  });

  it("puts U+FFFD for half of a surrogate pair", () => {
    expect(toHex(utf8Encode("\ud83d"))).toBe("efbfbd");
    expect(toHex(utf8Encode("\udd12x"))).toBe("efbfbd78");
    expect(toHex(utf8Encode("\ud83d\ud83d\udd12"))).toBe("efbfbdf09f9492");
    expect(utf8Length("\ud83d\ud83d\udd12")).toBe(7);
  });
});

describe("isWellFormed", () => {
  it("is false for half of a surrogate pair and for nothing else", () => {
    expect(isWellFormed("plain \u00e9 \uffff \u{1f512}")).toBe(true);
    expect(isWellFormed("\ufffd, written as such")).toBe(true);
    expect(isWellFormed("\ud83d")).toBe(false);
    expect(isWellFormed("\udd12\ud83d")).toBe(false);
  });
});

describe("utf8Decode", () => {
  it("keeps a byte order mark and a zero", () => {
    expect(utf8Decode(fromHex("efbbbf00"))).toBe("\ufeff\u0000");
  });

  it("takes texts longer than one call's worth, with pairs across the seam", () => {
    for (const pad of [4093, 4094, 4095, 4096, 4097]) {
      const text = `${"a".repeat(pad)}\u{1f512}${"\u20ac".repeat(5000)}`;
      expect(utf8Decode(utf8Encode(text))).toBe(text);
    }
  });

  const malformed: [string, string, number][] = [
    ["a lone continuation byte", "80", 0],
    ["an overlong two-byte form", "c080", 0],
    ["an overlong three-byte form", "e08080", 0],
    ["an overlong four-byte form", "f0808080", 0],
    ["an encoded surrogate", "61eda080", 1],
    ["what lies beyond U+10FFFF", "f4908080", 0],
    ["a start byte that no code point has", "f5808080", 0],
    ["a sequence cut short", "61e282", 1],
    ["a sequence broken by a letter", "e28261", 2],
    ["0xff", "ff", 0],
  ];
  it.each(malformed)("refuses %s", (_what, hex, offset) => {
    const thrown = captured(() => utf8Decode(fromHex(hex)));
    expect(thrown).toBeInstanceOf(DecodeError);
    expect(thrown).toMatchObject({ offset });
  });
});

function captured(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}
