import type { PlantedBug } from "../planted-bug.ts";

const JOURNAL = "packages/server/src/core/journal.ts";
const SCAN = "packages/server/src/core/segment-scan.ts";
const POOL = "packages/server/src/core/segment-pool.ts";
const REPLAY = "packages/server/src/core/journal-replay.ts";
const HEADER = "packages/server/src/core/segment-header.ts";
const REPLICA = "packages/server/src/core/replica.ts";
const REPAIR = "packages/server/src/core/journal-repair.ts";
const STORE = "packages/server/src/core/snapshot-file-store.ts";

/** Journal, segments, snapshots and recovery. */
export const DISK_BUGS: readonly PlantedBug[] = [
  {
    name: "write-error-ignored",
    class: "S3",
    file: JOURNAL,
    find: `if (!completion.ok) {
      this.#fail(failedOperation(request, completion.error));
      return;
    }`,
    replace: "",
    why: "a write that failed is taken for durable",
    expects: [2, 24],
  },
  {
    name: "recovery-ignores-a-failed-directory-sync",
    class: "S6",
    file: REPAIR,
    find: 'yield* perform(ids, { kind: "syncDirectory" });\n  // An only copy',
    replace: `try {
    yield* perform(ids, { kind: "syncDirectory" });
  } catch (error) {
    if (!(error instanceof Error) || error.name !== "DiskFailure") throw error;
  }
  // An only copy`,
    why: "a recovery goes on though the names that it rests on could not be made durable",
    expects: [24, 2, 3],
  },
  {
    name: "recovery-ignores-errors",
    class: "S3",
    file: REPAIR,
    find: "yield* write(repair.ids, fileOf(lastWrite.segment), lastWrite.offset, lastWrite.bytes);",
    replace: `try {
    yield* write(repair.ids, fileOf(lastWrite.segment), lastWrite.offset, lastWrite.bytes);
  } catch (error) {
    if (!(error instanceof Error) || error.name !== "DiskFailure") throw error;
  }`,
    why: "a recovery goes on though it could not make durable what it rests on",
    expects: [24, 2, 3],
  },
  {
    name: "last-write-trusted-after-restart",
    class: "S4",
    file: REPAIR,
    find: "yield* write(repair.ids, fileOf(lastWrite.segment), lastWrite.offset, lastWrite.bytes);",
    replace: "",
    why: "what a killed process had written may be in memory only, and others hear of it",
    expects: [2, 3, 24],
  },
  {
    name: "durable-when-submitted",
    class: "S1",
    file: REPLICA,
    find: "if (this.#persisted === this.#records) this.#peerFrames.push({ to, bytes });",
    replace: "if (this.#persisted + 1 >= this.#records) this.#peerFrames.push({ to, bytes });",
    why: "one record may still be on its way to the disk when a message leaves that vouches for it",
    expects: [3, 2],
  },
  {
    name: "torn-tail-taken-for-damage",
    class: "S10",
    file: SCAN,
    find: 'if (mustBeWhole) return { isTorn, damage: { sector, problem: "missing" } };',
    replace: 'return { isTorn: mustBeWhole, damage: { sector, problem: "missing" } };',
    why: "a write that a crash cut short is taken for damage, and the replica refuses to start",
    expects: [24],
  },
  {
    name: "damage-taken-for-torn-tail",
    class: "S10",
    file: SCAN,
    find: "const bad = firstBad(sectors, extent, !isTail);",
    replace: "const bad = firstBad(sectors, extent, false);",
    why: "a lost sector in the middle is taken for a torn tail, and all behind it is cut",
    expects: [3, 24, 1, 2],
    also: [
      {
        file: SCAN,
        find: `if (state.kind === "written" && state.write !== torn) {
      return damaged(writes, endSector, { sector, problem: "order", isTail });
    }`,
        replace: "",
      },
      {
        file: "packages/server/src/core/journal-recovery.ts",
        find: "if (seen === undefined || replayed.damages.length > 0) return [];",
        replace: "if (seen?.sequence !== -1) return [];",
      },
    ],
  },
  {
    name: "payload-checksum-ignored",
    class: "S8",
    file: REPLAY,
    find: 'if (crc32c(data.subarray(from, to)) !== header.payloadChecksum) return "recordPayload";',
    replace: "",
    why: "a record is believed though its content has rotted",
    expects: [1, 5],
  },
  {
    name: "reused-segment-not-zeroed",
    class: "S7",
    file: POOL,
    find: "yield* writeZeros(this.#ids, file, range);",
    replace: "if (recycled === undefined) yield* writeZeros(this.#ids, file, range);",
    why: "a segment is used again with its old sectors behind the new ones",
    expects: [24],
  },
  {
    name: "reused-segment-old-records-taken",
    class: "S7",
    file: POOL,
    find: "yield* writeZeros(this.#ids, file, range);",
    replace: "if (recycled === undefined) yield* writeZeros(this.#ids, file, range);",
    why: "records that a reused segment held in its former life are taken for new ones",
    expects: [0, 24, 1],
    also: [
      {
        file: HEADER,
        find: "return crc32c(utf8Encode(place));",
        replace: 'return crc32c(utf8Encode(place.slice(0, place.lastIndexOf("/"))));',
      },
      {
        file: REPLAY,
        find: "header.owner === this.#owner && header.segment === segment.id && header.life === segment.life;",
        replace: "header.owner === this.#owner && header.segment === segment.id;",
      },
      {
        file: REPLAY,
        find: 'if (header.link.sequence !== sequence + 1) return "recordChain";',
        replace: "",
      },
      {
        file: REPLAY,
        find: 'if (header.link.previousHash !== hash) return "recordChain";',
        replace: "",
      },
    ],
  },
  {
    name: "restored-before-its-snapshot",
    class: "P12",
    file: JOURNAL,
    find: "if (first === undefined || first.afterSnapshot > this.snapshotSlot) return 0;",
    replace: "if (first === undefined) return 0;",
    why: "the record that names a peer's snapshot is durable before the snapshot is",
    expects: [24],
    also: [
      {
        file: JOURNAL,
        find: "if (next === undefined || next.afterSnapshot > this.snapshotSlot) break;",
        replace: "if (next === undefined) break;",
      },
    ],
  },
  {
    name: "two-snapshots-written-at-once",
    class: "P13",
    file: "packages/server/src/core/snapshot-file-store.ts",
    find: "if (this.#isWriting) {",
    replace: "if (this.#isWriting && snapshot.slot <= 0) {",
    why: "a snapshot that a peer sends is written beside the replica's own",
    expects: [0, 24],
  },
  {
    name: "rename-not-synced",
    class: "S6",
    file: "packages/server/src/core/snapshot-file.ts",
    find: `yield* perform(ids, { kind: "rename", from: partial, to: file });
  yield* perform(ids, { kind: "syncDirectory" });`,
    replace: 'yield* perform(ids, { kind: "rename", from: partial, to: file });',
    why: "a snapshot is built on before the directory that names it is durable",
    expects: [24],
  },
  {
    name: "snapshot-counts-unrenamed",
    class: "S5",
    file: "packages/server/src/core/snapshot-file.ts",
    find: 'yield* perform(ids, { kind: "rename", from: partial, to: file });',
    replace: `try {
    yield* perform(ids, { kind: "rename", from: partial, to: file });
  } catch (error) {
    if (!(error instanceof DiskFailure)) throw error;
  }`,
    why: "a snapshot counts although its rename failed",
    expects: [24],
  },
  {
    name: "segments-dropped-too-early",
    class: "P12",
    file: JOURNAL,
    find: "this.dropThrough(this.#snapshots.fallbackSlot);",
    replace: "this.#pool.keepFrom(this.#pool.active.life);",
    why: "segments are taken back although no durable checkpoint replaces them",
    expects: [24],
  },
  {
    name: "reapplied-after-snapshot",
    class: "P15",
    file: REPLICA,
    find: "this.#snapshot = { slot: index, bytes };",
    replace: "this.#snapshot = { slot: index - 1, bytes };",
    why: "a snapshot says that it is one slot older than its state, which is applied again on it",
    expects: [5, 13, 0],
    also: [
      {
        file: REPLICA,
        find: "slot: index,\n      ballot: acceptedBallot,",
        replace: "slot: index - 1,\n      ballot: acceptedBallot,",
      },
    ],
  },
  {
    name: "full-disk-goes-unnoticed",
    class: "S5",
    file: JOURNAL,
    find: "if (!completion.ok) {",
    replace: 'if (!completion.ok && completion.error.code === "EIO") {',
    why: "a write that found no room, or was short, is taken for durable",
    expects: [2, 24],
  },
  {
    name: "old-snapshots-removed-first",
    class: "S13",
    file: STORE,
    find: "const { sizeBytes } = yield* writeSnapshotFile(ids, snapshot, identity);",
    replace: `for (let slot = this.#slots.shift(); slot !== undefined; slot = this.#slots.shift()) {
      yield* perform(ids, { kind: "remove", file: snapshotFile(slot) });
    }
    const { sizeBytes } = yield* writeSnapshotFile(ids, snapshot, identity);`,
    why: "the snapshots there are make room for the next one before it is whole",
    expects: [24],
    also: [
      {
        file: STORE,
        find: "return this.#slots.at(-SNAPSHOTS_KEPT) ?? 0;",
        replace: "return this.#slots.at(-1) ?? 0;",
      },
    ],
  },
  {
    name: "segments-never-dropped",
    class: "P31",
    file: POOL,
    find: "return oldest !== undefined && oldest.life < this.#keepLife;",
    replace: "return false;",
    why: "the journal keeps every segment, and grows for as long as the replica lives",
    expects: [23],
  },
  {
    name: "snapshots-never-removed",
    class: "P31",
    file: STORE,
    find: "if (this.#stale.length === 0) return;",
    replace: "if (this.#stale.length >= 0) return;",
    why: "every snapshot that was ever taken stays on the disk",
    expects: [23],
  },
  {
    name: "good-snapshots-passed-over",
    class: "S6",
    file: "packages/server/src/core/snapshot-file.ts",
    find: `    checksums.push(checksum);
    parts.push(part);`,
    replace: "    parts.push(part);",
    why: "a snapshot counts as damaged whenever it is read back",
    expects: [24],
    isQuick: true,
  },
];
