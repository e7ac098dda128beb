import { expect, test } from "vitest";
import { xxh32 } from "./checksum.ts";
import { diff } from "./diff.ts";
import { decodeStrings, encodeStrings } from "./front-coding.ts";
import { patch } from "./patch.ts";

/** What version 1 wrote once, every later reader must read: these bytes never change. */

const KEYS = ["", "a", "ab", "abacus", "abacus's", "abacuses", "abaft", "abalone", "abalone's"];
const STRINGS = [...KEYS, "abalones", "nul\0", "\ud800", "é", "😀", "日本語"];
const MODELED =
  "0c5cfffae8ee23a4f48af6525fbda3ca75b8df8d3d76616e38eb0a5357356c42e637a8177570b895953f8c7c" +
  "091b19db475382fa4090f549c9fc575b7ddb66d78c";
const PLAIN =
  "005c000001020606030307070000000000000101040202020402010503020409616261637573277365736674" +
  "6c6f6e652773736e756cc080eda080c3a9f09f9880e697a5e69cace8aa9e";
const ITEMS = Array.from({ length: 3000 }, (_, at) => `item ${at} of ${(at * at) % 97}`);

const OLD = "The quick brown fox jumps over the lazy dog. ".repeat(8);
const NEW = "The quick brown fox jumped over the lazy dogs. And then? ".repeat(8);
const PATCH = "434450010be802c80399a6458dc43678ca029e59c0f52e249306f9698ecfd721b7b3fe03a424";

function fromHex(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, at) =>
    Number.parseInt(hex.slice(2 * at, 2 * at + 2), 16),
  );
}

test("payloads of strings are those of version 1", () => {
  expect(decodeStrings(fromHex(MODELED), STRINGS.length)).toEqual(STRINGS);
  expect(decodeStrings(fromHex(PLAIN), STRINGS.length)).toEqual(STRINGS);
  expect(encodeStrings(STRINGS)).toEqual(fromHex(MODELED));
  expect(encodeStrings(STRINGS, { fast: true })).toEqual(fromHex(PLAIN));
  expect(xxh32(encodeStrings(ITEMS)).toString(16)).toBe("7aaa3272");
});

test("a patch is that of version 1", () => {
  const before = new TextEncoder().encode(OLD);
  const after = new TextEncoder().encode(NEW);
  expect(patch(before, fromHex(PATCH))).toEqual(after);
  expect(diff(before, after)).toEqual(fromHex(PATCH));
});
