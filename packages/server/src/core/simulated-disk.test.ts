import { Rng } from "@cubby/base";
import { describe, expect, it } from "vitest";
import type { DiskOperation } from "./disk.ts";
import { type CrashModel, KILLED, SimDisk } from "./simulated-disk.ts";

const POWER_LOSS: CrashModel = { outcomes: ["old"] };
const BYTES = new Uint8Array(1_024).fill(7);
const OTHERS = new Uint8Array(1_024).fill(9);

function submit(disk: SimDisk, operation: DiskOperation): void {
  disk.submit([{ ...operation, id: 1 }]);
}

function carryOut(disk: SimDisk, ...operations: DiskOperation[]): void {
  for (const operation of operations) {
    submit(disk, operation);
    expect(disk.complete().ok).toBe(true);
  }
}

/** One file of 1,024 bytes, and a write over it that is under way. */
function writing(): SimDisk {
  const disk = new SimDisk();
  const create = { kind: "create", file: "a" } as const;
  carryOut(disk, create, { kind: "write", file: "a", offset: 0, bytes: BYTES });
  carryOut(disk, { kind: "syncDirectory" });
  submit(disk, { kind: "write", file: "a", offset: 0, bytes: OTHERS });
  return disk;
}

/** What power losses leave of it, over many draws: the first byte of each sector. */
function leftAfterPowerLoss(disk: SimDisk): Set<string> {
  const left = new Set<string>();
  for (let n = 0; n < 40; n += 1) {
    const bytes = disk.crash(new Rng(`${n}`), POWER_LOSS).content("a");
    left.add(`${bytes[0]} ${bytes[512]}`);
  }
  return left;
}

describe("a disk whose process was killed", () => {
  it("shows the next one what was under way, which a power loss may take away", () => {
    const disk = writing().crash(new Rng("kill"), KILLED);
    expect(disk.content("a")).toEqual(OTHERS);
    expect(disk.afterPowerLoss().content("a")).toEqual(BYTES);
    expect(leftAfterPowerLoss(disk).size).toBeGreaterThan(2);
  });

  it("has the first pages of a write in which it was killed", () => {
    const disk = writing();
    submit(disk, { kind: "write", file: "a", offset: 1_024, bytes: new Uint8Array(3 * 4_096) });
    const lengths = Array.from({ length: 40 }, (_, n) => {
      return disk.crash(new Rng(`${n}`), KILLED).content("a").length - 1_024;
    });
    expect(new Set(lengths)).toEqual(new Set([0, 4_096, 8_192, 12_288]));
  });

  it("keeps it once anything of that file was written again", () => {
    const disk = writing().crash(new Rng("kill"), KILLED);
    carryOut(disk, { kind: "write", file: "a", offset: 1_024, bytes: BYTES });
    expect(disk.afterPowerLoss().content("a").subarray(0, 1_024)).toEqual(OTHERS);
    expect(leftAfterPowerLoss(disk)).toEqual(new Set(["9 9"]));
  });

  it("forgets how long a file had become, if it was not synced", () => {
    const disk = writing();
    submit(disk, { kind: "write", file: "a", offset: 1_024, bytes: BYTES });
    const killed = disk.crash(new Rng("kill"), KILLED);
    expect(killed.content("a").length).toBe(2_048);
    expect(killed.afterPowerLoss().content("a").length).toBe(1_024);
  });

  it("shows names that are not synced, until a power loss or a sync", () => {
    const disk = new SimDisk();
    carryOut(disk, { kind: "create", file: "b" });
    const killed = disk.crash(new Rng("kill"), KILLED);
    expect(killed.names()).toEqual(["b"]);
    expect(killed.afterPowerLoss().names()).toEqual([]);
    carryOut(killed, { kind: "syncDirectory" });
    expect(killed.afterPowerLoss().names()).toEqual(["b"]);
  });

  it("has in memory what could not be synced", () => {
    const disk = writing();
    disk.failWith(() => ({ code: "EIO", message: "as the test says", cachedBytes: 512 }));
    expect(disk.complete().ok).toBe(false);
    disk.failWith(undefined);
    expect([disk.content("a")[0], disk.content("a")[512]]).toEqual([9, 7]);
    expect(disk.afterPowerLoss().content("a")).toEqual(BYTES);
  });
});
