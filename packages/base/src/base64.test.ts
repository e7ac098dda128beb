import { describe, expect, it } from "vitest";
import { fromBase64, fromBase64Url, toBase64, toBase64Url } from "./base64.ts";
import { DecodeError } from "./decode-error.ts";
import { utf8Encode } from "./utf8.ts";

describe("base64", () => {
  // RFC 4648 §10.
  const vectors: [string, string][] = [
    ["", ""],
    ["f", "Zg=="],
    ["fo", "Zm8="],
    ["foo", "Zm9v"],
    ["foob", "Zm9vYg=="],
    ["fooba", "Zm9vYmE="],
    ["foobar", "Zm9vYmFy"],
  ];
  it.each(vectors)("maps %j to %j and back (RFC 4648 §10)", (text, encoded) => {
    expect(toBase64(utf8Encode(text))).toBe(encoded);
    expect(fromBase64(encoded)).toEqual(utf8Encode(text));
    expect(toBase64Url(utf8Encode(text))).toBe(encoded.replaceAll("=", ""));
  });

  it("reads either alphabet, padded or not, as the JSON mapping asks", () => {
    const bytes = Uint8Array.from([251, 255, 191, 250]);
    expect(toBase64(bytes)).toBe("+/+/+g==");
    for (const text of ["+/+/+g==", "-_-_-g==", "-_-_-g"]) expect(fromBase64(text)).toEqual(bytes);
  });

  it.each(["A", "AAAAA", "Zg=", "Zg===", "=", "Zh==", "Z g=", "Zg==Zg==", "\u00e9AAA"])(
    "refuses %j",
    (text) => {
      expect(() => fromBase64(text)).toThrow(DecodeError);
    },
  );
});

describe("base64url", () => {
  it.each(["Zg==", "+/+/", "Zh", "A"])("refuses %j: a token has one spelling", (text) => {
    expect(() => fromBase64Url(text)).toThrow(DecodeError);
  });
});
