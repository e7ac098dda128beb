/**
 * The Disk port on a real directory. A write is a writeSync, which only fills memory, then an
 * fdatasync with a callback: measured here, that is faster than O_DSYNC through the thread pool, and
 * unlike a synchronous O_DSYNC it leaves the event loop free for the length of the disk's work
 * (bench/journal.ts). Files in use stay open, so that no commit opens one.
 */

import {
  closeSync,
  constants,
  fdatasync,
  fstat,
  fsync,
  open,
  openSync,
  read,
  readdir,
  rename,
  unlink,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { unreachable } from "@cubby/base";
import type { DiskCompletion, DiskRequest } from "./core/disk.ts";

/** Is called for each request once, later, and never from inside `submit`. */
export type OnCompletion = (completion: DiskCompletion) => void;

/**
 * Files that are open while nothing is under way. The journal of a large state has any number of them,
 * and is written in a few at a time.
 */
const OPEN_FILES_MAX = 32;

export class FileDisk {
  readonly #directory: string;
  readonly #onCompletion: OnCompletion;
  /** In the order of their last use. */
  readonly #descriptors = new Map<string, number>();
  #inFlight = 0;
  #closing: Promise<void> | undefined;
  #onClosed: () => void = () => undefined;

  constructor(directory: string, onCompletion: OnCompletion) {
    this.#directory = directory;
    this.#onCompletion = onCompletion;
  }

  /** Requests under way. */
  get inFlight(): number {
    return this.#inFlight;
  }

  submit(requests: readonly DiskRequest[]): void {
    for (const request of requests) {
      this.#inFlight += 1;
      this.#start(request);
    }
  }

  /**
   * Ends when nothing is under way any more; only then may the directory be given free. Completions
   * of what was under way are no longer reported.
   */
  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.#onClosed = resolve;
      if (this.#inFlight === 0) this.#closeFiles();
    });
    return this.#closing;
  }

  /** A descriptor closed under a running call may by then belong to another file. */
  #closeFiles(): void {
    // What was written is synced: a close that fails has nothing to lose, and the others must be closed.
    for (const descriptor of this.#descriptors.values()) closeFailure(descriptor);
    this.#descriptors.clear();
    this.#onClosed();
  }

  #start(request: DiskRequest): void {
    const { id } = request;
    const done = (error: Error | null) => this.#finish(id, error, {});
    try {
      switch (request.kind) {
        case "write":
          this.#write(request);
          break;
        case "read":
          this.#read(request);
          break;
        case "size":
          fstat(this.#descriptor(request.file), (error, stat) => {
            this.#finish(id, error, error === null ? { sizeBytes: stat.size } : {});
          });
          break;
        case "create":
          this.#create(id, request.file);
          break;
        case "rename":
          this.#rename(request.from, request.to, done);
          break;
        case "remove":
          this.#forget(request.file);
          unlink(this.#path(request.file), done);
          break;
        case "list":
          readdir(this.#directory, (error, names) => {
            this.#finish(id, error, error === null ? { names } : {});
          });
          break;
        case "syncDirectory":
          this.#syncDirectory(id);
          break;
        default:
          unreachable(request);
      }
    } catch (error) {
      if (!isSystemError(error)) throw error;
      setImmediate(() => this.#finish(id, error, {}));
    }
  }

  #write(request: Extract<DiskRequest, { kind: "write" }>): void {
    const { id, bytes, offset } = request;
    const descriptor = this.#descriptor(request.file);
    const written = writeSync(descriptor, bytes, 0, bytes.length, offset);
    if (written < bytes.length) {
      // It has failed whatever comes now; but a disk without room says so only to the next write.
      writeSync(descriptor, bytes, written, bytes.length - written, offset + written);
      const error = shortWrite(written, bytes.length);
      setImmediate(() => this.#finish(id, error, {}));
      return;
    }
    fdatasync(descriptor, (error) => this.#finish(id, error, {}));
  }

  #read(request: Extract<DiskRequest, { kind: "read" }>): void {
    const { id, offset, sizeBytes } = request;
    const descriptor = this.#descriptor(request.file);
    const bytes = new Uint8Array(sizeBytes);
    const next = (at: number): void => {
      read(descriptor, bytes, at, sizeBytes - at, offset + at, (error, count) => {
        // Less than asked for is the end of the file only if nothing more comes after it.
        if (error === null && count > 0 && at + count < sizeBytes) next(at + count);
        else this.#finish(id, error, { bytes: bytes.subarray(0, at + count) });
      });
    };
    next(0);
  }

  #create(id: number, file: string): void {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;
    open(this.#path(file), flags, 0o600, (error, descriptor) => {
      if (error === null) this.#descriptors.set(file, descriptor);
      this.#finish(id, error, {});
    });
  }

  #rename(from: string, to: string, done: (error: Error | null) => void): void {
    this.#forget(to);
    const descriptor = this.#descriptors.get(from);
    this.#descriptors.delete(from);
    if (descriptor !== undefined) this.#descriptors.set(to, descriptor);
    rename(this.#path(from), this.#path(to), done);
  }

  #syncDirectory(id: number): void {
    const descriptor = openSync(this.#directory, constants.O_RDONLY);
    fsync(descriptor, (error) => {
      this.#finish(id, error ?? closeFailure(descriptor), {});
    });
  }

  #descriptor(file: string): number {
    const known = this.#descriptors.get(file);
    this.#descriptors.delete(file);
    const descriptor = known ?? openSync(this.#path(file), constants.O_RDWR);
    this.#descriptors.set(file, descriptor);
    return descriptor;
  }

  #forget(file: string): void {
    const descriptor = this.#descriptors.get(file);
    if (descriptor === undefined) return;
    this.#descriptors.delete(file);
    closeSync(descriptor);
  }

  /** Each was synced by the request that wrote it, so that no failure is lost with its descriptor. */
  #closeUnused(): void {
    for (const [file, descriptor] of this.#descriptors) {
      if (this.#descriptors.size <= OPEN_FILES_MAX) return;
      this.#descriptors.delete(file);
      closeFailure(descriptor);
    }
  }

  #path(file: string): string {
    return join(this.#directory, file);
  }

  #finish(
    id: number,
    error: Error | null,
    result: { bytes?: Uint8Array; names?: string[]; sizeBytes?: number },
  ): void {
    this.#inFlight -= 1;
    if (this.#closing !== undefined) {
      if (this.#inFlight === 0) this.#closeFiles();
      return;
    }
    if (this.#inFlight === 0) this.#closeUnused();
    if (error === null) {
      this.#onCompletion({ id, ok: true, ...result });
      return;
    }
    const code = isSystemError(error) ? error.code : "EUNKNOWN";
    this.#onCompletion({ id, ok: false, error: { code, message: error.message } });
  }
}

type SystemError = Error & { readonly code: string };

function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && "code" in error && typeof error.code === "string";
}

function closeFailure(descriptor: number): SystemError | null {
  try {
    closeSync(descriptor);
    return null;
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return error;
  }
}

function shortWrite(written: number, wanted: number): SystemError {
  const error = new Error(`${written} of ${wanted} bytes were written`);
  return Object.assign(error, { code: "ESHORT" });
}
