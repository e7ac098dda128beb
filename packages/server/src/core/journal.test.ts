import { describe, expect, it } from "vitest";
import {
  formattedDisk,
  mustRecover,
  openJournal,
  record,
  SMALL,
  settle,
  textOf,
} from "./journal.test-support.ts";
import { RECORD_HEADER_BYTES } from "./journal-record.ts";
import { recover } from "./journal-recovery.ts";
import { PAGE_BYTES, PAGE_DATA_BYTES } from "./segment-sector.ts";

describe("the journal", () => {
  it("gives back in order what it reported persisted", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    expect(journal.append([record(1), record(2)])).toBe(2);
    expect(journal.persistedThrough).toBe(0);
    settle(journal, disk);
    expect(journal.persistedThrough).toBe(2);

    const { records } = mustRecover(disk);
    expect(records.map((r) => [r.slot, r.type, textOf(r.payload), r.sequence])).toEqual([
      [1, 7, "command 1", 1],
      [2, 7, "command 2", 2],
    ]);
  });

  it("gives back numbers of any size, and all of a ballot", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    const ballot = { round: 2 ** 40 + 3, priority: 7, replica: 2 };
    const slots = [2 ** 32 + 1, 2 ** 52 + 5];
    journal.append(slots.map((slot) => ({ ...record(slot), ballot })));
    settle(journal, disk);
    const { records } = mustRecover(disk);
    expect(records.map((found) => [found.slot, found.ballot])).toEqual(
      slots.map((slot) => [slot, ballot]),
    );
  });

  it("puts all that gathers during a write into the next one", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    settle(journal, disk);
    const before = journal.status().writes;
    journal.append([record(1)]);
    disk.submit(journal.takeRequests());
    for (let slot = 2; slot <= 30; slot += 1) journal.append([record(slot)]);
    expect(journal.takeRequests()).toEqual([]);
    settle(journal, disk);
    expect(journal.status().writes - before).toBe(2);
    expect(journal.persistedThrough).toBe(30);
  });

  it("goes on where the run before ended", () => {
    const disk = formattedDisk();
    for (let run = 1; run <= 3; run += 1) {
      const { journal } = openJournal(disk);
      expect(journal.append([record(run)])).toBe(1);
      settle(journal, disk);
    }
    expect(mustRecover(disk).records.map((r) => r.sequence)).toEqual([1, 2, 3]);
  });

  it("fills segment after segment without ever writing behind the end of one", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    for (let slot = 1; slot <= 300; slot += 1) {
      journal.append([record(slot, "x".repeat(1_000))]);
      settle(journal, disk);
    }
    expect(journal.status().segments).toBeGreaterThan(5);
    expect(mustRecover(disk).records.map((r) => r.slot)).toEqual(
      Array.from({ length: 300 }, (_, i) => i + 1),
    );
  });

  it("takes a record longer than a write, and one longer than a segment", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    const texts = ["a".repeat(40_000), "b", "c".repeat(300_000), "d"];
    texts.forEach((text, i) => {
      journal.append([record(i + 1, text)]);
    });
    settle(journal, disk);
    expect(journal.persistedThrough).toBe(4);
    expect(mustRecover(disk).records.map((r) => textOf(r.payload))).toEqual(texts);
  });

  it("takes records that fill a write to its last byte, with content or without", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    settle(journal, disk);
    const { writes } = journal.status();
    const dataBytes = (SMALL.writeBytesMax / PAGE_BYTES) * PAGE_DATA_BYTES;
    const texts = ["a".repeat(dataBytes - 2 * RECORD_HEADER_BYTES), ""];
    journal.append(texts.map((text, i) => record(i + 1, text)));
    settle(journal, disk);
    expect(journal.status().writes).toBe(writes + 1);
    expect(mustRecover(disk).records.map((r) => textOf(r.payload))).toEqual(texts);
  });

  it("makes a promise durable that comes while the witness is told of a new segment", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    disk.submit(journal.takeRequests());
    while (!disk.waiting.some((request) => "file" in request && request.file === "witness-a")) {
      journal.onCompletion(disk.complete());
      disk.submit(journal.takeRequests());
    }
    journal.append([{ ...record(1), vital: true }]);
    disk.submit(journal.takeRequests());
    journal.onCompletion(disk.complete(disk.waiting.length - 1));
    expect(journal.persistedThrough).toBe(0);
    settle(journal, disk);
    expect(journal.persistedThrough).toBe(1);
  });

  it("says how far it is, and holds no more than a few segments ready", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    journal.append([record(1)]);
    expect(journal.backlogBytes).toBeGreaterThan(0);
    settle(journal, disk);
    expect(journal.status()).toEqual({
      persistedThrough: 1,
      backlogBytes: 0,
      segments: 2,
      segmentBytes: 2 * SMALL.segmentBytes,
      snapshotSlot: 0,
      bytesSinceCheckpoint: expect.any(Number),
      writes: 1,
      writtenBytes: 4096,
    });
  });

  it("waits for the next segment rather than write where zeros are not yet", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    // The next segment is never prepared, because nothing of it completes.
    let slot = 0;
    const turn = () => {
      disk.submit(journal.takeRequests());
      const own = disk.waiting.findIndex((r) => r.kind === "write" && r.file.endsWith("1"));
      if (own >= 0) journal.onCompletion(disk.complete(own));
    };
    for (; slot < 40; slot += 1) {
      journal.append([record(slot + 1, "x".repeat(3_000))]);
      turn();
    }
    const stuckAt = journal.persistedThrough;
    expect(stuckAt).toBeLessThan(20);
    turn();
    expect(journal.persistedThrough).toBe(stuckAt);
    settle(journal, disk);
    expect(journal.persistedThrough).toBe(40);
  });
});

describe("a write that was torn", () => {
  it("is zeroed, durably, before anything is written behind what was before it", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    journal.append([record(1)]);
    settle(journal, disk);
    journal.append([record(2, "y".repeat(9_000))]);
    disk.submit(journal.takeRequests());
    const [write] = disk.waiting;
    if (write?.kind !== "write") throw new Error("a write is under way");
    // Its later sectors came first.
    const bytes = disk.content(write.file);
    bytes.set(write.bytes.subarray(4_096, 7_000), write.offset + 4_096);
    const end = write.offset + write.bytes.length;

    const after = disk.copy();
    const { records, notes } = mustRecover(after);
    expect(records.map((found) => found.slot)).toEqual([1]);
    expect(notes).toEqual([
      { kind: "tailCut", file: write.file, offset: write.offset, bytes: 8_192 },
    ]);
    expect(
      after
        .content(write.file)
        .subarray(write.offset, end)
        .every((b) => b === 0),
    ).toBe(true);

    const again = openJournal(after);
    again.journal.append([record(3)]);
    settle(again.journal, after);
    expect(mustRecover(after).records.map((found) => found.slot)).toEqual([1, 3]);
  });

  it("takes with it all of a long record whose writes were not all made", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    settle(journal, disk);
    journal.append([record(1), record(2, "z".repeat(40_000)), record(3)]);
    for (let writes = 0; writes < 3; writes += 1) {
      disk.submit(journal.takeRequests());
      journal.onCompletion(disk.complete());
    }
    expect(journal.persistedThrough).toBe(1);
    const { records, notes } = mustRecover(disk);
    expect(records.map((found) => found.slot)).toEqual([1]);
    expect(notes.map((note) => note.kind)).toEqual(["tailCut"]);
  });

  it("is followed, after recovery, by a durable copy of the last whole one", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    journal.append([record(1)]);
    settle(journal, disk);
    const rewritten: number[] = [];
    const task = recover({ expected: {} });
    let step = task.next([]);
    while (!step.done) {
      for (const request of step.value) {
        if (request.kind === "write" && request.file === "segment-00000001") {
          rewritten.push(request.offset);
        }
      }
      disk.submit(step.value);
      step = task.next(step.value.map(() => disk.complete()));
    }
    // After its header, so that the file is synced before anything else is written to it, and the zeroes
    // that follow.
    expect(rewritten).toEqual([0, 8_192, 4_096]);
  });
});
