/** A disk in memory for tests: requests wait until the test completes, fails or loses them. */

import { assert, type Rng, unreachable } from "@cubby/base";
import type { DiskCompletion, DiskError, DiskRequest, DiskTask } from "./disk.ts";

/** What a sector holds after a crash in the middle of its write. */
export type SectorOutcome = "old" | "new" | "torn" | "zero" | "garbage";

export type CrashModel = {
  /** One is drawn per sector. "zero" applies only to sectors that held nothing before. */
  readonly outcomes: readonly SectorOutcome[];
  /**
   * Only the process ended: the next one reads what the system has in its memory, and what of that is
   * not on the disk a later power loss takes away (reliability §5 rule 4).
   */
  readonly keepsCache?: boolean;
};

/** The machine stops: of what is under way each sector may count, half count, or not. */
export const STOPPED: CrashModel = { outcomes: ["old", "new", "new", "torn", "zero"] };
/** The process ends, and the system carries out what it was given, in its memory: of a write, whole pages. */
export const KILLED: CrashModel = { outcomes: ["new"], keepsCache: true };

/** A failed write may be in the system's memory all the same, with so many of its bytes. */
export type InjectedError = DiskError & { readonly cachedBytes?: number };

/** What the disk still holds where the system's memory holds something newer. */
type Unsynced = {
  readonly offset: number;
  readonly old: Uint8Array;
  readonly newBytes: number;
  /** Its sync failed: the system takes it for written, and no other sync will write it (rule 3). */
  readonly hasFailed: boolean;
};

/** `bytes` is a view of a buffer that may be longer, so that a file can grow cheaply. */
type File = { bytes: Uint8Array; unsynced: readonly Unsynced[] };
type LookRequest = Extract<DiskRequest, { kind: "read" | "size" | "list" }>;
type DirectoryRequest = Extract<DiskRequest, { kind: "create" | "rename" | "remove" }>;
/** `file` is what was created or renamed. */
type DirectoryChange = { readonly request: DirectoryRequest; readonly file: File | undefined };

const SECTOR = 512;
const PAGE = 4_096;
/** How often a process is killed in the middle of a write, of those that are under way. */
const CUT_RATE = 0.2;

export class SimDisk {
  #files = new Map<string, File>();
  /** The directory as of its last sync, and what has changed since. */
  #syncedFiles = new Map<string, File>();
  #changes: DirectoryChange[] = [];
  #waiting: DiskRequest[] = [];
  #failure: ((request: DiskRequest) => InjectedError | undefined) | undefined;
  completedCount = 0;
  /** Another one whenever what is on the disk may have changed. */
  version = 0;

  submit(requests: readonly DiskRequest[]): void {
    // As the port says, the bytes may be reused only after completion; so no copy is made.
    this.#waiting.push(...requests);
  }

  get waiting(): readonly DiskRequest[] {
    return this.#waiting;
  }

  /** Every request that the function gives an error for fails with it, and has no effect that lasts. */
  failWith(failure: ((request: DiskRequest) => InjectedError | undefined) | undefined): void {
    this.#failure = failure;
  }

  complete(index = 0): DiskCompletion {
    const [request] = this.#waiting.splice(index, 1);
    assert(request !== undefined, "there is a request to complete");
    this.completedCount += 1;
    this.version += 1;
    const failure = this.#failure?.(request);
    if (failure === undefined) return this.#carryOut(request);
    const { code, message, cachedBytes = 0 } = failure;
    const file = request.kind === "write" ? this.#files.get(request.file) : undefined;
    if (request.kind === "write" && file !== undefined && cachedBytes > 0) {
      for (let at = 0; at < cachedBytes; at += SECTOR) {
        const bytes = request.bytes.subarray(at, Math.min(at + SECTOR, cachedBytes));
        cache(file, request.offset + at, bytes, true);
      }
    }
    return { id: request.id, ok: false, error: { code, message } };
  }

  names(): string[] {
    return [...this.#files.keys()];
  }

  /** The content itself: what a test changes in it is changed on the disk. */
  content(name: string): Uint8Array {
    const file = this.#files.get(name);
    assert(file !== undefined, `the file ${name} is there`);
    this.version += 1;
    return file.bytes;
  }

  replace(name: string, bytes: Uint8Array | undefined): void {
    this.version += 1;
    if (bytes === undefined) {
      this.#files.delete(name);
      this.#syncedFiles.delete(name);
      return;
    }
    const file = { bytes, unsynced: [] };
    this.#files.set(name, file);
    this.#syncedFiles.set(name, file);
  }

  /** As it is now, with nothing under way. */
  copy(): SimDisk {
    const copy = new SimDisk();
    for (const [name, { bytes }] of this.#files) copy.replace(name, bytes.slice());
    return copy;
  }

  /** What must be there whatever happens: only what was synced. */
  afterPowerLoss(): SimDisk {
    const after = new SimDisk();
    for (const [name, file] of this.#syncedFiles) after.replace(name, syncedBytes(file).slice());
    return after;
  }

  /** What a task would find after a power loss. What it writes goes nowhere: it must not read it. */
  findAfterPowerLoss<T>(task: DiskTask<T>): T {
    const files = new Map<string, { bytes: Uint8Array }>();
    for (const [name, file] of this.#syncedFiles) files.set(name, { bytes: syncedBytes(file) });
    const answer = (request: DiskRequest): DiskCompletion =>
      isLook(request) ? look(files, request) : { id: request.id, ok: true };
    return answerAll(task, (requests) => requests.map(answer));
  }

  /**
   * What a new process finds after this one ended, or the machine did: every request under way may
   * half count, and what was not synced may be gone with the machine.
   */
  crash(rng: Rng, model: CrashModel): SimDisk {
    const { keepsCache = false } = model;
    const copies = new Map<File, File>();
    const copyOf = (file: File): File => {
      const known = copies.get(file);
      if (known !== undefined) return known;
      const copy: File = { bytes: file.bytes.slice(), unsynced: file.unsynced };
      while (!keepsCache && copy.unsynced.length > 0) {
        if (rng.chance(0.5)) revertNewest(copy);
        else copy.unsynced = copy.unsynced.slice(0, -1);
      }
      copies.set(file, copy);
      return copy;
    };
    for (const request of this.#waiting) {
      if (request.kind !== "write") continue;
      const file = this.#files.get(request.file);
      if (file !== undefined) tear(copyOf(file), request, rng, model);
    }
    const disk = new SimDisk();
    const fill = (to: Map<string, File>, from: ReadonlyMap<string, File>): void => {
      for (const [name, file] of from) to.set(name, copyOf(file));
    };
    if (keepsCache) {
      fill(disk.#files, this.#files);
      fill(disk.#syncedFiles, this.#syncedFiles);
      disk.#changes = this.#changes.map(({ request, file }) => ({
        request,
        file: file === undefined ? undefined : copyOf(file),
      }));
      for (const request of this.#waiting) {
        if (isOfDirectory(request) && rng.chance(0.5)) disk.#carryOut(request);
      }
      return disk;
    }
    const directory = new Map(this.#syncedFiles);
    for (const { request, file } of this.#changes) {
      if (rng.chance(0.5)) applyChange(directory, request, file);
    }
    for (const request of this.#waiting) {
      if (isOfDirectory(request) && rng.chance(0.5)) applyChange(directory, request, undefined);
    }
    fill(disk.#files, directory);
    disk.#syncedFiles = new Map(disk.#files);
    return disk;
  }

  #change(request: DirectoryRequest, file: File | undefined): void {
    applyChange(this.#files, request, file);
    this.#changes.push({ request, file });
  }

  #carryOut(request: DiskRequest): DiskCompletion {
    const { id } = request;
    switch (request.kind) {
      case "write": {
        const file = this.#files.get(request.file);
        if (file === undefined) return missing(id, request.file);
        file.bytes = overwrite(file.bytes, request.offset, request.bytes);
        // A sync is of the whole file, but for what a sync before has failed to write.
        file.unsynced = file.unsynced.filter((each) => each.hasFailed && !covers(request, each));
        return { id, ok: true };
      }
      case "read": {
        const read = look(this.#files, request);
        return read.ok && read.bytes !== undefined ? { ...read, bytes: read.bytes.slice() } : read;
      }
      case "size":
      case "list":
        return look(this.#files, request);
      case "create":
        if (this.#files.has(request.file)) {
          return { id, ok: false, error: { code: "EEXIST", message: request.file } };
        }
        this.#change(request, { bytes: new Uint8Array(0), unsynced: [] });
        return { id, ok: true };
      case "rename":
        if (!this.#files.has(request.from)) return missing(id, request.from);
        this.#change(request, this.#files.get(request.from));
        return { id, ok: true };
      case "remove":
        if (!this.#files.has(request.file)) return missing(id, request.file);
        this.#change(request, undefined);
        return { id, ok: true };
      case "syncDirectory":
        this.#syncedFiles = new Map(this.#files);
        this.#changes = [];
        return { id, ok: true };
      default:
        return unreachable(request);
    }
  }
}

/** Runs a task to its end, each request completed at once. */
export function drive<T>(disk: SimDisk, task: DiskTask<T>): T {
  return answerAll(task, (requests) => {
    disk.submit(requests);
    return requests.map(() => disk.complete());
  });
}

function answerAll<T>(
  task: DiskTask<T>,
  answer: (requests: readonly DiskRequest[]) => DiskCompletion[],
): T {
  let step = task.next([]);
  while (!step.done) step = task.next(answer(step.value));
  return step.value;
}

/** Runs a task for so many requests, and leaves the next ones under way. */
export function driveFor<T>(disk: SimDisk, task: DiskTask<T>, requests: number): T | undefined {
  let step = task.next([]);
  for (let done = 0; !step.done; done += 1) {
    disk.submit(step.value);
    if (done === requests) return undefined;
    step = task.next(step.value.map(() => disk.complete()));
  }
  return step.value;
}

function isLook(request: DiskRequest): request is LookRequest {
  return request.kind === "read" || request.kind === "size" || request.kind === "list";
}

/** The bytes of a read are the file's own. */
function look(
  files: ReadonlyMap<string, { readonly bytes: Uint8Array }>,
  request: LookRequest,
): DiskCompletion {
  const { id, kind } = request;
  if (kind === "list") return { id, ok: true, names: [...files.keys()] };
  const file = files.get(request.file);
  if (file === undefined) return missing(id, request.file);
  if (kind === "size") return { id, ok: true, sizeBytes: file.bytes.length };
  const bytes = file.bytes.subarray(request.offset, request.offset + request.sizeBytes);
  return { id, ok: true, bytes };
}

function missing(id: number, file: string): DiskCompletion {
  return { id, ok: false, error: { code: "ENOENT", message: file } };
}

function isOfDirectory(request: DiskRequest): request is DirectoryRequest {
  return request.kind === "create" || request.kind === "rename" || request.kind === "remove";
}

function covers(
  by: { offset: number; bytes: Uint8Array },
  { offset, newBytes }: Unsynced,
): boolean {
  return by.offset <= offset && offset + newBytes <= by.offset + by.bytes.length;
}

/** Each may be durable without those before it. */
function applyChange(
  directory: Map<string, File>,
  request: DirectoryRequest,
  file: File | undefined,
): void {
  if (request.kind === "remove") {
    directory.delete(request.file);
  } else if (request.kind === "create") {
    if (file !== undefined) directory.set(request.file, file);
  } else {
    const renamed = file ?? directory.get(request.from);
    directory.delete(request.from);
    if (renamed !== undefined) directory.set(request.to, renamed);
  }
}

function overwrite(bytes: Uint8Array, offset: number, patch: Uint8Array): Uint8Array {
  const end = offset + patch.length;
  const grown = end <= bytes.length ? bytes : withLength(bytes, end);
  grown.set(patch, offset);
  return grown;
}

function withLength(bytes: Uint8Array, length: number): Uint8Array {
  const room = bytes.buffer.byteLength - bytes.byteOffset;
  if (length <= room) return new Uint8Array(bytes.buffer, bytes.byteOffset, length);
  const grown = new Uint8Array(2 * length);
  grown.set(bytes);
  return grown.subarray(0, length);
}

/** The system has it in memory, and has not written it. */
function cache(file: File, offset: number, bytes: Uint8Array, hasFailed: boolean): void {
  const old = file.bytes.slice(offset, offset + bytes.length);
  file.unsynced = [...file.unsynced, { offset, old, newBytes: bytes.length, hasFailed }];
  file.bytes = overwrite(file.bytes, offset, bytes);
}

function syncedBytes({ bytes, unsynced }: File): Uint8Array {
  if (unsynced.length === 0) return bytes;
  const file = { bytes: bytes.slice(), unsynced };
  while (file.unsynced.length > 0) revertNewest(file);
  return file.bytes;
}

function revertNewest(file: File): void {
  const newest = file.unsynced.at(-1);
  assert(newest !== undefined, "there is something to revert");
  const { offset, old, newBytes } = newest;
  const hasGrown = old.length < newBytes && offset + newBytes === file.bytes.length;
  if (hasGrown) file.bytes = file.bytes.slice(0, offset + old.length);
  file.bytes = overwrite(file.bytes, offset, old);
  file.unsynced = file.unsynced.slice(0, -1);
}

function tear(
  file: File,
  request: { offset: number; bytes: Uint8Array },
  rng: Rng,
  model: CrashModel,
): void {
  const { length } = request.bytes;
  const isCut = model.keepsCache === true && rng.chance(CUT_RATE);
  const end = isCut ? PAGE * rng.below(Math.ceil(length / PAGE)) : length;
  for (let at = 0; at < end; at += SECTOR) {
    const patch = request.bytes.subarray(at, at + SECTOR);
    const offset = request.offset + at;
    const old = file.bytes.slice(offset, offset + SECTOR);
    const outcome = model.outcomes[rng.below(model.outcomes.length)] ?? "old";
    const left = sectorAfter(outcome, old, patch, rng);
    if (left === undefined) continue;
    if (model.keepsCache === true) cache(file, offset, left, false);
    else file.bytes = overwrite(file.bytes, offset, left);
  }
}

function sectorAfter(
  outcome: SectorOutcome,
  old: Uint8Array,
  patch: Uint8Array,
  rng: Rng,
): Uint8Array | undefined {
  switch (outcome) {
    case "old":
      return undefined;
    case "new":
      return patch;
    case "torn":
      return patch.subarray(0, rng.below(patch.length));
    case "zero":
      return old.every((byte) => byte === 0) ? new Uint8Array(patch.length) : undefined;
    case "garbage":
      return rng.bytes(patch.length);
    default:
      return unreachable(outcome);
  }
}
