import type { FileInput, FileOutput, LockInput, LockOutput } from "@cubby/simulator";
import { describe, expect, it } from "vitest";
import { type Beginning, type HistoryLine, readHistory } from "./history.ts";
import { judge } from "./verdict.ts";

const BEGINNING: Beginning = {
  files: { f: { value: "", generation: 1 } },
  locks: { l: { generation: 4, holder: "", phase: "free" } },
};
const LOCK_DELAY_MS = 1_000;

/** A call of client `client`, and its answer unless it was killed in between. */
function lines(
  client: number,
  [at, returned]: readonly [at: number, returned?: number],
  input: FileInput | LockInput,
  output?: FileOutput | LockOutput,
): HistoryLine[] {
  const id = `${client}-1.${at}`;
  const node = input.kind === "read" || input.kind === "write" ? "f" : "l";
  const call = { event: "call", id, at, session: `s${client}`, node, input } as const;
  if (returned === undefined) return [call];
  if (output === undefined)
    return [call, { event: "return", id, at: returned, outcome: "unknown" }];
  return [call, { event: "return", id, at: returned, outcome: "ok", output }];
}

function violationsOf(...parts: readonly HistoryLine[][]): string[] {
  const { violations, undecided } = judge(
    readHistory(parts.flat(), () => LOCK_DELAY_MS),
    BEGINNING,
  );
  expect(undecided).toEqual([]);
  return violations.map((each) => each.split("\n")[0] ?? "");
}

const put = (value: string): FileInput => ({ kind: "write", value });
const written = (generation: number): FileOutput => ({ kind: "written", generation });
const read: FileInput = { kind: "read" };
const contents = (value: string, generation: number): FileOutput => ({
  kind: "contents",
  value,
  generation,
});
const acquire = (holder: string): LockInput => ({ kind: "acquire", holder, wait: true });
const granted = (generation: number): LockOutput => ({ kind: "granted", generation });

describe("histories of files", () => {
  it("pass when a killed client's write took effect, and when it did not", () => {
    const killed = lines(1, [10], put("a"));
    expect(violationsOf(killed, lines(2, [20, 21], read, contents("a", 2)))).toEqual([]);
    expect(violationsOf(killed, lines(2, [20, 21], read, contents("", 1)))).toEqual([]);
  });

  it("fail on a stale read and on a lost update", () => {
    const write = lines(1, [10, 11], put("a"), written(2));
    const stale = violationsOf(write, lines(2, [20, 21], read, contents("", 1)));
    expect(stale).toEqual(["f is not linearizable."]);
    const lost = violationsOf(write, lines(2, [10, 12], put("b"), written(2)));
    expect(lost).toEqual(["f is not linearizable."]);
  });
});

describe("histories of locks", () => {
  const first = lines(1, [10, 11], acquire("a"), granted(5));

  it("pass when a dead holder's lock goes on after its lock-delay, and fail when before", () => {
    const late = lines(2, [20, 1_011], acquire("b"), granted(6));
    const early = lines(2, [20, 1_009], acquire("b"), granted(6));
    expect(violationsOf(first, late)).toEqual([]);
    expect(violationsOf(first, early)).toEqual(["l is not linearizable."]);
  });

  it("count the lock-delay from the last call that the holder's session got an answer to", () => {
    const alive = lines(1, [500, 501], read, contents("", 1));
    const next = lines(2, [20, 1_011], acquire("b"), granted(6));
    expect(violationsOf(first, alive, next)).toEqual(["l is not linearizable."]);
  });

  it("take no checked sequencer for a sign of life", () => {
    const check: LockInput = { kind: "check", generation: 5 };
    const late = lines(1, [1_012, 1_013], check, { kind: "verdict", valid: false });
    const next = lines(2, [20, 1_011], acquire("b"), granted(6));
    expect(violationsOf(first, next, late)).toEqual([]);
  });

  it("pass when a holder that gave back without an answer is followed at once", () => {
    const gone: HistoryLine = { event: "gone", holder: "a", node: "l", at: 30 };
    const next = lines(2, [20, 31], acquire("b"), granted(6));
    expect(violationsOf(first, [gone], next)).toEqual([]);
  });

  it("pass when an acquire without an answer explains the generation that nobody was told of", () => {
    const unanswered = lines(1, [10, 11], acquire("a"));
    const gone: HistoryLine = { event: "gone", holder: "a", node: "l", at: 12 };
    const next = lines(2, [20, 21], acquire("b"), granted(6));
    expect(violationsOf(unanswered, [gone], next)).toEqual([]);
    expect(violationsOf(next)).toEqual(["l is not linearizable."]);
  });

  it("pass when a try was refused behind who waited, though nobody came between, and fail without", () => {
    const attempt: LockInput = { kind: "acquire", holder: "c", wait: false };
    const released = lines(1, [30, 31], { kind: "release", holder: "a" }, { kind: "released" });
    const refused = lines(3, [40, 41], attempt, { kind: "busy" });
    const next = lines(3, [50, 51], attempt, granted(6));
    const tried = [first, released, refused, next];
    expect(violationsOf(...tried)).toEqual(["l is not linearizable."]);
    const gaveUp = lines(2, [20, 25], acquire("b"));
    const killed = lines(2, [20], acquire("b"));
    for (const waited of [gaveUp, killed]) expect(violationsOf(...tried, waited)).toEqual([]);
    // One that came later, and one that had its answer before, are no excuse.
    const late = lines(2, [42], acquire("b"));
    expect(violationsOf(...tried, late)).toEqual(["l is not linearizable."]);
    const again = lines(1, [12, 13], acquire("a"), granted(5));
    expect(violationsOf(...tried, again)).toEqual(["l is not linearizable."]);
  });

  it("fail when somebody was told to hold a lock that another had been told to hold", () => {
    const held = (holder: string, from: number, at: number): HistoryLine[] => [
      { event: "held", holder, node: "l", from, at },
    ];
    expect(violationsOf(held("a", 10, 15), held("a", 10, 20), held("b", 21, 30))).toEqual([]);
    expect(violationsOf(held("a", 10, 15), held("a", 10, 25), held("b", 21, 30))).toEqual([
      "l: a was told that it holds the lock at 25 ms, when b had had it since 21 ms.",
    ]);
  });
});
