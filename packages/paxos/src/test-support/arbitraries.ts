import fc from "fast-check";
import { type Ballot, PRIORITY_MAX, REPLICA_ID_MAX, type ReplicaId, ROUND_MAX } from "../ballot.ts";
import { LEASE_MS_MAX, type LogEntry } from "../log-entry.ts";
import type { Member, PaxosMessage } from "../messages.ts";
import type { PaxosRecord } from "../record.ts";

const is = <const K extends string>(kind: K) => fc.constant(kind);

export const anyBallot: fc.Arbitrary<Ballot> = fc.record({
  round: fc.nat({ max: ROUND_MAX }),
  priority: fc.nat({ max: PRIORITY_MAX }),
  replica: fc.nat({ max: REPLICA_ID_MAX }).map((id) => id as ReplicaId),
});
const leaseMs = fc.integer({ min: 1, max: LEASE_MS_MAX });
const leaseMsOrNone = fc.integer({ min: 0, max: LEASE_MS_MAX });
const slot = fc.maxSafeNat();
const firstSlot = fc.integer({ min: 1, max: 2 ** 52 });
export const anyEntry: fc.Arbitrary<LogEntry> = fc.oneof(
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

export const anyMessage: fc.Arbitrary<PaxosMessage> = fc.oneof(
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

export const anyRecord: fc.Arbitrary<PaxosRecord> = fc.oneof(
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
