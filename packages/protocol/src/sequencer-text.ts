import { fromBase64Url, toBase64Url } from "@cubby/base";
import { encodeMessage } from "./encode.ts";
import { CubbyError } from "./errors.ts";
import { LockMode, SequencerToken } from "./generated/cubby.ts";
import { pathProblem } from "./names.ts";

/*
 * SEQ-1: a sequencer is opaque bytes on the wire. As text (environment variables, HTTP headers) it
 * is those bytes in base64url behind "cs1.".
 */
const TEXT_PREFIX = "cs1.";
export const SEQUENCER_BYTES_MAX = 2048;

export function sequencerToText(sequencer: Uint8Array): string {
  return TEXT_PREFIX + toBase64Url(sequencer);
}

/** Throws `CubbyError` sequencer_malformed. */
export function sequencerFromText(text: string): Uint8Array {
  if (!text.startsWith(TEXT_PREFIX) || text.length > 2 * SEQUENCER_BYTES_MAX) throw malformed();
  try {
    return fromBase64Url(text.slice(TEXT_PREFIX.length));
  } catch (error) {
    throw malformed(error);
  }
}

export function encodeSequencer(token: SequencerToken): Uint8Array {
  return encodeMessage(SequencerToken, token);
}

/** What a sequencer says, for checks that need no cell (SEQ-4). Throws sequencer_malformed. */
export function decodeSequencer(sequencer: Uint8Array): SequencerToken {
  if (sequencer.length === 0 || sequencer.length > SEQUENCER_BYTES_MAX) throw malformed();
  let token: SequencerToken;
  try {
    token = SequencerToken.decode(sequencer);
  } catch (error) {
    throw malformed(error);
  }
  const sound =
    pathProblem(token.name) === undefined &&
    token.instance > 0 &&
    token.lockGeneration > 0 &&
    (token.mode === LockMode.EXCLUSIVE || token.mode === LockMode.SHARED);
  if (!sound) throw malformed();
  return token;
}

/**
 * Compares two sequencers of one name: negative when `a` is of an earlier holder. Generations never
 * go down for a name (GAP-9), so the lock generation alone decides.
 */
export function compareSequencers(a: SequencerToken, b: SequencerToken): number {
  return a.lockGeneration - b.lockGeneration;
}

function malformed(cause?: unknown): CubbyError {
  return new CubbyError(
    "sequencer_malformed",
    "The sequencer cannot be read. Pass it exactly as it was handed out.",
    { cause },
  );
}
