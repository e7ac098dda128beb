import { DecodeError } from "@cubby/base";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Ballot,
  PRIORITY_MAX,
  REPLICA_ID_MAX,
  type ReplicaId,
  ROUND_MAX,
  ZERO_BALLOT,
} from "./ballot.ts";
import { BATCH_BYTES_MAX, COMMAND_BYTES_MAX, MESSAGE_BYTES_MAX } from "./limits.ts";
import { LEASE_MS_MAX, type LogEntry } from "./log-entry.ts";
import { decodeMessage, encodeMessage, messageKindOf } from "./message-codec.ts";
import type { Member, PaxosMessage } from "./messages.ts";
import { decodeRecord, encodeRecord, type PaxosRecord } from "./record.ts";

const is = <const K extends string>(kind: K) => fc.constant(kind);

const anyBallot: fc.Arbitrary<Ballot> = fc.record({
  round: fc.nat({ max: ROUND_MAX }),
  priority: fc.nat({ max: PRIORITY_MAX }),
  replica: fc.nat({ max: REPLICA_ID_MAX }).map((id) => id as ReplicaId),
});
const leaseMs = fc.oneof(fc.constant(LEASE_MS_MAX), fc.integer({ min: 1, max: LEASE_MS_MAX }));
const leaseMsOrNone = fc.oneof(fc.constant(0), leaseMs);
const slot = fc.maxSafeNat();
const firstSlot = fc.integer({ min: 1, max: 2 ** 52 });
const anyEntry: fc.Arbitrary<LogEntry> = fc.oneof(
  { weight: 9, arbitrary: fc.uint8Array({ maxLength: 300 }) },
  { weight: 1, arbitrary: fc.record({ kind: is("masterLease"), leaseMs }) },
);
const entries = fc.array(anyEntry, { maxLength: 12 });
const text = (maxLength: number) => fc.string({ minLength: 1, maxLength, unit: "grapheme-ascii" });
const members: fc.Arbitrary<Member[]> = fc
  .uniqueArray(fc.integer({ min: 1, max: REPLICA_ID_MAX }), { maxLength: 9 })
  .chain((ids) =>
    fc.tuple(
      ...[...ids]
        .sort((a, b) => a - b)
        .map((id) => fc.record({ replica: fc.constant(id as ReplicaId), incarnation: text(64) })),
    ),
  );
const snapshotIdentity = {
  slot: firstSlot,
  checksum: fc.nat({ max: 2 ** 32 - 1 }),
  leaseMs: leaseMsOrNone,
};

const anyMessage: fc.Arbitrary<PaxosMessage> = fc.oneof(
  fc.record({ kind: is("heartbeatRequest"), round: slot }),
  fc.record({
    kind: is("heartbeatReply"),
    round: slot,
    ballot: anyBallot,
    leader: anyBallot,
    happy: fc.boolean(),
  }),
  fc.record({
    kind: is("prepare"),
    ballot: anyBallot,
    acceptedBallot: anyBallot,
    length: slot,
    chosen: slot,
  }),
  fc.record({
    kind: is("promise"),
    ballot: anyBallot,
    acceptedBallot: anyBallot,
    length: slot,
    chosen: slot,
    firstSlot,
    entries,
  }),
  fc.record({ kind: is("nack"), ballot: anyBallot, promised: anyBallot }),
  fc.record({ kind: is("prepareRequest"), ballot: anyBallot }),
  fc.record({ kind: is("accept"), ballot: anyBallot, firstSlot, entries, chosen: slot }),
  fc.record({ kind: is("accepted"), ballot: anyBallot, length: slot }),
  fc.record({ kind: is("chosen"), ballot: anyBallot, chosen: slot, length: slot }),
  fc.record({
    kind: is("fetch"),
    ballot: anyBallot,
    from: firstSlot,
    synchronised: fc.boolean(),
    snapshotSlot: slot,
    snapshotOffset: slot,
  }),
  fc.record({
    kind: is("logPart"),
    ballot: anyBallot,
    acceptedBallot: anyBallot,
    firstSlot,
    entries,
    chosen: slot,
    length: slot,
  }),
  fc
    .record({
      kind: is("snapshotPart"),
      ballot: anyBallot,
      ...snapshotIdentity,
      offset: fc.nat({ max: 10_000 }),
      bytes: fc.uint8Array({ maxLength: 300 }),
      beyond: fc.nat({ max: 1000 }),
    })
    .map(({ beyond, ...part }) => ({
      ...part,
      sizeBytes: part.offset + part.bytes.length + beyond,
    })),
  fc.record({
    kind: is("leaseRequest"),
    ballot: anyBallot,
    leaseRound: slot,
    leaseMs,
    chosen: slot,
    length: slot,
  }),
  fc.record({ kind: is("leaseGrant"), ballot: anyBallot, leaseRound: slot }),
  fc.record({ kind: is("leaseRelease"), ballot: anyBallot, leaseRound: slot }),
  fc.record({ kind: is("invite"), ballot: anyBallot, leaseRound: slot }),
  fc.record({ kind: is("genesisQuery") }),
  fc.record({ kind: is("genesisStatus"), members }),
  fc.record({ kind: is("genesisOffer"), members }),
  fc.record({ kind: is("genesisComplete"), members }),
  fc.record({ kind: is("refused"), incarnation: text(64), reason: text(512) }),
);

const anyRecord: fc.Arbitrary<PaxosRecord> = fc.oneof(
  fc.record({ kind: is("promised"), ballot: anyBallot }),
  fc.record({ kind: is("appended"), ballot: anyBallot, firstSlot, entries }),
  fc.record({ kind: is("synchronised"), ballot: anyBallot, firstSlot, entries }),
  fc.record({ kind: is("learned"), firstSlot, entries }),
  fc.record({ kind: is("chosen"), slot }),
  fc.record({ kind: is("grantMax"), leaseMs: leaseMsOrNone }),
  fc.record({ kind: is("genesis"), members, complete: fc.boolean() }),
  fc.record({
    kind: is("restored"),
    ballot: anyBallot,
    ...snapshotIdentity,
    sizeBytes: slot,
    // The bytes live in a file that the record names.
    bytes: fc.constant(new Uint8Array(0)),
  }),
  fc.record({
    kind: is("checkpoint"),
    promised: anyBallot,
    acceptedBallot: anyBallot,
    chosen: slot,
    grantMaxMs: leaseMsOrNone,
    leaseMs: leaseMsOrNone,
    genesis: fc.option(fc.record({ members, complete: fc.boolean() }), { nil: undefined }),
    firstSlot,
    entries,
  }),
);

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
        expect(messageKindOf(encodeMessage(message))).toBe(message.kind);
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

  it("refuses what nobody honest says", () => {
    const refuses = (message: PaxosMessage) =>
      expect(() => decodeMessage(encodeMessage(message))).toThrow(DecodeError);
    const named = (...ids: number[]) =>
      ids.map((id) => ({ replica: id as ReplicaId, incarnation: "i" }));
    for (const members of [named(2, 1), named(1, 1), named(REPLICA_ID_MAX + 1)]) {
      refuses({ kind: "genesisOffer", members });
    }
    const lease = { leaseRound: 1, leaseMs: LEASE_MS_MAX + 1, chosen: 0, length: 0 };
    refuses({ kind: "leaseRequest", ballot: ZERO_BALLOT, ...lease });
    const snapshot = { slot: 1, sizeBytes: 3, checksum: 0, leaseMs: 600 };
    const beyond = { offset: 2, bytes: new Uint8Array(2) };
    refuses({ kind: "snapshotPart", ballot: ZERO_BALLOT, ...snapshot, ...beyond });
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
      payload: fc.oneof(
        fc.uint8Array({ maxLength: 200 }),
        anyRecord.map((r) => encodeRecord(r).payload),
      ),
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
