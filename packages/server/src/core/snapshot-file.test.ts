import { crc32c, equalBytes } from "@cubby/base";
import { describe, expect, it } from "vitest";
import { IDENTITY } from "./journal.test-support.ts";
import { DiskFailure, RequestIds } from "./journal-task.ts";
import { drive, driveFor, SimDisk } from "./simulated-disk.ts";
import {
  decodeSnapshot,
  SNAPSHOT_CHUNK_BYTES,
  type Snapshot,
  snapshotFile,
  writeSnapshotFile,
} from "./snapshot-file.ts";

const FILE = snapshotFile(42);

function snapshotOf(stateBytes: number): Snapshot {
  const state = Uint8Array.from({ length: stateBytes }, (_, i) => (i * 31) & 0xff);
  const ballot = { round: 9, priority: 1, replica: 2 };
  return { slot: 42, ballot, configuration: Uint8Array.of(5, 6, 7), state };
}

function write(snapshot: Snapshot): { disk: SimDisk; stateHash: string } {
  const disk = new SimDisk();
  const task = writeSnapshotFile(new RequestIds(), snapshot, IDENTITY);
  return { disk, stateHash: drive(disk, task).stateHash };
}

const written = (stateBytes: number) => write(snapshotOf(stateBytes));

/** Each filled with one byte. */
function twoChunks(first: number, second: number): { disk: SimDisk; stateHash: string } {
  const state = new Uint8Array(2 * SNAPSHOT_CHUNK_BYTES).fill(first);
  return write({ ...snapshotOf(0), state: state.fill(second, SNAPSHOT_CHUNK_BYTES) });
}

describe("a snapshot file", () => {
  for (const stateBytes of [0, 1, SNAPSHOT_CHUNK_BYTES, 2 * SNAPSHOT_CHUNK_BYTES + 17]) {
    it(`gives back a state of ${stateBytes} bytes with all that identifies it`, () => {
      const { disk, stateHash } = written(stateBytes);
      expect(disk.names()).toEqual([FILE]);
      const read = decodeSnapshot(disk.content(FILE), 42, IDENTITY);
      if (read.kind !== "ok") throw new Error(read.kind);
      const { state, ...identified } = read.snapshot;
      const { state: given, ...all } = snapshotOf(stateBytes);
      expect([read.stateHash, identified]).toEqual([stateHash, all]);
      expect(equalBytes(state, given)).toBe(true);
    });
  }

  it("is known for truncated wherever it ends", () => {
    const { disk } = written(SNAPSHOT_CHUNK_BYTES + 100);
    const bytes = disk.content(FILE);
    const lengths = [0, 10, 40, 60, 100, 5_000, SNAPSHOT_CHUNK_BYTES, bytes.length - 20];
    for (const length of [...lengths, bytes.length - 1]) {
      expect(decodeSnapshot(bytes.subarray(0, length), 42, IDENTITY)).toEqual({
        kind: "bad",
        problem: "truncated",
        offset: length,
      });
    }
  });

  it("is known for damaged wherever a bit flips", () => {
    const { disk } = written(300);
    const bytes = disk.content(FILE);
    for (let at = 0; at < bytes.length; at += 1) {
      const copy = bytes.slice();
      copy[at] = (copy[at] ?? 0) ^ (1 << (at % 8));
      expect([at, decodeSnapshot(copy, 42, IDENTITY).kind]).toEqual([at, "bad"]);
    }
  });

  it("is refused under another slot, or from another directory, or with more behind it", () => {
    const bytes = written(300).disk.content(FILE);
    const stranger = { ...IDENTITY, incarnation: "00".repeat(16) };
    expect(decodeSnapshot(bytes, 43, IDENTITY)).toMatchObject({ problem: "misnamed" });
    expect(decodeSnapshot(bytes, 42, stranger)).toMatchObject({ problem: "foreign" });
    const longer = new Uint8Array(bytes.length + 1);
    longer.set(bytes);
    expect(decodeSnapshot(longer, 42, IDENTITY)).toMatchObject({ problem: "malformed" });
  });

  it("of another format version is refused by name, if its head is whole", () => {
    const bytes = written(300).disk.content(FILE);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    view.setUint32(4, 2, true);
    expect(decodeSnapshot(bytes, 42, IDENTITY)).toMatchObject({ problem: "checksum" });
    const content = bytes.subarray(16, 16 + view.getUint32(8, true));
    view.setUint32(12, crc32c(content, crc32c(bytes.subarray(0, 12))), true);
    expect(decodeSnapshot(bytes, 42, IDENTITY)).toEqual({ kind: "otherVersion", version: 2 });
  });

  it("has its name only once it was read back, and goes to the disk in small pieces", () => {
    const disk = new SimDisk();
    const task = writeSnapshotFile(new RequestIds(), snapshotOf(1 << 20), IDENTITY);
    const kinds: string[] = [];
    let step = task.next([]);
    while (!step.done) {
      for (const request of step.value) {
        kinds.push(request.kind);
        if (request.kind === "write") {
          expect(request.bytes.length).toBeLessThanOrEqual(SNAPSHOT_CHUNK_BYTES + 8);
        }
      }
      disk.submit(step.value);
      step = task.next(step.value.map(() => disk.complete()));
    }
    const inOrder = kinds.filter((kind, i) => kind !== kinds[i - 1]);
    expect(inOrder).toEqual(["create", "write", "read", "rename", "syncDirectory"]);
  });

  it.each([
    ["head", 1],
    ["state", 1_000],
    ["foot", -1],
  ])("never gets its name if its %s reads back differently", (_, at) => {
    const disk = new SimDisk();
    const task = writeSnapshotFile(new RequestIds(), snapshotOf(5_000), IDENTITY);
    let step = task.next([]);
    const run = () => {
      while (!step.done) {
        disk.submit(step.value);
        const [request] = step.value;
        if (request?.kind === "read") disk.content(`${FILE}.partial`).subarray(at).fill(99, 0, 1);
        step = task.next(step.value.map(() => disk.complete()));
      }
    };
    expect(run).toThrow(DiskFailure);
    expect(disk.names()).toEqual([`${FILE}.partial`]);
  });

  it("has the same hash for the same state, and another for another", () => {
    expect(written(1_000).stateHash).toBe(written(1_000).stateHash);
    expect(written(1_000).stateHash).not.toBe(written(1_001).stateHash);
    const { disk, stateHash } = twoChunks(1, 2);
    const swapped = twoChunks(2, 1);
    expect(swapped.stateHash).not.toBe(stateHash);
    expect(swapped.disk.content(FILE).length).toBe(disk.content(FILE).length);
  });

  it("is known for damaged if a chunk lies in the place of another one, or both have changed places", () => {
    const bytes = twoChunks(1, 2).disk.content(FILE);
    const chunkBytes = 8 + SNAPSHOT_CHUNK_BYTES;
    const from = bytes.length - 20 - 2 * chunkBytes;
    const first = bytes.slice(from, from + chunkBytes);
    expect(decodeSnapshot(bytes, 42, IDENTITY).kind).toBe("ok");
    bytes.copyWithin(from, from + chunkBytes, from + 2 * chunkBytes);
    expect(decodeSnapshot(bytes, 42, IDENTITY)).toMatchObject({ problem: "checksum" });
    bytes.set(first, from + chunkBytes);
    expect(decodeSnapshot(bytes, 42, IDENTITY)).toMatchObject({ problem: "checksum" });
  });

  it("leaves nothing with its name when the process stops before the rename", () => {
    const disk = new SimDisk();
    driveFor(disk, writeSnapshotFile(new RequestIds(), snapshotOf(5_000), IDENTITY), 5);
    expect(disk.names()).toEqual([`${FILE}.partial`]);
  });
});
