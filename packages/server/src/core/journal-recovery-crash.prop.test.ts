import { assert, Rng } from "@cubby/base";
import { describe, expect, it } from "vitest";
import type { DiskTask } from "./disk.ts";
import {
  formattedDisk,
  IDENTITY,
  openJournal,
  record,
  recoverFrom,
  SMALL,
  settle,
} from "./journal.test-support.ts";
import type { Journal } from "./journal.ts";
import { format } from "./journal-format.ts";
import { type RecoverResult, recover } from "./journal-recovery.ts";
import { driveFor, KILLED, SimDisk, STOPPED } from "./simulated-disk.ts";

/** Where a recovery here has read all and writes. */
const [REQUESTS_MIN, REQUESTS_MAX] = [8, 20];
const WRITES_MAX = 12;

/** A journal that holds one record, and then what the scene does to it. */
function afterRecord(harm: (disk: SimDisk, journal: Journal) => void) {
  return (rng: Rng): SimDisk => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    journal.append([record(1)]);
    settle(journal, disk);
    harm(disk, journal);
    return disk.crash(rng, rng.chance(0.5) ? KILLED : STOPPED);
  };
}

const SCENES: Readonly<Record<string, (rng: Rng) => SimDisk>> = {
  "a record of several writes that was cut short": afterRecord((disk, journal) => {
    journal.append([record(2, "x".repeat(40_000))]);
    for (let write = 0; write < 2; write += 1) {
      disk.submit(journal.takeRequests());
      journal.onCompletion(disk.complete());
    }
    disk.submit(journal.takeRequests());
  }),
  "the very first write, cut short": (rng) => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    journal.append([record(1, "x".repeat(15_000))]);
    disk.submit(journal.takeRequests());
    return disk.crash(rng, STOPPED);
  },
  "the first write of a next segment, cut short": afterRecord((disk, journal) => {
    for (let slot = 2; slot < 5; slot += 1) journal.append([record(slot, "x".repeat(15_000))]);
    settle(journal, disk);
    journal.append([record(5, "x".repeat(15_500))]);
    disk.submit(journal.takeRequests());
  }),
  "a promise of which one witness could not be synced": afterRecord((disk, journal) => {
    disk.failWith((request) =>
      request.kind === "write" && request.file === "witness-b"
        ? { code: "EIO", message: "as the test says", cachedBytes: 4_096 }
        : undefined,
    );
    journal.append([{ ...record(2), vital: true }]);
    settle(journal, disk);
    disk.failWith(undefined);
  }),
  "a segment that is being prepared": afterRecord((disk, journal) => {
    for (let slot = 2; slot < 30; slot += 1) journal.append([record(slot, "x".repeat(3_000))]);
    for (let step = 0; step < 16 && disk.waiting.length === 0; step += 1) {
      disk.submit(journal.takeRequests());
      while (disk.waiting.length > 1) journal.onCompletion(disk.complete());
    }
  }),
};

/** A recovery of which one write fails, and may be in memory all the same. */
function recoverWithFailure(disk: SimDisk, rng: Rng): RecoverResult {
  let left = rng.below(WRITES_MAX);
  disk.failWith((request) => {
    if (request.kind !== "write" || left-- !== 0) return undefined;
    const { length } = request.bytes;
    const cachedBytes = rng.chance(0.5) ? length : rng.below(length);
    return { code: "EIO", message: "as the test says", cachedBytes };
  });
  const result = recoverFrom(disk);
  disk.failWith(undefined);
  return result;
}

/**
 * Some recoveries end anywhere, by a kill, with the machine or by a disk that fails; then one must find
 * all that one before it found.
 */
function play(disk: SimDisk, rng: Rng): void {
  let left = disk;
  let found = 0;
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const result = rng.chance(0.5)
      ? recoverWithFailure(left, rng)
      : driveFor(left, recover({ expected: {} }), rng.between(REQUESTS_MIN, REQUESTS_MAX));
    if (result !== undefined && result.kind !== "failed") {
      assert(result.kind === "recovered", JSON.stringify(result));
      expect(result.journal.sequence).toBeGreaterThanOrEqual(found);
      found = result.journal.sequence;
    }
    left = left.crash(rng, rng.chance(0.5) ? KILLED : STOPPED);
  }
  const { journal, recovered } = openJournal(left);
  expect(recovered.journal.sequence).toBeGreaterThanOrEqual(found);
  // A shorter write than the one before, at the same place.
  journal.append([record(99)]);
  left.submit(journal.takeRequests());
  expect(recoverFrom(left.crash(rng, STOPPED)).kind).toBe("recovered");
}

describe("a recovery that does not come to its end", () => {
  for (const [name, scene] of Object.entries(SCENES)) {
    it(`is followed by another, after ${name}`, { timeout: 60_000 }, () => {
      for (let n = 0; n < 500; n += 1) {
        const rng = new Rng(`${name} ${n}`);
        play(scene(rng), rng);
      }
    });
  }

  it("leaves an identity that a later promise can rest on", () => {
    let disk = new SimDisk();
    const killAt = (task: DiskTask<unknown>, file: string) => {
      for (let step = task.next([]); !step.done; ) {
        disk.submit(step.value);
        const [request] = step.value;
        if (request?.kind === "write" && request.file === file) break;
        step = task.next(step.value.map(() => disk.complete()));
      }
      disk = disk.crash(new Rng("kill"), KILLED);
    };
    killAt(format({ identity: IDENTITY, segmentBytes: SMALL.segmentBytes }), "identity-a");
    killAt(recover({ expected: {} }), "identity-b");
    const { journal } = openJournal(disk);
    journal.append([{ ...record(1), vital: true }]);
    settle(journal, disk);
    expect(journal.persistedThrough).toBe(1);
    expect(recoverFrom(disk.afterPowerLoss()).kind).toBe("recovered");
  });

  it("leaves both copies of the witness on the disk, of which one was in memory only", () => {
    let disk = formattedDisk();
    const { journal } = openJournal(disk);
    journal.append([{ ...record(1), vital: true }]);
    const isLast = () => disk.waiting.some((each) => "file" in each && each.file === "witness-b");
    settle(journal, disk);
    journal.append([{ ...record(2), vital: true }]);
    while (!isLast()) {
      disk.submit(journal.takeRequests());
      if (!isLast()) journal.onCompletion(disk.complete());
    }
    disk = disk.crash(new Rng("kill"), KILLED);
    expect(disk.content("witness-b")).toEqual(disk.content("witness-a"));
    expect(recoverFrom(disk).kind).toBe("recovered");
    const after = disk.afterPowerLoss();
    expect(after.content("witness-b")).toEqual(after.content("witness-a"));
  });
});
