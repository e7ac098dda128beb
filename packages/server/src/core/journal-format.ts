/**
 * Makes an empty directory a replica's. The identity comes last: a directory that has one has all
 * the rest, so that a missing journal is a lost one. Only `init` and its like call this; a replica
 * that starts never does (DESIGN §3 "Identity").
 */

import { assert } from "@cubby/base";
import type { DiskTask } from "./disk.ts";
import {
  assertIdentity,
  type DirectoryIdentity,
  decodeIdentity,
  encodeIdentity,
  IDENTITY_FILES,
} from "./identity.ts";
import { isJournalFile } from "./journal-repair.ts";
import {
  DiskFailure,
  type FailedOperation,
  perform,
  RequestIds,
  readWhole,
  write,
  writeZeros,
} from "./journal-task.ts";
import { encodeWitness, WITNESS_FILES } from "./journal-witness.ts";
import { encodeSegmentHeader, segmentFile, segmentIdOf } from "./segment-header.ts";
import { isZero, PAGE_BYTES } from "./segment-sector.ts";
import { snapshotSlotOf } from "./snapshot-file.ts";

export type FormatOptions = {
  readonly identity: DirectoryIdentity;
  readonly segmentBytes: number;
};

export type FormatResult =
  | { readonly kind: "formatted" }
  | { readonly kind: "alreadyFormatted"; readonly identity: DirectoryIdentity }
  /** No identity that can be read, but records or snapshots: somebody's state, not ours to erase. */
  | { readonly kind: "notEmpty"; readonly file: string }
  | { readonly kind: "failed"; readonly failed: FailedOperation };

const CHUNK_BYTES = 1 << 20;

export function* format(options: FormatOptions): DiskTask<FormatResult> {
  assertIdentity(options.identity);
  assert(options.segmentBytes % PAGE_BYTES === 0, "a segment is whole pages");
  const ids = new RequestIds();
  try {
    const { names = [] } = yield* perform(ids, { kind: "list" });
    const found = names.filter(isJournalFile);
    const occupied = yield* findOccupant(ids, found);
    if (occupied !== undefined) return occupied;
    for (const file of found) yield* perform(ids, { kind: "remove", file });
    yield* writeAll(ids, options);
    return { kind: "formatted" };
  } catch (error) {
    if (error instanceof DiskFailure) return { kind: "failed", failed: error.failed };
    throw error;
  }
}

function* findOccupant(
  ids: RequestIds,
  files: readonly string[],
): DiskTask<FormatResult | undefined> {
  for (const file of IDENTITY_FILES.filter((name) => files.includes(name))) {
    const page = decodeIdentity(yield* readWhole(ids, file, CHUNK_BYTES));
    if (page.kind === "ok") return { kind: "alreadyFormatted", identity: page.value };
    if (page.kind === "otherVersion") return { kind: "notEmpty", file };
  }
  for (const file of files) {
    if (snapshotSlotOf(file) !== undefined) return { kind: "notEmpty", file };
    if (segmentIdOf(file) === undefined) continue;
    const bytes = yield* readWhole(ids, file, CHUNK_BYTES);
    // Past the header there are only records.
    if (!isZero(bytes, PAGE_BYTES, bytes.length)) return { kind: "notEmpty", file };
  }
  return undefined;
}

function* writeAll(ids: RequestIds, { identity, segmentBytes }: FormatOptions): DiskTask<void> {
  const header = { id: 1, life: 1, sizeBytes: segmentBytes };
  const segment = segmentFile(header.id);
  for (const file of [segment, ...WITNESS_FILES, ...IDENTITY_FILES]) {
    yield* perform(ids, { kind: "create", file });
  }
  yield* perform(ids, { kind: "syncDirectory" });
  yield* writeZeros(ids, segment, { from: 0, to: segmentBytes, chunkBytes: CHUNK_BYTES });
  yield* write(ids, segment, 0, encodeSegmentHeader(header, identity));
  const witness = encodeWitness({ version: 1, life: header.life, vital: undefined }, identity);
  for (const file of WITNESS_FILES) yield* write(ids, file, 0, witness);
  for (const file of IDENTITY_FILES) yield* write(ids, file, 0, encodeIdentity(identity));
}
