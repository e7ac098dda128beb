import { expect, test } from "vitest";
import { DeltaError } from "./delta-error.ts";
import { TextReader, writeText } from "./string-bytes.ts";

function bytesOf(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length * 3);
  return bytes.slice(0, writeText(text, bytes, 0));
}

function textOf(...bytes: number[]): string {
  return new TextReader().read(Uint8Array.from(bytes), 0, bytes.length);
}

test("well-formed text without NUL has the bytes of UTF-8", () => {
  for (const text of ["", "plain", "naïve", "日本語", "a😀b", "\u{10ffff}", "\uffff\ue000"]) {
    expect([...bytesOf(text)]).toEqual([...new TextEncoder().encode(text)]);
    expect(textOf(...bytesOf(text))).toBe(text);
  }
});

test("no string has a byte of 0: NUL takes two", () => {
  expect([...bytesOf("a\0b")]).toEqual([0x61, 0xc0, 0x80, 0x62]);
  expect(textOf(0x61, 0xc0, 0x80, 0x62)).toBe("a\0b");
});

test("surrogates without their other half come back as they were", () => {
  for (const text of [
    "\ud800",
    "\udfff",
    "a\udc00b",
    "\udc00\ud800",
    "\ud83dx",
    "\ud83d\ud83d\ude00",
  ]) {
    expect(textOf(...bytesOf(text))).toBe(text);
  }
});

test("a text longer than one call can take comes back", () => {
  const text = "x😀".repeat(5000);
  expect(textOf(...bytesOf(text))).toBe(text);
});

test.each([
  ["a 0", [0x61, 0]],
  ["a continuation without its start", [0x80]],
  ["a character that breaks off", [0xe2, 0x82]],
  ["a continuation that is none", [0xc3, 0x41]],
  ["an encoding longer than need be", [0xc1, 0x81]],
  ["an encoding of three bytes for two", [0xe0, 0x82, 0x80]],
  ["an encoding of four bytes for three", [0xf0, 0x82, 0x82, 0xac]],
  ["a number past Unicode", [0xf4, 0x90, 0x80, 0x80]],
  ["a pair of surrogates in three bytes each", [0xed, 0xa0, 0x80, 0xed, 0xb0, 0x80]],
  [
    "such a pair where what was read so far is put together",
    [...new Array<number>(4_095).fill(0x61), 0xed, 0xa0, 0x80, 0xed, 0xb0, 0x80],
  ],
  ["a first byte that UTF-8 never has", [0xf8, 0x88, 0x80, 0x80]],
])("%s is refused", (_name, bytes) => {
  expect(() => textOf(...bytes)).toThrow(DeltaError);
});
