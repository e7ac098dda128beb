/** Why a call failed; stable, for programs. */
export type DeltaErrorCode =
  /** The call itself is wrong: a mixed array, a hole, an option out of range. `offset` is the index of the value. */
  | "invalid_argument"
  /** A value that the named type cannot hold, or a position outside the series. */
  | "out_of_range"
  /** The bytes do not begin like a delta file, patch or table. */
  | "not_delta"
  /** Written by a later version of the format. */
  | "unsupported_version"
  /** Asks for a feature that this version does not have, or for a compressor that this runtime lacks. */
  | "unsupported_feature"
  /** The bytes end too early. */
  | "truncated"
  /** The bytes contradict themselves. */
  | "corrupt"
  /** The bytes are not those that were written. */
  | "checksum_mismatch"
  /** More values or bytes than the limits allow; see `limits.ts`. */
  | "limit_exceeded";

/**
 * Every failure of this library. `offset` is the byte at which bad input showed, or the index of the
 * value that cannot be encoded. No call that fails has changed anything, save that `decode` may have filled a
 * part of `into`, and none may be repeated unchanged.
 */
export class DeltaError extends Error {
  override readonly name = "DeltaError";
  readonly code: DeltaErrorCode;
  readonly offset: number | undefined;
  /** The message without code and offset. */
  readonly detail: string;
  readonly retryable = false;
  readonly outcome = "not-applied";

  constructor(code: DeltaErrorCode, detail: string, offset?: number) {
    super(`[${code}] ${detail}${offset === undefined ? "" : ` (at ${offset})`}`);
    this.code = code;
    this.detail = detail;
    this.offset = offset;
  }
}

/** Of bytes that contradict themselves: `what` is a plural, and the offset is where it shows. */
export function corrupt(what: string, offset?: number): DeltaError {
  return new DeltaError("corrupt", `${what} that cannot be`, offset);
}

/** Of something that a later version may know. */
export function unsupported(what: string, id: number, offset?: number): DeltaError {
  return new DeltaError("unsupported_feature", `${what} ${id}, which is not known`, offset);
}

/** What `work` answers; an error of this library is told as `told` tells it. */
export function telling<T>(told: (error: DeltaError) => DeltaError, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof DeltaError ? told(error) : error;
  }
}

/** The same, with offsets counted from `start` on, as it is when the error comes. */
export function toldFrom<T>(start: () => number, work: () => T): T {
  const told = (error: DeltaError): DeltaError => {
    const { code, detail, offset } = error;
    return offset === undefined ? error : new DeltaError(code, detail, start() + offset);
  };
  return telling(told, work);
}

/** Whether `read` gives back what was written. Bytes that cannot be read do not. */
export function comesBack(read: () => boolean): boolean {
  try {
    return read();
  } catch (error) {
    if (error instanceof DeltaError) return false;
    throw error;
  }
}

/** Stops the program unless `property` holds: a fault of this library, never of its input. */
export function assert(condition: unknown, property: string): asserts condition {
  if (!condition) throw new Error(`@cubby/delta is wrong, please report it: ${property}`);
}
