import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { CellSession } from "./cell-access.ts";
import { HoldWatch, surelyClosedFor } from "./hold-watch.ts";

const GRACE_MS = 50;
const SURELY_CLOSED_MS = 100;

/** A session whose state the test tells, at a cell that does not answer. */
class FakeSession implements CellSession {
  readonly over = false;
  answer = new Promise<never>(() => undefined);
  jeopardyMs: number | undefined;
  readonly #listeners = new Set<(state: string) => void>();

  tell(state: string): void {
    if (state === "safe") this.jeopardyMs = undefined;
    else if (state === "jeopardy") this.jeopardyMs ??= 0;
    for (const listener of this.#listeners) listener(state);
  }

  onState: CellSession["onState"] = (listener) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  checkSequencer: CellSession["checkSequencer"] = () => this.answer;
  open: CellSession["open"] = () => Promise.reject(new Error("not asked for"));
  elect: CellSession["elect"] = () => Promise.reject(new Error("not asked for"));
  close = async (): Promise<void> => undefined;
}

function watch(session: CellSession, graceMs = GRACE_MS): HoldWatch {
  return new HoldWatch(session, {
    path: "/ls/local/a",
    sequencerText: "x",
    graceMs,
    surelyClosedMs: SURELY_CLOSED_MS,
  });
}

describe("a lock-delay", () => {
  it("is not over at a fast master before it is at a slow holder", () => {
    for (const lockDelayMs of [0, 1, 2_000, 10_000, 60_000]) {
      const closedMs = surelyClosedFor(lockDelayMs);
      expect(closedMs / 0.9).toBeLessThanOrEqual(lockDelayMs / 1.1);
      expect(closedMs).toBeGreaterThanOrEqual(Math.floor(0.8 * lockDelayMs));
    }
  });
});

describe("a watch over a lock", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
  afterEach(() => void vi.useRealTimers());

  it("gives the lock up when the jeopardy lasts too long", () => {
    const session = new FakeSession();
    using held = watch(session);
    session.tell("jeopardy");
    vi.advanceTimersByTime(GRACE_MS - 1);
    expect(held.signal.aborted).toBe(false);
    vi.advanceTimersByTime(1);
    expect(held.signal.reason).toMatchObject({ code: "lock_lost" });
  });

  it("keeps the lock when the session is safe again", () => {
    const session = new FakeSession();
    using held = watch(session);
    session.tell("jeopardy");
    session.tell("safe");
    vi.advanceTimersByTime(GRACE_MS);
    expect(held.signal.aborted).toBe(false);
  });

  it("is not appeased by a new master, which is news of another kind", () => {
    const session = new FakeSession();
    using held = watch(session);
    session.tell("jeopardy");
    session.tell("fail-over");
    vi.advanceTimersByTime(GRACE_MS);
    expect(held.signal.aborted).toBe(true);
  });

  it("knows of a jeopardy that began before it did", () => {
    const session = new FakeSession();
    session.tell("jeopardy");
    using held = watch(session);
    vi.advanceTimersByTime(GRACE_MS);
    expect(held.signal.aborted).toBe(true);
  });

  it("keeps a lock that was in doubt by the clock only, of which no notice told", () => {
    const session = new FakeSession();
    session.jeopardyMs = 0;
    using held = watch(session);
    session.jeopardyMs = undefined;
    vi.advanceTimersByTime(GRACE_MS);
    expect(held.signal.aborted).toBe(false);
  });

  it("counts the grace from the end of the lease, of which it may hear late", () => {
    const session = new FakeSession();
    using held = watch(session);
    session.jeopardyMs = GRACE_MS - 10;
    session.tell("jeopardy");
    vi.advanceTimersByTime(9);
    expect(held.signal.aborted).toBe(false);
    vi.advanceTimersByTime(1);
    expect(held.signal.aborted).toBe(true);
  });

  it("gives the lock up at once when it hears of a jeopardy that is old", () => {
    const session = new FakeSession();
    using held = watch(session);
    session.jeopardyMs = 30_000;
    session.tell("jeopardy");
    expect(held.signal.reason).toMatchObject({ code: "lock_lost" });
    expect(held.isLostByDoubt).toBe(true);
  });

  it("gives the cell a second after a sleep, of which nobody knows how long it was", () => {
    const wait = (ends: boolean, isToldBefore = false): boolean => {
      const session = new FakeSession();
      using held = watch(session, 5_000);
      if (isToldBefore) session.tell("jeopardy");
      session.jeopardyMs = Number.POSITIVE_INFINITY;
      if (isToldBefore) vi.advanceTimersByTime(250);
      else session.tell("jeopardy");
      vi.advanceTimersByTime(999);
      expect(held.signal.aborted).toBe(false);
      if (ends) session.tell("safe");
      vi.advanceTimersByTime(1);
      return held.signal.aborted;
    };
    expect([wait(true), wait(false), wait(false, true)]).toEqual([false, true, true]);
  });

  it("does not vouch for a lock in an old jeopardy, when the cell does not answer in the end", async () => {
    const session = new FakeSession();
    session.answer = Promise.reject(new Error("the cell is away"));
    using held = watch(session);
    await held.assertHeldToTheEnd();
    session.jeopardyMs = SURELY_CLOSED_MS - 1;
    await held.assertHeldToTheEnd();
    session.jeopardyMs = SURELY_CLOSED_MS;
    await expect(held.assertHeldToTheEnd()).rejects.toMatchObject({ code: "lock_lost" });
  });
});
