import { DeltaError } from "./delta-error.ts";

/**
 * Stops a call with options that are no object, of which nothing would be heeded; nor of a Map or an array,
 * which can be iterated.
 */
export function requireOptions(options: unknown, what = "options"): void {
  const isObject = typeof options === "object" && options !== null;
  if (isObject && !(Symbol.iterator in options)) return;
  const given = isObject ? Object.prototype.toString.call(options) : String(options);
  throw new DeltaError("invalid_argument", `${what} must be a plain object, not ${given}`);
}

/** `own` options over those `common` to several, or to all calls; one that is undefined is not given. */
export function over<T extends object>(common: T, own: T | undefined): T {
  const given = Object.entries(own ?? {}).filter(([, value]) => value !== undefined);
  return { ...common, ...Object.fromEntries(given) };
}

/** Stops a call that has no use for `into`, and says what comes instead. */
export function refuseInto(options: object, instead: string): void {
  if ((options as { readonly into?: unknown }).into === undefined) return;
  throw new DeltaError("invalid_argument", `\`into\` is for one series of decode: ${instead}`);
}

/**
 * Stops a call with memory that was handed on, to a worker say, or that a buffer has shrunk away from: it would
 * be taken for nothing without a word.
 */
export function requireMemory(value: unknown): void {
  const array = value as Uint8Array;
  if (array.length > 0) return;
  try {
    // The oldest of those that look, in any realm, whether there is memory.
    Uint8Array.prototype.indexOf.call(array, 0);
  } catch {
    const message =
      "the array's memory was handed on to another owner, or is beyond its buffer's end";
    throw new DeltaError("invalid_argument", message);
  }
}

/** Stops a call with a limit that would limit nothing. */
export function requireLimit(limit: number, name: string): void {
  if (limit >= 0) return;
  throw new DeltaError("invalid_argument", `${name} is to be 0 or more`);
}

export function tooManyValues(maxValues: number, instead: string, offset: number): DeltaError {
  const message = `more than ${maxValues} values: ${instead}`;
  return new DeltaError("limit_exceeded", message, offset);
}
