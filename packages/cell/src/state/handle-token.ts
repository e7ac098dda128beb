import { ByteReader, ByteWriter, DecodeError, sipHash } from "@cubby/base";

/*
 * HND-2: a handle is a token that the client keeps and cannot make. Its check digits are a keyed MAC
 * over every field (HND-6, GAP-14); the key is replicated, so a successor can check handles that it
 * never made.
 */

/** Bits of `access`: what the handle may be used for. */
export const ACCESS_READ = 1;
export const ACCESS_WRITE = 2;
export const ACCESS_CHANGE_ACL = 4;

const TOKEN_VERSION = 1;
const MAC_BYTES = 8;
/** A path of the longest allowed kind and all numbers at their greatest. */
export const HANDLE_TOKEN_BYTES_MAX = 1200;

export type HandleToken = {
  readonly sessionId: number;
  readonly handleId: number;
  readonly path: string;
  readonly instance: number;
  readonly access: number;
  readonly lockDelayMs: number;
  /** The client epoch in which it was made: tells which master must still know it (HND-5). */
  readonly epoch: number;
  readonly isEphemeral: boolean;
};

const writer = new ByteWriter();

export function encodeHandleToken(key: Uint8Array, token: HandleToken): Uint8Array {
  writer.reset();
  writer.u8(TOKEN_VERSION);
  writer.varint(token.sessionId);
  writer.varint(token.handleId);
  writer.varint(token.epoch);
  writer.varint(token.instance);
  writer.u8(token.access);
  writer.varint(token.lockDelayMs);
  writer.u8(token.isEphemeral ? 1 : 0);
  writer.string(token.path);
  const body = writer.finish();
  writer.raw(sipHash(key, body));
  return writer.finish();
}

/** The token, or undefined when this cell did not make these bytes. */
export function decodeHandleToken(key: Uint8Array, bytes: Uint8Array): HandleToken | undefined {
  if (bytes.length <= MAC_BYTES || bytes.length > HANDLE_TOKEN_BYTES_MAX) return undefined;
  const bodyEnd = bytes.length - MAC_BYTES;
  if (!isMacOf(key, bytes, bodyEnd)) return undefined;
  try {
    return readBody(new ByteReader(bytes, 0, bodyEnd));
  } catch (error) {
    // Bytes with our own MAC that cannot be read are from a newer version: not ours to honour.
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

/** Takes the same time wherever the first difference is. */
function isMacOf(key: Uint8Array, bytes: Uint8Array, bodyEnd: number): boolean {
  const mac = sipHash(key, bytes.subarray(0, bodyEnd));
  let difference = 0;
  for (let i = 0; i < MAC_BYTES; i += 1) {
    difference |= (mac[i] ?? 0) ^ (bytes[bodyEnd + i] ?? 0);
  }
  return difference === 0;
}

function readBody(reader: ByteReader): HandleToken | undefined {
  if (reader.u8() !== TOKEN_VERSION) return undefined;
  const token = {
    sessionId: reader.varint(),
    handleId: reader.varint(),
    epoch: reader.varint(),
    instance: reader.varint(),
    access: reader.u8(),
    lockDelayMs: reader.varint(),
    isEphemeral: reader.u8() === 1,
    path: reader.string(),
  };
  reader.expectEnd();
  return token;
}
