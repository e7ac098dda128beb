import { EMPTY_BYTES } from "@cubby/base";
import { describe, expect, it } from "vitest";
import {
  formattedDisk,
  mustRecover,
  openJournal,
  record,
  recoverFrom,
  settle,
} from "./journal.test-support.ts";
import type { Journal } from "./journal.ts";
import type { SimDisk } from "./simulated-disk.ts";
import { SNAPSHOT_CHUNK_BYTES, snapshotFile } from "./snapshot-file.ts";

const BALLOT = { round: 1, priority: 0, replica: 3 };

function snapshotAt(slot: number, stateBytes = 100) {
  const state = new Uint8Array(stateBytes).fill(slot);
  return { slot, ballot: BALLOT, configuration: EMPTY_BYTES, state };
}

function take(journal: Journal, disk: SimDisk, slot: number): void {
  expect(journal.writeSnapshot(snapshotAt(slot))).toBe(true);
  settle(journal, disk);
  expect(journal.needsCheckpoint).toBe(true);
  journal.appendCheckpoint(record(slot, `checkpoint at ${slot}`));
  settle(journal, disk);
  expect(journal.needsCheckpoint).toBe(false);
}

/** Ten slots, a snapshot, ten slots, a snapshot, ten slots; every ten fill more than a segment. */
function threeTens(): { disk: SimDisk; journal: Journal } {
  const disk = formattedDisk();
  const { journal } = openJournal(disk);
  for (let slot = 1; slot <= 30; slot += 1) {
    journal.append([record(slot, "x".repeat(9_000))]);
    settle(journal, disk);
    if (slot === 10 || slot === 20) take(journal, disk, slot);
  }
  return { disk, journal };
}

function isSegment(request: { file: string }): boolean {
  return request.file.startsWith("segment-");
}

function snapshotsOn(disk: SimDisk): string[] {
  return disk.names().filter((name) => name.startsWith("snapshot-"));
}

function harm(disk: SimDisk, file: string): void {
  const bytes = disk.content(file);
  bytes[bytes.length - 30] = (bytes[bytes.length - 30] ?? 0) ^ 1;
}

/** What a refusal to start names. */
function blamed(disk: SimDisk): string[][] {
  const result = recoverFrom(disk);
  return result.kind === "damaged" ? result.damages.map(({ kind, file }) => [kind, file]) : [];
}

describe("snapshots of the journal", () => {
  it("are what recovery starts from, with the records since", () => {
    const { disk } = threeTens();
    const { snapshot, records, notes } = mustRecover(disk);
    expect(snapshot?.slot).toBe(20);
    expect(records.map((found) => found.slot)).toEqual([
      20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30,
    ]);
    expect(records[0]?.isCheckpoint).toBe(true);
    expect(notes).toEqual([]);
  });

  it("fall back to the older one, for which the journal still reaches back", () => {
    const { disk } = threeTens();
    harm(disk, snapshotFile(20));
    const { snapshot, records, notes } = mustRecover(disk);
    expect(snapshot?.slot).toBe(10);
    // The checkpoint of the lost snapshot says nothing that the records before it do not.
    expect(records.map((found) => found.slot)).toEqual(
      Array.from({ length: 21 }, (_, i) => i + 10),
    );
    expect(records.filter((found) => found.isCheckpoint).length).toBe(1);
    expect(notes).toEqual([
      {
        kind: "snapshotDamaged",
        file: snapshotFile(20),
        problem: "checksum",
        offset: expect.any(Number),
      },
    ]);
  });

  it("are passed over if their end is that of another one", () => {
    const { disk } = threeTens();
    const [older, newer] = [disk.content(snapshotFile(10)), disk.content(snapshotFile(20))];
    newer.set(older.subarray(-20), newer.length - 20);
    expect(mustRecover(disk).snapshot?.slot).toBe(10);
  });

  it("are damage if none is good and the journal does not reach back to its beginning", () => {
    const { disk } = threeTens();
    for (const slot of [10, 20]) {
      const file = snapshotFile(slot);
      disk.replace(file, disk.content(file).slice(0, 50));
    }
    expect(blamed(disk)).toEqual([
      ["unreachable", expect.stringMatching(/^segment-/)],
      ["snapshot", snapshotFile(20)],
      ["snapshot", snapshotFile(10)],
    ]);
  });

  it("are not needed while the journal reaches back to its beginning", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    journal.append([record(1), record(2)]);
    settle(journal, disk);
    take(journal, disk, 2);
    harm(disk, snapshotFile(2));
    const { snapshot, records } = mustRecover(disk);
    expect(snapshot).toBe(undefined);
    expect(records.map((found) => found.slot)).toEqual([1, 2]);
  });

  it("replace a damaged one of the same slot, and in time remove it", () => {
    const { disk } = threeTens();
    harm(disk, snapshotFile(20));
    const { journal } = openJournal(disk);
    expect(journal.snapshotSlot).toBe(10);
    expect(journal.writeSnapshot(snapshotAt(20))).toBe(true);
    settle(journal, disk);
    const { snapshot, notes } = mustRecover(disk);
    expect([snapshot?.slot, notes]).toEqual([20, []]);
    take(journal, disk, 30);
    take(journal, disk, 31);
    expect(journal.fatal).toBeUndefined();
    for (const left of [disk, disk.afterPowerLoss()]) {
      expect(snapshotsOn(left)).toEqual([snapshotFile(30), snapshotFile(31)]);
    }
  });

  it("stay to fall back to only if they are good, also if a stop kept a damaged one from its removal", () => {
    const { disk } = threeTens();
    harm(disk, snapshotFile(20));
    const { journal } = openJournal(disk);
    journal.writeSnapshot(snapshotAt(30));
    while (journal.snapshotSlot < 30) {
      disk.submit(journal.takeRequests());
      journal.onCompletion(disk.complete());
    }
    const stopped = disk.copy();
    const next = openJournal(stopped);
    expect(next.recovered.snapshot?.slot).toBe(30);
    expect(next.recovered.journal.snapshots).toEqual([10, 30]);
    expect(next.recovered.notes).toMatchObject([
      { kind: "snapshotDamaged", file: snapshotFile(20) },
    ]);
    const rotten = stopped.copy();
    harm(rotten, snapshotFile(30));
    expect(mustRecover(rotten).snapshot?.slot).toBe(10);
    take(next.journal, stopped, 40);
    expect(snapshotsOn(stopped)).toEqual([snapshotFile(30), snapshotFile(40)]);
  });

  it("are written one at a time, and of those that wait only the latest", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    expect(journal.writeSnapshot(snapshotAt(5))).toBe(true);
    expect(journal.writeSnapshot(snapshotAt(6))).toBe(true);
    expect(journal.writeSnapshot(snapshotAt(7))).toBe(true);
    settle(journal, disk);
    expect(journal.snapshotSlot).toBe(7);
    expect(snapshotsOn(disk)).toEqual([snapshotFile(5), snapshotFile(7)]);
    expect(journal.writeSnapshot(snapshotAt(7))).toBe(false);
    expect(journal.writeSnapshot(snapshotAt(6))).toBe(false);
  });

  it("that a record names are durable before the record, and before all that follow it", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    settle(journal, disk);
    journal.append([record(1)]);
    journal.writeSnapshot(snapshotAt(50, 2_000));
    journal.append([{ ...record(50), afterSnapshot: 50 }, record(51)]);
    while (journal.persistedThrough < 3) {
      disk.submit(journal.takeRequests());
      // The journal's own writes first: they would overtake the snapshot if they could.
      const own = disk.waiting.findIndex(
        (request) => request.kind === "write" && isSegment(request),
      );
      journal.onCompletion(disk.complete(Math.max(0, own)));
      if (journal.snapshotSlot < 50) expect(journal.persistedThrough).toBeLessThanOrEqual(1);
    }
    expect(mustRecover(disk).snapshot?.slot).toBe(50);
  });

  it("that a record names are progress for as long as it waits, chunk by chunk", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    settle(journal, disk);
    journal.writeSnapshot(snapshotAt(50, 4 * SNAPSHOT_CHUNK_BYTES));
    disk.submit(journal.takeRequests());
    const before = journal.progress;
    journal.onCompletion(disk.complete(0));
    expect(journal.progress).toBe(before);
    journal.append([{ ...record(50), afterSnapshot: 50 }]);
    for (let chunk = 1; chunk <= 3; chunk += 1) {
      disk.submit(journal.takeRequests());
      journal.onCompletion(disk.complete(0));
      expect(journal.progress).toBe(before + chunk);
    }
  });

  it("that a record names cannot be replaced by the records before it", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    journal.append([record(1)]);
    journal.writeSnapshot(snapshotAt(50));
    journal.append([{ ...record(50), afterSnapshot: 50 }]);
    settle(journal, disk);
    harm(disk, snapshotFile(50));
    const result = recoverFrom(disk);
    expect(result.kind === "damaged" && result.damages.map((damage) => damage.kind)).toEqual([
      "unreachable",
      "snapshot",
    ]);
  });

  it("that a checkpoint rests on, because the records before it end earlier, cannot be replaced by them", () => {
    const disk = formattedDisk();
    const first = openJournal(disk).journal;
    first.append([record(1)]);
    settle(first, disk);
    take(first, disk, 1);
    first.append([record(2)]);
    first.writeSnapshot(snapshotAt(50));
    settle(first, disk);
    const { journal } = openJournal(disk);
    journal.appendCheckpoint(record(50, "checkpoint at 50"), { restores: true });
    journal.append([record(51)]);
    settle(journal, disk);
    expect(mustRecover(disk.copy()).records.map((found) => found.slot)).toEqual([50, 51]);
    harm(disk, snapshotFile(50));
    expect(blamed(disk)).toEqual([
      ["unreachable", expect.stringMatching(/^segment-/)],
      ["snapshot", snapshotFile(50)],
    ]);
  });

  it("leave nothing behind when the process stops in the middle of writing one", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    settle(journal, disk);
    journal.writeSnapshot(snapshotAt(5, 600_000));
    for (let i = 0; i < 4; i += 1) {
      disk.submit(journal.takeRequests());
      journal.onCompletion(disk.complete());
    }
    expect(disk.names()).toContain(`${snapshotFile(5)}.partial`);
    const next = openJournal(disk);
    for (const left of [disk, disk.afterPowerLoss()]) {
      expect(snapshotsOn(left)).toEqual([]);
    }
    expect(next.journal.writeSnapshot(snapshotAt(5))).toBe(true);
    settle(next.journal, disk);
    expect(next.journal.snapshotSlot).toBe(5);
  });

  it("become due as the journal grows, and not again until a checkpoint ended the last", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    expect(journal.wantsSnapshot).toBe(false);
    let slot = 0;
    while (!journal.wantsSnapshot) {
      slot += 1;
      journal.append([record(slot, "x".repeat(2_000))]);
      settle(journal, disk);
    }
    expect(journal.status().bytesSinceCheckpoint).toBeGreaterThanOrEqual(128 * 1024);
    expect(slot).toBeLessThan(50);
    expect(openJournal(disk.copy()).journal.wantsSnapshot, "nor is it put off by a stop").toBe(
      true,
    );
    take(journal, disk, slot);
    expect(journal.wantsSnapshot).toBe(false);
    // And a process that starts now counts from the same checkpoint.
    expect(openJournal(disk).journal.wantsSnapshot).toBe(false);
  });

  it("ask for their checkpoint again if the process stopped in between", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    journal.append([record(1)]);
    journal.writeSnapshot(snapshotAt(1));
    settle(journal, disk);
    expect(openJournal(disk).journal.needsCheckpoint).toBe(true);
  });
});

describe("a checkpoint", () => {
  it("is asked for if the newest snapshot is damaged, though that had none yet", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    journal.append([record(1), record(2)]);
    settle(journal, disk);
    take(journal, disk, 1);
    journal.writeSnapshot(snapshotAt(2));
    settle(journal, disk);
    harm(disk, snapshotFile(2));
    const next = openJournal(disk).journal;
    expect([next.snapshotSlot, next.needsCheckpoint]).toEqual([1, true]);
  });

  it("is asked for if the snapshot of the last one is gone, whatever is there in its place", () => {
    const { disk } = threeTens();
    disk.replace(snapshotFile(20), undefined);
    const { journal } = openJournal(disk);
    expect([journal.snapshotSlot, journal.needsCheckpoint]).toEqual([10, true]);
    // A power loss takes the checkpoint, and leaves a snapshot before the one that is gone.
    journal.writeSnapshot(snapshotAt(15));
    settle(journal, disk);
    const next = openJournal(disk).journal;
    expect([next.snapshotSlot, next.needsCheckpoint]).toEqual([15, true]);
    next.appendCheckpoint(record(15));
    settle(next, disk);
    expect(openJournal(disk).journal.needsCheckpoint).toBe(false);
  });

  it("may be longer than all that may wait to be written, with more behind it", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk, { backlogBytesMax: 128 * 1024 });
    journal.appendCheckpoint(record(0, "x".repeat(300_000)));
    journal.append([record(1)]);
    settle(journal, disk);
    expect(mustRecover(disk).records.map((found) => found.slot)).toEqual([0, 1]);
  });
});

describe("old segments", () => {
  it("go only when a durable checkpoint and two snapshots make them unnecessary", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    const fill = (from: number, to: number) => {
      for (let slot = from; slot <= to; slot += 1) {
        journal.append([record(slot, "x".repeat(9_000))]);
        settle(journal, disk);
      }
    };
    const firstLife = () => mustRecover(disk.copy()).journal.segments[0]?.life;
    fill(1, 20);
    take(journal, disk, 20);
    fill(21, 40);
    expect(journal.writeSnapshot(snapshotAt(40))).toBe(true);
    settle(journal, disk);
    // Now the first snapshot is the fall-back, and its checkpoint is in the middle.
    const life = mustRecover(disk.copy()).journal.checkpoints[0]?.life;
    expect(life).toBeGreaterThan(2);
    expect(firstLife()).toBe(life);
    journal.appendCheckpoint(record(40, "checkpoint"));
    settle(journal, disk);
    expect(firstLife()).toBe(life);
    expect(() => journal.dropThrough(41)).toThrow("durable snapshot");
    journal.dropThrough(40);
    settle(journal, disk);
    expect(firstLife()).toBeGreaterThan(life ?? 0);
    expect(mustRecover(disk).records.map((found) => found.slot)).toEqual([40]);
  });

  it("come back zeroed under a new life, so that old records are never taken for new", () => {
    const { disk, journal } = threeTens();
    let slot = 30;
    for (let round = 0; round < 8; round += 1) {
      for (let i = 0; i < 10; i += 1) {
        slot += 1;
        journal.append([record(slot, "y".repeat(9_000))]);
        settle(journal, disk);
      }
      take(journal, disk, slot);
    }
    const { journal: state, records } = mustRecover(disk);
    const lives = state.segments.map((segment) => segment.life);
    const ids = state.segments.map((segment) => segment.id);
    expect(Math.min(...lives)).toBeGreaterThan(Math.max(...ids));
    expect(records.map((found) => found.slot)).toEqual([slot]);
  });
});
