import { expect, test } from "vitest";
import { DeltaError } from "./delta-error.ts";
import { decodeStrings, encodeStrings } from "./front-coding.ts";

const SORTED = Array.from(
  { length: 2000 },
  (_, at) => `customer/${String(at * 37).padStart(7, "0")}/name`,
);

function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof DeltaError) return error.code;
    throw error;
  }
  return "none";
}

test("strings of every kind come back, in both ways of coding", () => {
  const strings = [
    "",
    "",
    "a",
    "a",
    "ab",
    "\0",
    "\ud800",
    "\udc00x",
    "é",
    "日本",
    "😀",
    "x".repeat(100_000),
    "",
  ];
  for (const fast of [false, true]) {
    expect(decodeStrings(encodeStrings(strings, { fast }), strings.length)).toEqual(strings);
  }
});

test("no strings and one empty string each take a payload", () => {
  expect(decodeStrings(encodeStrings([]), 0)).toEqual([]);
  expect(decodeStrings(encodeStrings([""]), 1)).toEqual([""]);
});

test("sorted strings take a small part of their bytes", () => {
  const raw = SORTED.join("\n").length;
  expect(encodeStrings(SORTED).length).toBeLessThan(raw / 20);
  expect(encodeStrings(SORTED, { fast: true }).length).toBeLessThan(raw / 2);
});

test("strings without any pattern take hardly more than their bytes", () => {
  let seed = 1;
  const strings = Array.from({ length: 500 }, () => {
    let text = "";
    for (let at = 0; at < 40; at += 1) {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      text += String.fromCharCode(33 + ((seed >>> 16) % 94));
    }
    return text;
  });
  expect(encodeStrings(strings).length).toBeLessThan(500 * 40);
});

test("a payload cut short or with bytes to spare is refused", () => {
  for (const fast of [false, true]) {
    const bytes = encodeStrings(SORTED, { fast });
    expect(codeOf(() => decodeStrings(bytes.subarray(0, bytes.length - 5), SORTED.length))).toMatch(
      /truncated|corrupt/,
    );
    const longer = new Uint8Array(bytes.length + 5);
    longer.set(bytes);
    expect(codeOf(() => decodeStrings(longer, SORTED.length))).toBe("corrupt");
    expect(codeOf(() => decodeStrings(bytes, SORTED.length + 1))).not.toBe("none");
    expect(codeOf(() => decodeStrings(bytes, SORTED.length - 1))).toBe("corrupt");
  }
  expect(codeOf(() => decodeStrings(new Uint8Array(0), 1))).toBe("truncated");
});

test("more text than allowed is refused before memory is taken", () => {
  const bytes = encodeStrings(["y".repeat(5000)]);
  expect(codeOf(() => decodeStrings(bytes, 1, { left: 4999, instead: "" }))).toBe("limit_exceeded");
  expect(codeOf(() => decodeStrings(Uint8Array.of(22, 0xff, 0xff, 0x7f, 1), 1))).toBe("corrupt");
  expect(codeOf(() => decodeStrings(Uint8Array.of(0, 0xff, 0xff, 0x7f, 1), 1e9))).toBe("truncated");
});
