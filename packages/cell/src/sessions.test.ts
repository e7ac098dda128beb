import { instant } from "@cubby/base";
import { CLOCK_RATE_ERROR, type KeptAlive } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import { codeOf, Harness, TestSession } from "./test-support/harness.ts";

const PATH = "/ls/local/f";

function keptAlive(harness: Harness, tag: number): KeptAlive | undefined {
  const result = harness.resultOf(tag);
  return result?.$case === "keepAlive" ? result.value : undefined;
}

describe("sessions", () => {
  it("are named by the index of the log entry that created them (P17)", () => {
    const harness = new Harness(2);
    const session = new TestSession(harness);
    expect(session.id).toBe(harness.chosen[harness.chosen.length - 1]?.index);
  });

  it("get the lease they ask for, 12 s by default, from 2 to 60 s (SES-5)", () => {
    const harness = new Harness();
    for (const [asked, granted] of [
      [0, 12_000],
      [2_000, 2_000],
      [60_000, 60_000],
    ]) {
      const session = new TestSession(harness, { leaseMs: asked ?? 0 });
      const tag = session.keepAlive();
      harness.advance(36_000);
      expect(keptAlive(harness, tag)?.leaseMs).toBe(granted);
    }
  });

  it("are not expired before the lease, and ε of it and of the held time, has passed since the last reply (SES-3)", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const tag = session.keepAlive();
    harness.advance(7_000);
    expect(keptAlive(harness, tag)).toEqual({ leaseMs: 12_000, heldMs: 7_000, failOverEpoch: 0 });
    const decided = { kind: "expiryDecided", sessionId: session.id };
    harness.advance(13_899);
    expect(harness.trace).not.toContainEqual(decided);
    harness.advance(1);
    expect(harness.trace).toContainEqual(decided);
  });

  it("lose the KeepAlive in hand with its connection, but not the lease", () => {
    const harness = new Harness();
    const session = new TestSession(harness, { from: 5 });
    const other = new TestSession(harness, { from: 5, leaseMs: 60_000 });
    session.keepAlive();
    other.keepAlive();
    harness.advance(6_000);
    harness.disconnect(5);
    const decided = { kind: "expiryDecided", sessionId: session.id };
    harness.advance(7_199);
    expect(harness.trace).not.toContainEqual(decided);
    harness.advance(1);
    expect(harness.trace).toContainEqual(decided);
    expect(harness.replies).toEqual([]);
  });

  it("lose it all alike, however many of them share the connection", () => {
    const harness = new Harness();
    const sessions = Array.from({ length: 5 }, () => new TestSession(harness, { from: 5 }));
    for (const session of sessions) session.keepAlive();
    harness.disconnect(5);
    harness.advance(13_200);
    const decided = sessions.map(({ id }) => ({ kind: "expiryDecided", sessionId: id }));
    expect(harness.trace).toEqual(expect.arrayContaining(decided));
    expect(harness.replies).toEqual([]);
  });

  it("have one KeepAlive at a time: an older one is answered with an error", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const older = session.keepAlive();
    const newer = session.keepAlive();
    expect(codeOf(harness.resultOf(older))).toBe("cancelled");
    harness.advance(7_000);
    expect(codeOf(harness.resultOf(newer))).toBe("keepAlive");
  });

  it("are answered at once when a KeepAlive comes late, since the last answer may be lost", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const lost = session.keepAlive();
    harness.advance(7_000);
    harness.replyTo(lost);
    harness.advance(501);
    expect(keptAlive(harness, session.keepAlive())?.heldMs).toBe(0);
    const next = session.keepAlive();
    expect(keptAlive(harness, next)).toBe(undefined);
  });

  it("are held all the same where each comes late, since the round trip is so long", () => {
    const harness = new Harness();
    const session = new TestSession(harness, { leaseMs: 2_000 });
    let count = 0;
    for (const end = harness.now + 60_000; harness.now < end; count += 1) {
      harness.advance(45);
      const tag = session.keepAlive();
      while (harness.replyTo(tag) === undefined) harness.advance(1);
      harness.advance(45);
    }
    // One that is held for 7/12 of the lease, and one that is not.
    expect(count).toBeLessThanOrEqual(Math.ceil((2 * 60_000) / (7 / 12) / 2_000));
  });

  it.each([90, 200, 400, 600, 700, 880])(
    "are held over a round trip of %i ms for no longer than their client's lease lasts",
    (roundTripMs) => {
      const harness = new Harness();
      const session = new TestSession(harness, { leaseMs: 2_000 });
      let deadline = 0;
      let jeopardyMs = 0;
      for (let i = 0; i < 20; i += 1) {
        // As a client without any other KeepAlive counts it (SES-11).
        const sentAt = harness.now;
        harness.advance(roundTripMs / 2);
        const tag = session.keepAlive();
        let kept = keptAlive(harness, tag);
        for (; kept === undefined; kept = keptAlive(harness, tag)) harness.advance(1);
        harness.advance(roundTripMs / 2);
        if (i > 0) jeopardyMs = Math.max(jeopardyMs, harness.now - deadline);
        const spanMs = (kept.heldMs + kept.leaseMs) * (1 - CLOCK_RATE_ERROR);
        deadline = Math.max(deadline, sentAt + Math.floor(spanMs) - 1);
      }
      expect(jeopardyMs).toBe(0);
    },
  );

  it("are answered at once when the client says that an answer or a clock was lost", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    harness.advance(100);
    expect(keptAlive(harness, session.keepAlive())).toBe(undefined);
    expect(keptAlive(harness, session.keepAlive(0, true))?.heldMs).toBe(0);
  });

  it("share a connection, each with its own KeepAlive", () => {
    const harness = new Harness();
    const tags = Array.from({ length: 5 }, () => new TestSession(harness, { from: 9 }).keepAlive());
    harness.advance(7_000);
    expect(tags.map((tag) => codeOf(harness.resultOf(tag)))).toEqual(Array(5).fill("keepAlive"));
  });

  it("end on purpose with all they held, in one step", () => {
    const harness = new Harness();
    const [a, b] = [new TestSession(harness), new TestSession(harness)];
    const { handle } = a.open(PATH);
    a.acquire(handle);
    a.open("/ls/local/e", { ephemeral: true });
    const held = a.keepAlive();
    expect(codeOf(a.end())).toBe("endSession");
    expect(codeOf(harness.resultOf(held))).toBe("session_expired");
    expect(codeOf(b.acquire(b.open(PATH).handle))).toBe("acquire");
    expect(codeOf(b.tryOpen("/ls/local/e", { create: 0 }))).toBe("not_found");
    harness.cell.checkInvariants();
    // With no KeepAlive in hand, too: nothing is left to expire.
    b.end();
    harness.advance(14_000);
    expect(harness.trace.map(({ kind }) => kind)).not.toContain("expiryDecided");
  });

  it("live through a master that has none to replace it: session time stands still (FO-0)", () => {
    const harness = new Harness(2);
    const session = new TestSession(harness, { leaseMs: 2_000 });
    harness.now = instant(harness.now + 3_600_000);
    harness.elect(1);
    expect(codeOf(harness.resultOf(session.acknowledge()))).toBe("keepAlive");
  });

  it("expire in bulk without crowding out the living", () => {
    const harness = new Harness();
    for (let i = 0; i < 3_000; i += 1) new TestSession(harness, { leaseMs: 2_000 });
    const living = new TestSession(harness, { leaseMs: 60_000 });
    harness.isHeldBack = true;
    harness.advance(2_200);
    expect(harness.pair(0).log.proposed.length).toBe(1_024);
    harness.letGo();
    expect(harness.cell.status(harness.now).sessions).toBe(1);
    expect(codeOf(living.tryOpen(PATH))).toBe("open");
  });

  it("expire one after the other also where those before them had ended by themselves", () => {
    const harness = new Harness();
    const first = Array.from({ length: 1_024 }, () => new TestSession(harness, { leaseMs: 2_000 }));
    harness.advance(100);
    const last = new TestSession(harness, { leaseMs: 2_000 });
    last.acquire(last.open(PATH, { hasLockDelay: true, lockDelayMs: 0 }).handle);
    harness.isHeldBack = true;
    for (const session of first) session.begin({ $case: "endSession", value: {} });
    harness.advance(2_500);
    harness.letGo();
    expect(harness.cell.status(harness.now)).toMatchObject({ sessions: 0, locksHeld: 0 });
  });
});

describe("an idle hour", () => {
  // SES-11: the client counts from when it sent, on its own clock, and takes ε off.
  const scenarios = [-CLOCK_RATE_ERROR, 0, CLOCK_RATE_ERROR].flatMap((drift) =>
    [2_000, 12_000, 60_000].map((leaseMs) => ({ drift, leaseMs })),
  );
  it.each(scenarios)("shows no jeopardy with a clock off by $drift, lease $leaseMs", (scenario) => {
    const { drift, leaseMs } = scenario;
    const harness = new Harness();
    const session = new TestSession(harness, { leaseMs });
    const start = harness.now;
    /** Milliseconds on the client's clock, which runs faster or slower than the master's. */
    const clientMs = () => (harness.now - start) * (1 + drift);
    const flightMs = 20;
    let deadline = leaseMs * (1 - CLOCK_RATE_ERROR);
    let keepAlives = 0;
    while (harness.now - start < 3_600_000) {
      const sentAt = clientMs();
      harness.advance(flightMs);
      const tag = session.keepAlive();
      let kept = keptAlive(harness, tag);
      if (kept === undefined) {
        harness.advance(harness.wakeAt - harness.now);
        kept = keptAlive(harness, tag);
      }
      if (kept === undefined) throw new Error("the KeepAlive is not answered");
      harness.advance(flightMs);
      keepAlives += 1;
      expect(clientMs()).toBeLessThan(deadline);
      deadline = sentAt + (kept.heldMs + kept.leaseMs) * (1 - CLOCK_RATE_ERROR);
    }
    // It costs no more KeepAlives than one for each 7/12 of the lease, and no command at all.
    expect(keepAlives).toBeLessThanOrEqual(3_600_000 / Math.floor((7 * leaseMs) / 12) + 1);
    expect(harness.chosen.length).toBe(2);
  });

  // Reliability §3, invariant 18: the master never gives a session up before its client does.
  it.each(scenarios)(
    "leaves no client believing that the master gave it up ($drift, $leaseMs)",
    (s) => {
      const harness = new Harness();
      const session = new TestSession(harness, { leaseMs: s.leaseMs });
      const start = harness.now;
      const clientMs = () => (harness.now - start) * (1 + s.drift);
      const sentAt = clientMs();
      const tag = session.keepAlive();
      harness.advance(Math.floor((s.leaseMs * 7) / 12));
      const kept = keptAlive(harness, tag);
      if (kept === undefined) throw new Error("the KeepAlive is answered");
      // The client's clock may be slow by ε against true time, and the master's fast by as much.
      const spanTrueMs = kept.heldMs + kept.leaseMs;
      const deadline = sentAt + (kept.heldMs + kept.leaseMs) * (1 - CLOCK_RATE_ERROR);
      const decided = () => harness.trace.some(({ kind }) => kind === "expiryDecided");
      while (!decided()) harness.advance(1);
      expect(clientMs()).toBeGreaterThanOrEqual(deadline);
      const sentTrueMs = sentAt / (1 + s.drift) / (1 + CLOCK_RATE_ERROR);
      const decidedTrueMs = (harness.now - start) / (1 + CLOCK_RATE_ERROR);
      expect(decidedTrueMs).toBeGreaterThanOrEqual(sentTrueMs + spanTrueMs - 1e-6);
    },
  );
});

describe("a master whose lease has lapsed", () => {
  it("is not woken for what it may not do, and does it once the lease is live again", () => {
    const harness = new Harness();
    const session = new TestSession(harness, { leaseMs: 2_000 });
    const tag = session.keepAlive();
    harness.lease(1_200);
    // The answer was due within the lease, but the process slept through both.
    harness.now = instant(harness.now + 1_500);
    harness.cell.onWake(harness.now);
    expect(harness.cell.take().wakeAt).toBeGreaterThan(harness.now);
    harness.lease(10_000);
    expect(harness.wakeAt).toBeLessThan(harness.now + 2_000);
    harness.advance(2_000);
    expect(keptAlive(harness, tag)?.leaseMs).toBe(2_000);
  });
});

describe("session time (FO-0)", () => {
  // Guard: a stall told in a lapse takes out the lapse too (SessionClock.onStall).
  it("stands still in a lapse of the master lease, whether or not it ends in a stall", () => {
    for (const stalledMs of [0, 60]) {
      const harness = new Harness();
      const session = new TestSession(harness);
      harness.lease(600);
      const leftMs = () => (harness.cell.sessionUntil(session.id) ?? 0) - harness.now;
      harness.advance(600);
      const before = leftMs();
      harness.advance(20_000);
      harness.cell.onStall(harness.now, stalledMs);
      harness.lease(600);
      harness.advance(0);
      expect(leftMs()).toBe(before);
    }
  });
});

describe("stretched leases (SES-5)", () => {
  it("are replicated before the first is granted", () => {
    const harness = new Harness(1, { stretchAboveSessions: 2 });
    const sessions = Array.from({ length: 2 }, () => new TestSession(harness));
    harness.isHeldBack = true;
    const third = harness.send({
      call: { $case: "createSession", value: { leaseMs: 0, caches: false, clientName: "" } },
    });
    const { log } = harness.pair(0);
    harness.choose(log.proposed.shift() ?? new Uint8Array(0));
    harness.settle();
    expect(codeOf(harness.resultOf(third))).toBe("createSession");
    // The command is on its way: nothing longer is granted yet.
    const early = sessions[0]?.keepAlive() ?? 0;
    harness.advance(7_000);
    expect(keptAlive(harness, early)?.leaseMs).toBe(12_000);
    harness.letGo();
    const late = sessions[1]?.keepAlive() ?? 0;
    expect(keptAlive(harness, late)?.leaseMs).toBe(60_000);
  });

  // Guard: the stretch is lowered only when the last long lease has run out (Stretch.next).
  it("lower the stretch only after the last of them has run out", () => {
    const harness = new Harness(2, { stretchAboveSessions: 2 });
    const sessions = Array.from({ length: 3 }, () => new TestSession(harness));
    const [first, second, third] = sessions;
    if (!first || !second || !third) throw new Error("three sessions");
    const tag = first.keepAlive();
    harness.advance(7_000);
    expect(keptAlive(harness, tag)?.leaseMs).toBe(60_000);
    second.end();
    third.end();
    const lowered = { kind: "stretched", stretchMs: 0 };
    // The master is awake in between, for this session among others.
    first.keepAlive();
    harness.advance(69_499);
    expect(harness.trace).not.toContainEqual(lowered);
    harness.advance(1);
    expect(harness.trace).toContainEqual(lowered);
  });

  // Guard: no more is granted than a successor is sure to find (Stretch.leaseMsFor), and a change
  // that was applied is followed by a new look (Master.onApplied).
  it("are not granted while the stretch is being lowered, but again once it is raised", () => {
    const harness = new Harness(1, { stretchAboveSessions: 2 });
    const [first, ...others] = Array.from({ length: 3 }, () => new TestSession(harness));
    if (!first) throw new Error("three sessions");
    const leaseMs = () => keptAlive(harness, first.keepAlive(0, true))?.leaseMs;
    const stretched = () => harness.trace.filter((event) => event.kind === "stretched");
    const { log } = harness.pair(0);
    const chooseNext = () => {
      harness.choose(log.proposed.shift() ?? new Uint8Array(0));
      harness.settle();
    };
    expect(leaseMs()).toBe(60_000);
    for (const other of others) other.end();
    expect(leaseMs()).toBe(12_000);
    for (let i = 0; i < 9; i += 1) {
      first.keepAlive();
      harness.advance(7_000);
    }
    // As many as there may be without a stretch; one more is on its way before the lowering.
    new TestSession(harness);
    harness.isHeldBack = true;
    harness.send({
      call: { $case: "createSession", value: { leaseMs: 0, caches: false, clientName: "" } },
    });
    first.keepAlive();
    harness.advance(6_500);
    expect(stretched().map(({ stretchMs }) => stretchMs)).toEqual([60_000, 0]);
    chooseNext();
    expect(leaseMs()).toBe(12_000);
    chooseNext();
    expect(leaseMs()).toBe(12_000);
    expect(stretched().map(({ stretchMs }) => stretchMs)).toEqual([60_000, 0, 60_000]);
    harness.letGo();
    expect(leaseMs()).toBe(60_000);
  });

  // Guard: a shorter lease takes nothing back of a longer one (KeepAlives.#startLease).
  it("bind the master until they have run out, though a shorter lease was granted since", () => {
    const harness = new Harness(1, { stretchAboveSessions: 2 });
    const [first, ...others] = Array.from({ length: 3 }, () => new TestSession(harness));
    if (!first) throw new Error("three sessions");
    expect(keptAlive(harness, first.keepAlive(0, true))?.leaseMs).toBe(60_000);
    for (const other of others) other.end();
    harness.advance(5_000);
    expect(keptAlive(harness, first.keepAlive(0, true))?.leaseMs).toBe(12_000);
    const decided = { kind: "expiryDecided", sessionId: first.id };
    harness.advance(60_999);
    expect(harness.trace).not.toContainEqual(decided);
    harness.advance(1);
    expect(harness.trace).toContainEqual(decided);
  });
});
