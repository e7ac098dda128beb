import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { CellSession } from "./cell-access.ts";
import { HoldWatch } from "./hold-watch.ts";

const GRACE_MS = 50;

/** A session whose state the test tells, at a cell that does not answer. */
class FakeSession implements CellSession {
  readonly over = false;
  inJeopardy = false;
  readonly #listeners = new Set<(state: string) => void>();

  tell(state: string): void {
    if (state === "jeopardy" || state === "safe") this.inJeopardy = state === "jeopardy";
    for (const listener of this.#listeners) listener(state);
  }

  onState: CellSession["onState"] = (listener) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  checkSequencer: CellSession["checkSequencer"] = () => new Promise(() => undefined);
  open: CellSession["open"] = () => Promise.reject(new Error("not asked for"));
  elect: CellSession["elect"] = () => Promise.reject(new Error("not asked for"));
  close = async (): Promise<void> => undefined;
}

function watch(session: CellSession): HoldWatch {
  return new HoldWatch(session, { path: "/ls/local/a", sequencerText: "x", graceMs: GRACE_MS });
}

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
    session.inJeopardy = true;
    using held = watch(session);
    session.inJeopardy = false;
    vi.advanceTimersByTime(GRACE_MS);
    expect(held.signal.aborted).toBe(false);
  });
});
