/** A disk without room: what the journal itself left behind must not keep it from starting. */

import { EMPTY_BYTES, Rng } from "@cubby/base";
import { describe, expect, it } from "vitest";
import type { DiskRequest } from "./disk.ts";
import {
  bytesOn,
  formattedDisk,
  limitDisk,
  openJournal,
  record,
  recoverFrom,
  SMALL,
  settle,
} from "./journal.test-support.ts";
import type { Journal } from "./journal.ts";
import { KILLED, type SimDisk, STOPPED } from "./simulated-disk.ts";

const BALLOT = { round: 1, priority: 0, replica: 3 };

function snapshot(journal: Journal, disk: SimDisk, slot: number, stateBytes = 1_000): void {
  const state = new Uint8Array(stateBytes);
  journal.writeSnapshot({ slot, ballot: BALLOT, configuration: EMPTY_BYTES, state });
  settle(journal, disk);
}

function segments(disk: SimDisk): string[] {
  return disk.names().filter((name) => name.startsWith("segment-"));
}

/** Runs until that is so, and stops there. */
function runUntil(journal: Journal, disk: SimDisk, isThere: () => boolean): void {
  for (let steps = 0; steps < 10_000 && !isThere(); steps += 1) {
    disk.submit(journal.takeRequests());
    journal.onCompletion(disk.complete());
  }
  expect(isThere()).toBe(true);
}

describe("a segment for a long record whose preparing never came to its end", () => {
  for (const [name, model] of [
    ["a kill", KILLED],
    ["a power loss", STOPPED],
  ] as const) {
    it(`leaves nothing behind for good, after ${name}`, () => {
      const rng = new Rng(name);
      let disk = formattedDisk();
      const start = openJournal(disk);
      settle(start.journal, disk);
      const wholeBytes = bytesOn(disk);
      for (let life = 0; life < 6; life += 1) {
        const { journal } = openJournal(disk);
        settle(journal, disk);
        const before = bytesOn(disk);
        // What is left of earlier lives, at most one spare segment.
        expect(before).toBeLessThanOrEqual(wholeBytes + SMALL.segmentBytes);
        expect(journal.status().segmentBytes).toBeGreaterThanOrEqual(
          segments(disk).reduce((sum, file) => sum + disk.content(file).length, 0),
        );
        journal.append([record(1, "x".repeat(400_000))]);
        runUntil(journal, disk, () => bytesOn(disk) > before + 300_000);
        disk = disk.crash(rng, model);
      }
    });
  }

  it("does not fill the disk so that no start succeeds", () => {
    let disk = formattedDisk();
    const first = openJournal(disk);
    settle(first.journal, disk);
    // Room for one such record, but for no second one.
    const capacity = bytesOn(disk) + 700_000;
    for (let life = 0; life < 5; life += 1) {
      limitDisk(disk, capacity);
      const { journal } = openJournal(disk);
      settle(journal, disk);
      expect(journal.fatal).toBeUndefined();
      const before = bytesOn(disk);
      journal.append([record(1, "x".repeat(400_000))]);
      runUntil(
        journal,
        disk,
        () => journal.fatal !== undefined || bytesOn(disk) > before + 300_000,
      );
      expect(journal.fatal).toBeUndefined();
      disk = disk.crash(new Rng(`${life}`), KILLED);
    }
  });
});

describe("a start on a full disk", () => {
  it("needs no room for what an ended preparing left", () => {
    let disk = formattedDisk();
    const { journal } = openJournal(disk);
    settle(journal, disk);
    // A snapshot has all the room that there is when a segment is to be prepared.
    limitDisk(disk, bytesOn(disk) + 300_000);
    const state = new Uint8Array(1 << 20);
    journal.writeSnapshot({ slot: 1, ballot: BALLOT, configuration: EMPTY_BYTES, state });
    runUntil(journal, disk, () => bytesOn(disk) > 400_000);
    limitDisk(disk, bytesOn(disk));
    journal.append([record(1, "x".repeat(100_000))]);
    while (journal.fatal === undefined) {
      disk.submit(journal.takeRequests());
      journal.onCompletion(disk.complete(disk.waiting.length - 1));
    }
    expect(journal.fatal.file).toMatch(/^segment-/);
    const full = bytesOn(disk);
    disk = disk.crash(new Rng("full"), KILLED);
    limitDisk(disk, full);
    expect(recoverFrom(disk).kind).toBe("recovered");
  });

  it("takes segments back that nothing needs before it makes another", () => {
    let disk = formattedDisk();
    const { journal } = openJournal(disk);
    const fill = (from: number) => {
      for (let slot = from; slot < from + 14; slot += 1) {
        journal.append([record(slot, "x".repeat(20_000))]);
      }
      settle(journal, disk);
    };
    fill(1);
    snapshot(journal, disk, 14);
    journal.appendCheckpoint(record(14, "checkpoint"));
    fill(15);
    // The second snapshot is whole, so that the older segments can go, when the disk is found full.
    limitDisk(disk, bytesOn(disk) + 20_000);
    journal.append([record(29, "x".repeat(20_000))]);
    const state = new Uint8Array(1_000);
    journal.writeSnapshot({ slot: 28, ballot: BALLOT, configuration: EMPTY_BYTES, state });
    while (journal.snapshotSlot < 28) {
      disk.submit(journal.takeRequests());
      const isZeroing = (request: DiskRequest) =>
        request.kind === "write" && request.file.startsWith("segment-");
      journal.onCompletion(disk.complete(disk.waiting.findIndex((each) => !isZeroing(each))));
    }
    settle(journal, disk);
    expect(journal.fatal?.error.code).toBe("ENOSPC");
    const full = bytesOn(disk);
    disk = disk.crash(new Rng("full"), KILLED);
    limitDisk(disk, full);
    const next = openJournal(disk);
    settle(next.journal, disk);
    expect(next.journal.fatal).toBeUndefined();
    expect(bytesOn(disk)).toBeLessThan(full);
  });

  it("has removed the snapshots that a crash kept from being removed", () => {
    let disk = formattedDisk();
    const { journal } = openJournal(disk);
    settle(journal, disk);
    const write = (one: Journal, slot: number) => {
      one.append([record(slot)]);
      snapshot(one, disk, slot, 100_000);
      if (one.needsCheckpoint) one.appendCheckpoint(record(one.snapshotSlot, "c"));
      settle(one, disk);
    };
    write(journal, 1);
    write(journal, 2);
    journal.append([record(3)]);
    const state = new Uint8Array(100_000);
    journal.writeSnapshot({ slot: 3, ballot: BALLOT, configuration: EMPTY_BYTES, state });
    runUntil(journal, disk, () => disk.names().includes("snapshot-0000000000000003"));
    disk = disk.crash(new Rng("killed"), KILLED);
    // There is room for three of them, as there was before.
    limitDisk(disk, bytesOn(disk) + 10_000);
    const next = openJournal(disk);
    settle(next.journal, disk);
    if (next.journal.needsCheckpoint) next.journal.appendCheckpoint(record(3, "c"));
    settle(next.journal, disk);
    write(next.journal, 4);
    expect(next.journal.fatal).toBeUndefined();
    expect(next.journal.snapshotSlot).toBe(4);
  });
});

/** Where the record of slot 15 lies: in the last page of its segment, or before it. */
function lastPageOf(disk: SimDisk): { segment: string; offset: number } {
  const wanted = Buffer.from("15:");
  for (const segment of segments(disk)) {
    const offset = Buffer.from(disk.content(segment)).indexOf(wanted);
    if (offset >= 0) return { segment, offset: offset - (offset % 4_096) };
  }
  throw new Error("the record is there");
}

describe("a record at the end of its segment", () => {
  it("that is confirmed and then rots is known for damage", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    // 64 KiB: 15 pages of records behind the header's.
    for (let slot = 1; slot <= 15; slot += 1) {
      journal.append([record(slot, `${slot}:${"x".repeat(3_800)}`)]);
      settle(journal, disk);
    }
    journal.confirm();
    settle(journal, disk);
    expect(journal.persistedThrough).toBe(15);
    // The last page of records reads as zeros: a write that the drive lost.
    const { segment, offset } = lastPageOf(disk);
    disk.content(segment).fill(0, offset, offset + 4_096);
    const result = recoverFrom(disk);
    expect(result.kind).toBe("damaged");
  });

  it("is not confirmed once more by the next process, beyond that end", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    for (let slot = 1; slot <= 14; slot += 1) {
      journal.append([record(slot, "x".repeat(3_800))]);
      settle(journal, disk);
    }
    journal.confirm();
    settle(journal, disk);
    expect(disk.content("segment-00000001")[SMALL.segmentBytes - 4_096]).not.toBe(0);
    const next = openJournal(disk).journal;
    next.confirm();
    settle(next, disk);
    expect(disk.content("segment-00000001").length).toBe(SMALL.segmentBytes);
  });
});
