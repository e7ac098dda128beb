import { LockMode } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import { WaitChecker, type Waiter } from "./check-waiting.ts";

const PATH = "/ls/local/l";
const waiter = (mode: LockMode, begunAt = 0): Waiter => ({
  path: PATH,
  name: () => "3/7",
  mode,
  begunAt,
});

function lookFor(
  ms: number,
  waiters: readonly Waiter[],
  mode: LockMode | undefined,
  queued = waiters,
): () => void {
  const checker = new WaitChecker();
  return () => {
    const queues = { epoch: 1, waiters, queued, decided: [], asked: [] };
    for (let now = 0; now <= ms; now += 10) checker.look(now, queues, () => mode);
  };
}

describe("the checker of queues (23)", () => {
  const { EXCLUSIVE, SHARED, FREE } = LockMode;

  it("finds a waiter whose lock is free, and none whose lock is held or in delay", () => {
    expect(lookFor(4_000, [waiter(EXCLUSIVE)], FREE)).toThrow(/could have been granted for/);
    lookFor(60_000, [waiter(EXCLUSIVE)], EXCLUSIVE)();
    lookFor(60_000, [waiter(EXCLUSIVE)], SHARED)();
    lookFor(60_000, [waiter(EXCLUSIVE)], undefined)();
    lookFor(4_000, [waiter(EXCLUSIVE, 2_000)], FREE)();
  });

  it("finds a shared waiter beside shared holders, unless an exclusive one waits too", () => {
    expect(lookFor(4_000, [waiter(SHARED)], SHARED)).toThrow(/could have been granted for/);
    lookFor(60_000, [waiter(EXCLUSIVE), waiter(SHARED)], SHARED)();
    // Its client is dead, and its session is not yet.
    lookFor(60_000, [waiter(SHARED)], SHARED, [waiter(EXCLUSIVE), waiter(SHARED)])();
  });

  it("finds one whose answer is in the log and does not come", () => {
    const checker = new WaitChecker();
    const waiters = [waiter(EXCLUSIVE)];
    const look = (now: number, decided: readonly Waiter[]): void =>
      checker.look(
        now,
        { epoch: 1, waiters, queued: waiters, decided, asked: [] },
        () => EXCLUSIVE,
      );
    look(0, waiters);
    look(4_000, []);
    look(4_100, waiters);
    look(9_000, waiters);
    expect(() => look(9_100, waiters)).toThrow(/is decided, and not told/);
  });

  it("finds a call that stands in no queue and has no answer", () => {
    const checker = new WaitChecker();
    const call = { path: PATH, name: () => "close 3/7" };
    const look = (now: number, epoch: number, isAsked = true): void => {
      const queues = { epoch, waiters: [], queued: [], decided: [], asked: isAsked ? [call] : [] };
      checker.look(now, queues, () => FREE);
    };
    look(0, 1);
    look(4_900, 1, false);
    look(5_000, 1);
    look(9_000, 2);
    look(13_900, 2);
    expect(() => look(14_000, 2)).toThrow(/close 3\/7 .* no answer for 5000 ms/);
  });

  const lookAt = (
    checker: WaitChecker,
    now: number,
    epoch: number,
    waiters: readonly Waiter[],
  ): void => {
    const queues = { epoch, waiters, queued: waiters, decided: [], asked: [] };
    checker.look(now, queues, () => EXCLUSIVE);
  };

  it("finds a shared waiter that exclusive ones pass again and again", () => {
    const checker = new WaitChecker();
    const patient = [waiter(SHARED)];
    const pass = (mode: LockMode, begunAt: number): void =>
      checker.onGranted(PATH, mode, begunAt, patient);
    lookAt(checker, 0, 1, patient);
    // These share it with the one that waits, whose answer may be on its way.
    for (let i = 0; i < 20; i += 1) pass(SHARED, 2_000);
    for (let i = 0; i < 4; i += 1) pass(EXCLUSIVE, 2_000);
    expect(() => pass(EXCLUSIVE, 2_000)).toThrow(/5 that came later/);
  });

  describe("of an exclusive waiter that is passed again and again", () => {
    const patient = [waiter(EXCLUSIVE)];
    const pass = (checker: WaitChecker, begunAt: number, times: number, mode = SHARED): void => {
      for (let i = 0; i < times; i += 1) checker.onGranted(PATH, mode, begunAt + i, patient);
    };
    const look = (checker: WaitChecker, now: number, epoch: number): void =>
      lookAt(checker, now, epoch, patient);

    it("finds it", () => {
      const checker = new WaitChecker();
      look(checker, 0, 1);
      pass(checker, 500, 20);
      pass(checker, 2_000, 4);
      expect(() => pass(checker, 3_000, 1)).toThrow(/5 that came later/);
    });

    it("begins anew with the queue of another master, and after nobody served", () => {
      const checker = new WaitChecker();
      look(checker, 0, 1);
      pass(checker, 2_000, 4);
      look(checker, 3_000, 2);
      pass(checker, 3_500, 20);
      pass(checker, 4_000, 4);
      checker.pause();
      pass(checker, 5_000, 20);
      look(checker, 5_000, 2);
      pass(checker, 6_000, 4);
      expect(() => pass(checker, 6_010, 1)).toThrow(/5 that came later/);
    });
  });
});
