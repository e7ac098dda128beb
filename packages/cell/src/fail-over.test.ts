import { LockMode, NodeKind } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import { codeOf, Harness, openCall, setCall, TestSession } from "./test-support/harness.ts";

const PATH = "/ls/local/f";

describe("fail-over", () => {
  it("refuses a call of an older epoch and tells the new one (FO-1)", () => {
    const harness = new Harness(2);
    const session = new TestSession(harness);
    const { handle } = session.open(PATH);
    harness.elect(1);
    const reply = harness.replyTo(session.begin({ $case: "getStat", value: { handle } }));
    expect(codeOf(reply?.reply.result)).toBe("stale_epoch");
    expect(reply?.reply.clientEpoch).toBe(2);
  });

  it("refuses a packet of an older epoch that arrives after its session has acknowledged (FO-1)", () => {
    const harness = new Harness(2);
    const session = new TestSession(harness);
    const { handle } = session.open(PATH);
    const late = session.envelope(
      { $case: "setContents", value: setCall(handle, "late") },
      { requestNumber: session.next },
    );
    // Mastership comes back to the very same machine.
    harness.elect(1);
    harness.elect(0);
    session.acknowledge();
    expect(codeOf(harness.resultOf(harness.send(late)))).toBe("stale_epoch");
    expect(session.stat(handle).sizeBytes).toBe(0);
  });

  it("raises the epoch for a master that lost mastership and got it back (FO-1, PML-20)", () => {
    const harness = new Harness(2);
    const [session, other] = [new TestSession(harness), new TestSession(harness)];
    const [mine, theirs] = [session.open(PATH).handle, other.open(PATH).handle];
    other.acquire(theirs);
    const waiting = session.beginAcquire(mine);
    harness.isHeldBack = true;
    const write = session.begin({ $case: "setContents", value: setCall(mine, "x") });
    harness.elect(0);
    harness.letGo();
    expect(harness.epoch).toBe(2);
    expect([waiting, write].map((tag) => codeOf(harness.resultOf(tag)))).toEqual([
      "not_master",
      "connection_lost",
    ]);
    expect(codeOf(session.tryOpen(PATH))).toBe("stale_epoch");
  });

  // Guard: a master waits for its very own epoch entry (beginProposal).
  it("is not misled by the entries of an earlier mastership in the same Paxos epoch", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    harness.isHeldBack = true;
    harness.elect(0);
    const { cell, log } = harness.pair(0);
    const first = log.proposed.splice(0);
    harness.regain();
    const second = log.proposed.splice(0);
    for (const entry of first) harness.choose(entry);
    session.epoch = 2;
    const early = session.keepAlive(2);
    expect([cell.status(harness.now).isServing, harness.replyTo(early)]).toEqual([
      false,
      undefined,
    ]);
    for (const entry of second) harness.choose(entry);
    harness.settle();
    expect(codeOf(harness.resultOf(early))).toBe("stale_epoch");
    expect(codeOf(harness.resultOf(session.acknowledge()))).toBe("keepAlive");
  });

  it("takes over what it had proposed in an earlier mastership in the same Paxos epoch", () => {
    const harness = new Harness();
    const session = new TestSession(harness, { leaseMs: 60_000 });
    new TestSession(harness, { leaseMs: 2_000 });
    const { handle } = session.open(PATH);
    harness.isHeldBack = true;
    const call = { $case: "setContents" as const, value: setCall(handle, "x") };
    const requestNumber = session.next;
    const write = session.begin(call);
    harness.advance(2_200);
    harness.regain();
    harness.letGo();
    expect(codeOf(harness.resultOf(write))).toBe("connection_lost");
    // The write is done, and the session of 2 s is over.
    expect(harness.cell.status(harness.now)).toMatchObject({ isServing: true, sessions: 1 });
    session.acknowledge();
    const { length } = harness.chosen;
    const again = harness.send(session.envelope(call, { requestNumber }));
    expect(codeOf(harness.resultOf(again))).toBe("setContents");
    expect(harness.chosen.length).toBe(length);
    expect(session.stat(handle).sizeBytes).toBe(1);
  });

  it("answers Locate, and nothing else, before its own epoch is applied (FO-2)", () => {
    const harness = new Harness(2);
    const session = new TestSession(harness);
    const { handle } = session.open(PATH);
    harness.isHeldBack = true;
    harness.elect(1);
    const located = harness.resultOf(harness.send({ call: { $case: "locate", value: {} } }));
    expect(located?.$case === "locate" && located.value.masterId).toBe(2);
    session.epoch = 2;
    const tags = [
      session.begin({ $case: "getStat", value: { handle } }),
      session.keepAlive(2),
      harness.send({
        call: { $case: "checkSequencer", value: { sequencer: handle, mode: 0, name: "" } },
      }),
    ];
    expect(tags.map((tag) => harness.replyTo(tag))).toEqual([undefined, undefined, undefined]);
    harness.letGo();
    expect(tags.map((tag) => codeOf(harness.resultOf(tag)))).toEqual([
      "stale_epoch",
      "keepAlive",
      "sequencer_malformed",
    ]);
  });

  it("makes no session for a connection that is gone before its own epoch is applied", () => {
    const harness = new Harness(2);
    harness.isHeldBack = true;
    harness.elect(1);
    const value = { leaseMs: 0, caches: false, clientName: "" };
    harness.send({ call: { $case: "createSession", value } }, 7);
    harness.disconnect(7);
    harness.letGo();
    expect(harness.cell.status(harness.now)).toMatchObject({ isServing: true, sessions: 0 });
    expect(harness.replies).toEqual([]);
  });

  // Guard: the new master keeps every session for the longest lease there may be (`leaseMsMaxOf`),
  // not for what it asked for.
  it("keeps a session for the longest lease its predecessor may have granted (FO-3)", () => {
    const harness = new Harness(2, { stretchAboveSessions: 1 });
    const session = new TestSession(harness, { leaseMs: 12_000 });
    const other = new TestSession(harness, { leaseMs: 12_000, from: 2 });
    const tag = session.keepAlive();
    other.keepAlive();
    harness.advance(7_000);
    const kept = harness.resultOf(tag);
    expect(kept?.$case === "keepAlive" && kept.value.leaseMs).toBe(60_000);
    harness.elect(1);
    // The client counts on 60 s from here; the new master must not give its session up before.
    harness.advance(60_000);
    session.epoch = harness.epoch;
    expect(codeOf(harness.resultOf(session.keepAlive(2)))).toBe("keepAlive");
    harness.advance(9_500);
    expect(codeOf(harness.resultOf(other.keepAlive()))).toBe("stale_epoch");
    other.epoch = harness.epoch;
    expect(codeOf(harness.resultOf(other.keepAlive()))).toBe("session_expired");
  });

  // Guard: the successor's own, shorter lease takes nothing back (KeepAlives.#startLease).
  it("keeps that session as long, though it grants a shorter lease itself (FO-3)", () => {
    const harness = new Harness(2, { stretchAboveSessions: 1 });
    const [session, other] = [new TestSession(harness), new TestSession(harness)];
    expect(harness.resultOf(session.keepAlive(0, true))).toMatchObject({
      value: { leaseMs: 60_000 },
    });
    other.end();
    harness.elect(1);
    const sentAt = harness.now;
    expect(harness.resultOf(session.acknowledge())).toMatchObject({ value: { leaseMs: 12_000 } });
    // The client goes by the longer one, and its next KeepAlive is lost.
    expect(harness.cell.sessionUntil(session.id)).toBeGreaterThanOrEqual(sentAt + 60_000);
  });

  it("opens for KeepAlives only, and tells each of the fail-over at once (FO-4, FO-5)", () => {
    const harness = new Harness(2);
    const session = new TestSession(harness);
    const { handle } = session.open(PATH);
    harness.elect(1);
    session.epoch = 2;
    expect(codeOf(session.get(handle))).toBe("stale_epoch");
    expect(codeOf(session.set(handle, "x"))).toBe("stale_epoch");
    expect(codeOf(session.acquire(handle))).toBe("stale_epoch");
    // Again, should the first answer be lost.
    for (let i = 0; i < 2; i += 1) {
      expect(harness.resultOf(session.keepAlive())).toEqual({
        $case: "keepAlive",
        value: { leaseMs: 12_000, heldMs: 0, failOverEpoch: 2 },
      });
    }
    const held = session.keepAlive(2);
    expect(codeOf(session.get(handle))).toBe("getContentsAndStat");
    harness.advance(6_999);
    expect(harness.replyTo(held)).toBe(undefined);
    harness.advance(1);
    expect(codeOf(harness.resultOf(held))).toBe("keepAlive");
  });

  it("answers the first KeepAlive at once though it acknowledges, so the client is safe (FO-10)", () => {
    const harness = new Harness(2, { stretchAboveSessions: 0 });
    const session = new TestSession(harness);
    harness.elect(1);
    expect(harness.resultOf(session.acknowledge())).toEqual({
      $case: "keepAlive",
      value: { leaseMs: 60_000, heldMs: 0, failOverEpoch: 0 },
    });
  });

  it("opens reads and locks for a session that has acknowledged, though others have not", () => {
    const harness = new Harness(2);
    const caching = new TestSession(harness, { caches: true });
    const session = new TestSession(harness);
    const { handle } = session.open(PATH);
    harness.elect(1);
    session.acknowledge();
    expect(codeOf(session.get(handle))).toBe("getContentsAndStat");
    expect(codeOf(session.acquire(handle))).toBe("acquire");
    expect(codeOf(session.release(handle))).toBe("release");
    expect(codeOf(caching.get(handle))).toBe("stale_epoch");
  });

  it("holds what changes something cachable until every caching session has acknowledged (FO-6)", () => {
    const harness = new Harness(2);
    const caching = new TestSession(harness, { caches: true });
    const session = new TestSession(harness);
    const { handle } = session.open(PATH);
    harness.elect(1);
    session.acknowledge();
    const write = session.begin({ $case: "setContents", value: setCall(handle, "new") });
    const create = session.begin({ $case: "open", value: openCall("/ls/local/g") });
    const remove = session.begin({ $case: "delete", value: { handle } });
    expect(harness.replyTo(write)).toBe(undefined);
    caching.acknowledge();
    const tags = [write, create, remove];
    expect(tags.map((tag) => codeOf(harness.resultOf(tag)))).toEqual([
      "setContents",
      "open",
      "delete",
    ]);
  });

  it("holds a Close, a Cancel and an EndSession of openers of ephemeral files (FO-6)", () => {
    const harness = new Harness(2);
    const caching = new TestSession(harness, { caches: true });
    const watcher = new TestSession(harness);
    const root = watcher.open("/ls/local", { create: 0, kind: NodeKind.DIRECTORY }).handle;
    const [closing, cancelling, ending] = [0, 1, 2].map(() => new TestSession(harness));
    if (!closing || !cancelling || !ending) throw new Error("three sessions");
    const { handle } = closing.open("/ls/local/e0", { ephemeral: true });
    const requestNumber = cancelling.next;
    cancelling.beginOpen("/ls/local/e1", { ephemeral: true });
    ending.open("/ls/local/e2", { ephemeral: true });
    harness.elect(1);
    for (const session of [watcher, closing, cancelling, ending]) session.acknowledge();
    const names = () => {
      const list = watcher.call({ $case: "readDir", value: { handle: root, after: "" } });
      return list.$case === "readDir" ? list.value.entries.map(({ name }) => name) : codeOf(list);
    };
    const tags = [
      closing.begin({ $case: "close", value: { handle } }),
      cancelling.begin({ $case: "cancel", value: { requestNumber } }),
      ending.begin({ $case: "endSession", value: {} }),
    ];
    expect(tags.map((tag) => harness.replyTo(tag))).toEqual([undefined, undefined, undefined]);
    expect(names()).toEqual(["e0", "e1", "e2"]);
    caching.acknowledge();
    expect(tags.map((tag) => codeOf(harness.resultOf(tag)))).toEqual([
      "close",
      "cancel",
      "endSession",
    ]);
    expect(names()).toEqual([]);
  });

  it("waits for no session that caches nothing", () => {
    const harness = new Harness(2);
    new TestSession(harness);
    const session = new TestSession(harness);
    const { handle } = session.open(PATH);
    harness.elect(1);
    session.acknowledge();
    expect(codeOf(session.set(handle, "new"))).toBe("setContents");
  });

  it("opens the gate when a silent caching session has expired (FO-6)", () => {
    const harness = new Harness(2);
    new TestSession(harness, { caches: true });
    const session = new TestSession(harness, { leaseMs: 60_000 });
    const { handle } = session.open(PATH);
    harness.elect(1);
    session.acknowledge();
    const write = session.begin({ $case: "setContents", value: setCall(handle, "new") });
    harness.advance(13_899);
    expect(harness.replyTo(write)).toBe(undefined);
    harness.isHeldBack = true;
    harness.advance(1);
    // The decision is enough: the write is under way beside the expiry.
    expect(harness.pair(1).log.proposed.length).toBe(2);
    harness.letGo();
    expect(codeOf(harness.resultOf(write))).toBe("setContents");
  });

  it("opens the gate when a caching session is ended by a late entry of an earlier mastership", () => {
    const harness = new Harness();
    const caching = new TestSession(harness, { caches: true });
    const session = new TestSession(harness);
    const { handle } = session.open(PATH);
    const { log } = harness.pair(0);
    harness.isHeldBack = true;
    caching.begin({ $case: "endSession", value: {} });
    const ended = log.proposed.splice(0);
    harness.regain();
    harness.letGo();
    session.acknowledge();
    const write = session.begin({ $case: "setContents", value: setCall(handle, "new") });
    expect(harness.replyTo(write)).toBe(undefined);
    log.proposed.push(...ended);
    harness.settle();
    expect(codeOf(harness.resultOf(write))).toBe("setContents");
  });

  it("gives a caching session its lease, and no more, to acknowledge (FO-6)", () => {
    const harness = new Harness(2);
    const deaf = new TestSession(harness, { caches: true, from: 2 });
    const session = new TestSession(harness, { leaseMs: 60_000 });
    const { handle } = session.open(PATH);
    harness.elect(1);
    session.acknowledge();
    const write = session.begin({ $case: "setContents", value: setCall(handle, "new") });
    deaf.epoch = harness.epoch;
    // Told late, it has a whole lease all the same.
    harness.advance(5_000);
    const first = harness.resultOf(deaf.keepAlive());
    expect(first).toMatchObject({ value: { leaseMs: 12_000, failOverEpoch: 2 } });
    harness.advance(5_000);
    const again = harness.resultOf(deaf.keepAlive());
    // What is left of the 13,200 ms for which the master keeps it, as the client may count on it.
    expect(again).toMatchObject({ value: { leaseMs: 7_453, failOverEpoch: 2 } });
    for (let i = 0; i < 100; i += 1) {
      harness.advance(90);
      deaf.keepAlive();
    }
    expect(codeOf(harness.resultOf(deaf.keepAlive()))).toBe("session_expired");
    expect(codeOf(harness.resultOf(write))).toBe("setContents");
  });

  it("grants its whole lease to one that acknowledges what it was told a second time", () => {
    const harness = new Harness(2);
    const caching = new TestSession(harness, { caches: true });
    harness.elect(1);
    caching.epoch = harness.epoch;
    caching.keepAlive();
    harness.advance(13_000);
    const again = harness.resultOf(caching.keepAlive());
    expect(again).toMatchObject({ value: { leaseMs: 817, failOverEpoch: 2 } });
    const held = caching.acknowledge();
    harness.advance(476);
    expect(harness.resultOf(held)).toMatchObject({ value: { leaseMs: 12_000, failOverEpoch: 0 } });
    const next = caching.keepAlive(2);
    harness.advance(6_999);
    expect(harness.replyTo(next)).toBe(undefined);
    harness.advance(1);
    expect(codeOf(harness.resultOf(next))).toBe("keepAlive");
  });

  it("expires two silent caching sessions with ephemeral files, neither waiting for the other", () => {
    const harness = new Harness(2);
    const dead = [0, 1].map(() => new TestSession(harness, { caches: true }));
    dead.forEach((session, i) => {
      session.open(`/ls/local/e${i}`, { ephemeral: true });
    });
    const session = new TestSession(harness, { leaseMs: 60_000 });
    harness.elect(1);
    session.acknowledge();
    harness.advance(13_900);
    const names = ["/ls/local/e0", "/ls/local/e1"];
    expect(names.map((name) => codeOf(session.tryOpen(name, { create: 0 })))).toEqual([
      "not_found",
      "not_found",
    ]);
  });

  it("holds the expiry of a session with ephemeral files at the gate, but not its decision", () => {
    const harness = new Harness(2);
    const caching = [0, 1].map(() => new TestSession(harness, { caches: true, leaseMs: 60_000 }));
    const dead = new TestSession(harness, { leaseMs: 2_000 });
    dead.open("/ls/local/e", { ephemeral: true });
    const session = new TestSession(harness, { leaseMs: 60_000 });
    harness.elect(1);
    session.acknowledge();
    harness.advance(2_317);
    dead.epoch = 2;
    expect(codeOf(harness.resultOf(dead.keepAlive(2)))).toBe("session_expired");
    caching[1]?.acknowledge();
    expect(codeOf(session.tryOpen("/ls/local/e", { create: 0 }))).toBe("open");
    const ended = { kind: "sessionEnded", sessionId: dead.id };
    expect(harness.trace).not.toContainEqual(ended);
    caching[0]?.acknowledge();
    expect(harness.trace).toContainEqual(ended);
  });

  it("honors a handle of an earlier epoch (FO-8), unless it is closed in this one (HND-5)", () => {
    const harness = new Harness(3);
    const session = new TestSession(harness);
    const { handle } = session.open(PATH);
    harness.elect(1);
    session.acknowledge();
    expect(codeOf(session.get(handle))).toBe("getContentsAndStat");
    expect(codeOf(session.close(handle))).toBe("close");
    expect(codeOf(session.get(handle))).toBe("stale_handle");
    expect(codeOf(session.close(handle))).toBe("close");
    // A faulty client may revive it in a later epoch: harmless.
    harness.elect(2);
    session.acknowledge();
    expect(codeOf(session.get(handle))).toBe("getContentsAndStat");
  });

  it("keeps locks, their generations and sequencers across masters (LCK-5)", () => {
    const harness = new Harness(2);
    const session = new TestSession(harness);
    const { handle } = session.open(PATH);
    const acquired = session.acquire(handle);
    const other = new TestSession(harness);
    const theirs = other.open(PATH).handle;
    harness.elect(1);
    session.acknowledge();
    other.acknowledge();
    expect(codeOf(other.acquire(theirs))).toBe("lock_held");
    const again = session.call({ $case: "getSequencer", value: { handle } });
    expect(
      acquired.$case === "acquire" && again.$case === "getSequencer" && again.value.sequencer,
    ).toEqual(acquired.$case === "acquire" && acquired.value.sequencer);
    expect(session.stat(handle).lockMode).toBe(LockMode.EXCLUSIVE);
  });

  it("starts a lock-delay again in full, and ends it by its own command (GAP-3)", () => {
    const harness = new Harness(2);
    const holder = new TestSession(harness, { leaseMs: 2_000 });
    const next = new TestSession(harness, { leaseMs: 60_000 });
    const lockDelay = { hasLockDelay: true, lockDelayMs: 10_000 };
    holder.acquire(holder.open(PATH, lockDelay).handle);
    const { handle } = next.open(PATH);
    harness.advance(2_200 + 9_000);
    expect(next.stat(handle).lockDelayed).toBe(true);
    harness.elect(1);
    next.acknowledge();
    const tag = next.beginAcquire(handle);
    harness.advance(9_999);
    expect(harness.replyTo(tag)).toBe(undefined);
    harness.advance(1);
    expect(codeOf(harness.resultOf(tag))).toBe("acquire");
  });

  it("redirects what was never proposed, and leaves open what was (outcome)", () => {
    const harness = new Harness(2);
    const [a, b] = [new TestSession(harness), new TestSession(harness)];
    const ha = a.open(PATH).handle;
    const hb = b.open(PATH).handle;
    a.acquire(ha);
    const waiting = b.beginAcquire(hb);
    const held = a.keepAlive();
    harness.isHeldBack = true;
    const write = a.begin({ $case: "setContents", value: setCall(ha, "x") });
    harness.lease(100);
    harness.advance(100);
    const parked = a.begin({ $case: "getStat", value: { handle: ha } });
    harness.elect(1);
    const waitingReply = harness.resultOf(waiting);
    expect(codeOf(waitingReply)).toBe("not_master");
    expect(waitingReply?.$case === "error" && waitingReply.value).toMatchObject({
      masterId: 2,
      masterAddress: "127.0.0.1:7002",
    });
    expect(codeOf(harness.resultOf(held))).toBe("not_master");
    expect(codeOf(harness.resultOf(parked))).toBe("not_master");
    expect(codeOf(harness.resultOf(write))).toBe("connection_lost");
  });

  it("gives a write proposed by the deposed master its one result at the new one", () => {
    const harness = new Harness(2);
    const session = new TestSession(harness);
    const { handle } = session.open(PATH);
    harness.isHeldBack = true;
    const call = { $case: "setContents" as const, value: setCall(handle, "x") };
    session.begin(call);
    // The deposed master's entry had been accepted: the new one's log holds it before its own.
    const entry = harness.pair(0).log.proposed[0] ?? new Uint8Array(0);
    harness.elect(1);
    harness.choose(entry);
    harness.letGo();
    session.acknowledge();
    const generation = session.stat(handle).contentGeneration;
    const again = harness.resultOf(
      harness.send(session.envelope(call, { requestNumber: session.next - 2 })),
    );
    expect(again?.$case === "setContents" && again.value.contentGeneration).toBe(generation);
    expect(session.stat(handle).contentGeneration).toBe(generation);
  });
});
