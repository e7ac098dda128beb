import { checksum64, EMPTY_BYTES, utf8Encode } from "@cubby/base";
import {
  type Directory,
  encodeSequencer,
  LockMode,
  NodeKind,
  type Open,
  type Stat,
} from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import {
  checkCreated,
  checkDirectory,
  checkStat,
  checkToken,
  checkValidity,
} from "./check-answers.ts";
import type { ReferenceCell } from "./reference-cell.ts";
import { fedReference, opening } from "./test-support/fed-reference.ts";

const DIRECTORY = { path: "/ls/local/d", instance: 2 };
const FILE = { path: "/ls/local/d/a", instance: 3 };

/** A directory from index 3 on, with file `a` from 4 to 6 and `b` from 5 on; `a` is written at 6, and goes at 7. */
function cell(): ReferenceCell {
  const { reference, feed } = fedReference();
  feed(1, opening(DIRECTORY.path, NodeKind.DIRECTORY));
  feed(2, opening(FILE.path));
  feed(3, opening("/ls/local/d/b"));
  const write = { contents: utf8Encode("new"), hasIfGeneration: false, ifGeneration: 0 };
  feed(4, { $case: "writeContents", value: { ...FILE, ...write } });
  feed(5, { $case: "deleteNode", value: FILE });
  feed(6, { $case: "deleteNode", value: DIRECTORY });
  return reference;
}

function holding(...names: string[]): Directory {
  const b = { instance: 4, lockGeneration: 4, sizeBytes: 0, checksum: checksum64(EMPTY_BYTES) };
  const stats = new Map([
    ["a", stat({})],
    ["b", stat(b)],
  ]);
  const entries = names.map((name) => ({ name, stat: stats.get(name) ?? stat({ instance: 9 }) }));
  return { entries, more: false };
}

/** Of file `a` as it is from 6 on. */
function stat(differing: Partial<Stat>): Stat {
  const contents = utf8Encode("new");
  const sizes = { checksum: checksum64(contents), sizeBytes: contents.length };
  const lock = { lockGeneration: 3, lockMode: LockMode.FREE, lockHolders: 0, lockDelayed: false };
  const file = { kind: NodeKind.FILE, instance: 3, contentGeneration: 4, ...sizes, ...lock };
  return { ...file, ...differing } as Stat;
}

describe("the checks of answers", () => {
  it("takes of a directory what it held at one index, and nothing out of date (9)", () => {
    const reference = cell();
    const check = (index: number, ...names: string[]): number =>
      checkDirectory(reference, DIRECTORY, index, holding(...names));
    expect(reference.resultOf(2, 6)).toMatchObject({ code: "not_empty" });
    expect(check(0)).toBe(3);
    expect(check(4, "a")).toBe(4);
    expect(check(6, "a", "b")).toBe(5);
    expect(check(8, "b")).toBe(7);
    expect(() => check(5, "a")).toThrow(/is said to hold a:3; it held 5: a:3 b:4, 7: b:4/);
    expect(() => check(7, "a", "b")).toThrow(/it held 7: b:4/);
    expect(() => check(7, "b", "c")).toThrow(/is said to hold b:4 c:9/);
  });

  it("finds a child of another time than its directory's listing (9)", () => {
    const reference = cell();
    const old = { contentGeneration: 3, sizeBytes: 0, checksum: checksum64(EMPTY_BYTES) };
    const check = (index: number): number => {
      const [a, b] = holding("a", "b").entries;
      if (a === undefined || b === undefined) throw new Error("two children");
      const entries = [{ ...a, stat: stat(old) }, b];
      return checkDirectory(reference, DIRECTORY, index, { entries, more: false });
    };
    expect(check(5)).toBe(5);
    expect(() => check(6)).toThrow(/d\/a at 3: told kind 1 at 3, .*; it was 6: kind 1 at 4/);
  });

  it("takes metadata of what was written (9)", () => {
    const reference = cell();
    const check = (differing: Partial<Stat>): void =>
      checkStat(reference, FILE, 0, stat(differing));
    check({});
    expect(() => check({ instance: 2 })).toThrow(/of instance 3/);
    expect(() => check({ contentGeneration: 5 })).toThrow(/told kind 1 at 5/);
    expect(() => check({ contentGeneration: 3 })).toThrow(/size or checksum/);
    expect(() => check({ sizeBytes: 4 })).toThrow(/size or checksum/);
    expect(() => check({ ephemeral: true })).toThrow(/ephemeral; it was/);
    const kind = { kind: NodeKind.DIRECTORY, instance: 2, contentGeneration: 0, lockGeneration: 2 };
    const directory = stat({ ...kind, childCount: 0 });
    checkStat(reference, DIRECTORY, 0, directory);
    expect(() => checkStat(reference, DIRECTORY, 5, directory)).toThrow(/0 children/);
  });

  it("takes of a lock what was so at one index, and nothing out of date (9, 14)", () => {
    const { reference, feed } = fedReference();
    const path = "/ls/local/f";
    const lock = { path, instance: 2, mode: LockMode.SHARED, wait: false, lockDelayMs: 9 };
    feed(1, opening(path));
    feed(2, { $case: "acquireLock", value: { ...lock, handleId: 1 } });
    feed(3, { $case: "acquireLock", value: { ...lock, handleId: 7 } });
    feed(4, { $case: "releaseLock", value: { handleId: 1 } });
    feed(0, { $case: "expireSession", value: { sessionId: 2 } });
    feed(0, { $case: "endLockDelay", value: { path, beganAt: 7 } });
    const check = (index: number, lockMode: LockMode, lockHolders: number, more = {}): void => {
      const file = { instance: 2, contentGeneration: 2, lockGeneration: 3, ...more };
      const empty = { sizeBytes: 0, checksum: checksum64(EMPTY_BYTES) };
      const told = stat({ ...file, ...empty, lockMode, lockHolders });
      checkStat(reference, { path, instance: 2 }, index, told);
    };
    const { FREE, SHARED, EXCLUSIVE } = LockMode;
    check(3, FREE, 0, { lockGeneration: 2 });
    check(4, SHARED, 1);
    check(5, SHARED, 2);
    check(6, SHARED, 1);
    check(7, FREE, 0, { lockDelayed: true });
    check(8, FREE, 0);
    expect(() => check(4, FREE, 0, { lockGeneration: 2 })).toThrow(/lock 0 at 2 of 0; it was 4:/);
    expect(() => check(4, SHARED, 3)).toThrow(/lock 2 at 3 of 3/);
    expect(() => check(4, EXCLUSIVE, 1)).toThrow(/lock 1 at 3 of 1/);
    expect(() => check(6, SHARED, 2)).toThrow(/it was 6: .* of 1, 7: .* in delay, 8:/);
    expect(() => check(8, FREE, 0, { lockDelayed: true })).toThrow(/in delay; it was 8:/);
  });

  it("takes a sequencer for what it was at some index, and for nothing out of date (14)", () => {
    const { reference, feed } = fedReference();
    const lock = { path: "/ls/local/f", instance: 2 };
    const claim = { ...lock, mode: LockMode.EXCLUSIVE, wait: false, lockDelayMs: 0, handleId: 1 };
    feed(1, opening(lock.path));
    feed(2, { $case: "acquireLock", value: claim });
    feed(3, { $case: "releaseLock", value: { handleId: 1 } });
    const held = { ...lock, generation: 3, mode: LockMode.EXCLUSIVE };
    checkValidity(reference, held, 4, true);
    checkValidity(reference, held, 4, false);
    checkValidity(reference, held, 5, false);
    expect(() => checkValidity(reference, held, 5, true)).toThrow(/is said to be valid; it was 5:/);
    const shared = { ...held, mode: LockMode.SHARED };
    expect(() => checkValidity(reference, shared, 4, true)).toThrow(/in mode 2 at 3/);
    feed(4, { $case: "acquireLock", value: claim });
    const again = { ...held, generation: 4 };
    expect(() => checkValidity(reference, again, 6, false)).toThrow(/is said to be stale/);
    feed(5, { $case: "deleteNode", value: lock });
    checkValidity(reference, again, 6, false);
    expect(() => checkValidity(reference, again, 7, true)).toThrow(/is said to be valid/);
  });

  it("finds a node that was made otherwise than it was asked for (9)", () => {
    const reference = cell();
    const asked = { kind: NodeKind.FILE, ephemeral: false, initialContents: EMPTY_BYTES };
    const born = stat({ contentGeneration: 3, ephemeral: false });
    const check = (differing: Partial<Open>): void =>
      checkCreated(reference, FILE, { ...asked, ...differing } as Open, born);
    check({});
    expect(() => check({ ephemeral: true })).toThrow(/otherwise than its Open asked/);
    expect(() => check({ kind: NodeKind.DIRECTORY })).toThrow(/otherwise/);
    expect(() => check({ initialContents: utf8Encode("old") })).toThrow(/otherwise/);
  });

  it("takes a sequencer that says what was granted, and no other (14)", () => {
    const mode = LockMode.SHARED;
    const bytes = encodeSequencer({ name: FILE.path, instance: 3, mode, lockGeneration: 5 });
    checkToken(FILE, mode, 5, bytes);
    expect(() => checkToken(FILE, LockMode.EXCLUSIVE, 5, bytes)).toThrow(/has the sequencer/);
    expect(() => checkToken(FILE, mode, 6, bytes)).toThrow(/has the sequencer/);
    expect(() => checkToken(DIRECTORY, mode, 5, bytes)).toThrow(/has the sequencer/);
  });
});
