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
  const checker = new WaitChecker(0);
  return () => {
    const queues = { waiters, queued, decided: [] };
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
    const checker = new WaitChecker(0);
    const waiters = [waiter(EXCLUSIVE)];
    const look = (now: number, decided: readonly Waiter[]): void =>
      checker.look(now, { waiters, queued: waiters, decided }, () => EXCLUSIVE);
    look(0, waiters);
    look(4_000, []);
    look(4_100, waiters);
    look(9_000, waiters);
    expect(() => look(9_100, waiters)).toThrow(/is decided, and not told/);
  });

  it("finds an exclusive waiter that is passed again and again", () => {
    const checker = new WaitChecker(0);
    const patient = [waiter(EXCLUSIVE)];
    for (let i = 0; i < 20; i += 1) checker.onGranted(PATH, 500, patient);
    for (let i = 0; i < 4; i += 1) checker.onGranted(PATH, 2_000 + i, patient);
    expect(() => checker.onGranted(PATH, 3_000, patient)).toThrow(/5 that came later/);
  });
});
