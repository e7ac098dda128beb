import { crc32c, instant, utf8Encode } from "@cubby/base";
import { describe, expect, it } from "vitest";
import { sameBallot, ZERO_BALLOT } from "./ballot.ts";
import { ballot, formed, LoneEngine } from "./test-support/lone-engine.ts";

const a = utf8Encode("a");
const b = utf8Encode("b");
const c = utf8Encode("c");

function prepare(round: number, replica: number) {
  return {
    kind: "prepare",
    ballot: ballot(round, replica),
    acceptedBallot: ZERO_BALLOT,
    length: 0,
    chosen: 0,
  } as const;
}

function follower(): LoneEngine {
  const lone = new LoneEngine(2, formed(3));
  lone.wake();
  return lone;
}

/** Promised 1.1, and holds a and b in it, all durable. */
function synchronised(): LoneEngine {
  const lone = follower();
  lone.hear(1, prepare(1, 1));
  lone.persist();
  lone.hear(1, {
    kind: "logPart",
    ballot: ballot(1, 1),
    acceptedBallot: ballot(1, 1),
    firstSlot: 1,
    entries: [a, b],
    chosen: 0,
    length: 2,
  });
  lone.persist();
  return lone;
}

describe("an acceptor", () => {
  it("holds a promise back until its record is durable (reliability §5.1)", () => {
    const lone = follower();
    expect(lone.hear(1, prepare(1, 1))).toEqual({
      sends: [],
      records: [{ kind: "promised", ballot: ballot(1, 1) }],
      sendsAfterPersist: [
        {
          to: 1,
          message: {
            kind: "promise",
            ballot: ballot(1, 1),
            acceptedBallot: ZERO_BALLOT,
            length: 0,
            chosen: 0,
            firstSlot: 1,
            entries: [],
          },
        },
      ],
      events: [{ kind: "following", leader: 1 }],
      wakeAt: expect.any(Number),
      trace: [{ kind: "promised", ballot: "1.1" }],
    });
  });

  it.each([1, 2])(
    "says again what it accepted, to a leader that missed it and has chosen %i",
    (chosen) => {
      const lone = synchronised();
      // It has nothing more to send, and counts on hearing of us; also once others made a quorum.
      const message = { kind: "chosen", ballot: ballot(1, 1), chosen, length: 2 } as const;
      expect(lone.hear(1, message).sends).toMatchObject([
        { to: 1, message: { kind: "accepted", ballot: ballot(1, 1), length: 2 } },
      ]);
    },
  );

  it("repeats its promise when the prepare comes twice, and writes nothing", () => {
    const lone = follower();
    lone.hear(1, prepare(1, 1));
    lone.persist();
    const again = lone.hear(1, prepare(1, 1));
    expect(again.records).toEqual([]);
    expect(again.sends.map(({ message }) => message.kind)).toEqual(["promise"]);
  });

  it("repeats it only once the log that it tells of is durable, though the promise is", () => {
    const lone = follower();
    lone.hear(1, prepare(1, 1));
    lone.persist();
    const log = { acceptedBallot: ballot(1, 1), firstSlot: 1, entries: [a], chosen: 0, length: 1 };
    lone.hear(1, { kind: "logPart", ballot: ballot(1, 1), ...log });
    expect(lone.hear(1, prepare(1, 1))).toMatchObject({
      sends: [],
      sendsAfterPersist: [{ to: 1, message: { kind: "promise", length: 1 } }],
    });
  });

  it("refuses a ballot below its promise, and says which it promised", () => {
    const lone = follower();
    lone.hear(3, prepare(2, 3));
    lone.persist();
    expect(lone.hear(1, prepare(1, 1))).toMatchObject({
      records: [],
      sends: [{ to: 1, message: { kind: "nack", ballot: ballot(1, 1), promised: ballot(2, 3) } }],
      sendsAfterPersist: [],
    });
  });

  it("refuses a ballot once while the promise that it tells of waits for the disk", () => {
    const lone = synchronised();
    lone.hear(3, prepare(2, 3));
    const request = { kind: "leaseRequest", leaseRound: 1, leaseMs: 600 } as const;
    const heard = { ...request, ballot: ballot(1, 1), chosen: 0, length: 2 };
    const refuse = () => {
      const { sends, sendsAfterPersist } = lone.hear(1, heard);
      return [...sends, ...sendsAfterPersist].filter(({ message }) => message.kind === "nack");
    };
    expect(refuse()).toHaveLength(1);
    expect(refuse()).toEqual([]);
    lone.persist();
    expect(refuse()).toHaveLength(1);
    expect(refuse()).toHaveLength(1);
  });

  it("takes over the leader's log by one record, and says so once that is durable", () => {
    const lone = follower();
    lone.hear(1, prepare(1, 1));
    lone.persist();
    const output = lone.hear(1, {
      kind: "logPart",
      ballot: ballot(1, 1),
      acceptedBallot: ballot(1, 1),
      firstSlot: 1,
      entries: [a, b],
      chosen: 1,
      length: 2,
    });
    expect(output).toMatchObject({
      sends: [],
      records: [
        { kind: "synchronised", ballot: ballot(1, 1), firstSlot: 1, entries: [a, b] },
        { kind: "chosen", slot: 1 },
      ],
      sendsAfterPersist: [
        { to: 1, message: { kind: "accepted", ballot: ballot(1, 1), length: 2 } },
      ],
      events: [{ kind: "chosen", slot: 1, command: a }],
    });
  });

  it("acknowledges an accept once its record is durable, with one record for the batch", () => {
    const lone = synchronised();
    const output = lone.hear(1, {
      kind: "accept",
      ballot: ballot(1, 1),
      firstSlot: 3,
      entries: [c, a],
      chosen: 2,
    });
    expect(output).toMatchObject({
      sends: [],
      records: [
        { kind: "appended", ballot: ballot(1, 1), firstSlot: 3, entries: [c, a] },
        { kind: "chosen", slot: 2 },
      ],
      sendsAfterPersist: [
        { to: 1, message: { kind: "accepted", ballot: ballot(1, 1), length: 4 } },
      ],
      events: [
        { kind: "chosen", slot: 1, command: a },
        { kind: "chosen", slot: 2, command: b },
      ],
    });
  });

  it("refuses an accept that leaves a gap, and asks for what is missing, once", () => {
    const lone = synchronised();
    const accept = {
      kind: "accept",
      ballot: ballot(1, 1),
      firstSlot: 4,
      entries: [c],
      chosen: 0,
    } as const;
    const output = lone.hear(1, accept);
    expect(output.records).toEqual([]);
    expect(output.sends.map(({ message }) => message)).toEqual([
      { kind: "accepted", ballot: ballot(1, 1), length: 2 },
      {
        kind: "fetch",
        ballot: ballot(1, 1),
        from: 3,
        synchronised: true,
        snapshotSlot: 0,
        snapshotOffset: 0,
      },
    ]);
    expect(lone.hear(1, { ...accept, firstSlot: 5 }).sends).toEqual([]);
  });

  it("appends only the new part of an accept that comes twice, or overlaps", () => {
    const lone = synchronised();
    const accept = {
      kind: "accept",
      ballot: ballot(1, 1),
      firstSlot: 2,
      entries: [b, c],
      chosen: 0,
    } as const;
    expect(lone.hear(1, accept).records).toEqual([
      { kind: "appended", ballot: ballot(1, 1), firstSlot: 3, entries: [c] },
    ]);
    lone.persist();
    const again = lone.hear(1, accept);
    expect(again.records).toEqual([]);
    expect(again.sends).toEqual([
      { to: 1, message: { kind: "accepted", ballot: ballot(1, 1), length: 3 } },
    ]);
  });

  it("accepts nothing in a ballot whose log it has not taken over (P1)", () => {
    const lone = synchronised();
    lone.hear(3, prepare(2, 3));
    lone.persist();
    const output = lone.hear(3, {
      kind: "accept",
      ballot: ballot(2, 3),
      firstSlot: 3,
      entries: [c],
      chosen: 2,
    });
    expect(output.records).toEqual([]);
    expect(output.events).toEqual([]);
    expect(output.sends.map(({ message }) => message)).toEqual([
      {
        kind: "fetch",
        ballot: ballot(2, 3),
        from: 1,
        synchronised: false,
        snapshotSlot: 0,
        snapshotOffset: 0,
      },
    ]);
  });

  it("asks to be prepared when it hears of a ballot that it never promised", () => {
    const lone = synchronised();
    const output = lone.hear(3, {
      kind: "accept",
      ballot: ballot(2, 3),
      firstSlot: 3,
      entries: [c],
      chosen: 2,
    });
    expect(output.records).toEqual([]);
    expect(output.sends).toEqual([
      { to: 3, message: { kind: "prepareRequest", ballot: ballot(2, 3) } },
    ]);
  });

  it("brings a fresher log along with its promise", () => {
    const lone = synchronised();
    const [send] = lone.hear(3, prepare(2, 3)).sendsAfterPersist;
    expect(send?.message).toEqual({
      kind: "promise",
      ballot: ballot(2, 3),
      acceptedBallot: ballot(1, 1),
      length: 2,
      chosen: 0,
      firstSlot: 1,
      entries: [a, b],
    });
  });

  it("brings it along once: a copy would hold up what follows it on a slow link", () => {
    const lone = synchronised();
    lone.hear(3, prepare(2, 3));
    lone.persist();
    const [send] = lone.hear(3, prepare(2, 3)).sends;
    expect(send?.message).toMatchObject({ kind: "promise", length: 2, firstSlot: 1, entries: [] });
  });

  it.each([
    prepare(5, 1),
    { kind: "accept", ballot: ballot(1, 1), firstSlot: 3, entries: [c], chosen: 2 },
    { kind: "leaseRelease", ballot: ballot(1, 1), leaseRound: 1 },
    { kind: "invite", ballot: ballot(1, 1), leaseRound: 1 },
  ] as const)("takes no word for a ballot but its owner's: $kind", (message) => {
    const lone = synchronised();
    const output = lone.hear(3, message);
    expect(output).toMatchObject({ sends: [], records: [], sendsAfterPersist: [], events: [] });
    expect(output.trace).toEqual([
      { kind: "messageDropped", from: 3, reason: "a ballot of somebody else" },
    ]);
  });

  it("gives its log to nobody whose ballot it would no longer accept", () => {
    const lone = synchronised();
    const fetch = { kind: "fetch", from: 1, synchronised: false } as const;
    const asks = (round: number, replica: number) =>
      lone.hear(replica, {
        ...fetch,
        ballot: ballot(round, replica),
        snapshotSlot: 0,
        snapshotOffset: 0,
      });
    lone.hear(3, prepare(2, 3));
    lone.persist();
    expect(asks(2, 3).sends).toMatchObject([{ to: 3, message: { kind: "logPart", length: 2 } }]);
    lone.hear(1, prepare(3, 1));
    lone.persist();
    expect(asks(2, 3)).toMatchObject({ sends: [], sendsAfterPersist: [] });
  });

  it("asks for a log that it promised and never got, as soon as it hears of it", () => {
    const lone = follower();
    lone.hear(1, prepare(1, 1));
    lone.persist();
    const message = { kind: "chosen", ballot: ballot(1, 1), chosen: 0, length: 2 } as const;
    expect(lone.hear(1, message).sends).toMatchObject([
      { to: 1, message: { kind: "fetch", ballot: ballot(1, 1), from: 1, synchronised: false } },
    ]);
  });

  it("never cuts off what is chosen, whatever a leader sends (P14)", () => {
    const lone = synchronised();
    lone.hear(1, { kind: "chosen", ballot: ballot(1, 1), chosen: 2, length: 2 });
    lone.hear(3, prepare(2, 3));
    lone.persist();
    // A synchronisation from slot 1 on that says otherwise: only what follows slot 2 is taken.
    lone.hear(3, {
      kind: "logPart",
      ballot: ballot(2, 3),
      acceptedBallot: ballot(2, 3),
      firstSlot: 1,
      entries: [c, c, c],
      chosen: 0,
      length: 3,
    });
    const status = lone.engine.status();
    expect(status).toMatchObject({ chosen: 2, length: 3 });
    expect(sameBallot(status.acceptedBallot, ballot(2, 3))).toBe(true);
  });
});

describe("an acceptor's lease grant", () => {
  const request = {
    kind: "leaseRequest",
    ballot: ballot(1, 1),
    leaseRound: 1,
    leaseMs: 600,
    chosen: 0,
    length: 2,
  } as const;

  it("leaves only once the longest grant is on record", () => {
    const lone = synchronised();
    expect(lone.hear(1, request)).toMatchObject({
      sends: [],
      records: [{ kind: "grantMax", leaseMs: 600 }],
      sendsAfterPersist: [
        { to: 1, message: { kind: "leaseGrant", ballot: ballot(1, 1), leaseRound: 1 } },
      ],
    });
    lone.persist();
    expect(lone.hear(1, { ...request, leaseRound: 2 })).toMatchObject({
      sends: [{ to: 1, message: { kind: "leaseGrant", ballot: ballot(1, 1), leaseRound: 2 } }],
      records: [],
    });
  });

  it("is not given for a ballot that is not the promised one", () => {
    const lone = synchronised();
    const other = lone.hear(3, { ...request, ballot: ballot(2, 3) });
    expect(other.sends.map(({ message }) => message.kind)).toEqual(["prepareRequest"]);
    lone.hear(3, prepare(2, 3));
    lone.persist();
    const old = lone.hear(1, request);
    expect(old.sends.map(({ message }) => message.kind)).toEqual(["nack"]);
  });

  it("is not renewed once the election follows another, so that its candidate has an end to wait for", () => {
    const lone = synchronised();
    lone.hear(1, request);
    lone.persist();
    for (const { message } of lone.wake(100).sends) {
      if (message.kind !== "heartbeatRequest") continue;
      const { round } = message;
      const candidate = { ballot: ballot(2, 3), leader: ballot(2, 3), happy: true };
      lone.hear(3, { kind: "heartbeatReply", round, ...candidate });
      break;
    }
    expect(lone.hear(1, { ...request, leaseRound: 2 })).toMatchObject({
      sends: [],
      records: [],
      sendsAfterPersist: [],
    });
    // What it accepts is another matter: that leader may still lead.
    const accept = {
      kind: "accept",
      ballot: ballot(1, 1),
      firstSlot: 3,
      entries: [c],
      chosen: 0,
    } as const;
    expect(lone.hear(1, accept).records.length).toBe(1);
  });

  it("keeps a prepare, the highest, until it ends, and renews nothing meanwhile", () => {
    const lone = synchronised();
    lone.hear(1, request);
    lone.persist();
    const grantedAt = lone.now;
    const kept = lone.hear(3, prepare(2, 3));
    expect(kept).toMatchObject({ sends: [], records: [], sendsAfterPersist: [] });
    expect(kept.trace).toEqual([{ kind: "prepareKept", ballot: "2.3", waitMs: 661 }]);
    lone.hear(3, prepare(3, 3));
    expect(lone.hear(3, prepare(2, 3)).records).toEqual([]);
    // No renewal, by which the wait has an end.
    const renewal = lone.hear(1, { ...request, leaseRound: 2 });
    expect(renewal).toMatchObject({ sends: [], sendsAfterPersist: [] });
    // What it tells of the log counts all the same: nothing else may.
    const told = lone.hear(1, { ...request, leaseRound: 3, chosen: 2 });
    expect(told.events.map(({ kind }) => kind)).toEqual(["chosen", "chosen"]);
    const early = lone.wake(660);
    expect(early.records).toEqual([]);
    expect(early.wakeAt).toBeLessThanOrEqual(grantedAt + 661);
    const ended = lone.wake(1);
    expect(ended.records).toEqual([
      { kind: "promised", ballot: ballot(3, 3) },
      { kind: "chosen", slot: 2 },
    ]);
    expect(ended.sendsAfterPersist.map(({ to, message }) => [to, message.kind])).toEqual([
      [3, "promise"],
    ]);
  });

  it("ends at once when its leader releases it, and the kept prepare is answered", () => {
    const lone = synchronised();
    lone.hear(1, request);
    lone.persist();
    lone.hear(3, prepare(2, 3));
    const stale = lone.hear(1, { kind: "leaseRelease", ballot: ballot(1, 1), leaseRound: 0 });
    expect(stale.records).toEqual([]);
    const released = lone.hear(1, { kind: "leaseRelease", ballot: ballot(1, 1), leaseRound: 1 });
    expect(released.records).toEqual([{ kind: "promised", ballot: ballot(2, 3) }]);
  });

  it("ends by the leader's invitation as well, whose release was lost", () => {
    const lone = synchronised();
    lone.hear(1, request);
    lone.persist();
    const invited = lone.hear(1, { kind: "invite", ballot: ballot(1, 1), leaseRound: 1 });
    expect(invited.records).toEqual([{ kind: "promised", ballot: ballot(2, 2) }]);
  });

  it("drops a kept prepare when a higher ballot is promised meanwhile", () => {
    const lone = synchronised();
    lone.hear(1, request);
    lone.persist();
    lone.hear(3, prepare(2, 3));
    lone.hear(1, prepare(3, 1));
    lone.persist();
    expect(lone.wake(661).records).toEqual([]);
    expect(lone.engine.status().promised).toEqual(ballot(3, 1));
  });

  it("does not keep its own leader from a higher ballot of its own", () => {
    const lone = synchronised();
    lone.hear(1, request);
    lone.persist();
    const output = lone.hear(1, prepare(2, 1));
    expect(output.records).toEqual([{ kind: "promised", ballot: ballot(2, 1) }]);
  });

  it("binds the next life too: a restart promises nothing for as long as the longest one", () => {
    const lone = new LoneEngine(2, { ...formed(3), grantMaxMs: 600, promised: ballot(1, 1) });
    lone.wake();
    const kept = lone.hear(3, prepare(2, 3));
    expect(kept.records).toEqual([]);
    expect(lone.wake(660).records).toEqual([]);
    expect(lone.wake(1).records).toEqual([{ kind: "promised", ballot: ballot(2, 3) }]);
    expect(lone.now).toBe(instant(10_661));
  });
});

describe("an acceptor that is offered a snapshot", () => {
  const bytes = utf8Encode("state");

  /** Its first part, or all of it. */
  function snapshot(round: number, replica: number, slot: number, end = bytes.length) {
    return {
      kind: "snapshotPart",
      ballot: ballot(round, replica),
      slot,
      sizeBytes: bytes.length,
      checksum: crc32c(bytes),
      leaseMs: 600,
      offset: 0,
      bytes: bytes.subarray(0, end),
    } as const;
  }

  it("says nothing of a log that is not the leader's, though the snapshot ends within it (P1)", () => {
    const lone = synchronised();
    lone.hear(3, prepare(2, 3));
    lone.persist();
    const { sends, sendsAfterPersist } = lone.hear(3, snapshot(2, 3, 2, 2));
    expect([...sends, ...sendsAfterPersist]).toMatchObject([
      { to: 3, message: { kind: "fetch", from: 1, snapshotSlot: 2, snapshotOffset: 2 } },
    ]);
  });

  it("says that it has it all, chosen or not, and fetches nothing", () => {
    const lone = synchronised();
    const accepted = { to: 1, message: { kind: "accepted", ballot: ballot(1, 1), length: 2 } };
    expect(lone.hear(1, snapshot(1, 1, 2)).sends).toEqual([accepted]);
    lone.hear(1, { kind: "chosen", ballot: ballot(1, 1), chosen: 2, length: 2 });
    expect(lone.hear(1, snapshot(1, 1, 2)).sends).toEqual([accepted]);
    expect(lone.engine.status().catchingUp).toBe(false);
  });

  it("takes one from beyond its log, says so once that is durable, and asks for no more", () => {
    const lone = synchronised();
    expect(lone.hear(1, snapshot(1, 1, 5))).toMatchObject({
      sends: [],
      records: [{ kind: "restored", slot: 5 }],
      sendsAfterPersist: [
        { to: 1, message: { kind: "accepted", ballot: ballot(1, 1), length: 5 } },
      ],
    });
    lone.persist();
    expect(lone.engine.status()).toMatchObject({ catchingUp: false, length: 5, chosen: 5 });
    expect(lone.wake(3_000).sends.map(({ message }) => message.kind)).not.toContain("fetch");
  });

  it("fetches it no further when accepts bring it beyond its end", () => {
    const lone = synchronised();
    expect(lone.hear(1, snapshot(1, 1, 5, 2)).sends).toMatchObject([
      { to: 1, message: { kind: "fetch", from: 3, snapshotSlot: 5, synchronised: true } },
    ]);
    const accept = { kind: "accept", ballot: ballot(1, 1), chosen: 0 } as const;
    lone.hear(1, { ...accept, firstSlot: 3, entries: [a] });
    expect(lone.engine.status().catchingUp).toBe(true);
    lone.hear(1, { ...accept, firstSlot: 4, entries: [a, b, c] });
    lone.persist();
    expect(lone.engine.status()).toMatchObject({ catchingUp: false, length: 6 });
    expect(lone.wake(3_000).sends.map(({ message }) => message.kind)).not.toContain("fetch");
  });

  it("fetches nothing more for an older ballot once it promised another", () => {
    const lone = follower();
    const accept = { kind: "accept", firstSlot: 3, entries: [c], chosen: 0 } as const;
    for (const replica of [1, 3]) {
      lone.hear(replica, prepare(replica, replica));
      lone.persist();
      expect(
        lone.hear(replica, { ...accept, ballot: ballot(replica, replica) }).sends,
      ).toMatchObject([
        { to: replica, message: { kind: "fetch", ballot: ballot(replica, replica) } },
      ]);
    }
  });
});

describe("an acceptor that might lead", () => {
  it("obeys no invitation of a leader that another took the place of", () => {
    const lone = synchronised();
    lone.hear(3, prepare(2, 3));
    lone.persist();
    const invite = { kind: "invite", ballot: ballot(1, 1), leaseRound: 1 } as const;
    expect(lone.hear(1, invite)).toMatchObject({ records: [], trace: [] });
  });

  it("claims nothing while its disk is behind, busy or not, for its promise would wait", () => {
    const lone = follower();
    lone.hear(1, prepare(1, 1));
    const claims = (ms: number) => {
      const traces: string[] = [];
      for (const end = lone.now + ms; lone.now < end; ) {
        // The disk is busy, and not stuck: it goes on with what was before.
        const busy = lone.step({ kind: "persisted", through: 0 });
        const { sends, trace } = lone.wake(10);
        for (const one of [...busy.trace, ...trace]) traces.push(one.kind);
        for (const { to, message } of sends) {
          if (message.kind !== "heartbeatRequest") continue;
          const unhappy = { ballot: ballot(0, to), leader: ballot(1, 1), happy: false };
          const { round } = message;
          const heard = lone.hear(to, { kind: "heartbeatReply", round, ...unhappy });
          for (const one of heard.trace) traces.push(one.kind);
        }
      }
      return traces.filter((kind) => kind === "tookOver");
    };
    expect(claims(3_000)).toEqual([]);
    lone.persist();
    expect(lone.stand().replica).toBe(2);
  });
});
