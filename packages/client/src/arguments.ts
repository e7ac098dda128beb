import { isUint8Array } from "node:util/types";
import { utf8Encode, utf8Length } from "@cubby/base";
import {
  CubbyError,
  FILE_BYTES_MAX,
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
  if (typeof sequencer === "string") return sequencerFromText(sequencer);
  if (isUint8Array(sequencer) && sequencer.length <= SEQUENCER_BYTES_MAX) {
    return new Uint8Array(sequencer);
  }
  throw new CubbyError(
    "sequencer_malformed",
    `A sequencer is text, or at most ${SEQUENCER_BYTES_MAX} bytes. Pass it as it was handed out.`,
  );
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
