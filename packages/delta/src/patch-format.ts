import type { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { DeltaError } from "./delta-error.ts";

/** What an old or a new file may take: distances between them must fit into 31 bits. */
export const FILE_BYTES_MAX = 2 ** 29;
/** What `patch` makes unless it is told otherwise. */
export const PATCHED_BYTES_MAX = 2 ** 28;

const MAGIC = [0x43, 0x44, 0x50] as const;
const VERSION = 1;
/** The new file as it is. Any other method is the power of two of the patch's `runAfter`. */
export const STORED = 0;
const METHOD_MAX = 30;

export type PatchHeader = {
  readonly method: number;
  readonly oldSize: number;
  readonly newSize: number;
  readonly oldHash: number;
  readonly newHash: number;
};

export function writePatchHeader(writer: ByteWriter, header: PatchHeader): void {
  writer.raw(Uint8Array.of(...MAGIC, VERSION, header.method));
  writer.varint(header.oldSize);
  writer.varint(header.newSize);
  writer.u32(header.oldHash);
  writer.u32(header.newHash);
}

/** Whether the bytes begin as a patch does. */
export function isPatch(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, i) => bytes[i] === byte);
}

export function readPatchHeader(reader: ByteReader): PatchHeader {
  for (const byte of MAGIC) {
    const at = reader.position;
    if (reader.u8() !== byte) throw new DeltaError("not_delta", "the bytes are no patch", at);
  }
  const version = reader.u8();
  if (version !== VERSION) {
    const detail = `patch format ${version}; this library reads ${VERSION}`;
    throw new DeltaError("unsupported_version", detail, MAGIC.length);
  }
  const method = reader.u8();
  if (method > METHOD_MAX) {
    throw new DeltaError("unsupported_feature", `a patch of method ${method}`, MAGIC.length + 1);
  }
  return {
    method,
    oldSize: reader.varint(FILE_BYTES_MAX),
    newSize: reader.varint(FILE_BYTES_MAX),
    oldHash: reader.u32(),
    newHash: reader.u32(),
  };
}
