import { instant } from "@cubby/base";
import { LockMode, type Request } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import type { Result } from "./state/result.ts";
import { type Call, codeOf, Harness, setCall, TestSession } from "./test-support/harness.ts";

/*
 * Schedules that break a lock service which lacks one guard. Each test names the guard; it was seen
 * to fail with the guard taken out.
 */
const PATH = "/ls/local/l";

describe("bad schedules", () => {
  // Guard: `Cancel` records `cancelled` as the result of a number that has none (applyCancel).
  it("never runs a cancelled acquire that arrives late", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const { handle } = session.open(PATH);
    const number = session.next;
    session.next += 1;
    // The acquire is delayed on its way; its caller gives up.
    const late: Partial<Request> = session.envelope(
      { $case: "acquire", value: { handle, mode: LockMode.EXCLUSIVE, wait: false } },
      { requestNumber: number },
    );
    expect(session.call({ $case: "cancel", value: { requestNumber: number } })).toEqual({
      $case: "cancel",
      value: { released: false },
    });
    expect(codeOf(harness.resultOf(harness.send(late)))).toBe("cancelled");
    expect(session.stat(handle).lockMode).toBe(LockMode.FREE);
  });

  // Guard: `Cancel` gives back what its request was granted (applyCancel, releaseClaim).
  it("gives back a lock that was granted to a caller who had given up", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const { handle } = session.open(PATH);
    const request = session.envelope(
      { $case: "acquire", value: { handle, mode: LockMode.EXCLUSIVE, wait: true } },
      { requestNumber: session.next },
    );
    session.next += 1;
    harness.isHeldBack = true;
    const acquire = harness.send(request);
    const cancel = session.begin({ $case: "cancel", value: { requestNumber: session.next - 1 } });
    harness.letGo();
    expect(codeOf(harness.resultOf(acquire))).toBe("acquire");
    expect(harness.resultOf(cancel)).toEqual({ $case: "cancel", value: { released: true } });
    // A copy that comes late says nothing of a lock that was given back.
    expect(codeOf(harness.resultOf(harness.send(request)))).toBe("cancelled");
    expect(session.stat(handle).lockMode).toBe(LockMode.FREE);
  });

  // Guard: `apply` refuses commands of a session that is over (applyInSession, reliability P20).
  it("grants nothing to a waiter whose session has died", () => {
    const harness = new Harness();
    const [holder, waiter] = [new TestSession(harness), new TestSession(harness)];
    const held = holder.open(PATH).handle;
    const wanted = waiter.open(PATH).handle;
    holder.acquire(held);
    const tag = waiter.beginAcquire(wanted);
    // Released in the same batch of the log in which the waiter's session ends, before its claim.
    harness.isHeldBack = true;
    const release = holder.begin({ $case: "release", value: { handle: held } });
    waiter.begin({ $case: "endSession", value: {} });
    const { log } = harness.pair(0);
    const [freed, ended] = log.proposed.splice(0);
    if (freed === undefined || ended === undefined) throw new Error("two proposals are expected");
    harness.choose(freed);
    const claim = log.proposed.splice(0)[0];
    if (claim === undefined) throw new Error("the waiter's claim is expected");
    harness.choose(ended);
    harness.choose(claim);
    harness.letGo();
    expect(codeOf(harness.resultOf(release))).toBe("release");
    expect(codeOf(harness.resultOf(tag))).toBe("session_expired");
    expect(holder.stat(held).lockMode).toBe(LockMode.FREE);
    harness.cell.checkInvariants();
  });

  // Guard: `apply` refuses commands of another Paxos epoch (PML-20..22).
  it("ignores the expiry that a deposed master had decided on", () => {
    const harness = new Harness(2);
    const session = new TestSession(harness, { leaseMs: 2_000 });
    const { handle } = session.open(PATH);
    session.acquire(handle);
    harness.isHeldBack = true;
    harness.advance(2_200);
    const expiry = harness.pair(0).log.proposed[0];
    if (expiry === undefined) throw new Error("an expiry is expected");
    harness.isHeldBack = false;
    harness.elect(1);
    session.acknowledge();
    harness.choose(expiry);
    harness.settle();
    expect(session.stat(handle).lockMode).toBe(LockMode.EXCLUSIVE);
  });

  // Guard: every answer from state carries `validUntil` (answerFromState), and so do KeepAlives.
  it("bounds by the lease what it says from state, for a pause before it is written", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const { handle } = session.open(PATH);
    harness.lease(600);
    const leaseUntil = instant(harness.now + 600);
    const reads: Request["call"][] = [
      { $case: "getContentsAndStat", value: { handle } },
      { $case: "getStat", value: { handle } },
      { $case: "getSequencer", value: { handle } },
    ];
    for (const call of reads) {
      if (call === undefined) continue;
      expect(harness.replyTo(session.begin(call))?.validUntil).toBe(leaseUntil);
    }
    const root = session.open("/ls/local", { kind: 2, create: 0 });
    const listed = session.begin({ $case: "readDir", value: { handle: root.handle, after: "" } });
    expect(harness.replyTo(listed)?.validUntil).toBe(leaseUntil);
    const checked = harness.send({
      call: {
        $case: "checkSequencer",
        value: { sequencer: sequencer(session, handle), mode: 0, name: "" },
      },
    });
    expect(harness.replyTo(checked)?.validUntil).toBe(leaseUntil);
    harness.advance(599);
    harness.lease(600);
    harness.now = instant(harness.now + 6_500);
    const kept = session.keepAlive();
    expect(harness.replyTo(kept)).toBe(undefined);
    harness.lease(600);
    harness.advance(0);
    expect(harness.replyTo(kept)?.validUntil).toBe(instant(harness.now + 600));
  });

  // Guard: a master without a live lease answers nothing from state (Master.onRequest).
  it("answers nothing from state when its lease has lapsed", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const { handle } = session.open(PATH);
    harness.lease(600);
    harness.now = instant(harness.now + 600);
    const read = session.begin({ $case: "getStat", value: { handle } });
    expect(harness.replyTo(read)).toBe(undefined);
    harness.lease(600);
    expect(codeOf(harness.resultOf(read))).toBe("getStat");
  });

  // Guard: a delay is ended by a command that names the entry it began at (applyEndLockDelay).
  it("does not end a delay that was prolonged while the end of the first was on its way", () => {
    const harness = new Harness();
    const terms = { hasLockDelay: true, lockDelayMs: 10_000 };
    const [a, b] = [2_000, 11_000].map((leaseMs) => new TestSession(harness, { leaseMs }));
    const c = new TestSession(harness, { leaseMs: 60_000 });
    if (a === undefined || b === undefined) throw new Error("two sessions");
    a.acquire(a.open(PATH, terms).handle, LockMode.SHARED);
    b.acquire(b.open(PATH, terms).handle, LockMode.SHARED);
    const { handle } = c.open(PATH);
    // A's delay is over at 12.2 s; B, whose lease ends at 12.1 s, has failed just before.
    harness.advance(12_099);
    harness.isHeldBack = true;
    harness.advance(101);
    const { log } = harness.pair(0);
    expect(log.proposed.length).toBe(2);
    harness.letGo();
    expect(c.stat(handle).lockDelayed).toBe(true);
    const tag = c.beginAcquire(handle);
    harness.advance(9_000);
    expect(harness.replyTo(tag)).toBe(undefined);
    harness.advance(1_000);
    expect(codeOf(harness.resultOf(tag))).toBe("acquire");
  });

  // Guard: `Close` is a command while a claim of the handle is under way (hasClaimUnderWay).
  it("leaves no lock with a handle that was closed while its claim was under way", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const { handle } = session.open(PATH);
    const witness = session.open(PATH).handle;
    harness.isHeldBack = true;
    session.begin({ $case: "acquire", value: { handle, mode: LockMode.EXCLUSIVE, wait: false } });
    session.begin({ $case: "close", value: { handle } });
    harness.letGo();
    expect(session.stat(witness).lockMode).toBe(LockMode.FREE);
  });

  // Guard: all of a handle's waiters have left before anybody moves up (LockCalls.leaveQueues).
  it("grants no claim of a closed handle when another one of it goes out of its way", () => {
    const harness = new Harness();
    const [a, b] = [new TestSession(harness), new TestSession(harness)];
    const [ha, hb] = [a.open(PATH).handle, b.open(PATH).handle];
    a.acquire(ha, LockMode.SHARED);
    const exclusive = b.beginAcquire(hb);
    const shared = b.beginAcquire(hb, LockMode.SHARED);
    expect(codeOf(b.close(hb))).toBe("close");
    expect(a.stat(ha).lockHolders).toBe(1);
    expect(codeOf(harness.resultOf(exclusive))).toBe("stale_handle");
    expect(codeOf(harness.resultOf(shared))).toBe("stale_handle");
  });

  // Guard: from the decision to expire on, a session waits for no lock (Master.#condemn).
  it("grants nothing to a waiter whose expiry is decided, while that waits for its turn", () => {
    const { harness, caching, dead, session, mine, its } = heldAtTheGate();
    session.acquire(mine);
    dead.beginAcquire(its);
    harness.advance(20_000);
    expect(harness.trace).toContainEqual({ kind: "expiryDecided", sessionId: dead.id });
    session.release(mine);
    expect(session.stat(mine)).toMatchObject({ lockMode: LockMode.FREE, lockDelayed: false });
    caching.acknowledge();
    expect(session.stat(mine)).toMatchObject({ lockMode: LockMode.FREE, lockDelayed: false });
  });

  // Guard: what gives something back goes into the log without the request's guard (Proposals).
  it("closes a handle for good though the guard of the Close is stale", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const other = session.open("/ls/local/other").handle;
    const witness = session.open(PATH).handle;
    const { handle } = session.open(PATH);
    const guard = sequencerOf(session.acquire(other));
    session.release(other);
    session.acquire(handle);
    const close: Call = { $case: "close", value: { handle } };
    expect(codeOf(session.call(close, { guard }))).toBe("close");
    expect(session.stat(witness).lockMode).toBe(LockMode.FREE);
    expect(codeOf(session.call({ $case: "endSession", value: {} }, { guard }))).toBe("endSession");
  });

  it("cancels what waits, in the state too, though the guard of the Cancel is stale", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const [held, handle] = [session.open(PATH).handle, session.open(PATH).handle];
    const guard = sequencerOf(session.acquire(held));
    session.release(held);
    session.acquire(held);
    const number = session.next;
    const waiting = session.beginAcquire(handle);
    const cancel: Call = { $case: "cancel", value: { requestNumber: number } };
    expect(codeOf(session.call(cancel, { guard }))).toBe("cancel");
    expect(codeOf(harness.resultOf(waiting))).toBe("cancelled");
    // The number has its result: a late copy of the Acquire does not wait, and is granted nothing.
    const acquire: Call = {
      $case: "acquire",
      value: { handle, mode: LockMode.EXCLUSIVE, wait: true },
    };
    const late = session.envelope(acquire, { requestNumber: number, lowestUnanswered: number });
    expect(codeOf(harness.resultOf(harness.send(late, 2)))).toBe("cancelled");
  });

  // Guard: whose expiry is decided is told of nothing but its end (LockCalls.onBlocked).
  it("calls no good handle closed when a claim fails whose session is about to expire", () => {
    const { harness, caching, dead, session, mine, its } = heldAtTheGate();
    harness.isHeldBack = true;
    session.begin({
      $case: "acquire",
      value: { handle: mine, mode: LockMode.EXCLUSIVE, wait: false },
    });
    const waits = dead.beginAcquire(its);
    const [taken, claim] = harness.pair(1).log.proposed.splice(0);
    if (taken === undefined || claim === undefined) throw new Error("two proposals are expected");
    harness.choose(taken);
    harness.advance(20_000);
    expect(harness.trace).toContainEqual({ kind: "expiryDecided", sessionId: dead.id });
    harness.choose(claim);
    expect(harness.resultOf(waits)).toBeUndefined();
    harness.letGo();
    caching.acknowledge();
    expect(codeOf(harness.resultOf(waits))).toBe("session_expired");
  });

  // Guard: a try that found the lock held is remembered by its number (rememberAnswer).
  it("does not run a refused try again when its duplicate arrives late", () => {
    const harness = new Harness();
    const [a, b] = [new TestSession(harness), new TestSession(harness)];
    const [ha, hb] = [a.open(PATH).handle, b.open(PATH).handle];
    a.acquire(ha);
    const number = b.next;
    const attempt = b.envelope(
      { $case: "acquire", value: { handle: hb, mode: LockMode.EXCLUSIVE, wait: false } },
      { requestNumber: number },
    );
    expect(codeOf(harness.resultOf(harness.send(attempt)))).toBe("lock_held");
    a.release(ha);
    expect(codeOf(harness.resultOf(harness.send(attempt)))).toBe("lock_held");
    expect(a.stat(ha).lockMode).toBe(LockMode.FREE);
  });

  // GAP-7: nothing passes a claim that keeps its place, though what is on its way may grant nothing.
  it("refuses a try behind a claim that was cancelled on its way, without a grant in between", () => {
    const harness = new Harness();
    const [a, b, c] = [0, 1, 2].map(() => new TestSession(harness, { leaseMs: 60_000 }));
    if (!a || !b || !c) throw new Error("three sessions");
    const [ha, hb, hc] = [a.open(PATH).handle, b.open(PATH).handle, c.open(PATH).handle];
    a.acquire(ha);
    const { lockGeneration } = a.stat(ha);
    const number = b.next;
    b.beginAcquire(hb);
    harness.isHeldBack = true;
    a.begin({ $case: "release", value: { handle: ha } });
    b.begin({ $case: "cancel", value: { requestNumber: number } });
    const [release, cancel] = harness.pair(0).log.proposed.splice(0);
    if (release === undefined || cancel === undefined) throw new Error("two proposals");
    harness.choose(release);
    harness.choose(cancel);
    expect(a.stat(ha).lockMode).toBe(LockMode.FREE);
    expect(codeOf(c.acquire(hc))).toBe("lock_held");
    harness.letGo();
    expect(c.stat(hc).lockGeneration).toBe(lockGeneration);
    expect(codeOf(c.acquire(hc))).toBe("acquire");
  });

  // Guard: behind a claim that came to nothing the next one is proposed (Master.#onResult).
  it("lets those behind move up when a claim fails whose turn had come", () => {
    for (const isGuarded of [false, true]) {
      const harness = new Harness();
      const [a, b, c] = [0, 1, 2].map(() => new TestSession(harness, { leaseMs: 60_000 }));
      if (!a || !b || !c) throw new Error("three sessions");
      const [ha, hb, hc] = [a.open(PATH).handle, b.open(PATH).handle, c.open(PATH).handle];
      const other = a.open("/ls/local/other").handle;
      a.acquire(ha);
      const guard = sequencerOf(a.acquire(other));
      const requestNumber = b.next;
      const acquire: Call = {
        $case: "acquire",
        value: { handle: hb, mode: LockMode.EXCLUSIVE, wait: true },
      };
      b.begin(acquire, isGuarded ? { guard } : {});
      const tag = c.beginAcquire(hc);
      harness.isHeldBack = true;
      a.begin({ $case: "release", value: { handle: ha } });
      // Both are chosen before the claim of B, which is proposed between them.
      if (isGuarded) a.begin({ $case: "release", value: { handle: other } });
      else b.begin({ $case: "cancel", value: { requestNumber } });
      harness.letGo();
      expect(codeOf(harness.resultOf(tag))).toBe("acquire");
    }
  });

  // Guard: session time stands still while the lease is not live (SessionClock.onLease).
  it("does not count a lapse of the lease against any session", () => {
    const harness = new Harness();
    const session = new TestSession(harness, { leaseMs: 2_000 });
    const { handle } = session.open(PATH);
    harness.lease(600);
    harness.now = instant(harness.now + 5_000);
    harness.lease(600);
    harness.advance(0);
    expect(codeOf(session.get(handle))).toBe("getContentsAndStat");
  });

  // Guard: `onStall` moves all deadlines (SessionClock.onStall).
  it("does not count a stall of the event loop against any session, nor count it twice", () => {
    const harness = new Harness();
    const session = new TestSession(harness, { leaseMs: 2_000 });
    harness.advance(100);
    harness.now = instant(harness.now + 5_000);
    harness.cell.onStall(harness.now, 5_000);
    harness.advance(2_099);
    expect(harness.trace).not.toContainEqual({ kind: "expiryDecided", sessionId: session.id });
    harness.advance(1);
    expect(harness.trace).toContainEqual({ kind: "expiryDecided", sessionId: session.id });
  });

  // Guard: a KeepAlive in hand suspends the deadline (KeepAlives.onKeepAlive).
  it("answers a session with a KeepAlive in hand rather than expire it", () => {
    const harness = new Harness();
    const session = new TestSession(harness, { leaseMs: 2_000 });
    const tag = session.keepAlive();
    harness.now = instant(harness.now + 10_000);
    harness.advance(0);
    expect(codeOf(harness.resultOf(tag))).toBe("keepAlive");
    expect(harness.trace).not.toContainEqual({ kind: "expiryDecided", sessionId: session.id });
  });

  // Guard: a condemned session is refused from the decision on (Master.onRequest).
  it("refuses KeepAlives from the decision to expire on, before it is chosen", () => {
    const harness = new Harness();
    const session = new TestSession(harness, { leaseMs: 2_000 });
    harness.isHeldBack = true;
    harness.advance(2_200);
    expect(codeOf(harness.resultOf(session.keepAlive()))).toBe("session_expired");
  });

  // Guard: numbers below the lowest unanswered one are refused (raiseLowestSeen, applyInSession).
  it("never runs a request again whose result has been dropped", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const { handle } = session.open(PATH);
    const number = session.next;
    const write = session.envelope(
      { $case: "setContents", value: setCall(handle, "old") },
      { requestNumber: number },
    );
    session.set(handle, "old");
    session.set(handle, "new");
    expect(codeOf(harness.resultOf(harness.send(write)))).toBe("request_forgotten");
    const read = session.get(handle);
    expect(read.$case === "getContentsAndStat" && String.fromCharCode(...read.value.contents)).toBe(
      "new",
    );
  });
});

function sequencer(session: TestSession, handle: Uint8Array): Uint8Array {
  const acquired = session.acquire(handle);
  if (acquired.$case !== "acquire") throw new Error("the lock is free");
  session.release(handle);
  return acquired.value.sequencer;
}

/** After a fail-over; `dead` has an ephemeral file, which keeps its expiry back until `caching` has flushed. */
function heldAtTheGate() {
  const harness = new Harness(2);
  const caching = new TestSession(harness, { caches: true, leaseMs: 60_000 });
  const dead = new TestSession(harness, { leaseMs: 2_000 });
  dead.open("/ls/local/e", { ephemeral: true });
  const session = new TestSession(harness, { leaseMs: 60_000 });
  const [mine, its] = [session.open(PATH).handle, dead.open(PATH).handle];
  harness.elect(1);
  session.acknowledge();
  dead.acknowledge();
  return { harness, caching, dead, session, mine, its };
}

function sequencerOf(result: Result): Uint8Array {
  if (result.$case !== "acquire") throw new Error(`not acquired: ${codeOf(result)}`);
  return result.value.sequencer;
}
