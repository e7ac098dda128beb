import { describe, expect, test } from "vitest";
import { explore, QUICK_SETUPS, reportOf } from "./exhaustive.ts";
import { bugNamed } from "./planted-bugs.ts";

const TIMEOUT_MS = 120_000;

const AGAIN = "two elections of one replica, a command and a crash";
const CRASH = "a leader, then an election, a command and a crash";
const DIVERGE = "a leader, then an election and two commands";
const REORDER = "a leader, then two commands, packets in any order";
const LEASE = "a master, then an election, within its lease";
const TIME = "a master, then an election, and time";

const LOST = /^slot 1 was chosen, and \d with \d would elect a log without it\n/;
const UNGRANTED = /^\d is master beyond what a quorum granted\n/;

describe("every schedule of three replicas within a budget", () => {
  // With how many states there are at least, and what must happen in some of them.
  test.each([
    [AGAIN, 20_000, ["1 leads", "1 chosen"]],
    [CRASH, 30_000, ["1 leads", "2 leads", "1 chosen"]],
    [DIVERGE, 45_000, ["1 leads", "2 leads", "2 chosen"]],
    [REORDER, 9_000, ["1 leads", "2 chosen"]],
    [LEASE, 30_000, ["1 is master", "2 is master"]],
    [TIME, 20_000, ["1 is master", "2 is master"]],
  ] as const)(
    "%s",
    async (name, statesMin, events) => {
      const found = await explore(QUICK_SETUPS[name]);
      expect(found.violation, reportOf(found)).toBeUndefined();
      expect(found.isComplete).toBe(!("stepsMax" in QUICK_SETUPS[name]));
      expect(found.states).toBeGreaterThanOrEqual(statesMin);
      for (const event of events) expect(found.seen.get(event)).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );

  test.each([
    ["promise-before-durable", CRASH, /^1 has forgotten its promise 2\.2\n/],
    ["accepted-before-durable", CRASH, /^2 has forgotten what it accepted in 1\.1\n/],
    ["leader-counts-itself-early", REORDER, LOST],
    ["promise-forgotten-on-restart", CRASH, /^1 has forgotten its promise 2\.2\n/],
    ["ballot-reused", AGAIN, /^1 leads in 1\.1, as an earlier life of it did\n/],
    ["old-ballot-accepts-count", DIVERGE, LOST],
    ["no-log-adopted", DIVERGE, /^violated: the leader.s log holds all that is chosen\n/],
    ["quorum-off-by-one", REORDER, LOST],
    ["hole-closed-up", REORDER, LOST],
    ["crash-between-truncation-and-suffix", CRASH, LOST],
    ["promises-despite-a-grant", LEASE, UNGRANTED],
    ["grants-not-waited-out-after-restart", LEASE, UNGRANTED],
    ["release-of-another-ballot", LEASE, UNGRANTED],
    ["master-lease-without-drift", LEASE, UNGRANTED],
  ] as const)(
    "finds %s",
    async (name, setup, violation) => {
      const { violation: found } = await explore(QUICK_SETUPS[setup], bugNamed(name));
      expect(found).toMatch(violation);
    },
    TIMEOUT_MS,
  );

  test("shows the shortest schedule, a line for each step", async () => {
    const found = await explore(QUICK_SETUPS[AGAIN], bugNamed("ballot-reused"));
    expect(found.violation?.split("\n  ")).toEqual([
      "1 leads in 1.1, as an earlier life of it did",
      "1 stands for election",
      "1 crashes and starts, with 0 of 1 records under way",
      "1 stands for election",
    ]);
  });
});
