import {
  closeSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { DiskCompletion, DiskOperation } from "./core/disk.ts";
import { IDENTITY, record, SMALL } from "./core/journal.test-support.ts";
import { Journal } from "./core/journal.ts";
import { format } from "./core/journal-format.ts";
import { recover } from "./core/journal-recovery.ts";
import { FileDisk } from "./file-disk.ts";
import { driveOnDirectory } from "./file-disk-drive.ts";

let directory = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cubby-disk-"));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

function perform(operations: readonly DiskOperation[]): Promise<DiskCompletion[]> {
  return new Promise((resolve) => {
    const completions: DiskCompletion[] = [];
    const disk = new FileDisk(directory, (completion) => {
      completions.push(completion);
      const request = operations[completions.length];
      if (request !== undefined) disk.submit([{ ...request, id: completions.length + 1 }]);
      else void disk.close().then(() => resolve(completions));
    });
    const [first] = operations;
    if (first !== undefined) disk.submit([{ ...first, id: 1 }]);
  });
}

/** Descriptors of files in the directory. */
function openFiles(): number[] {
  const prefix = join(realpathSync(directory), "/");
  return readdirSync("/proc/self/fd")
    .map(Number)
    .filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith(prefix);
      } catch {
        // The descriptor by which the list of descriptors was read is gone.
        return false;
      }
    });
}

async function runJournal(slots: readonly number[]): Promise<number> {
  const recovered = await driveOnDirectory(directory, recover({ expected: {} }));
  if (recovered.kind !== "recovered") throw new Error(recovered.kind);
  const journal = new Journal(SMALL, recovered.journal);
  return new Promise((resolve) => {
    const disk = new FileDisk(directory, (completion) => {
      journal.onCompletion(completion);
      disk.submit(journal.takeRequests());
      if (journal.persistedThrough < slots.length || disk.inFlight > 0) return;
      void disk.close().then(() => resolve(recovered.records.length));
    });
    journal.append(slots.map((slot) => record(slot, "x".repeat(500))));
    disk.submit(journal.takeRequests());
  });
}

describe("FileDisk", () => {
  it("reads back what it wrote, and stops at the end of the file", async () => {
    const bytes = Uint8Array.from([1, 2, 3, 4]);
    const completions = await perform([
      { kind: "create", file: "a" },
      { kind: "write", file: "a", offset: 2, bytes },
      { kind: "read", file: "a", offset: 1, sizeBytes: 100 },
      { kind: "rename", from: "a", to: "b" },
      { kind: "syncDirectory" },
      { kind: "size", file: "b" },
      { kind: "list" },
      { kind: "remove", file: "b" },
      { kind: "list" },
    ]);
    expect(completions).toEqual([
      { id: 1, ok: true },
      { id: 2, ok: true },
      { id: 3, ok: true, bytes: Uint8Array.from([0, 1, 2, 3, 4]) },
      { id: 4, ok: true },
      { id: 5, ok: true },
      { id: 6, ok: true, sizeBytes: 6 },
      { id: 7, ok: true, names: ["b"] },
      { id: 8, ok: true },
      { id: 9, ok: true, names: [] },
    ]);
  });

  it("reports what the system says of an operation that fails", async () => {
    const completions = await perform([
      { kind: "write", file: "none", offset: 0, bytes: new Uint8Array(1) },
      { kind: "read", file: "none", offset: 0, sizeBytes: 1 },
      { kind: "create", file: "a" },
      { kind: "create", file: "a" },
      { kind: "remove", file: "none" },
      { kind: "rename", from: "none", to: "a" },
    ]);
    expect(completions.map((c) => (c.ok ? "ok" : c.error.code))).toEqual([
      "ENOENT",
      "ENOENT",
      "ok",
      "EEXIST",
      "ENOENT",
      "ENOENT",
    ]);
  });

  it("reports a full disk, by the name that the system has for it", async () => {
    symlinkSync("/dev/full", join(directory, "full"));
    const bytes = new Uint8Array(4_096);
    const completions = await perform([{ kind: "write", file: "full", offset: 0, bytes }]);
    expect(completions.map((c) => (c.ok ? "ok" : c.error.code))).toEqual(["ENOSPC"]);
  });

  it("ends its close only when nothing is under way, and reports nothing after it", async () => {
    let reported = 0;
    const disk = new FileDisk(directory, () => {
      reported += 1;
    });
    disk.submit([{ id: 1, kind: "create", file: "a" }]);
    expect(disk.inFlight).toBe(1);
    await disk.close();
    expect([disk.inFlight, reported]).toEqual([0, 0]);
    expect(readdirSync(directory)).toEqual(["a"]);
  });

  it("ends its close though the system fails to close a file", async () => {
    const completed: DiskCompletion[] = [];
    const disk = new FileDisk(directory, (completion) => completed.push(completion));
    disk.submit([{ kind: "create", file: "a", id: 1 }]);
    await vi.waitUntil(() => completed.length === 1);
    const [fd] = openFiles();
    if (fd === undefined) throw new Error("the file is open");
    closeSync(fd);
    await disk.close();
  });

  it("keeps few files open, and those that it used last", async () => {
    let onCompletion = (_: DiskCompletion): void => undefined;
    const disk = new FileDisk(directory, (completion) => onCompletion(completion));
    const carryOut = (operation: DiskOperation) =>
      new Promise<DiskCompletion>((resolve) => {
        onCompletion = resolve;
        disk.submit([{ ...operation, id: 1 }]);
      });
    await carryOut({ kind: "create", file: "active" });
    const [active] = openFiles();
    const bytes = Uint8Array.of(7);
    for (let segment = 0; segment < 100; segment += 1) {
      await carryOut({ kind: "create", file: `${segment}` });
      await carryOut({ kind: "write", file: `${segment}`, offset: 0, bytes });
      await carryOut({ kind: "write", file: "active", offset: segment, bytes });
    }
    expect(openFiles()).toHaveLength(32);
    expect(openFiles()).toContain(active);
    expect(await carryOut({ kind: "read", file: "0", offset: 0, sizeBytes: 9 })).toEqual({
      id: 1,
      ok: true,
      bytes,
    });
    await disk.close();
    expect(openFiles()).toEqual([]);
  });

  it("carries a journal over several runs", async () => {
    await driveOnDirectory(
      directory,
      format({ identity: IDENTITY, segmentBytes: SMALL.segmentBytes }),
    );
    const slots = Array.from({ length: 200 }, (_, i) => i + 1);
    expect(await runJournal(slots)).toBe(0);
    expect(await runJournal(slots)).toBe(200);
    expect(await runJournal([1])).toBe(400);
    expect(statSync(join(directory, "segment-00000001")).size).toBe(SMALL.segmentBytes);
  });
});
