import { checksum64, utf8Encode } from "@cubby/base";
import { type Directory, encodeSequencer, LockMode, NodeKind, type Stat } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import { checkDirectory, checkStat, checkToken } from "./check-answers.ts";
import type { ReferenceCell } from "./reference-cell.ts";
import type { Hold } from "./script.ts";
import { fedReference, opening } from "./test-support/fed-reference.ts";

const DIRECTORY = { path: "/ls/local/d", instance: 2 };
const FILE = { path: "/ls/local/d/a", instance: 3 };
const KNOWN = { index: 0, lockGeneration: 0 };

/** A directory from index 3 on, with file `a` from 4 to 6 and `b` from 5 on; `a` is written at 6. */
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
  const instances = new Map([
    ["a", 3],
    ["b", 4],
  ]);
  const entries = names.map((name) => ({
    name,
    stat: stat({ instance: instances.get(name) ?? 9 }),
  }));
  return { entries, more: false };
}

function stat(differing: Partial<Stat>): Stat {
  const contents = utf8Encode("new");
  const sizes = { checksum: checksum64(contents), sizeBytes: contents.length };
  const lock = { lockGeneration: 3, lockMode: LockMode.FREE, lockHolders: 0 };
  const file = { kind: NodeKind.FILE, instance: 3, contentGeneration: 4, ...sizes, ...lock };
  return { ...file, ...differing } as Stat;
}

describe("the checks of answers", () => {
  it("takes of a directory what it held at one index, and nothing out of date (9)", () => {
    const reference = cell();
    const check = (index: number, ...names: string[]): number =>
      checkDirectory(reference, DIRECTORY, { ...KNOWN, index }, holding(...names));
    expect(reference.resultOf(2, 6)).toMatchObject({ code: "not_empty" });
    expect(check(0)).toBe(3);
    expect(check(4, "a")).toBe(4);
    expect(check(6, "a", "b")).toBe(5);
    expect(check(8, "b")).toBe(7);
    expect(() => check(5, "a")).toThrow(/is said to hold a:3; it held 5: a:3 b:4, 7: b:4/);
    expect(() => check(7, "a", "b")).toThrow(/it held 7: b:4/);
    expect(() => check(7, "b", "c")).toThrow(/is said to hold b:4 c:9/);
  });

  it("takes metadata of what was written, and of locks as they are held (9, 14)", () => {
    const reference = cell();
    const hold = { mode: LockMode.EXCLUSIVE, generation: 3 } as Hold;
    const check = (differing: Partial<Stat>, known = KNOWN, mine?: Hold): void =>
      checkStat(reference, FILE, known, stat(differing), mine);
    check({});
    check({ lockMode: LockMode.EXCLUSIVE, lockHolders: 1 }, KNOWN, hold);
    expect(() => check({ instance: 2 })).toThrow(/of instance 3/);
    expect(() => check({ contentGeneration: 5 })).toThrow(/nobody wrote generation 5/);
    expect(() => check({ contentGeneration: 3 })).toThrow(/size or checksum/);
    expect(() => check({ sizeBytes: 4 })).toThrow(/size or checksum/);
    expect(() => check({}, { index: 0, lockGeneration: 4 })).toThrow(/after 4 was granted/);
    expect(() => check({ lockMode: LockMode.EXCLUSIVE, lockHolders: 2 })).toThrow(/2 holders/);
    expect(() => check({}, KNOWN, hold)).toThrow(/who holds its lock at 3 is told/);
    const directory = stat({ kind: NodeKind.DIRECTORY, instance: 2, childCount: 0 });
    checkStat(reference, DIRECTORY, KNOWN, directory, undefined);
    const late = { index: 5, lockGeneration: 0 };
    expect(() => checkStat(reference, DIRECTORY, late, directory, undefined)).toThrow(/0 children/);
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
