import fc from "fast-check";
import { expect, test } from "vitest";
import { DeltaError } from "./delta-error.ts";
import { diff } from "./diff.ts";
import { patch } from "./patch.ts";

/** Few different bytes, so that much is found again, and in wrong places too. */
const piece = fc.oneof(
  fc.uint8Array({ maxLength: 30 }),
  fc
    .array(fc.integer({ min: 97, max: 99 }), { maxLength: 200 })
    .map((list) => Uint8Array.from(list)),
  fc.tuple(fc.nat(255), fc.nat(3000)).map(([byte, length]) => new Uint8Array(length).fill(byte)),
);
const file = fc.array(piece, { maxLength: 5 }).map(join);

type Edit = readonly [at: number, taken: number, put: Uint8Array];
const edits: fc.Arbitrary<Edit[]> = fc.array(fc.tuple(fc.nat(), fc.nat(40), piece), {
  maxLength: 6,
});
const versions = file.chain((before) =>
  fc.oneof(
    file.map((after) => ({ before, after })),
    edits.map((list) => ({ before, after: list.reduce(edited, before) })),
  ),
);

function join(parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function edited(bytes: Uint8Array, [at, taken, put]: Edit): Uint8Array {
  const start = at % (bytes.length + 1);
  return join([bytes.subarray(0, start), put, bytes.subarray(start + taken)]);
}

test("a patch leads from any file to any other, and is at most a header larger than it", () => {
  fc.assert(
    fc.property(versions, ({ before, after }) => {
      const delta = diff(before, after);
      expect(delta.length).toBeLessThanOrEqual(after.length + 21);
      expect(patch(before, delta)).toEqual(after);
    }),
  );
});

test("a patch whose bytes were changed gives the new file or a DeltaError, never another file", () => {
  const changes = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), {
    minLength: 1,
    maxLength: 3,
  });
  fc.assert(
    fc.property(versions, changes, ({ before, after }, list) => {
      const delta = diff(before, after);
      for (const [at, flip] of list)
        delta[at % delta.length] = (delta[at % delta.length] ?? 0) ^ flip;
      try {
        expect(patch(before, delta, { maxBytes: 1 << 16 })).toEqual(after);
      } catch (error) {
        if (!(error instanceof DeltaError)) throw error;
      }
    }),
  );
});

test("arbitrary bytes behind a good header give a DeltaError or the file it names", () => {
  fc.assert(
    fc.property(versions, fc.nat(30), fc.uint8Array({ maxLength: 100 }), (files, method, body) => {
      const { before, after } = files;
      const header = diff(before, after).subarray(0, after.length < 128 ? 15 : 16);
      const delta = join([header, body]);
      delta[4] = method;
      try {
        expect(patch(before, delta, { maxBytes: 1 << 16 })).toEqual(after);
      } catch (error) {
        if (!(error instanceof DeltaError)) throw error;
      }
    }),
  );
});
