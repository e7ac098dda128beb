import { after, crc32c, utf8Encode } from "@cubby/base";
import { describe, expect, it } from "vitest";
import { epochOf, sameBallot, ZERO_BALLOT } from "./ballot.ts";
import { ADOPT_PATIENCE_MS, LEASE_RENEW_MS, RETRANSMIT_MS } from "./limits.ts";
import { leaseRenewMsMax } from "./master-lease.ts";
import { ballot, formed, LoneEngine } from "./test-support/lone-engine.ts";

const commands = (...texts: string[]) => texts.map((text) => utf8Encode(text));
const kinds = (sends: readonly { message: { kind: string } }[]) =>
  sends.map(({ message }) => message.kind);

/** What a promise says of a log that is empty. */
const NO_LOG = {
  acceptedBallot: ZERO_BALLOT,
  length: 0,
  chosen: 0,
  firstSlot: 1,
  entries: [],
} as const;

function leading(options = {}): { lone: LoneEngine; own: ReturnType<LoneEngine["lead"]> } {
  const lone = new LoneEngine(1, formed(3), options);
  const own = lone.lead([2, 3]);
  expect(lone.engine.status()).toMatchObject({ role: "leading", chosen: 1, length: 1 });
  return { lone, own };
}

describe("a proposer", () => {
  it("sends its prepare only once its own promise is durable, so that no life reuses a ballot (P4)", () => {
    const lone = new LoneEngine(1, formed(3));
    lone.wake();
    let output = lone.take();
    for (let i = 0; i < 60 && output.records.length === 0; i += 1) {
      const own = lone.wake(10);
      for (const { to, message } of own.sends) {
        if (message.kind !== "heartbeatRequest") continue;
        const { round } = message;
        const unhappy = { ballot: ballot(0, to), leader: ZERO_BALLOT, happy: false };
        output = lone.hear(to, { kind: "heartbeatReply", round, ...unhappy });
        if (output.records.length > 0) break;
      }
      if (own.records.length > 0) output = own;
    }
    const standing = lone.engine.status().ballot;
    expect(output.records).toEqual([{ kind: "promised", ballot: standing }]);
    expect(kinds(output.sendsAfterPersist)).toEqual(["prepare", "prepare"]);
    expect(kinds(output.sends)).not.toContain("prepare");
  });

  it("counts its own promise only once it is durable", () => {
    const lone = new LoneEngine(1, formed(3));
    const own = lone.stand();
    const promise = {
      kind: "promise",
      ballot: own,
      acceptedBallot: ZERO_BALLOT,
      length: 0,
      chosen: 0,
      firstSlot: 1,
      entries: [],
    } as const;
    for (const peer of [2, 3]) lone.hear(peer, promise);
    expect(lone.engine.status().role).toBe("preparing");
    const output = lone.persist();
    expect(lone.engine.status().role).toBe("leading");
    expect(output.records).toEqual([
      { kind: "synchronised", ballot: own, firstSlot: 1, entries: [] },
    ]);
  });

  it.each([
    [2, 3],
    [3, 2],
  ])(
    "adopts the freshest log of a quorum: the highest accepted ballot, then the longest (%i first)",
    (...order) => {
      const lone = new LoneEngine(1, {
        ...formed(5),
        promised: ballot(3, 2),
        acceptedBallot: ballot(2, 2),
        entries: commands("old", "older", "oldest"),
      });
      const own = lone.stand();
      lone.persist();
      const promise = { kind: "promise", ballot: own, chosen: 0, firstSlot: 1 } as const;
      const longer = { acceptedBallot: ballot(1, 4), length: 5, entries: [] };
      const fresher = { acceptedBallot: ballot(3, 2), length: 2, entries: commands("x", "y") };
      const [, output] = order.map((from) =>
        lone.hear(from, { ...promise, ...(from === 2 ? longer : fresher) }),
      );
      expect(output?.records).toEqual([
        { kind: "synchronised", ballot: own, firstSlot: 1, entries: commands("x", "y") },
      ]);
      // Both get the log; that they had a longer one of a lower ballot does not matter.
      expect(output?.sends).toEqual(
        order.map((to) => ({
          to,
          message: {
            kind: "logPart",
            ballot: own,
            acceptedBallot: own,
            firstSlot: 1,
            entries: commands("x", "y"),
            chosen: 0,
            length: 2,
          },
        })),
      );
    },
  );

  it("tells each follower at once what any of them knew to be chosen", () => {
    const lone = new LoneEngine(1, formed(5));
    const own = lone.stand();
    lone.persist();
    const promise = { kind: "promise", ballot: own, firstSlot: 1 } as const;
    lone.hear(2, { ...promise, ...NO_LOG });
    const fresher = { acceptedBallot: ballot(1, 4), length: 2, chosen: 1 };
    const { sends } = lone.hear(3, { ...promise, ...fresher, entries: commands("x", "y") });
    expect(sends).toMatchObject([
      { to: 2, message: { kind: "logPart", firstSlot: 1, chosen: 1 } },
      { to: 3, message: { kind: "logPart", firstSlot: 2, chosen: 1 } },
    ]);
  });

  it("says nothing more for its ballot once it promised another, though a round is due", () => {
    const lone = new LoneEngine(1, formed(3));
    const own = lone.stand();
    lone.persist();
    lone.now = after(lone.now, 100);
    const other = { kind: "prepare", ballot: ballot(own.round + 1, 3) } as const;
    const log = { acceptedBallot: ZERO_BALLOT, length: 0, chosen: 0 };
    const { sends, sendsAfterPersist } = lone.hear(3, { ...other, ...log });
    expect(kinds(sends)).toEqual(["heartbeatRequest", "heartbeatRequest"]);
    expect(kinds(sendsAfterPersist)).toEqual(["promise"]);
  });

  it("does without an acceptor whose fresher log it cannot get, once another quorum promised", () => {
    const lone = new LoneEngine(1, formed(3));
    const own = lone.stand();
    lone.persist();
    const promise = { kind: "promise", ballot: own, chosen: 0, firstSlot: 1 } as const;
    const fresher = { acceptedBallot: ballot(1, 2), length: 9, entries: commands("x") };
    lone.hear(2, { ...promise, ...fresher });
    expect(lone.engine.status().role).toBe("adopting");
    lone.hear(3, { ...promise, acceptedBallot: ZERO_BALLOT, length: 0, entries: [] });
    lone.wake(ADOPT_PATIENCE_MS - 1);
    expect(lone.engine.status().role).toBe("adopting");
    lone.wake(1);
    expect(lone.engine.status().role).toBe("leading");
  });

  it("leads on while a snapshot that it adopted is being written, by a disk that is quick", () => {
    const lone = new LoneEngine(1, formed(3));
    const own = lone.stand();
    lone.persist();
    const log = { acceptedBallot: ballot(1, 2), length: 9, chosen: 9, firstSlot: 1, entries: [] };
    lone.hear(2, { kind: "promise", ballot: own, ...log });
    const bytes = utf8Encode("state");
    const whole = { slot: 9, sizeBytes: bytes.length, checksum: crc32c(bytes), leaseMs: 600 };
    lone.hear(2, { kind: "snapshotPart", ballot: own, ...whole, offset: 0, bytes });
    expect(lone.engine.status()).toMatchObject({ role: "leading", length: 9 });
    expect(lone.persist().events).toMatchObject([{ kind: "restored", slot: 9 }]);
  });

  it("tells its host of the snapshot that it adopted before it tells that it leads", () => {
    // The length of its lease is on record: nothing of its own has to be durable before the first round.
    const lone = new LoneEngine(
      1,
      { ...formed(3), grantMaxMs: 9_000 },
      { leaseMs: 300, leaseRenewMs: 30 },
    );
    lone.wake(9_901);
    const own = lone.stand();
    lone.persist();
    const log = { acceptedBallot: ballot(1, 2), length: 9, chosen: 9, firstSlot: 1, entries: [] };
    lone.hear(2, { kind: "promise", ballot: own, ...log });
    const bytes = utf8Encode("state");
    const whole = { slot: 9, sizeBytes: bytes.length, checksum: crc32c(bytes), leaseMs: 9_000 };
    lone.hear(2, { kind: "snapshotPart", ballot: own, ...whole, offset: 0, bytes });
    const early = lone.hear(2, { kind: "leaseGrant", ballot: own, leaseRound: 1 });
    expect(early.trace).toMatchObject([{ kind: "leaseGranted" }]);
    expect(early.events).toEqual([]);
    expect(lone.persist().events).toMatchObject([
      { kind: "restored", slot: 9 },
      { kind: "leading", leaseUntil: after(lone.now, 8_100) },
    ]);
  });

  it("keeps its own log before a shorter one that was accepted in the same ballot", () => {
    const entries = commands("x", "y", "z");
    const own = { promised: ballot(3, 2), acceptedBallot: ballot(3, 2), entries };
    const lone = new LoneEngine(1, { ...formed(3), ...own });
    const standing = lone.stand();
    lone.persist();
    const promise = { kind: "promise", ballot: standing, chosen: 0, firstSlot: 1 } as const;
    const shorter = { acceptedBallot: ballot(3, 2), length: 2, entries: [] };
    expect(lone.hear(3, { ...promise, ...shorter }).records).toEqual([
      { kind: "synchronised", ballot: standing, firstSlot: 4, entries: [] },
    ]);
  });

  it("asks nobody for a log that is as fresh as its own", () => {
    const log = { acceptedBallot: ballot(3, 2), entries: commands("x", "y") };
    const lone = new LoneEngine(1, { ...formed(3), ...log, promised: ballot(3, 2) });
    const own = lone.stand();
    lone.persist();
    const promise = { kind: "promise", ballot: own, chosen: 0, firstSlot: 1, entries: [] } as const;
    const { sends } = lone.hear(3, { ...promise, acceptedBallot: ballot(3, 2), length: 2 });
    expect(kinds(sends)).not.toContain("fetch");
    expect(lone.engine.status().role).toBe("leading");
  });

  it("counts the log that it adopted only once that is durable, whatever it held before", () => {
    const old = { acceptedBallot: ballot(2, 2), entries: commands("old", "older", "oldest") };
    const lone = new LoneEngine(1, { ...formed(5), promised: ballot(3, 2), ...old });
    const own = lone.stand();
    lone.persist();
    const promise = { kind: "promise", ballot: own, chosen: 0, firstSlot: 1 } as const;
    const fresher = { acceptedBallot: ballot(3, 2), length: 2, entries: commands("x", "y") };
    for (const peer of [2, 3]) lone.hear(peer, { ...promise, ...fresher });
    // Of five, two followers and an unfinished write are no quorum.
    for (const peer of [2, 3]) {
      expect(lone.hear(peer, { kind: "accepted", ballot: own, length: 2 }).events).toEqual([]);
    }
    expect(lone.persist().events).toMatchObject([
      { kind: "chosen", slot: 1, command: utf8Encode("x") },
      { kind: "chosen", slot: 2, command: utf8Encode("y") },
    ]);
  });
});

describe("a leader", () => {
  it("sends an accept in parallel with its own write, in one record (PML-4)", () => {
    const { lone, own } = leading();
    const entries = commands("a", "b");
    const output = lone.step({ kind: "propose", entries });
    const accept = { kind: "accept", ballot: own, firstSlot: 2, entries, chosen: 1 };
    expect(output).toEqual({
      sends: [
        { to: 2, message: accept },
        { to: 3, message: accept },
      ],
      records: [{ kind: "appended", ballot: own, firstSlot: 2, entries }],
      sendsAfterPersist: [],
      events: [],
      wakeAt: expect.any(Number),
      trace: [],
    });
    // One object for all: the host encodes it once.
    expect(output.sends[0]?.message).toBe(output.sends[1]?.message);
  });

  it("sends what was proposed while its disk was busy as one accept and one record", () => {
    const { lone, own } = leading();
    lone.step({ kind: "propose", entries: commands("a") });
    const meanwhile = lone.step({ kind: "propose", entries: commands("b") });
    expect(meanwhile).toMatchObject({ sends: [], records: [] });
    lone.step({ kind: "propose", entries: commands("c", "d") });
    const output = lone.persist();
    expect(output.records).toEqual([
      { kind: "appended", ballot: own, firstSlot: 3, entries: commands("b", "c", "d") },
    ]);
    expect(output.sends.map(({ to, message }) => [to, message.kind])).toEqual([
      [2, "accept"],
      [3, "accept"],
    ]);
  });

  it("bounds a batch by entries and by bytes", () => {
    const { lone } = leading({ batchEntriesMax: 2, batchBytesMax: 100 });
    const big = new Uint8Array(90);
    lone.step({ kind: "propose", entries: commands("a") });
    lone.step({ kind: "propose", entries: [...commands("b", "c", "d"), big, big] });
    const sizes = [];
    for (let i = 0; i < 6; i += 1) {
      for (const record of lone.persist().records) {
        if (record.kind === "appended") sizes.push(record.entries.length);
      }
    }
    expect(sizes).toEqual([2, 1, 1, 1]);
  });

  it("counts itself only after its own write (reliability §5.2)", () => {
    const { lone, own } = leading();
    const { issued } = lone;
    lone.step({ kind: "propose", entries: commands("a") });
    // Of three, one follower and an unfinished write are no quorum.
    expect(lone.hear(2, { kind: "accepted", ballot: own, length: 2 }).events).toEqual([]);
    // The disk did something, and not this.
    expect(lone.persist(issued).events).toEqual([]);
    expect(lone.persist().events).toEqual([{ kind: "chosen", slot: 2, command: utf8Encode("a") }]);
  });

  it("needs not itself, if a quorum of others wrote faster", () => {
    const { lone, own } = leading();
    lone.step({ kind: "propose", entries: commands("a") });
    lone.hear(2, { kind: "accepted", ballot: own, length: 2 });
    const output = lone.hear(3, { kind: "accepted", ballot: own, length: 2 });
    expect(output.events).toEqual([{ kind: "chosen", slot: 2, command: utf8Encode("a") }]);
  });

  it("counts no acceptance of an older ballot (P1)", () => {
    const { lone, own } = leading();
    lone.step({ kind: "propose", entries: commands("a") });
    lone.persist();
    const old = ballot(own.round - 1, own.replica);
    for (const peer of [2, 3]) {
      expect(lone.hear(peer, { kind: "accepted", ballot: old, length: 2 }).events).toEqual([]);
    }
    expect(lone.engine.status().chosen).toBe(1);
  });

  it("believes no peer that claims the impossible, and outlives it", () => {
    const { lone, own } = leading();
    const beyond = lone.hear(2, { kind: "accepted", ballot: own, length: 99 });
    expect(beyond.trace).toEqual([
      { kind: "impossibleClaim", from: 2, claim: "accepted beyond our log" },
    ]);
    const until = lone.engine.status().leaseUntil;
    lone.hear(2, { kind: "leaseGrant", ballot: own, leaseRound: 99 });
    expect(lone.engine.status()).toMatchObject({ role: "leading", chosen: 1, leaseUntil: until });
  });

  it("tells the chosen index with the next lease round when nothing else carries it", () => {
    const { lone, own } = leading();
    lone.step({ kind: "propose", entries: commands("a") });
    lone.persist();
    expect(lone.hear(2, { kind: "accepted", ballot: own, length: 2 }).sends).toEqual([]);
    const { sends } = lone.wake(LEASE_RENEW_MS);
    const rounds = sends
      .map(({ message }) => message)
      .filter(({ kind }) => kind === "leaseRequest");
    expect(rounds).toMatchObject([{ chosen: 2, length: 2 }, { chosen: 2 }]);
  });

  it("lets the chosen index ride along while there is traffic", () => {
    const { lone, own } = leading();
    lone.step({ kind: "propose", entries: commands("a") });
    lone.step({ kind: "propose", entries: commands("b") });
    expect(kinds(lone.hear(2, { kind: "accepted", ballot: own, length: 2 }).sends)).toEqual([]);
    const output = lone.persist();
    expect(output.sends.map(({ message }) => message)).toMatchObject([
      { kind: "accept", firstSlot: 3, chosen: 2 },
      { kind: "accept", firstSlot: 3, chosen: 2 },
    ]);
  });

  it("stops sending to a follower whose window is full, and goes on without it", () => {
    const { lone, own } = leading({ windowEntriesMax: 4, batchEntriesMax: 2 });
    const sent: number[] = [];
    for (let i = 0; i < 8; i += 1) {
      const output = lone.step({ kind: "propose", entries: commands(`c${i}`) });
      for (const { to, message } of output.sends) if (message.kind === "accept") sent.push(to);
      lone.persist();
      lone.hear(2, { kind: "accepted", ballot: own, length: i + 2 });
    }
    expect(lone.engine.status().chosen).toBe(9);
    expect(sent.filter((to) => to === 2).length).toBe(8);
    expect(sent.filter((to) => to === 3).length).toBe(4);
    // It comes back: what it missed follows, batch by batch.
    const output = lone.hear(3, { kind: "accepted", ballot: own, length: 5 });
    expect(output.sends.map(({ message }) => message)).toMatchObject([
      { kind: "accept", firstSlot: 6, entries: commands("c4", "c5") },
      { kind: "accept", firstSlot: 8, entries: commands("c6", "c7") },
    ]);
  });

  it("sends nothing twice when a part of what is under way is acknowledged", () => {
    const { lone, own } = leading();
    lone.step({ kind: "propose", entries: commands("a") });
    lone.persist();
    lone.step({ kind: "propose", entries: commands("b") });
    expect(lone.hear(2, { kind: "accepted", ballot: own, length: 2 }).sends).toEqual([]);
  });

  it("synchronises a follower whose promise comes late", () => {
    const lone = new LoneEngine(1, formed(3));
    const own = lone.lead([2]);
    const output = lone.hear(3, {
      kind: "promise",
      ballot: own,
      acceptedBallot: ZERO_BALLOT,
      length: 0,
      chosen: 0,
      firstSlot: 1,
      entries: [],
    });
    expect(output.sends).toEqual([
      {
        to: 3,
        message: {
          kind: "logPart",
          ballot: own,
          acceptedBallot: own,
          firstSlot: 1,
          entries: [{ kind: "masterLease", leaseMs: 600 }],
          chosen: 1,
          length: 1,
        },
      },
    ]);
  });

  it("sends nothing again to a follower that it has just synchronised", () => {
    const lone = new LoneEngine(1, formed(3));
    const own = lone.lead([2]);
    lone.hear(3, { kind: "promise", ballot: own, ...NO_LOG });
    expect(lone.hear(3, { kind: "accepted", ballot: own, length: 1 }).sends).toEqual([]);
  });

  it("goes on with a follower that had its log, and says so by a promise alone", () => {
    const lone = new LoneEngine(1, formed(3));
    const own = lone.stand();
    lone.persist();
    const promise = { kind: "promise", ballot: own, length: 0, chosen: 0 } as const;
    const none = { firstSlot: 1, entries: [] };
    lone.hear(2, { ...promise, ...none, acceptedBallot: ZERO_BALLOT });
    lone.persist();
    lone.persist();
    expect(lone.engine.status()).toMatchObject({ role: "leading", chosen: 0, length: 1 });
    // Its acceptance of the empty log was lost, and a copy of the prepare reached it behind that.
    const sends = [...lone.hear(2, { ...promise, ...none, acceptedBallot: own }).sends];
    expect(sends).toMatchObject([{ to: 2, message: { kind: "accept", firstSlot: 1 } }]);
  });

  it("counts what a follower says by a promise alone, when there is nothing left to send", () => {
    const lone = new LoneEngine(1, formed(3));
    const own = lone.stand();
    lone.persist();
    const promise = { kind: "promise", ballot: own, chosen: 0, firstSlot: 1, entries: [] } as const;
    lone.hear(2, { ...promise, length: 0, acceptedBallot: ZERO_BALLOT });
    for (let i = 0; i < 4; i += 1) lone.persist();
    expect(lone.engine.status()).toMatchObject({ role: "leading", chosen: 0, length: 1 });
    // It learned the first slot with the log, and its acceptance was lost.
    lone.hear(2, { ...promise, length: 1, firstSlot: 2, acceptedBallot: own });
    expect(lone.engine.status()).toMatchObject({ chosen: 1 });
  });

  it("prepares a follower that asks for it", () => {
    const { lone, own } = leading();
    const output = lone.hear(3, { kind: "prepareRequest", ballot: own });
    expect(output.sends).toMatchObject([{ to: 3, message: { kind: "prepare", ballot: own } }]);
  });

  it("drops proposals when it does not lead", () => {
    const lone = new LoneEngine(1, formed(3));
    lone.wake();
    const output = lone.step({ kind: "propose", entries: commands("a", "b") });
    expect(output).toMatchObject({ sends: [], records: [], events: [] });
    expect(output.trace).toEqual([{ kind: "proposalsDropped", count: 2, reason: "not leading" }]);
  });
});

describe("a leader's lease", () => {
  it("is reported with the first grant of a quorum, and whenever it moves", () => {
    const lone = new LoneEngine(1, formed(3));
    const own = lone.lead([2]);
    const beganAt = lone.now;
    const epoch = epochOf(own);
    // Its own grant and that of 2 for the round begun now, and counted from its sending.
    expect(lone.engine.status().leaseUntil).toBe(beganAt + 540);
    const renewed = lone.wake(100);
    expect(kinds(renewed.sends)).toContain("leaseRequest");
    expect(renewed.events).toEqual([]);
    const granted = lone.hear(2, { kind: "leaseGrant", ballot: own, leaseRound: 2 });
    expect(granted.events).toEqual([{ kind: "leading", epoch, leaseUntil: beganAt + 100 + 540 }]);
  });

  it("ends when the host has it voided, and a new round brings it back with the same epoch", () => {
    const { lone, own } = leading();
    const epoch = epochOf(own);
    const output = lone.step({ kind: "voidLease" });
    expect(output.events).toEqual([{ kind: "leading", epoch, leaseUntil: lone.now }]);
    expect(kinds(output.sends)).toEqual(["leaseRequest", "leaseRequest"]);
    // An answer to the round before the void says nothing about the time since.
    expect(lone.hear(2, { kind: "leaseGrant", ballot: own, leaseRound: 1 }).events).toEqual([]);
    expect(lone.hear(2, { kind: "leaseGrant", ballot: own, leaseRound: 2 }).events).toEqual([
      { kind: "leading", epoch, leaseUntil: lone.now + 540 },
    ]);
  });

  it("is not got by answers that were under way when the clock could not be trusted", () => {
    const lone = new LoneEngine(1, formed(3));
    const own = lone.lead([]);
    // No answer has come; the machine was suspended; then the answer to the round before comes.
    const promise = { kind: "promise", ballot: own, acceptedBallot: ZERO_BALLOT } as const;
    lone.hear(2, { ...promise, length: 0, chosen: 0, firstSlot: 1, entries: [] });
    for (let i = 0; i < 2; i += 1) lone.persist();
    lone.hear(2, { kind: "accepted", ballot: own, length: 1 });
    lone.persist();
    expect(lone.engine.status()).toMatchObject({ chosen: 1, leaseUntil: undefined });
    lone.step({ kind: "voidLease" });
    lone.hear(2, { kind: "leaseGrant", ballot: own, leaseRound: 1 });
    expect(lone.engine.status().leaseUntil).toBeUndefined();
    lone.hear(2, { kind: "leaseGrant", ballot: own, leaseRound: 2 });
    expect(lone.engine.status().leaseUntil).toBe(lone.now + 540);
  });

  it("is not told of as void to a host that never heard of it", () => {
    const lone = new LoneEngine(1, formed(3));
    const own = lone.stand();
    lone.persist();
    lone.hear(2, { kind: "promise", ballot: own, ...NO_LOG });
    for (let i = 0; i < 2; i += 1) lone.persist();
    lone.hear(2, { kind: "accepted", ballot: own, length: 1 });
    lone.persist();
    // The answer to its first round comes when that is over.
    lone.now = after(lone.now, 541);
    lone.hear(2, { kind: "leaseGrant", ballot: own, leaseRound: 1 });
    expect(lone.engine.status().role).toBe("leading");
    expect(lone.step({ kind: "voidLease" }).events).toEqual([]);
  });

  it("is asked for at once by who leads again, however long the last one was", () => {
    const { lone, own } = leading({ leaseMs: 24_000, leaseRenewMs: 5_000 });
    expect(kinds(lone.wake(100).sends), "the next is due in 5 s").toContain("leaseRequest");
    const log = { acceptedBallot: own, length: 1, chosen: 1 };
    lone.hear(3, { kind: "prepare", ballot: ballot(own.round + 1, 3), ...log });
    lone.persist();
    lone.lead([2, 3]);
    expect(lone.engine.status().leaseUntil).toBeDefined();
  });

  it("is handed over to nobody that has not taken over its log: leading on serves the cell better", () => {
    const lone = new LoneEngine(1, formed(3));
    const own = lone.lead([2]);
    for (let i = 0; i < 50; i += 1) {
      for (const { to, message } of lone.wake(10).sends) {
        if (to !== 3 || message.kind !== "heartbeatRequest") continue;
        const follows = { ballot: ZERO_BALLOT, leader: own, happy: true };
        lone.hear(3, { kind: "heartbeatReply", round: message.round, ...follows });
      }
    }
    expect(kinds(lone.step({ kind: "handOver" }).sends)).not.toContain("invite");
    expect(lone.engine.status().role).toBe("leading");
  });

  it.each([600, 24_000, 60_000])("of %i ms survives two lost renewals", (leaseMs) => {
    const { lone, own } = leading({ leaseMs, leaseRenewMs: leaseRenewMsMax(leaseMs, 100) });
    const nextRound = () => {
      for (let ms = 0; ms < leaseMs; ms += 10) {
        const { sends } = lone.wake(10);
        for (const { to, message } of sends) {
          if (message.kind !== "heartbeatRequest") continue;
          const follows = { ballot: ZERO_BALLOT, leader: own, happy: true };
          lone.hear(to, { kind: "heartbeatReply", round: message.round, ...follows });
        }
        for (const { message } of sends) {
          if (message.kind === "leaseRequest") return message.leaseRound;
        }
      }
      throw new Error("no round begins");
    };
    lone.hear(2, { kind: "leaseGrant", ballot: own, leaseRound: nextRound() });
    const until = lone.engine.status().leaseUntil ?? 0;
    nextRound();
    nextRound();
    const third = nextRound();
    expect(after(lone.now, RETRANSMIT_MS), "with time for an answer").toBeLessThan(until);
    lone.hear(2, { kind: "leaseGrant", ballot: own, leaseRound: third });
    expect(lone.engine.status().leaseUntil).toBeGreaterThan(until);
  });

  it("is not asked for by a leader that no quorum answers", () => {
    const { lone } = leading();
    let requests = 0;
    for (let i = 0; i < 20; i += 1) {
      const output = lone.wake(100);
      requests += kinds(output.sends).filter((kind) => kind === "leaseRequest").length;
    }
    // For as long as the last answers count, and then no more.
    expect(requests).toBeGreaterThan(0);
    expect(requests).toBeLessThanOrEqual(2 * 4);
  });

  it("is given up before another ballot is promised, with a release that names its round", () => {
    const { lone, own } = leading();
    const output = lone.hear(3, {
      kind: "prepare",
      ballot: ballot(own.round + 1, 3),
      acceptedBallot: own,
      length: 1,
      chosen: 1,
    });
    expect(output.sends).toEqual([
      { to: 2, message: { kind: "leaseRelease", ballot: own, leaseRound: 1 } },
      { to: 3, message: { kind: "leaseRelease", ballot: own, leaseRound: 1 } },
    ]);
    expect(output.events).toEqual([{ kind: "following", leader: 3 }]);
    expect(output.records).toEqual([{ kind: "promised", ballot: ballot(own.round + 1, 3) }]);
  });

  it.each([2, 3])(
    "is handed over to the follower that is caught up, who is invited by name: %i",
    (heir) => {
      const { lone, own } = leading();
      lone.step({ kind: "propose", entries: commands("a") });
      lone.persist();
      lone.hear(heir, { kind: "accepted", ballot: own, length: 2 });
      const output = lone.step({ kind: "handOver" });
      expect(output.sends).toEqual([
        { to: 2, message: { kind: "leaseRelease", ballot: own, leaseRound: 1 } },
        { to: 3, message: { kind: "leaseRelease", ballot: own, leaseRound: 1 } },
        { to: heir, message: { kind: "invite", ballot: own, leaseRound: 1 } },
      ]);
      expect(output.events).toEqual([{ kind: "following", leader: undefined }]);
      expect(lone.step({ kind: "propose", entries: commands("b") }).records).toEqual([]);
      // Nobody is to follow a claim that is not meant, nor is the host told again.
      const asked = lone.hear(2, { kind: "heartbeatRequest", round: 7 });
      expect(asked.sends.filter(({ message }) => message.kind === "heartbeatReply")).toMatchObject([
        { to: 2, message: { ballot: { round: 0 }, happy: false } },
      ]);
      expect([...asked.events, ...lone.wake(1).events]).toEqual([]);
    },
  );

  it("ends when its own disk is stuck for an election timeout (reliability §5.18)", () => {
    const { lone, own } = leading();
    lone.step({ kind: "propose", entries: commands("a") });
    const outputs = [150, 150, 1].map((ms) => lone.wake(ms));
    expect(outputs.flatMap(({ events }) => events)).toEqual([
      { kind: "following", leader: undefined },
    ]);
    expect(lone.engine.status().role).toBe("follower");
    // Nor does it answer heartbeats: to the others it is not there.
    expect(lone.hear(2, { kind: "heartbeatRequest", round: 7 }).sends).toEqual([]);
    lone.persist();
    expect(kinds(lone.hear(2, { kind: "heartbeatRequest", round: 8 }).sends)).toEqual([
      "heartbeatReply",
    ]);
    expect(sameBallot(lone.engine.status().promised, own)).toBe(true);
  });
});

describe("a leader's word that it leads, without a clock", () => {
  it("rests on a lease round begun after it was asked for, not on an earlier one", () => {
    const { lone, own } = leading();
    lone.wake(100);
    const asked = lone.step({ kind: "confirm", token: 7 });
    expect(kinds(asked.sends)).toEqual(["leaseRequest", "leaseRequest"]);
    const early = lone.hear(2, { kind: "leaseGrant", ballot: own, leaseRound: 2 });
    expect(eventKinds(early.events)).not.toContain("confirmed");
    const proven = lone.hear(2, { kind: "leaseGrant", ballot: own, leaseRound: 3 });
    expect(proven.events).toContainEqual({ kind: "confirmed", token: 7 });
    const again = lone.hear(3, { kind: "leaseGrant", ballot: own, leaseRound: 3 });
    expect(eventKinds(again.events)).not.toContain("confirmed");
  });

  it("is soon asked for again when nobody answers, however long the lease", () => {
    const { lone } = leading({ leaseMs: 24_000, leaseRenewMs: 5_000 });
    lone.step({ kind: "confirm", token: 7 });
    expect(kinds(lone.wake(100).sends)).toContain("leaseRequest");
  });

  it("is not given by who follows", () => {
    const lone = new LoneEngine(1, formed(3));
    lone.wake();
    expect(lone.step({ kind: "confirm", token: 1 }).events).toEqual([]);
  });
});

const eventKinds = (events: readonly { kind: string }[]) => events.map(({ kind }) => kind);
