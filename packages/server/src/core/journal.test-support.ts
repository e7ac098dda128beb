/** Builders for the tests of the journal. */

import { assert, type Rng, utf8Decode, utf8Encode } from "@cubby/base";
import type { DirectoryIdentity } from "./identity.ts";
import { type AppendedRecord, Journal, type JournalOptions } from "./journal.ts";
import { format } from "./journal-format.ts";
import { type RecoverResult, recover } from "./journal-recovery.ts";
import { drive, SimDisk } from "./simulated-disk.ts";

export const IDENTITY: DirectoryIdentity = {
  cellId: "00112233445566778899aabbccddeeff",
  cellName: "local",
  replica: 3,
  incarnation: "ffeeddccbbaa99887766554433221100",
};

export const SMALL: JournalOptions = {
  segmentBytes: 64 * 1024,
  writeBytesMax: 16 * 1024,
  zeroChunkBytes: 16 * 1024,
  snapshotEveryBytes: 128 * 1024,
  backlogBytesMax: 16 << 20,
};

export type Recovered = Extract<RecoverResult, { kind: "recovered" }>;

export function record(slot: number, text = `command ${slot}`): AppendedRecord {
  const ballot = { round: 1, priority: 0, replica: 3 };
  return { type: 7, slot, ballot, payload: utf8Encode(text) };
}

export function textOf(bytes: Uint8Array): string {
  return utf8Decode(bytes);
}

export function formattedDisk(segmentBytes = SMALL.segmentBytes): SimDisk {
  const disk = new SimDisk();
  const result = drive(disk, format({ identity: IDENTITY, segmentBytes }));
  assert(result.kind === "formatted", "an empty directory can be formatted");
  return disk;
}

export function recoverFrom(disk: SimDisk): RecoverResult {
  return drive(disk, recover({ expected: { cellId: IDENTITY.cellId, replica: 3 } }));
}

export function mustRecover(disk: SimDisk): Recovered {
  const result = recoverFrom(disk);
  if (result.kind !== "recovered") throw new Error(`not recovered: ${JSON.stringify(result)}`);
  return result;
}

export function openJournal(
  disk: SimDisk,
  options: Partial<JournalOptions> = {},
): { journal: Journal; recovered: Recovered } {
  const recovered = mustRecover(disk);
  return { journal: new Journal({ ...SMALL, ...options }, recovered.journal), recovered };
}

/** Carries out everything that the journal asks for, until it asks for nothing more. */
export function settle(journal: Journal, disk: SimDisk): void {
  for (let turns = 0; turns < 100_000; turns += 1) {
    disk.submit(journal.takeRequests());
    if (disk.waiting.length === 0 || journal.fatal !== undefined) return;
    journal.onCompletion(disk.complete());
  }
  assert(false, "the journal comes to rest");
}

/** One step in random order: hands in what is asked for, completes one request if there is any. */
export function stepAtRandom(journal: Journal, disk: SimDisk, rng: Rng): void {
  disk.submit(journal.takeRequests());
  if (disk.waiting.length === 0) return;
  journal.onCompletion(disk.complete(rng.below(disk.waiting.length)));
}

export function bytesOn(disk: SimDisk): number {
  return disk.names().reduce((sum, name) => sum + disk.content(name).length, 0);
}

/** From now on the files take no more than this together; what of a write fits is there. */
export function limitDisk(disk: SimDisk, bytes: number): void {
  disk.failWith((request) => {
    if (request.kind !== "write") return undefined;
    const grows = request.offset + request.bytes.length - disk.content(request.file).length;
    const room = Math.max(0, bytes - bytesOn(disk));
    if (grows <= room) return undefined;
    const cachedBytes = Math.max(0, request.bytes.length - grows + room);
    return { code: "ENOSPC", message: "no space left on device", cachedBytes };
  });
}
