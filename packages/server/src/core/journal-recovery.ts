/**
 * Reads a directory as a crash left it. The result is either everything that was ever acknowledged,
 * or a name for what is wrong; nothing is skipped, and nothing is repaired that might have been
 * acknowledged. When it ends with "recovered", all that it returns is durable: the remains of a torn
 * write are zeroed, and what may exist in memory only is written or synced once more: the directory, and the
 * last write of each file that no later write vouches for (reliability §5 rules 3, 4, 6, 10, 11).
 */

import { assert, EMPTY_BYTES } from "@cubby/base";
import type { DiskTask } from "./disk.ts";
import {
  type DirectoryIdentity,
  decodeIdentity,
  type ExpectedIdentity,
  equalIdentities,
  IDENTITY_FILES,
  type IdentityMismatch,
  identityMismatch,
} from "./identity.ts";
import type { Damage, DamageKind } from "./journal-damage.ts";
import type { DecodedPage } from "./journal-page.ts";
import {
  type Copies,
  isJournalFile,
  makeDurable,
  removeLeftovers,
  repairIdentity,
  repairJournal,
  repairWitness,
} from "./journal-repair.ts";
import { JournalReplay, type Replayed, type Whole } from "./journal-replay.ts";
import {
  fileOf,
  type JournalState,
  type RecoveredRecord,
  type RecoveryNote,
} from "./journal-state.ts";
import {
  DiskFailure,
  type FailedOperation,
  perform,
  RequestIds,
  readWhole,
} from "./journal-task.ts";
import { decodeWitness, WITNESS_FILES, type Witness } from "./journal-witness.ts";
import { decodeSegmentHeader, type SegmentHeader, segmentIdOf } from "./segment-header.ts";
import { PAGE_BYTES } from "./segment-sector.ts";
import {
  decodeSnapshot,
  SNAPSHOTS_KEPT,
  type Snapshot,
  snapshotFile,
  snapshotSlotOf,
} from "./snapshot-file.ts";

export type RecoveryOptions = {
  /** What the directory must say of itself; see identity.ts. */
  readonly expected: ExpectedIdentity;
  readonly readChunkBytes?: number;
};

export type RecoverResult =
  | {
      readonly kind: "recovered";
      readonly identity: DirectoryIdentity;
      readonly snapshot: (Snapshot & { readonly stateHash: string }) | undefined;
      /** In order, to be replayed on the snapshot, or on nothing. */
      readonly records: readonly RecoveredRecord[];
      readonly journal: JournalState;
      readonly notes: readonly RecoveryNote[];
    }
  /** Nothing of ours is there. */
  | { readonly kind: "unformatted" }
  /** Formatting was interrupted before there was an identity, so nothing was ever promised here. */
  | { readonly kind: "partlyFormatted"; readonly files: readonly string[] }
  | { readonly kind: "mismatch"; readonly mismatch: IdentityMismatch }
  | { readonly kind: "otherVersion"; readonly file: string; readonly version: number }
  | { readonly kind: "damaged"; readonly damages: readonly Damage[] }
  /** A write or a directory operation failed. */
  | { readonly kind: "failed"; readonly failed: FailedOperation };

const READ_CHUNK_BYTES = 1 << 20;

/** Ends recovery early with a result other than "recovered". */
class Stop extends Error {
  override readonly name = "Stop";
  readonly result: RecoverResult;

  constructor(result: RecoverResult) {
    super(result.kind);
    this.result = result;
  }
}

export function* recover(options: RecoveryOptions): DiskTask<RecoverResult> {
  try {
    return yield* new Recovery(options).run();
  } catch (error) {
    if (error instanceof Stop) return error.result;
    if (error instanceof DiskFailure) return { kind: "failed", failed: error.failed };
    throw error;
  }
}

type FoundSnapshot = {
  readonly snapshot: (Snapshot & { stateHash: string }) | undefined;
  /** Slots of the files that are not known to be bad, oldest first. */
  readonly slots: readonly number[];
  readonly badFiles: readonly string[];
};

type FoundSegments = {
  /** In order of life. */
  readonly lives: readonly SegmentHeader[];
  readonly free: readonly number[];
  readonly highestId: number;
  /** Of the files that are no segment and not empty either: named if a life is missing. */
  readonly unreadable: readonly Damage[];
};

class Recovery {
  readonly #ids = new RequestIds();
  readonly #options: RecoveryOptions;
  readonly #chunkBytes: number;
  readonly #notes: RecoveryNote[] = [];

  constructor(options: RecoveryOptions) {
    this.#options = options;
    this.#chunkBytes = options.readChunkBytes ?? READ_CHUNK_BYTES;
  }

  *run(): DiskTask<RecoverResult> {
    const { names = [] } = yield* perform(this.#ids, { kind: "list" });
    const files = [...names].sort(byCodeUnit);
    const identity = yield* this.#readIdentity(files);
    const witness = yield* this.#readWitness(files, identity.value);
    const snapshots = yield* this.#readSnapshot(files, identity.value);
    const segments = yield* this.#readHeaders(files, identity.value);
    const replay = new JournalReplay(identity.value, snapshots.snapshot?.slot ?? 0);
    yield* this.#readSegments(segments, witness.value, replay);
    const replayed = replay.finish();
    const damages = [...replayed.damages, ...lostVital(replayed, witness.value)];
    if (damages.length > 0) {
      damages.push(...this.#snapshotDamages(), ...segments.unreadable);
      return { kind: "damaged", damages };
    }
    for (const description of replayed.oldDamages) {
      this.#notes.push({ kind: "oldDamage", description });
    }
    for (const { file } of segments.unreadable) {
      this.#notes.push({ kind: "headerUnreadable", file });
    }
    const repair = { ids: this.#ids, files, notes: this.#notes };
    const { written } = replayed;
    assert(written !== undefined, "a journal without damage has a segment");
    const { lives, free } = segments;
    const open = lives.slice(lives.indexOf(written.segment));
    yield* makeDurable(repair, { owner: identity.value, witness, segments: open });
    yield* removeLeftovers(repair, { free, snapshots: snapshots.slots });
    const whole = { ...replayed, written };
    yield* repairJournal(repair, whole, open.slice(1));
    yield* repairIdentity(repair, identity);
    const life = segments.lives.at(-1)?.life ?? 1;
    const newest = yield* repairWitness(repair, identity.value, witness, {
      life,
      vital: replayed.vital,
    });
    const { value } = identity;
    return {
      kind: "recovered",
      identity: value,
      snapshot: snapshots.snapshot,
      records: replayed.records,
      journal: stateOf(this.#ids, value, newest, segments, snapshots, whole),
      notes: this.#notes,
    };
  }

  *#readIdentity(files: readonly string[]): DiskTask<Copies<DirectoryIdentity>> {
    const { good, bad } = yield* this.#readCopies(files, IDENTITY_FILES, decodeIdentity);
    const [first, second] = good;
    if (first === undefined) {
      const ours = files.filter(isJournalFile);
      if (ours.length === 0) throw new Stop({ kind: "unformatted" });
      // Formatting writes the identity last. Whether a replica ever ran here is for `format` to
      // find out: this one does not run.
      const isUnwritten = bad.every((copy) => copy.isUnwritten);
      if (isUnwritten) throw new Stop({ kind: "partlyFormatted", files: ours });
      throw damagedFile("identity", IDENTITY_FILES[0], "both copies");
    }
    if (second !== undefined && !equalIdentities(first.value, second.value)) {
      throw damagedFile("identity", IDENTITY_FILES[0], "the copies differ");
    }
    const mismatch = identityMismatch(first.value, this.#options.expected);
    if (mismatch !== undefined) throw new Stop({ kind: "mismatch", mismatch });
    const others = bad.map((copy) => copy.file);
    return { value: first.value, others, bad: others };
  }

  *#readWitness(files: readonly string[], owner: DirectoryIdentity): DiskTask<Copies<Witness>> {
    const decode = (bytes: Uint8Array) => decodeWitness(bytes, owner);
    const { good, bad } = yield* this.#readCopies(files, WITNESS_FILES, decode);
    good.sort((a, b) => b.value.version - a.value.version);
    const [newest, second] = good;
    if (newest === undefined) throw damagedFile("amnesia", WITNESS_FILES[0], "");
    const badFiles = bad.map((copy) => copy.file);
    const isOlder = second !== undefined && second.value.version < newest.value.version;
    const others = isOlder ? [second.file] : badFiles;
    return { value: newest.value, others, bad: badFiles };
  }

  *#readCopies<T>(
    files: readonly string[],
    names: readonly string[],
    decode: (bytes: Uint8Array) => DecodedPage<T>,
  ): DiskTask<{
    good: { file: string; value: T }[];
    bad: { file: string; isUnwritten: boolean }[];
  }> {
    const good: { file: string; value: T }[] = [];
    const bad: { file: string; isUnwritten: boolean }[] = [];
    for (const file of names) {
      if (!files.includes(file)) {
        bad.push({ file, isUnwritten: true });
        continue;
      }
      const bytes = yield* this.#tryRead(file, PAGE_BYTES);
      const page = bytes === undefined ? undefined : decode(bytes);
      if (page?.kind === "otherVersion") {
        throw new Stop({ kind: "otherVersion", file, version: page.version });
      }
      if (page?.kind === "ok") good.push({ file, value: page.value });
      else bad.push({ file, isUnwritten: page?.kind === "zero" || bytes?.length === 0 });
    }
    return { good, bad };
  }

  /**
   * The newest one that is good; each bad one is noted, and the journal has to make up for it. If there
   * are more than are kept, a stop came before a removal, perhaps of a bad one: then the one to fall back
   * to, which costs another its file, must be known to be good too.
   */
  *#readSnapshot(files: readonly string[], owner: DirectoryIdentity): DiskTask<FoundSnapshot> {
    const found = files.flatMap((file) => snapshotSlotOf(file) ?? []).sort((a, b) => b - a);
    const knownMin = found.length > SNAPSHOTS_KEPT ? SNAPSHOTS_KEPT : 1;
    let snapshot: FoundSnapshot["snapshot"];
    const slots: number[] = [];
    const badFiles: string[] = [];
    for (const slot of found) {
      if (slots.length < knownMin) {
        const read = yield* this.#tryReadSnapshot(slot, owner);
        if (read === undefined) {
          badFiles.push(snapshotFile(slot));
          continue;
        }
        snapshot ??= read;
      }
      slots.unshift(slot);
    }
    return { snapshot, slots, badFiles };
  }

  *#tryReadSnapshot(slot: number, owner: DirectoryIdentity): DiskTask<FoundSnapshot["snapshot"]> {
    const file = snapshotFile(slot);
    const bytes = yield* this.#tryRead(file);
    const read = bytes === undefined ? undefined : decodeSnapshot(bytes, slot, owner);
    if (read?.kind === "otherVersion") {
      throw new Stop({ kind: "otherVersion", file, version: read.version });
    }
    if (read?.kind === "ok") return { ...read.snapshot, stateHash: read.stateHash };
    const { problem, offset } = read ?? { problem: "unreadable", offset: 0 };
    this.#notes.push({ kind: "snapshotDamaged", file, problem, offset });
    return undefined;
  }

  /** Not by themselves a reason to refuse; but where the journal is, the operator must hear of both. */
  #snapshotDamages(): Damage[] {
    return this.#notes.flatMap((note) => {
      if (note.kind !== "snapshotDamaged") return [];
      const { file, offset, problem: detail } = note;
      const slot = snapshotSlotOf(file) ?? 0;
      return [{ kind: "snapshot", file, offset, slot, isTail: false, detail }];
    });
  }

  *#readHeaders(files: readonly string[], identity: DirectoryIdentity): DiskTask<FoundSegments> {
    const lives: SegmentHeader[] = [];
    const free: number[] = [];
    const unreadable: Damage[] = [];
    let highestId = 0;
    for (const file of files) {
      const id = segmentIdOf(file);
      if (id === undefined) continue;
      highestId = Math.max(highestId, id);
      const bytes = yield* this.#tryRead(file, PAGE_BYTES);
      const page = bytes === undefined ? undefined : decodeSegmentHeader(bytes, id, identity);
      if (page?.kind === "ok") {
        lives.push(page.value);
        continue;
      }
      if (page?.kind === "otherVersion") {
        throw new Stop({ kind: "otherVersion", file, version: page.version });
      }
      if (bytes !== undefined) free.push(id);
      if (page?.kind === "zero" || bytes?.length === 0) continue;
      const detail = page?.kind === "bad" ? `header: ${page.detail}` : "header";
      const kind = bytes === undefined ? "unreadable" : "segmentMissing";
      unreadable.push({ kind, file, offset: 0, slot: 0, isTail: false, detail });
    }
    lives.sort((a, b) => a.life - b.life);
    return { lives, free, highestId, unreadable };
  }

  *#readSegments(segments: FoundSegments, witness: Witness, replay: JournalReplay): DiskTask<void> {
    let life = segments.lives[0]?.life ?? 1;
    for (const segment of segments.lives) {
      if (segment.life !== life) {
        replay.addDamage(missingSegment(life, segment.life - 1));
      }
      life = segment.life + 1;
      const bytes = yield* this.#tryRead(fileOf(segment));
      const problem = bytes === undefined ? "unreadable" : "segmentShort";
      if (bytes === undefined || bytes.length < segment.sizeBytes) {
        const place = { file: fileOf(segment), offset: bytes?.length ?? 0, slot: 0, isTail: false };
        replay.addDamage({ kind: problem, ...place, detail: `life ${segment.life}` });
        continue;
      }
      replay.addSegment(segment, bytes.subarray(0, segment.sizeBytes));
    }
    if (witness.life >= life) replay.addDamage(missingSegment(life, witness.life));
  }

  /** EIO is damage to be named; any other failure ends the recovery. */
  *#tryRead(file: string, sizeBytes?: number): DiskTask<Uint8Array | undefined> {
    try {
      if (sizeBytes === undefined) return yield* readWhole(this.#ids, file, this.#chunkBytes);
      const read = { kind: "read", file, offset: 0, sizeBytes } as const;
      return (yield* perform(this.#ids, read)).bytes ?? EMPTY_BYTES;
    } catch (error) {
      if (error instanceof DiskFailure && error.failed.error.code === "EIO") return undefined;
      throw error;
    }
  }
}

function stateOf(
  ids: RequestIds,
  identity: DirectoryIdentity,
  witness: Witness,
  segments: FoundSegments,
  snapshots: FoundSnapshot,
  replayed: Whole,
): JournalState {
  const { written } = replayed;
  const isUsed = (segment: SegmentHeader) => segment.life <= written.segment.life;
  return {
    ids,
    identity,
    segments: segments.lives.filter(isUsed),
    prepared: segments.lives.filter((segment) => !isUsed(segment)),
    nextSegmentId: segments.highestId + 1,
    cursor: written.cursor,
    sequence: replayed.sequence,
    hash: replayed.hash,
    checkpoints: replayed.checkpoints,
    witness,
    snapshots: snapshots.slots.slice(-SNAPSHOTS_KEPT),
    staleSnapshots: snapshots.badFiles,
  };
}

/** The promise that the witness saw made must be in the journal, or before its first checkpoint. */
function lostVital(replayed: Replayed, witness: Witness): Damage[] {
  const seen = witness.vital;
  if (seen === undefined || replayed.damages.length > 0) return [];
  const found = replayed.vital;
  const isThere =
    seen.sequence <= replayed.sequence &&
    (found?.sequence !== seen.sequence || found.hash === seen.hash);
  if (isThere) return [];
  const detail = `record ${seen.sequence}, round ${seen.ballot.round}`;
  const file = replayed.written === undefined ? "." : fileOf(replayed.written.segment);
  return [{ kind: "lostVital", file, offset: 0, slot: seen.slot, isTail: true, detail }];
}

function missingSegment(firstLife: number, lastLife: number): Damage {
  const detail = firstLife === lastLife ? `life ${firstLife}` : `lives ${firstLife} to ${lastLife}`;
  return { kind: "segmentMissing", file: ".", offset: 0, slot: 0, isTail: false, detail };
}

function damagedFile(kind: DamageKind, file: string, detail: string): Stop {
  const damage = { kind, file, offset: 0, slot: 0, isTail: false, detail };
  return new Stop({ kind: "damaged", damages: [damage] });
}

function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
