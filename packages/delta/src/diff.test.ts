import { expect, test } from "vitest";
import { DeltaError } from "./delta-error.ts";
import { diff } from "./diff.ts";
import { patch } from "./patch.ts";

/** Lines like those of a program, different for each seed. */
function text(lines: number, seed = 1): Uint8Array {
  let state = seed;
  const next = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 16) % below;
  };
  const words = [
    "const",
    "value",
    "=",
    "return",
    "(",
    ")",
    "if",
    "index",
    "+",
    "size",
    ";",
    "call",
  ];
  const list = Array.from({ length: lines }, () =>
    Array.from({ length: 3 + next(6) }, () => words[next(words.length)] as string).join(" "),
  );
  return new TextEncoder().encode(list.join("\n"));
}

function noise(length: number, seed = 1): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
}

function join(...parts: Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof DeltaError) return error.code;
    throw error;
  }
  return "none";
}

const OLD = text(2000);
const HEADER_MAX = 21;

test.each([
  ["two empty files", new Uint8Array(0), new Uint8Array(0), HEADER_MAX],
  ["an empty old file", new Uint8Array(0), text(100), 1200],
  ["an empty new file", OLD, new Uint8Array(0), HEADER_MAX],
  ["a file that did not change", OLD, OLD, HEADER_MAX + 8],
  ["one byte inserted", OLD, join(OLD.subarray(0, 9999), Uint8Array.of(7), OLD.subarray(9999)), 40],
  ["one byte changed", OLD, OLD.with(9999, 7), 40],
  ["a part taken out", OLD, join(OLD.subarray(0, 5000), OLD.subarray(9000)), 40],
  ["halves that changed places", OLD, join(OLD.subarray(20_000), OLD.subarray(0, 20_000)), 40],
  ["a part that comes twice", OLD, join(OLD, OLD.subarray(3000, 9000)), 40],
  ["bytes that repeat in the new file alone", noise(50), join(noise(900, 5), noise(900, 5)), 960],
  ["a byte over and over", new Uint8Array(0), new Uint8Array(100_000).fill(9), 60],
  ["files without anything in common", noise(5000, 3), noise(5000, 4), 5000 + HEADER_MAX],
])("%s: the patch is small and leads to the new file", (_name, before, after, sizeMax) => {
  const delta = diff(before, after);
  expect(patch(before, delta)).toEqual(after);
  expect(delta.length).toBeLessThanOrEqual(sizeMax);
});

test("a name that changed everywhere costs little more than once", () => {
  const before = new TextEncoder().encode(
    "let h=0;f(h);if(h>1){h=h+2}g(h,1);".repeat(1) + "k(h);".repeat(90),
  );
  const after = new TextEncoder().encode(new TextDecoder().decode(before).replaceAll("h", "v"));
  const delta = diff(before, after);
  expect(patch(before, delta)).toEqual(after);
  expect(delta.length).toBeLessThan(60);
});

test("the arguments stay as they are", () => {
  const before = OLD.slice();
  const delta = diff(before, OLD.subarray(100));
  const kept = delta.slice();
  patch(before, delta);
  expect(before).toEqual(OLD);
  expect(delta).toEqual(kept);
});

test("a patch is refused for any old file but its own", () => {
  const delta = diff(OLD, OLD.subarray(10));
  expect(codeOf(() => patch(OLD.with(0, 1), delta))).toBe("checksum_mismatch");
  expect(codeOf(() => patch(OLD.subarray(1), delta))).toBe("checksum_mismatch");
});

test("what is no patch, or one of a later version, is told apart", () => {
  const delta = diff(OLD, OLD.subarray(10));
  expect(codeOf(() => patch(OLD, new Uint8Array(0)))).toBe("truncated");
  expect(codeOf(() => patch(OLD, OLD))).toBe("not_delta");
  expect(codeOf(() => patch(OLD, delta.with(3, 2)))).toBe("unsupported_version");
  expect(codeOf(() => patch(OLD, delta.with(4, 31)))).toBe("unsupported_feature");
});

test("a new file larger than allowed is refused before any of it is made", () => {
  const delta = diff(new Uint8Array(0), new Uint8Array(100_000));
  expect(codeOf(() => patch(new Uint8Array(0), delta, { maxBytes: 99_999 }))).toBe(
    "limit_exceeded",
  );
  expect(patch(new Uint8Array(0), delta, { maxBytes: 100_000 }).length).toBe(100_000);
});

test("a patch cut short anywhere is refused", () => {
  const delta = diff(OLD, join(OLD.subarray(0, 500), text(20, 9), OLD.subarray(700)));
  for (let end = 0; end < delta.length; end += 1) {
    expect(codeOf(() => patch(OLD, delta.subarray(0, end)))).toMatch(/truncated|corrupt|checksum/);
  }
});

test("anything but bytes is refused, and so is a limit that is none", () => {
  const delta = diff(OLD, OLD);
  const text = "bytes" as unknown as Uint8Array;
  expect(codeOf(() => diff(text, OLD))).toBe("invalid_argument");
  expect(codeOf(() => diff(OLD, text))).toBe("invalid_argument");
  expect(codeOf(() => patch(text, delta))).toBe("invalid_argument");
  expect(codeOf(() => patch(OLD, text))).toBe("invalid_argument");
  expect(codeOf(() => patch(OLD, delta, { maxBytes: Number.NaN }))).toBe("invalid_argument");
});
