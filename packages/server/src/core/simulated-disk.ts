/** A disk in memory for tests: requests wait until the test completes, fails or loses them. */

import { assert, type Rng, unreachable } from "@cubby/base";
import type { DiskCompletion, DiskError, DiskOperation, DiskRequest, DiskTask } from "./disk.ts";

/** What a sector holds after a crash in the middle of its write. */
export type SectorOutcome = "old" | "new" | "torn" | "zero" | "garbage";

export type CrashModel = {
  /** One is drawn per sector. "zero" applies only to sectors that held nothing before. */
  readonly outcomes: readonly SectorOutcome[];
};

/** `bytes` is a view of a buffer that may be longer, so that a file can grow cheaply. */
type File = { bytes: Uint8Array };
type DirectoryChange = Extract<DiskOperation, { kind: "create" | "rename" | "remove" }>;

const SECTOR = 512;

export class SimDisk {
  #files = new Map<string, File>();
  /** The directory as of its last sync, and what has changed since. */
  #syncedFiles = new Map<string, File>();
  #changes: DirectoryChange[] = [];
  #waiting: DiskRequest[] = [];
  #failure: ((request: DiskRequest) => DiskError | undefined) | undefined;
  completedCount = 0;

  submit(requests: readonly DiskRequest[]): void {
    // As the port says, the bytes may be reused only after completion; so no copy is made.
    this.#waiting.push(...requests);
  }

  get waiting(): readonly DiskRequest[] {
    return this.#waiting;
  }

  /** Every request that the function gives an error for fails with it, without effect. */
  failWith(failure: ((request: DiskRequest) => DiskError | undefined) | undefined): void {
    this.#failure = failure;
  }

  complete(index = 0): DiskCompletion {
    const [request] = this.#waiting.splice(index, 1);
    assert(request !== undefined, "there is a request to complete");
    this.completedCount += 1;
    const error = this.#failure?.(request);
    if (error !== undefined) return { id: request.id, ok: false, error };
    return this.#carryOut(request);
  }

  names(): string[] {
    return [...this.#files.keys()];
  }

  /** The content itself: what a test changes in it is changed on the disk. */
  content(name: string): Uint8Array {
    const file = this.#files.get(name);
    assert(file !== undefined, `the file ${name} is there`);
    return file.bytes;
  }

  replace(name: string, bytes: Uint8Array | undefined): void {
    if (bytes === undefined) {
      this.#files.delete(name);
      this.#syncedFiles.delete(name);
      return;
    }
    const file = { bytes };
    this.#files.set(name, file);
    this.#syncedFiles.set(name, file);
  }

  /** As it is now, with nothing under way. */
  copy(): SimDisk {
    const copy = new SimDisk();
    for (const [name, { bytes }] of this.#files) copy.replace(name, bytes.slice());
    return copy;
  }

  /** What a new process finds after the machine stopped: every request under way may half count. */
  crash(rng: Rng, model: CrashModel): SimDisk {
    const after = new Map<string, Uint8Array>();
    const bytesOf = new Map<File, Uint8Array>();
    const keep = (file: File): Uint8Array => {
      const bytes = bytesOf.get(file) ?? file.bytes.slice();
      bytesOf.set(file, bytes);
      return bytes;
    };
    for (const request of this.#waiting) {
      if (request.kind !== "write") continue;
      const file = this.#files.get(request.file);
      if (file !== undefined) bytesOf.set(file, tear(keep(file), request, rng, model));
    }
    const directory = new Map(this.#syncedFiles);
    for (const change of [...this.#changes, ...this.#waiting]) {
      if (rng.chance(0.5)) applyChange(directory, change, this.#files);
    }
    for (const [name, file] of directory) after.set(name, keep(file));
    const disk = new SimDisk();
    for (const [name, bytes] of after) disk.replace(name, bytes.slice());
    return disk;
  }

  #carryOut(request: DiskRequest): DiskCompletion {
    const { id } = request;
    switch (request.kind) {
      case "write": {
        const file = this.#files.get(request.file);
        if (file === undefined) return missing(id, request.file);
        file.bytes = overwrite(file.bytes, request.offset, request.bytes);
        return { id, ok: true };
      }
      case "read": {
        const file = this.#files.get(request.file);
        if (file === undefined) return missing(id, request.file);
        const end = request.offset + request.sizeBytes;
        return { id, ok: true, bytes: file.bytes.slice(request.offset, end) };
      }
      case "size": {
        const file = this.#files.get(request.file);
        if (file === undefined) return missing(id, request.file);
        return { id, ok: true, sizeBytes: file.bytes.length };
      }
      case "create":
        if (this.#files.has(request.file)) {
          return { id, ok: false, error: { code: "EEXIST", message: request.file } };
        }
        this.#files.set(request.file, { bytes: new Uint8Array(0) });
        this.#changes.push(request);
        return { id, ok: true };
      case "rename":
        if (!this.#files.has(request.from)) return missing(id, request.from);
        applyChange(this.#files, request, this.#files);
        this.#changes.push(request);
        return { id, ok: true };
      case "remove":
        if (!this.#files.delete(request.file)) return missing(id, request.file);
        this.#changes.push(request);
        return { id, ok: true };
      case "list":
        return { id, ok: true, names: this.names() };
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
  let step = task.next([]);
  while (!step.done) {
    disk.submit(step.value);
    step = task.next(step.value.map(() => disk.complete()));
  }
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

function missing(id: number, file: string): DiskCompletion {
  return { id, ok: false, error: { code: "ENOENT", message: file } };
}

function applyChange(
  directory: Map<string, File>,
  change: DiskRequest | DirectoryChange,
  current: ReadonlyMap<string, File>,
): void {
  if (change.kind === "create") {
    const file = current.get(change.file);
    if (file !== undefined) directory.set(change.file, file);
  } else if (change.kind === "remove") {
    directory.delete(change.file);
  } else if (change.kind === "rename") {
    const file = directory.get(change.from);
    if (file === undefined) return;
    directory.delete(change.from);
    directory.set(change.to, file);
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

function tear(
  bytes: Uint8Array,
  request: { offset: number; bytes: Uint8Array },
  rng: Rng,
  model: CrashModel,
): Uint8Array {
  let result = bytes;
  for (let at = 0; at < request.bytes.length; at += SECTOR) {
    const patch = request.bytes.subarray(at, at + SECTOR);
    const offset = request.offset + at;
    const old = bytes.slice(offset, offset + SECTOR);
    const outcome = model.outcomes[rng.below(model.outcomes.length)] ?? "old";
    const left = sectorAfter(outcome, old, patch, rng);
    if (left !== undefined) result = overwrite(result, offset, left);
  }
  return result;
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
