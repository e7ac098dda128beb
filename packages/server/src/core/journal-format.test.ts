import { checksum64, crc32c, Rng } from "@cubby/base";
import { describe, expect, it } from "vitest";
import type { DirectoryIdentity } from "./identity.ts";
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
import { format } from "./journal-format.ts";
import { recover } from "./journal-recovery.ts";
import { drive, driveFor, SimDisk } from "./simulated-disk.ts";

const OPTIONS = { identity: IDENTITY, segmentBytes: SMALL.segmentBytes };

describe("a directory", () => {
  it("is unformatted until it is formatted, whatever else lies in it", () => {
    const disk = new SimDisk();
    disk.replace("lost+found", new Uint8Array(0));
    disk.replace("lock", new Uint8Array(20));
    expect(recoverFrom(disk)).toEqual({ kind: "unformatted" });
    expect(drive(disk, format(OPTIONS))).toEqual({ kind: "formatted" });
    expect(mustRecover(disk).identity).toEqual(IDENTITY);
    expect(disk.names()).toContain("lost+found");
  });

  it("is not formatted twice", () => {
    const disk = formattedDisk();
    const other: DirectoryIdentity = { ...IDENTITY, incarnation: "01".repeat(16) };
    expect(drive(disk, format({ ...OPTIONS, identity: other }))).toEqual({
      kind: "alreadyFormatted",
      identity: IDENTITY,
    });
  });

  it("that lost its identity but holds records is not erased", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    journal.append([record(1)]);
    settle(journal, disk);
    for (const copy of ["a", "b"]) disk.replace(`identity-${copy}`, undefined);
    expect(drive(disk, format(OPTIONS))).toEqual({ kind: "notEmpty", file: "segment-00000001" });
  });

  it("of another cell or replica is refused", () => {
    const disk = formattedDisk();
    const cases = [
      [{ cellId: "ab".repeat(16) }, "cellId", "ab".repeat(16), IDENTITY.cellId],
      [{ cellName: "other" }, "cellName", "other", "local"],
      [{ replica: 4 }, "replica", "4", "3"],
    ] as const;
    for (const [expected, what, wanted, found] of cases) {
      expect(drive(disk, recover({ expected }))).toEqual({
        kind: "mismatch",
        mismatch: { what, expected: wanted, found },
      });
    }
  });

  it("of another format version is refused by name", () => {
    for (const file of ["identity-a", "witness-b", "segment-00000001"]) {
      const disk = formattedDisk();
      const page = disk.content(file);
      page[4] = 2;
      // The version is read only from a page that is whole.
      expect(recoverFrom(disk.copy()).kind).not.toBe("otherVersion");
      sealPage(page);
      expect(recoverFrom(disk)).toEqual({ kind: "otherVersion", file, version: 2 });
    }
  });

  // Those that are there must stay readable: who changes one of these raises FORMAT_VERSION.
  it("of this format version is byte for byte as ever", () => {
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    journal.append([record(1), { ...record(2), vital: true }]);
    settle(journal, disk);
    journal.append([record(3, "x".repeat(5_000))]);
    settle(journal, disk);
    const [ballot, configuration] = [{ round: 2, priority: 1, replica: 3 }, Uint8Array.of(1, 2)];
    journal.writeSnapshot({ slot: 3, ballot, configuration, state: new Uint8Array(300).fill(7) });
    settle(journal, disk);
    journal.appendCheckpoint(record(3, "checkpoint"));
    settle(journal, disk);
    const files = disk.names().map((name) => [name, checksum64(disk.content(name))]);
    expect(Object.fromEntries(files)).toEqual({
      "identity-a": "d78c85832f18360d",
      "identity-b": "d78c85832f18360d",
      "segment-00000001": "e5c609172b6030e9",
      "segment-00000002": "c86b2a310285d94d",
      "snapshot-0000000000000003": "61d6300b5d3a3470",
      "witness-a": "68290038d9ea7666",
      "witness-b": "68290038d9ea7666",
    });
  });

  it("whose formatting was cut short anywhere is formatted again, or is whole", () => {
    const rng = new Rng("format");
    const steps = drivenSteps();
    for (let step = 0; step < steps; step += 1) {
      const disk = new SimDisk();
      driveFor(disk, format(OPTIONS), step);
      const after = disk.crash(rng, { outcomes: ["old", "new", "torn"] });
      const found = recoverFrom(after.copy());
      if (found.kind === "recovered") continue;
      // Never taken for a replica that lost something: nothing was promised here.
      if (found.kind === "damaged") expect(found.damages[0]?.kind).toBe("identity");
      else expect(["unformatted", "partlyFormatted"]).toContain(found.kind);
      expect(drive(after, format(OPTIONS))).toEqual({ kind: "formatted" });
      expect(mustRecover(after).records).toEqual([]);
    }
  });

  it("copied to another replica's place is still the first one's", () => {
    const disk = formattedDisk();
    const result = drive(disk, recover({ expected: { replica: 2 } }));
    expect(result.kind).toBe("mismatch");
  });
});

function drivenSteps(): number {
  const disk = new SimDisk();
  drive(disk, format(OPTIONS));
  return disk.completedCount;
}

/** Makes a page's checksum right again. */
function sealPage(page: Uint8Array): void {
  const view = new DataView(page.buffer, page.byteOffset, 4096);
  view.setUint32(12, crcOf(page), true);
}

function crcOf(page: Uint8Array): number {
  return crc32c(page.subarray(16, 4096), crc32c(page.subarray(0, 12)));
}
