import { DecodeError } from "@cubby/base";
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeHello, encodeHello, type PeerHello } from "./peer-hello.ts";

const text = fc.string({ unit: "grapheme", maxLength: 40 });

test("a hello is read as it was written", () => {
  const hello: fc.Arbitrary<PeerHello> = fc.oneof(
    fc.record({
      kind: fc.constant("hello" as const),
      version: fc.constant(1),
      cellId: text,
      replicaId: fc.maxSafeNat(),
      incarnation: text,
    }),
    fc.record({ kind: fc.constant("refused" as const), reason: text }),
  );
  fc.assert(
    fc.property(hello, (value) => {
      expect(decodeHello(encodeHello(value))).toEqual(value);
    }),
  );
});

test("any bytes are a hello or a DecodeError", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.uint8Array({ maxLength: 200 }).map((rest) => Uint8Array.of(1, 1, ...rest)),
  );
  fc.assert(
    fc.property(bytes, (value) => {
      try {
        decodeHello(value);
      } catch (error) {
        expect(error).toBeInstanceOf(DecodeError);
      }
    }),
  );
});

test("of another version nothing is read but the version", () => {
  expect(decodeHello(Uint8Array.of(1, 9, 255, 255))).toMatchObject({ kind: "hello", version: 9 });
});
