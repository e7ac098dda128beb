import { EMPTY_BYTES } from "@cubby/base";
import { describe, expect, it } from "vitest";
import type { DiskRequest } from "./disk.ts";
import { formattedDisk, mustRecover, openJournal, record, settle } from "./journal.test-support.ts";
import type { Journal } from "./journal.ts";
import { recover } from "./journal-recovery.ts";
import { drive, type SimDisk } from "./simulated-disk.ts";

const NO_SPACE = { code: "ENOSPC", message: "no space left on device" };
const BALLOT = { round: 1, priority: 0, replica: 3 };

function failWhere(disk: SimDisk, matches: (request: DiskRequest) => boolean, code: string): void {
  disk.failWith((request) =>
    matches(request) ? { code, message: "as the test says" } : undefined,
  );
}

function isWriteTo(prefix: string): (request: DiskRequest) => boolean {
  return (request) => request.kind === "write" && request.file.startsWith(prefix);
}

function prepared(): { disk: SimDisk; journal: Journal } {
  const disk = formattedDisk();
  const { journal } = openJournal(disk);
  settle(journal, disk);
  return { disk, journal };
}

describe("an operation that fails", () => {
  for (const code of ["EIO", "ENOSPC", "ESHORT", "EROFS"]) {
    it(`with ${code} ends the journal: nothing is retried, and nothing more is durable`, () => {
      const { disk, journal } = prepared();
      journal.append([record(1)]);
      settle(journal, disk);
      failWhere(disk, isWriteTo("segment-00000001"), code);
      journal.append([record(2)]);
      settle(journal, disk);
      expect(journal.fatal).toEqual({
        operation: "write",
        file: "segment-00000001",
        error: { code, message: "as the test says" },
      });
      disk.failWith(undefined);
      journal.append([record(3)]);
      expect(journal.takeRequests()).toEqual([]);
      expect(journal.persistedThrough).toBe(1);
      expect(mustRecover(disk).records.map((found) => found.slot)).toEqual([1]);
    });
  }

  it("beside the commit path ends it too: preparing a segment", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    disk.failWith((request) => (request.kind === "create" ? NO_SPACE : undefined));
    journal.append([record(1)]);
    settle(journal, disk);
    expect(journal.fatal).toEqual({
      operation: "create",
      file: "segment-00000002",
      error: NO_SPACE,
    });
  });

  it("beside the commit path ends it too: the witness", () => {
    const { disk, journal } = prepared();
    failWhere(disk, isWriteTo("witness-b"), "EIO");
    journal.append([{ ...record(1), vital: true }]);
    settle(journal, disk);
    expect(journal.fatal?.file).toBe("witness-b");
    expect(journal.persistedThrough).toBe(0);
  });

  for (const kind of ["create", "write", "read", "rename", "syncDirectory"] as const) {
    it(`beside the commit path ends it too: a snapshot's ${kind}`, () => {
      const { disk, journal } = prepared();
      failWhere(disk, (request) => request.kind === kind, "EIO");
      const state = new Uint8Array(1_000);
      journal.writeSnapshot({ slot: 4, ballot: BALLOT, configuration: EMPTY_BYTES, state });
      settle(journal, disk);
      expect(journal.fatal?.operation).toBe(kind);
      expect(journal.snapshotSlot).toBe(0);
    });
  }

  it("during recovery is told as what it is", () => {
    const { disk, journal } = prepared();
    journal.append([record(1)]);
    settle(journal, disk);
    failWhere(disk, isWriteTo("segment-00000001"), "EROFS");
    expect(drive(disk, recover({ expected: {} }))).toEqual({
      kind: "failed",
      failed: {
        operation: "write",
        file: "segment-00000001",
        error: { code: "EROFS", message: "as the test says" },
      },
    });
  });

  it("of a promise's witness leaves the promise unreported though its record is durable", () => {
    const { disk, journal } = prepared();
    journal.append([{ ...record(1), vital: true }]);
    disk.submit(journal.takeRequests());
    journal.onCompletion(disk.complete());
    expect(journal.persistedThrough).toBe(0);
    // A process that starts now finds the promise, and makes its witness complete.
    const { records, journal: state } = mustRecover(disk.copy());
    expect(records.map((found) => found.slot)).toEqual([1]);
    expect(state.witness.vital?.sequence).toBe(1);
    settle(journal, disk);
    expect(journal.persistedThrough).toBe(1);
  });
});

describe("a host that does not hold back", () => {
  it("is stopped at the bound of the backlog", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk, { backlogBytesMax: 10_000 });
    const append = () => {
      for (let slot = 1; slot < 100; slot += 1) journal.append([record(slot, "x".repeat(500))]);
    };
    expect(append).toThrow("holds back");
  });
});
