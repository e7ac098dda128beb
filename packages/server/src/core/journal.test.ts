import { describe, expect, it } from "vitest";
import {
  formattedDisk,
  mustRecover,
  openJournal,
  record,
  settle,
  textOf,
} from "./journal.test-support.ts";

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
});
