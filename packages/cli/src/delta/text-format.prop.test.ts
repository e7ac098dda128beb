import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  asTextFormat,
  codecOf,
  detectFormat,
  type TextFormat,
  type TextKind,
} from "./text-format.ts";

const ALL: ReadonlySet<TextKind> = new Set([
  "integer",
  "decimal",
  "number",
  "bigint",
  "boolean",
  "time",
  "text",
]);

const texts = fc.oneof(
  fc.double().map(String),
  fc.integer().map(String),
  fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }).map(String),
  fc
    .tuple(fc.double({ noNaN: true }), fc.integer({ min: 0, max: 20 }))
    .map(([v, k]) => v.toFixed(k)),
  fc.tuple(fc.nat(), fc.integer({ min: 1, max: 18 })).map(([v, k]) => String(v).padStart(k, "0")),
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  fc.constantFrom(
    "-0",
    "-0.0",
    "1.0",
    "1e-05",
    "nan",
    "inf",
    "-inf",
    "NaN",
    "1e+16",
    "$1.50",
    "-$1",
  ),
  fc.string({ unit: fc.constantFrom("0", "1", "9", "-", "+", ".", "e", "$", "%", " ", "n") }),
);

describe("formats of text", () => {
  it("write what they read as the same text", () => {
    fc.assert(
      fc.property(texts, (text) => {
        const format = detectFormat([text], ALL) as TextFormat;
        const { parse, write } = codecOf(format);
        const cell = parse(text);
        expect(cell).toBeDefined();
        expect(write(cell ?? "")).toBe(text);
      }),
      { numRuns: 3_000 },
    );
  });

  it("that fit one text read any other as nothing, or write it as it was", () => {
    fc.assert(
      fc.property(texts, texts, (one, other) => {
        const { parse, write } = codecOf(detectFormat([one], ALL) as TextFormat);
        const cell = parse(other);
        if (cell !== undefined) expect(write(cell)).toBe(other);
      }),
      { numRuns: 3_000 },
    );
  });

  it("are found again in a file, and what is none is refused", () => {
    fc.assert(
      fc.property(texts, (text) => {
        const format = detectFormat([text], ALL);
        expect(asTextFormat(JSON.parse(JSON.stringify(format)))).toEqual(format);
      }),
    );
    for (const wrong of [
      null,
      [],
      { kind: "none" },
      { kind: "integer", width: 1e9 },
      { kind: "decimal", digits: -1 },
      { kind: "decimal", digits: 2, affix: { prefix: "x".repeat(1e6), suffix: "" } },
      { kind: "number", style: "c" },
      { kind: "time", time: { separator: "T", seconds: true, fraction: 99, zone: "" } },
      { kind: "bigint" },
    ]) {
      expect(asTextFormat(wrong)).toBeUndefined();
    }
  });
});
