/**
 * The failure matrix (reliability §5 rule 20) for one replica: each class of record, and each other
 * file, against each kind of damage, with the outcome that is documented here by being asserted.
 * "cut": the record is gone without a word. That is right only for a last write that nobody was told
 * of; the disk alone cannot tell such a write from one that was acknowledged and then rotted to
 * zeros (PAR). For promises the witness can; for the others `confirm` narrows it to the time between
 * a write and the next one, or the next idle moment.
 */

import { EMPTY_BYTES, Rng } from "@cubby/base";
import { describe, expect, it } from "vitest";
import { encodeIdentity } from "./identity.ts";
import {
  formattedDisk,
  IDENTITY,
  mustRecover,
  openJournal,
  record,
  recoverFrom,
  SMALL,
  settle,
} from "./journal.test-support.ts";
import type { Journal } from "./journal.ts";
import { describeDamage } from "./journal-damage.ts";
import { recover } from "./journal-recovery.ts";
import { encodeWitness } from "./journal-witness.ts";
import { encodeSegmentHeader, segmentFile } from "./segment-header.ts";
import { driveFor, type SimDisk } from "./simulated-disk.ts";

const PAGE = 4096;
const SEGMENT = "segment-00000001";
const BALLOT = { round: 1, priority: 0, replica: 3 };

type RecordClass = "plain" | "vital" | "checkpoint" | "restores" | "long";
type Harm = "bitFlip" | "garbage" | "zero" | "torn" | "duplicate" | "stale";
type Where = "middle" | "last" | "confirmed";

type Scene = { disk: SimDisk; from: number; to: number };

/** Two plain records, the one in question, and, unless it is to be the last, another one. */
function scene(recordClass: RecordClass, where: Where): Scene {
  const disk = formattedDisk();
  const { journal } = openJournal(disk);
  for (const slot of [1, 2]) {
    journal.append([record(slot)]);
    settle(journal, disk);
  }
  if (recordClass === "checkpoint" || recordClass === "restores") snapshot(journal, disk, 2);
  if (recordClass === "restores") {
    journal.appendCheckpoint(record(2, "checkpoint"));
    settle(journal, disk);
  }
  const before = disk.content(SEGMENT).slice();
  appendOf(recordClass, journal, disk);
  settle(journal, disk);
  const pages = changedPages(before, disk.content(SEGMENT));
  if (where === "middle") {
    journal.append([record(4)]);
    settle(journal, disk);
  }
  if (where === "confirmed") {
    journal.confirm();
    settle(journal, disk);
  }
  return { disk, from: (pages[0] ?? 0) * PAGE, to: ((pages.at(-1) ?? 0) + 1) * PAGE };
}

function appendOf(recordClass: RecordClass, journal: Journal, disk: SimDisk): void {
  switch (recordClass) {
    case "plain":
      journal.append([record(3)]);
      return;
    case "vital":
      journal.append([{ ...record(3), vital: true }]);
      return;
    case "long":
      journal.append([record(3, "x".repeat(40_000))]);
      return;
    case "checkpoint":
      journal.appendCheckpoint(record(2, "checkpoint"));
      return;
    case "restores":
      journal.writeSnapshot({
        slot: 9,
        ballot: BALLOT,
        configuration: EMPTY_BYTES,
        state: EMPTY_BYTES,
      });
      journal.append([{ ...record(9), afterSnapshot: 9 }]);
      settle(journal, disk);
      return;
  }
}

function snapshot(journal: Journal, disk: SimDisk, slot: number): void {
  const state = new Uint8Array(5_000).fill(slot);
  journal.writeSnapshot({ slot, ballot: BALLOT, configuration: Uint8Array.of(1, 2), state });
  settle(journal, disk);
}

function changedPages(before: Uint8Array, after: Uint8Array): number[] {
  const pages: number[] = [];
  for (let at = 0; at < after.length; at += PAGE) {
    const isSame = after.subarray(at, at + PAGE).every((byte, i) => byte === before[at + i]);
    if (!isSame) pages.push(at / PAGE);
  }
  return pages;
}

function harm({ disk, from, to }: Scene, how: Harm): void {
  const bytes = disk.content(SEGMENT);
  switch (how) {
    case "bitFlip":
      bytes[from + 90] = (bytes[from + 90] ?? 0) ^ 4;
      return;
    case "garbage":
      // One sector of several, and not the first.
      bytes.fill(0xa5, from + 512, from + 1_024);
      return;
    case "zero":
      bytes.fill(0, from, to);
      return;
    case "torn":
      // The second half never reached the disk; for a long record that cuts a write in two.
      bytes.fill(0, from + Math.floor((to - from) / 2) + 512, to);
      if (to - from === PAGE) bytes.fill(0, from + 512, to);
      return;
    case "duplicate":
      // A misdirected write: the record before lands where this one was.
      bytes.copyWithin(from, from - PAGE, from);
      return;
    case "stale": {
      // What the place held in another life of the segment: a page of a journal like this one.
      const other = formattedDisk();
      const { journal } = openJournal(other);
      for (let slot = 1; slot < from / PAGE + 1; slot += 1) {
        journal.append([record(slot)]);
        settle(journal, other);
      }
      const old = other.content(SEGMENT).slice(from, from + PAGE);
      old[0] = (old[0] ?? 0) ^ 0x10;
      bytes.set(old, from);
      return;
    }
  }
}

function lastSectorOf(bytes: Uint8Array): number {
  const last = bytes.findLastIndex((byte) => byte !== 0);
  return last - (last % 512);
}

/** "whole", "cut", or the kinds of damage. */
function outcome(disk: SimDisk, recordClass: RecordClass): string {
  const sequence = recordClass === "restores" ? 4 : 3;
  const result = recoverFrom(disk);
  if (result.kind === "damaged") return result.damages.map((damage) => damage.kind).join(" ");
  if (result.kind !== "recovered") return result.kind;
  return result.journal.sequence >= sequence ? "whole" : "cut";
}

const MATRIX: readonly (readonly [Harm, Where, Record<RecordClass, string>])[] = [
  ["bitFlip", "middle", every("recordPayload")],
  ["bitFlip", "last", every("recordPayload")],
  ["bitFlip", "confirmed", every("recordPayload")],
  ["garbage", "middle", every("sectorAlien")],
  ["garbage", "last", every("sectorAlien")],
  ["garbage", "confirmed", every("sectorAlien")],
  ["zero", "middle", every("sectorMissing")],
  ["zero", "last", { ...every("cut"), vital: "lostVital" }],
  ["zero", "confirmed", every("sectorMissing")],
  ["torn", "middle", every("sectorMissing")],
  ["torn", "last", { ...every("cut"), vital: "lostVital" }],
  ["torn", "confirmed", every("sectorMissing")],
  ["duplicate", "middle", every("sectorAlien")],
  ["duplicate", "last", every("sectorAlien")],
  ["duplicate", "confirmed", every("sectorAlien")],
  ["stale", "middle", every("sectorAlien")],
  ["stale", "last", every("sectorAlien")],
  ["stale", "confirmed", every("sectorAlien")],
];

function every(kind: string): Record<RecordClass, string> {
  return { plain: kind, vital: kind, checkpoint: kind, restores: kind, long: kind };
}

describe("a record that is harmed", () => {
  for (const [how, where, expected] of MATRIX) {
    for (const recordClass of ["plain", "vital", "checkpoint", "restores", "long"] as const) {
      it(`${recordClass}, ${where}, ${how}: ${expected[recordClass]}`, () => {
        const made = scene(recordClass, where);
        expect(outcome(made.disk.copy(), recordClass)).toBe("whole");
        harm(made, how);
        expect(outcome(made.disk, recordClass)).toBe(expected[recordClass]);
      });
    }
  }
});

describe("damage", () => {
  it("is named with its file, place and slot", () => {
    const made = scene("plain", "middle");
    harm(made, "bitFlip");
    const result = recoverFrom(made.disk);
    expect(result).toEqual({
      kind: "damaged",
      damages: [
        {
          kind: "recordPayload",
          file: SEGMENT,
          offset: made.from + 8,
          slot: 3,
          isTail: false,
          detail: "life 1",
        },
      ],
    });
    if (result.kind !== "damaged") return;
    expect(result.damages.map(describeDamage)).toEqual([
      `${SEGMENT} at byte ${made.from + 8}, slot 3: a record's content is damaged (life 1)`,
    ]);
  });

  it("is found for every single bit of the journal that flips", () => {
    const { disk, to } = scene("vital", "middle");
    for (let at = 0; at < to + PAGE; at += 1) {
      // Of the zeros behind the records, which begin with their page, a sample is enough.
      const isSampled = at % PAGE > 128 && at % 32 !== 0;
      if (isSampled && disk.content(SEGMENT)[at] === 0) continue;
      const copy = disk.copy();
      const bytes = copy.content(SEGMENT);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
      expect([at, recoverFrom(copy).kind]).toEqual([at, "damaged"]);
    }
  });

  it.each([
    ["a bit", (bytes: Uint8Array) => bytes.set([(bytes[PAGE + 100] ?? 0) ^ 1], PAGE + 100)],
    ["the end", (bytes: Uint8Array) => bytes.fill(0, lastSectorOf(bytes))],
  ])("in what a durable checkpoint replaces is only noted: %s", (_, harmOld) => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    journal.append([record(1), record(2)]);
    settle(journal, disk);
    snapshot(journal, disk, 2);
    journal.appendCheckpoint(record(2, "checkpoint"));
    settle(journal, disk);
    // In the same segment what follows damage is not looked at, so a checkpoint in another is needed.
    for (let slot = 3; slot < 30; slot += 1) journal.append([record(slot, "x".repeat(5_000))]);
    settle(journal, disk);
    snapshot(journal, disk, 29);
    journal.appendCheckpoint(record(29, "checkpoint"));
    settle(journal, disk);
    journal.append([record(30), record(31)]);
    settle(journal, disk);
    harmOld(disk.content(SEGMENT));
    // Nor does the first recovery take anything from the second.
    for (let start = 0; start < 2; start += 1) {
      const { records, notes } = mustRecover(disk);
      expect(records.map((found) => found.slot)).toEqual([29, 30, 31]);
      expect(notes.map((note) => note.kind)).toEqual(["oldDamage"]);
    }
  });

  it("is noted where the header of a segment is lost that only an older snapshot needs", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    for (let slot = 1; slot < 40; slot += 1) {
      journal.append([record(slot, "x".repeat(5_000))]);
      settle(journal, disk);
      if (slot % 13 > 0) continue;
      snapshot(journal, disk, slot);
      journal.appendCheckpoint(record(slot, "checkpoint"));
      settle(journal, disk);
    }
    const [oldest] = mustRecover(disk.copy()).journal.segments;
    const file = segmentFile(oldest?.id ?? 0);
    const bytes = disk.content(file);
    bytes[20] = (bytes[20] ?? 0) ^ 1;
    expect(mustRecover(disk).notes).toEqual([{ kind: "headerUnreadable", file }]);
  });

  it("is what a sector that cannot be read is", () => {
    const { disk } = scene("plain", "middle");
    disk.failWith((request) =>
      request.kind === "read" && request.file === SEGMENT && request.sizeBytes > PAGE
        ? { code: "EIO", message: "bad sector" }
        : undefined,
    );
    const result = recoverFrom(disk);
    expect(result.kind === "damaged" && result.damages[0]?.kind).toBe("unreadable");
  });
});

describe("a segment that is harmed", () => {
  function long(): SimDisk {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    for (let slot = 1; slot <= 60; slot += 1) {
      journal.append([record(slot, "x".repeat(3_000))]);
      settle(journal, disk);
    }
    return disk;
  }

  it("is missed, whether it is the first, one between, the last written or the prepared one", () => {
    const segments = long()
      .names()
      .filter((name) => name.startsWith("segment-"));
    expect(segments.length).toBeGreaterThan(3);
    for (const name of segments) {
      for (const wipe of ["remove", "zeroHeader", "flipHeader", "truncate"] as const) {
        const disk = long();
        const bytes = disk.content(name);
        if (wipe === "remove") disk.replace(name, undefined);
        if (wipe === "zeroHeader") bytes.fill(0, 0, PAGE);
        if (wipe === "flipHeader") bytes[30] = (bytes[30] ?? 0) ^ 1;
        if (wipe === "truncate") disk.replace(name, bytes.slice(0, bytes.length - PAGE));
        const result = recoverFrom(disk);
        const kinds = result.kind === "damaged" ? result.damages.map((d) => d.kind) : [];
        const expected = wipe === "truncate" ? "segmentShort" : "segmentMissing";
        const isNamed = kinds.includes(expected) || kinds.includes("unreachable");
        expect([name, wipe, isNamed]).toEqual([name, wipe, true]);
      }
    }
  });

  it("is named beside the one before it, if one lost its end or the other has rotted unused", () => {
    const { disk, to } = scene("plain", "last");
    disk.content(SEGMENT).fill(0, to - 512, to);
    const unused = disk.content("segment-00000002");
    unused[3 * PAGE + 100] = 1;
    const result = recoverFrom(disk);
    const files = result.kind === "damaged" ? result.damages.map(({ file }) => file) : [];
    expect(files).toEqual([SEGMENT, "segment-00000002"]);
  });

  it("is missed if an older state of it is put back", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    journal.append([record(1)]);
    settle(journal, disk);
    const old = disk.content(SEGMENT).slice();
    for (let slot = 2; slot <= 60; slot += 1) journal.append([record(slot, "x".repeat(3_000))]);
    settle(journal, disk);
    disk.replace(SEGMENT, old);
    const result = recoverFrom(disk);
    expect(result.kind === "damaged" && result.damages[0]?.kind).toBe("recordChain");
  });

  it("is missed if it comes from another history of the same directory", () => {
    // As many records of the same sizes, so that only the links between them tell.
    const first = formattedDisk();
    const { journal } = openJournal(first);
    journal.append([record(1)]);
    settle(journal, first);
    const second = first.copy();
    for (const [disk, letter] of [
      [first, "x"],
      [second, "y"],
    ] as const) {
      const run = openJournal(disk);
      for (let slot = 2; slot <= 40; slot += 1) {
        run.journal.append([record(slot, letter.repeat(3_000))]);
        settle(run.journal, disk);
      }
    }
    first.replace("segment-00000002", second.content("segment-00000002").slice());
    const result = recoverFrom(first);
    expect(result.kind === "damaged" && result.damages[0]?.kind).toBe("recordChain");
  });

  it("is missed though its process stopped before the witness had heard of it", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    const file = "segment-00000002";
    const hasHeader = () => disk.names().includes(file) && (disk.content(file)[0] ?? 0) > 0;
    while (!hasHeader()) {
      disk.submit(journal.takeRequests());
      journal.onCompletion(disk.complete());
    }
    const untold = disk.copy();
    untold.replace(file, undefined);
    expect(recoverFrom(untold).kind).toBe("recovered");
    // Now a recovery has seen it, and records may be in it.
    const told = disk.copy();
    expect(mustRecover(told).journal.witness.life).toBe(2);
    told.replace(file, undefined);
    const result = recoverFrom(told);
    expect(result.kind === "damaged" && result.damages[0]?.kind).toBe("segmentMissing");
  });

  it("is missed if a witness was written over its header", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    settle(journal, disk);
    disk.content("segment-00000002").set(disk.content("witness-a"));
    const result = recoverFrom(disk);
    expect(result.kind === "damaged" && result.damages[0]?.kind).toBe("segmentMissing");
  });

  it("is missed if one of another directory lies in its place", () => {
    for (const more of [{ cellId: "01".repeat(16) }, { incarnation: "01".repeat(16) }]) {
      const disk = formattedDisk();
      const header = { id: 1, life: 1, sizeBytes: SMALL.segmentBytes };
      disk.content(SEGMENT).set(encodeSegmentHeader(header, { ...IDENTITY, ...more }));
      const result = recoverFrom(disk);
      expect(result.kind === "damaged" && result.damages[0]?.kind).toBe("segmentMissing");
    }
  });

  it("is not taken for another one under whose name a copy of it lies", () => {
    const disk = long();
    const file = "segment-00000099";
    disk.replace(file, disk.content("segment-00000002").slice());
    expect(mustRecover(disk).notes).toEqual([{ kind: "headerUnreadable", file }]);
    expect(disk.names()).not.toContain(file);
  });

  it("is known by the number in its name", () => {
    const disk = long();
    disk.replace("segment-00000002", disk.content("segment-00000003").slice());
    const result = recoverFrom(disk);
    expect(
      result.kind === "damaged" && result.damages.some((d) => d.kind === "segmentMissing"),
    ).toBe(true);
  });
});

describe("identity and witness", () => {
  const harms: Record<string, (disk: SimDisk, file: string) => void> = {
    remove: (disk, file) => disk.replace(file, undefined),
    zero: (disk, file) => void disk.content(file).fill(0),
    flip: (disk, file) => {
      const bytes = disk.content(file);
      bytes[20] = (bytes[20] ?? 0) ^ 1;
    },
    truncate: (disk, file) => disk.replace(file, disk.content(file).slice(0, 100)),
    // Created, and never written.
    empty: (disk, file) => disk.replace(file, EMPTY_BYTES),
  };

  for (const [name, apply] of Object.entries(harms)) {
    for (const kind of ["identity", "witness"]) {
      it(`${kind}, one copy, ${name}: is written again from the other`, () => {
        for (const copy of ["a", "b"]) {
          const { disk } = scene("vital", "middle");
          const file = `${kind}-${copy}`;
          const good = disk.content(file).slice();
          apply(disk, file);
          const result = recoverFrom(disk);
          expect(result.kind === "recovered" && result.notes).toEqual([
            { kind: "copyRepaired", file },
          ]);
          if (kind === "identity") expect(disk.content(file)).toEqual(good);
          const again = recoverFrom(disk);
          expect(again.kind === "recovered" && again.notes).toEqual([]);
        }
      });
    }

    it(`witness, both copies, ${name}: amnesia`, () => {
      const { disk } = scene("vital", "middle");
      for (const copy of ["a", "b"]) apply(disk, `witness-${copy}`);
      const result = recoverFrom(disk);
      expect(result.kind === "damaged" && result.damages[0]?.kind).toBe("amnesia");
    });

    it(`identity, both copies, ${name}: does not start`, () => {
      const { disk } = scene("vital", "middle");
      for (const copy of ["a", "b"]) apply(disk, `identity-${copy}`);
      const isGone = ["remove", "zero", "empty"].includes(name);
      expect(recoverFrom(disk).kind).toBe(isGone ? "partlyFormatted" : "damaged");
    });
  }

  it("identity, two copies that differ: does not start", () => {
    for (const more of [{ replica: 2 }, { cellName: "other" }, { incarnation: "01".repeat(16) }]) {
      const disk = formattedDisk();
      disk.replace("identity-b", encodeIdentity({ ...IDENTITY, ...more }));
      const result = recoverFrom(disk);
      expect(result.kind === "damaged" && result.damages.map(describeDamage)).toEqual([
        expect.stringContaining("the copies differ"),
      ]);
    }
  });

  it("witness, one copy of another directory: is written again from the other", () => {
    for (const more of [{ cellId: "01".repeat(16) }, { incarnation: "01".repeat(16) }]) {
      const { disk } = scene("vital", "middle");
      const foreign = encodeWitness(
        { version: 99, life: 9, vital: undefined },
        { ...IDENTITY, ...more },
      );
      disk.replace("witness-a", foreign.slice());
      expect(mustRecover(disk).notes).toEqual([{ kind: "copyRepaired", file: "witness-a" }]);
      for (const copy of ["a", "b"]) disk.replace(`witness-${copy}`, foreign.slice());
      const result = recoverFrom(disk);
      expect(result.kind === "damaged" && result.damages[0]?.kind).toBe("amnesia");
    }
  });

  it("the good copy of the witness stays until the bad one is written again", () => {
    const whole = scene("vital", "middle").disk;
    for (const bad of ["a", "b"]) {
      for (let n = 0; n < 120; n += 1) {
        const requests = n % 40;
        const disk = whole.copy();
        if (n < 40) disk.content(`witness-${bad}`).fill(7);
        else disk.replace(`witness-${bad}`, undefined);
        driveFor(disk, recover({ expected: {} }), requests);
        const rng = new Rng(`witness ${bad} ${n}`);
        const after = disk.crash(rng, { outcomes: ["old", "torn", "garbage"] });
        const result = recoverFrom(after);
        const kinds = result.kind === "damaged" ? result.damages.map((d) => d.kind) : [];
        expect([bad, n, kinds.includes("amnesia")]).toEqual([bad, n, false]);
      }
    }
  });

  it("an older copy of the witness does not hold against the newer one", () => {
    const disk = formattedDisk();
    const old = disk.content("witness-a").slice();
    const { journal } = openJournal(disk);
    journal.append([{ ...record(1), vital: true }]);
    settle(journal, disk);
    disk.content("witness-a").set(old);
    const bytes = disk.content(SEGMENT);
    bytes.fill(0, PAGE, 2 * PAGE);
    const result = recoverFrom(disk);
    expect(result.kind === "damaged" && result.damages[0]?.kind).toBe("lostVital");
  });

  it("the witness is told of a newer promise that it had not heard of when the process stopped", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    journal.append([{ ...record(1), vital: true }]);
    settle(journal, disk);
    journal.append([{ ...record(2), vital: true }]);
    disk.submit(journal.takeRequests());
    journal.onCompletion(disk.complete());
    expect(mustRecover(disk).journal.witness.vital?.sequence).toBe(2);
  });

  it("the promise that the witness saw is not another one of the same number", () => {
    const [disk, other] = [formattedDisk(), formattedDisk()];
    for (const [each, text] of [
      [disk, "one"],
      [other, "two"],
    ] as const) {
      const { journal } = openJournal(each);
      journal.append([{ ...record(1, text), vital: true }]);
      settle(journal, each);
    }
    disk.replace(SEGMENT, other.content(SEGMENT).slice());
    const result = recoverFrom(disk);
    expect(result.kind === "damaged" && result.damages[0]?.kind).toBe("lostVital");
  });

  it("the witness keeps its promise when other records follow", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    for (const vital of [true, false]) {
      journal.append([{ ...record(1), vital }]);
      settle(journal, disk);
    }
    disk.content(SEGMENT).fill(0, PAGE);
    const result = recoverFrom(disk);
    expect(result.kind === "damaged" && result.damages[0]?.kind).toBe("lostVital");
  });
});
