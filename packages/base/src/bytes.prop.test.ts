import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromBase64, fromBase64Url, toBase64, toBase64Url } from "./base64.ts";
import { concatBytes, equalBytes, fromHex, toHex } from "./bytes.ts";
import { crc32c } from "./crc32c.ts";
import { DecodeError } from "./decode-error.ts";
import { utf8Decode, utf8Encode, utf8Length } from "./utf8.ts";

const anyBytes = fc.uint8Array({ maxLength: 200 });
const anyText = fc.string({ unit: "binary", maxLength: 100 });
/** Code units one by one, so that halves of surrogate pairs turn up. */
const anyUnits = fc
  .array(fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0xd7f0, max: 0xe010 })))
  .map((list) => String.fromCharCode(...list));

describe("utf8", () => {
  it("encodes as the platform does, lone surrogates included", () => {
    fc.assert(
      fc.property(anyUnits, (text) => {
        const expected = Uint8Array.from(new TextEncoder().encode(text));
        expect(utf8Encode(text)).toEqual(expected);
        expect(utf8Length(text)).toBe(expected.length);
      }),
    );
  });

  it("gives every well-formed text back", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(utf8Decode(utf8Encode(text))).toBe(text);
      }),
    );
  });

  it("accepts exactly what the platform's strict decoder accepts", () => {
    const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    const nearText = fc.array(
      fc.constantFrom(0x41, 0x80, 0xbf, 0xc2, 0xe0, 0xed, 0xf0, 0xf4, 0xa0),
    );
    const input = fc.oneof(
      anyBytes,
      nearText.map((list) => Uint8Array.from(list)),
    );
    fc.assert(
      fc.property(input, (bytes) => {
        expect(attempt(() => utf8Decode(bytes))).toEqual(attempt(() => strict.decode(bytes)));
      }),
      { numRuns: 500 },
    );
  });
});

describe("text forms of bytes", () => {
  it("give the bytes back, and agree with the platform", () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        expect(fromHex(toHex(bytes))).toEqual(bytes);
        expect(fromBase64(toBase64(bytes))).toEqual(bytes);
        expect(fromBase64Url(toBase64Url(bytes))).toEqual(bytes);
        expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString("base64"));
        expect(toBase64Url(bytes)).toBe(Buffer.from(bytes).toString("base64url"));
      }),
    );
  });

  it("have one spelling: what decodes encodes to the same text", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."AZaz09-_+/=Q\u00e9") }), (text) => {
        const bytes = attempt(() => fromBase64Url(text));
        if (bytes !== undefined) expect(toBase64Url(bytes)).toBe(text);
      }),
    );
  });

  it("never throw anything but DecodeError", () => {
    fc.assert(
      fc.property(anyUnits, (text) => {
        for (const read of [fromHex, fromBase64, fromBase64Url]) {
          const thrown = thrownBy(() => read(text));
          if (thrown !== undefined) expect(thrown).toBeInstanceOf(DecodeError);
        }
      }),
    );
  });
});

describe("comparison and checksums", () => {
  it("equals only itself", () => {
    fc.assert(
      fc.property(anyBytes, anyBytes, (a, b) => {
        expect(equalBytes(a, b)).toBe(toHex(a) === toHex(b));
      }),
    );
  });

  it("continues crc32c from any split", () => {
    fc.assert(
      fc.property(anyBytes, anyBytes, (a, b) => {
        expect(crc32c(b, crc32c(a))).toBe(crc32c(concatBytes([a, b])));
      }),
    );
  });

  it("agrees with crc32c bit by bit", () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        expect(crc32c(bytes)).toBe(crcBitByBit(bytes));
      }),
    );
  });
});

function crcBitByBit(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    // Refused: that is the answer.
    return undefined;
  }
}

function thrownBy(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}
