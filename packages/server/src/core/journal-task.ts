/**
 * Disk work in several steps, written as generators: preparing a segment, writing a snapshot,
 * recovery. A task sees only completions that succeeded; a failed one ends it with DiskFailure, which
 * the one place that runs tasks turns into a value (reliability §5 rules 3 and 5: never retried).
 */

import { assert, EMPTY_BYTES } from "@cubby/base";
import type { DiskCompletion, DiskError, DiskOperation, DiskRequest, DiskTask } from "./disk.ts";

/** What went wrong with which operation on which file. */
export type FailedOperation = {
  readonly operation: DiskOperation["kind"];
  readonly file: string;
  readonly error: DiskError;
};

/** Thrown inside tasks only; whoever runs them catches it. */
export class DiskFailure extends Error {
  override readonly name = "DiskFailure";
  readonly failed: FailedOperation;

  constructor(failed: FailedOperation) {
    super(`${failed.operation} ${failed.file}: ${failed.error.code} ${failed.error.message}`);
    this.failed = failed;
  }
}

export class RequestIds {
  #next = 1;

  next(): number {
    return this.#next++;
  }
}

type Success = Extract<DiskCompletion, { ok: true }>;

export function* perform(ids: RequestIds, operation: DiskOperation): DiskTask<Success> {
  const request: DiskRequest = { ...operation, id: ids.next() };
  const [completion] = yield [request];
  assert(completion?.id === request.id, "a task is resumed with the completion it waits for");
  if (!completion.ok) throw new DiskFailure(failedOperation(operation, completion.error));
  return completion;
}

export function failedOperation(operation: DiskOperation, error: DiskError): FailedOperation {
  return { operation: operation.kind, file: fileOf(operation), error };
}

function fileOf(operation: DiskOperation): string {
  if ("file" in operation) return operation.file;
  return operation.kind === "rename" ? operation.from : ".";
}

export function* write(
  ids: RequestIds,
  file: string,
  offset: number,
  bytes: Uint8Array,
): DiskTask<void> {
  yield* perform(ids, { kind: "write", file, offset, bytes });
}

/** In chunks, so that no request is large: a flush of the journal never waits long (PML-42). */
export function* readThrough(
  ids: RequestIds,
  file: string,
  { sizeBytes, chunkBytes }: { sizeBytes: number; chunkBytes: number },
): DiskTask<Uint8Array> {
  // What comes in one read needs no copy.
  const isOneRead = sizeBytes <= chunkBytes;
  const whole = new Uint8Array(isOneRead ? 0 : sizeBytes);
  let at = 0;
  while (at < sizeBytes) {
    const size = Math.min(chunkBytes, sizeBytes - at);
    const done = yield* perform(ids, { kind: "read", file, offset: at, sizeBytes: size });
    const bytes = done.bytes ?? EMPTY_BYTES;
    assert(bytes.length <= size, "a read gives no more than was asked for");
    if (isOneRead) return bytes;
    whole.set(bytes, at);
    at += bytes.length;
    if (bytes.length < size) return whole.subarray(0, at);
  }
  return whole;
}

export function* readWhole(
  ids: RequestIds,
  file: string,
  chunkBytes: number,
): DiskTask<Uint8Array> {
  const { sizeBytes = 0 } = yield* perform(ids, { kind: "size", file });
  return yield* readThrough(ids, file, { sizeBytes, chunkBytes });
}

/** Overwrites [from, to) with zeros, chunk by chunk, each durable before the next is written. */
export function* writeZeros(
  ids: RequestIds,
  file: string,
  range: { from: number; to: number; chunkBytes: number },
): DiskTask<void> {
  const zeros = new Uint8Array(Math.min(range.chunkBytes, range.to - range.from));
  for (let at = range.from; at < range.to; at += zeros.length) {
    yield* write(ids, file, at, zeros.subarray(0, Math.min(zeros.length, range.to - at)));
  }
}
