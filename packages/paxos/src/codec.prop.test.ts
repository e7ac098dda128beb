import { DecodeError } from "@cubby/base";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ZERO_BALLOT } from "./ballot.ts";
import { BATCH_BYTES_MAX, COMMAND_BYTES_MAX, MESSAGE_BYTES_MAX } from "./limits.ts";
import { decodeMessage, encodeMessage } from "./message-codec.ts";
import { decodeRecord, encodeRecord } from "./record.ts";
import { anyBallot, anyMessage, anyRecord } from "./test-support/arbitraries.ts";

/** What a decoder may do with bytes that nobody vouched for: a value, or a DecodeError. */
function decodes<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return undefined;
  }
}

describe("the message codec", () => {
  it("brings every message back as it was", () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        expect(decodeMessage(encodeMessage(message))).toEqual(message);
      }),
      { numRuns: 1000 },
    );
  });

  it("has one encoding for one message", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const message = decodes(() => decodeMessage(bytes));
        if (message !== undefined) expect(encodeMessage(message)).toEqual(bytes);
      }),
      { numRuns: 2000 },
    );
  });

  it("answers any damage with a DecodeError or another message, and nothing else", () => {
    fc.assert(
      fc.property(anyMessage, fc.nat(), fc.nat({ max: 255 }), (message, at, byte) => {
        const bytes = encodeMessage(message);
        bytes[at % bytes.length] = byte;
        const damaged = decodes(() => decodeMessage(bytes));
        if (damaged !== undefined) expect(encodeMessage(damaged)).toEqual(bytes);
      }),
      { numRuns: 2000 },
    );
  });

  it("refuses a message that is cut short anywhere, or followed by something", () => {
    fc.assert(
      fc.property(anyMessage, fc.nat(), (message, at) => {
        const bytes = encodeMessage(message);
        const cut = bytes.subarray(0, at % bytes.length);
        expect(() => decodeMessage(cut)).toThrow(DecodeError);
        expect(() => decodeMessage(new Uint8Array([...bytes, 0]))).toThrow(DecodeError);
      }),
    );
  });

  it("refuses another version, an unknown kind, and a count beyond the bytes", () => {
    const bytes = encodeMessage({ kind: "genesisQuery" });
    expect(() => decodeMessage(Uint8Array.of(2, ...bytes.subarray(1)))).toThrow("version 2");
    expect(() => decodeMessage(Uint8Array.of(1, 99))).toThrow("unknown type 99");
    // accept in ballot 0.0.0 at slot 1, chosen 0, of 2^21 - 1 entries that are not there.
    const huge = Uint8Array.of(1, 7, 0, 0, 0, 1, 0, 0xff, 0xff, 0x7f);
    expect(() => decodeMessage(huge)).toThrow("more entries than bytes");
  });

  it("fits the greatest batch into the greatest message", () => {
    const entries = [new Uint8Array(BATCH_BYTES_MAX - 20), new Uint8Array(COMMAND_BYTES_MAX)];
    const accept = {
      kind: "accept",
      ballot: ZERO_BALLOT,
      firstSlot: 2 ** 50,
      entries,
      chosen: 2 ** 50,
    } as const;
    expect(encodeMessage(accept).length).toBeLessThanOrEqual(MESSAGE_BYTES_MAX);
  });
});

describe("the record codec", () => {
  it("brings every record back as it was", () => {
    fc.assert(
      fc.property(anyRecord, (record) => {
        expect(decodeRecord(encodeRecord(record))).toEqual(record);
      }),
      { numRuns: 1000 },
    );
  });

  it("answers any damage with a DecodeError or another record, and nothing else", () => {
    const any = fc.record({
      type: fc.nat({ max: 12 }),
      slot: fc.nat(),
      ballot: anyBallot,
      payload: fc.oneof(fc.uint8Array({ maxLength: 200 }), anyRecord.map((r) => encodeRecord(r).payload)),
    });
    fc.assert(
      fc.property(any, (encoded) => {
        const record = decodes(() => decodeRecord(encoded));
        if (record !== undefined) expect(encodeRecord(record).payload).toEqual(encoded.payload);
      }),
      { numRuns: 2000 },
    );
  });
});
