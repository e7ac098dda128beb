import fc from "fast-check";
import { expect, test } from "vitest";
import { DeltaError } from "./delta-error.ts";
import { decodeStrings, encodeStrings } from "./front-coding.ts";
import { joinStrings, splitStrings } from "./string-dictionary.ts";

/** Any UTF-16, lone surrogates too. */
const anyText = fc
  .array(
    fc.oneof(
      fc.integer({ min: 0, max: 0xffff }),
      fc.integer({ min: 97, max: 100 }),
      fc.constant(0xd83d),
    ),
    {
      maxLength: 20,
    },
  )
  .map((units) => String.fromCharCode(...units));
const anyStrings = fc.oneof(
  fc.array(anyText, { maxLength: 60 }),
  fc.array(fc.string({ unit: "grapheme", maxLength: 12 }), { maxLength: 60 }),
  fc
    .array(anyText, { maxLength: 60 })
    .map((list) => list.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))),
);

test("all strings come back exactly", () => {
  fc.assert(
    fc.property(anyStrings, fc.boolean(), (strings, fast) => {
      const payload = encodeStrings(strings, { fast });
      expect(decodeStrings(payload, strings.length)).toEqual(strings);
    }),
  );
});

test("a payload whose bytes were changed gives strings or a DeltaError", () => {
  fc.assert(
    fc.property(
      anyStrings,
      fc.boolean(),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), {
        minLength: 1,
        maxLength: 4,
      }),
      (strings, fast, changes) => {
        const payload = encodeStrings(strings, { fast });
        for (const [at, byte] of changes) payload[at % payload.length] = byte;
        expectStringsOrError(payload, strings.length);
      },
    ),
  );
});

test("arbitrary bytes give strings or a DeltaError", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 80 }),
      fc.constantFrom(0, 12, 13, undefined),
      fc.integer({ min: 0, max: 5000 }),
      (bytes, method, count) => {
        if (method !== undefined && bytes.length > 0) bytes[0] = method;
        expectStringsOrError(bytes, count);
      },
    ),
  );
});

test("a dictionary gives its strings back", () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom("", "red", "green", "\ud800"), { maxLength: 50 }),
      (strings) => {
        const dictionary = splitStrings(strings);
        const distinct = new Set(strings).size;
        expect(dictionary === undefined).toBe(distinct > strings.length / 2);
        if (dictionary !== undefined) expect(joinStrings(dictionary)).toEqual(strings);
      },
    ),
  );
});

function expectStringsOrError(payload: Uint8Array, count: number): void {
  try {
    expect(decodeStrings(payload, count, { left: 1 << 20, instead: "" }).length).toBe(count);
  } catch (error) {
    expect(error).toBeInstanceOf(DeltaError);
  }
}
