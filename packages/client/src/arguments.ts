import { isUint8Array } from "node:util/types";
import { utf8Encode, utf8Length } from "@cubby/base";
import {
  CubbyError,
  FILE_BYTES_MAX,
  quoted,
  SEQUENCER_BYTES_MAX,
  sequencerFromText,
} from "@cubby/protocol";

/*
 * What callers hand over is checked before it is queued: a request that cannot be encoded would end
 * the process, and one that no frame holds would break the connection under all sessions on it, each
 * time that it is repeated. And it is copied: a call may be sent, and sent again, much later.
 */

/** Throws `CubbyError` invalid_argument or file_too_large (NS-7). */
export function contentsBytes(contents: Uint8Array | string): Uint8Array {
  if (typeof contents === "string") {
    checkSize(utf8Length(contents));
    return utf8Encode(contents);
  }
  if (!isUint8Array(contents)) {
    throw new CubbyError("invalid_argument", "Contents are given as text or as a Uint8Array.");
  }
  checkSize(contents.length);
  return new Uint8Array(contents);
}

/** Throws `CubbyError` sequencer_malformed. */
export function sequencerBytes(sequencer: Uint8Array | string): Uint8Array {
  const bytes = typeof sequencer === "string" ? sequencerFromText(sequencer) : sequencer;
  // One without bytes would ask for nothing, where its caller counts on being fenced (SEQ-7).
  if (isUint8Array(bytes) && bytes.length > 0 && bytes.length <= SEQUENCER_BYTES_MAX) {
    return new Uint8Array(bytes);
  }
  throw new CubbyError(
    "sequencer_malformed",
    `A sequencer is text, or 1 to ${SEQUENCER_BYTES_MAX} bytes. Pass it as it was handed out.`,
  );
}

/** Null is none, as it is for `fetch`. Throws `CubbyError` invalid_argument. */
export function signalOf(signal: AbortSignal | null | undefined): AbortSignal | undefined {
  if (signal === undefined || signal === null) return undefined;
  // By what it can do: it may come from another realm.
  const isSignal =
    typeof signal.aborted === "boolean" && typeof signal.addEventListener === "function";
  if (isSignal) return signal;
  const detail = "signal is no AbortSignal. Give the `signal` of an AbortController.";
  throw new CubbyError("invalid_argument", detail);
}

/**
 * Null is none. Throws `CubbyError` invalid_argument: what stands in the place of options would be passed
 * over without a word, a generation as much as a mode.
 */
export function optionsOf<T extends object>(options: T | null | undefined): Partial<T> {
  if (options === undefined || options === null) return {};
  if (typeof options === "object") return options;
  const detail = `The options are ${quoted(String(options))}. Give an object, such as { timeoutMs: 5000 }.`;
  throw new CubbyError("invalid_argument", detail);
}

/** Throws `CubbyError` invalid_argument: "false" is not false. */
export function checkBoolean(what: string, value: boolean | undefined): void {
  if (value === undefined || typeof value === "boolean") return;
  const detail = `${what} is ${quoted(String(value))}. Give true or false.`;
  throw new CubbyError("invalid_argument", detail);
}

/** Throws `CubbyError` invalid_argument. */
export function checkText(what: string, value: string): string {
  if (typeof value === "string") return value;
  throw new CubbyError("invalid_argument", `${what} is ${String(value)}. Give text.`);
}

/** Throws `CubbyError` invalid_argument. */
export function checkGeneration(generation: number | undefined): void {
  if (generation === undefined || (Number.isSafeInteger(generation) && generation >= 0)) return;
  throw new CubbyError(
    "invalid_argument",
    `ifGeneration is ${String(generation)}. Give the contentGeneration of a stat.`,
  );
}

function checkSize(bytes: number): void {
  if (bytes <= FILE_BYTES_MAX) return;
  const detail = `The contents have ${bytes} bytes; a file has at most ${FILE_BYTES_MAX}.`;
  throw new CubbyError("file_too_large", detail);
}
