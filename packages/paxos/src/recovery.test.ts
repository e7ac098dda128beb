import { EMPTY_BYTES, utf8Encode } from "@cubby/base";
import { describe, expect, it } from "vitest";
import type { PaxosRecord } from "./record.ts";
import { emptyLog, RecoveryError, recoverLog } from "./recovery.ts";
import { ballot, members } from "./test-support/lone-engine.ts";

const commands = (...texts: string[]) => texts.map((text) => utf8Encode(text));
const snapshotAt = (slot: number) => ({ slot, ballot: ballot(1, 1), bytes: utf8Encode("state") });

describe("recovery", () => {
  it("of nothing is the state of a directory just formatted", () => {
    expect(recoverLog(undefined, [])).toEqual(emptyLog());
  });

  it("folds the records in order", () => {
    const records: PaxosRecord[] = [
      { kind: "genesis", members: members(3), complete: false },
      { kind: "genesis", members: members(3), complete: true },
      { kind: "promised", ballot: ballot(1, 1) },
      {
        kind: "synchronised",
        ballot: ballot(1, 1),
        firstSlot: 1,
        entries: [{ kind: "masterLease", leaseMs: 600 }],
      },
      { kind: "grantMax", leaseMs: 600 },
      { kind: "appended", ballot: ballot(1, 1), firstSlot: 2, entries: commands("a", "b", "c") },
      { kind: "chosen", slot: 2 },
      { kind: "promised", ballot: ballot(2, 3) },
      { kind: "synchronised", ballot: ballot(2, 3), firstSlot: 3, entries: commands("x") },
      { kind: "promised", ballot: ballot(4, 2) },
    ];
    expect(recoverLog(undefined, records)).toEqual({
      promised: ballot(4, 2),
      acceptedBallot: ballot(2, 3),
      chosen: 2,
      grantMaxMs: 600,
      leaseMs: 0,
      genesis: { members: members(3), complete: true },
      snapshot: undefined,
      reachesSnapshot: true,
      firstSlot: 1,
      entries: [{ kind: "masterLease", leaseMs: 600 }, ...commands("a", "x")],
    });
  });

  it("starts at the snapshot, and keeps what was accepted beyond it", () => {
    const records: PaxosRecord[] = [
      {
        kind: "synchronised",
        ballot: ballot(1, 1),
        firstSlot: 1,
        entries: commands("a", "b", "c"),
      },
    ];
    expect(recoverLog(snapshotAt(2), records)).toMatchObject({
      acceptedBallot: ballot(1, 1),
      chosen: 2,
      firstSlot: 3,
      entries: commands("c"),
    });
  });

  it("tells whether the records alone say what was chosen up to the snapshot", () => {
    const records: PaxosRecord[] = [
      { kind: "synchronised", ballot: ballot(1, 1), firstSlot: 1, entries: commands("a", "b") },
      { kind: "chosen", slot: 1 },
    ];
    // What is accepted at slot 2 may not be what the snapshot holds.
    expect([1, 2, 3].map((slot) => recoverLog(snapshotAt(slot), records).reachesSnapshot)).toEqual([
      true,
      false,
      false,
    ]);
  });

  it("knows the lease that a snapshot's slots name, though the checkpoint that says so is lost", () => {
    const lease = { kind: "masterLease", leaseMs: 700 } as const;
    const later = { kind: "masterLease", leaseMs: 900 } as const;
    const entries = [lease, utf8Encode("a"), later];
    const records = [
      { kind: "synchronised", ballot: ballot(1, 1), firstSlot: 1, entries },
      { kind: "chosen", slot: 2 },
    ] as const;
    expect(recoverLog(snapshotAt(2), records).leaseMs).toBe(700);
    // What was not known to be chosen may be another's.
    expect(recoverLog(snapshotAt(3), records).leaseMs).toBe(700);
    expect(recoverLog(undefined, records).leaseMs).toBe(0);
  });

  it("takes a checkpoint for all that went before it", () => {
    const records: PaxosRecord[] = [
      {
        kind: "checkpoint",
        promised: ballot(5, 1),
        acceptedBallot: ballot(4, 2),
        chosen: 12,
        grantMaxMs: 900,
        leaseMs: 600,
        genesis: { members: members(3), complete: true },
        firstSlot: 11,
        entries: commands("k", "l", "m"),
      },
      { kind: "appended", ballot: ballot(4, 2), firstSlot: 14, entries: commands("n") },
    ];
    expect(recoverLog(snapshotAt(11), records)).toMatchObject({
      promised: ballot(5, 1),
      acceptedBallot: ballot(4, 2),
      chosen: 12,
      grantMaxMs: 900,
      leaseMs: 600,
      firstSlot: 12,
      entries: commands("l", "m", "n"),
    });
  });

  it("learns chosen slots without losing what was accepted beyond them", () => {
    const records: PaxosRecord[] = [
      {
        kind: "synchronised",
        ballot: ballot(1, 1),
        firstSlot: 1,
        entries: commands("a", "b", "c"),
      },
      { kind: "learned", firstSlot: 1, entries: commands("x", "y") },
    ];
    expect(recoverLog(undefined, records)).toMatchObject({
      acceptedBallot: ballot(1, 1),
      chosen: 2,
      entries: commands("x", "y", "c"),
    });
  });

  it("starts over at a peer's snapshot, and keeps what was accepted beyond it (P10)", () => {
    const log: PaxosRecord = {
      kind: "synchronised",
      ballot: ballot(1, 1),
      firstSlot: 1,
      entries: commands("a", "b", "c"),
    };
    const restored = (slot: number): PaxosRecord => ({
      kind: "restored",
      slot,
      ballot: ballot(2, 2),
      sizeBytes: 5,
      checksum: 1,
      leaseMs: 700,
      bytes: EMPTY_BYTES,
    });
    expect(recoverLog(snapshotAt(2), [log, restored(2)])).toMatchObject({
      chosen: 2,
      leaseMs: 700,
      firstSlot: 3,
      entries: commands("c"),
    });
    expect(recoverLog(snapshotAt(9), [log, restored(9)])).toMatchObject({
      chosen: 9,
      firstSlot: 10,
      entries: [],
    });
    // The record is durable only after the file that it names.
    expect(() => recoverLog(snapshotAt(2), [log, restored(9)])).toThrow(RecoveryError);
    expect(() => recoverLog(undefined, [log, restored(2)])).toThrow(RecoveryError);
  });

  const a: PaxosRecord = {
    kind: "synchronised",
    ballot: ballot(2, 1),
    firstSlot: 1,
    entries: commands("a"),
  };
  const contradictions: [string, PaxosRecord[]][] = [
    ["a gap", [a, { kind: "appended", ballot: ballot(2, 1), firstSlot: 3, entries: [] }]],
    ["another ballot", [a, { kind: "appended", ballot: ballot(3, 1), firstSlot: 2, entries: [] }]],
    ["a falling promise", [a, { kind: "promised", ballot: ballot(1, 1) }]],
    ["chosen beyond the log", [a, { kind: "chosen", slot: 2 }]],
    [
      "a cut below what is chosen",
      [
        a,
        { kind: "chosen", slot: 1 },
        { kind: "synchronised", ballot: ballot(3, 1), firstSlot: 1, entries: [] },
      ],
    ],
    ["learned beyond a gap", [a, { kind: "learned", firstSlot: 5, entries: [] }]],
  ];
  for (const [name, records] of contradictions) {
    it(`refuses records that contradict each other: ${name}`, () => {
      expect(() => recoverLog(undefined, records)).toThrow(RecoveryError);
    });
  }
});
