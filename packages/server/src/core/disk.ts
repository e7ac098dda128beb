/**
 * The port through which a replica reaches its one directory. Requests are data, and completions
 * come back later as inputs, in any order: so a simulator can hold, fail or tear each of them.
 *
 * Rules for whoever carries them out:
 * - A write that completed is durable, and so is the length it gave the file. It never completes in
 *   part: fewer bytes than asked for is a failure with the code ESHORT.
 * - `create`, `rename` and `remove` are durable only after a later `syncDirectory`.
 * - A read stops at the end of the file, so it may give fewer bytes than asked for.
 * - The bytes of a request belong to the disk until its completion, and a completion's bytes to the
 *   journal.
 * - File names are plain names inside the directory.
 */

export type DiskOperation =
  | {
      readonly kind: "write";
      readonly file: string;
      readonly offset: number;
      readonly bytes: Uint8Array;
    }
  | {
      readonly kind: "read";
      readonly file: string;
      readonly offset: number;
      readonly sizeBytes: number;
    }
  /** An empty file; fails with EEXIST if the name is taken. */
  | { readonly kind: "create"; readonly file: string }
  /** Replaces `to` if it is there. */
  | { readonly kind: "rename"; readonly from: string; readonly to: string }
  | { readonly kind: "remove"; readonly file: string }
  | { readonly kind: "size"; readonly file: string }
  | { readonly kind: "list" }
  | { readonly kind: "syncDirectory" };

/** `id` is unique among the requests of one journal, from its recovery on. */
export type DiskRequest = DiskOperation & { readonly id: number };

export type DiskError = {
  /** As the operating system names it (EIO, ENOSPC, ENOENT, …), or ESHORT for a short write. */
  readonly code: string;
  readonly message: string;
};

export type DiskCompletion =
  | {
      readonly id: number;
      readonly ok: true;
      /** Of a read. */
      readonly bytes?: Uint8Array;
      /** Of a list, in no particular order. */
      readonly names?: readonly string[];
      /** Of a size. */
      readonly sizeBytes?: number;
    }
  | { readonly id: number; readonly ok: false; readonly error: DiskError };

/** A piece of work that needs several requests: it yields some, and goes on once all completed. */
export type DiskTask<T> = Generator<readonly DiskRequest[], T, readonly DiskCompletion[]>;
