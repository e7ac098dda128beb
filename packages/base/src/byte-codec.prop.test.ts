import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { DecodeError } from "./decode-error.ts";

type Field =
  | { readonly kind: "u8" | "u16" | "u32" | "varint"; readonly value: number }
  | { readonly kind: "bytes"; readonly value: Uint8Array }
  | { readonly kind: "string"; readonly value: string };

const field: fc.Arbitrary<Field> = fc.oneof(
  fc.record({ kind: fc.constant("u8" as const), value: fc.nat(0xff) }),
  fc.record({ kind: fc.constant("u16" as const), value: fc.nat(0xffff) }),
  fc.record({ kind: fc.constant("u32" as const), value: fc.integer({ min: 0, max: 2 ** 32 - 1 }) }),
  fc.record({ kind: fc.constant("varint" as const), value: fc.maxSafeNat() }),
  fc.record({ kind: fc.constant("bytes" as const), value: fc.uint8Array({ maxLength: 300 }) }),
  fc.record({ kind: fc.constant("string" as const), value: fc.string({ unit: "binary" }) }),
);

const KINDS = ["u8", "u16", "u32", "varint", "bytes", "string"] as const;

describe("ByteWriter and ByteReader", () => {
  it("read back every sequence of fields, to the last byte", () => {
    fc.assert(
      fc.property(fc.array(field), (fields) => {
        const writer = new ByteWriter();
        for (const each of fields) write(writer, each);
        const reader = new ByteReader(writer.finish());
        for (const each of fields) expect(reader[each.kind]()).toEqual(each.value);
        reader.expectEnd();
      }),
    );
  });

  it("throw nothing but DecodeError on arbitrary bytes", () => {
    const kinds = fc.array(fc.constantFrom(...KINDS), { maxLength: 20 });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), kinds, (bytes, list) => {
        const reader = new ByteReader(bytes);
        try {
          for (const kind of list) reader[kind]();
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
        expect(reader.remaining).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 300 },
    );
  });

  it("give each varint one encoding", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 9 }), (bytes) => {
        const reader = new ByteReader(bytes);
        let value: number;
        try {
          value = reader.varint();
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
          return;
        }
        const writer = new ByteWriter();
        writer.varint(value);
        expect(writer.finish()).toEqual(bytes.slice(0, reader.position));
      }),
      { numRuns: 300 },
    );
  });
});

function write(writer: ByteWriter, each: Field): void {
  if (each.kind === "bytes") writer.bytes(each.value);
  else if (each.kind === "string") writer.string(each.value);
  else writer[each.kind](each.value);
}
