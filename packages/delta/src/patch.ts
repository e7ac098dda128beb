import { ByteReader } from "./byte-reader.ts";
import { xxh32 } from "./checksum.ts";
import { DeltaError } from "./delta-error.ts";
import { requireBytes } from "./file-format.ts";
import { requireLimit, requireOptions } from "./options.ts";
import { PatchCodec } from "./patch-codec.ts";
import { PATCHED_BYTES_MAX, type PatchHeader, readPatchHeader, STORED } from "./patch-format.ts";
import { RangeDecoder } from "./range-coder.ts";

/**
 * The new file that `diff` made `delta` from; `checksum_mismatch` if `oldBytes` are not the old
 * file, or if what comes out is not the new one. At most `maxBytes`, 2^28 unless given, are made, each
 * of which may take a microsecond, however short the patch.
 */
export function patch(
  oldBytes: Uint8Array,
  delta: Uint8Array,
  options: { readonly maxBytes?: number } = {},
): Uint8Array {
  requireBytes(oldBytes, "the old file is to be a Uint8Array");
  requireBytes(delta, "the patch is to be a Uint8Array");
  requireOptions(options);
  const maxBytes = options.maxBytes ?? PATCHED_BYTES_MAX;
  requireLimit(maxBytes, "maxBytes");
  const reader = new ByteReader(delta);
  const header = readPatchHeader(reader);
  if (header.newSize > maxBytes) {
    throw new DeltaError("limit_exceeded", `a new file of ${header.newSize} bytes`);
  }
  if (oldBytes.length !== header.oldSize || xxh32(oldBytes) !== header.oldHash) {
    const detail = `the patch is for another old file, of ${header.oldSize} bytes`;
    throw new DeltaError("checksum_mismatch", detail);
  }
  const made =
    header.method === STORED ? stored(reader, header) : patched(oldBytes, reader, header, delta);
  if (xxh32(made) !== header.newHash) {
    throw new DeltaError("checksum_mismatch", "the patch is damaged: it makes another file");
  }
  return made;
}

function stored(reader: ByteReader, header: PatchHeader): Uint8Array {
  const bytes = new Uint8Array(reader.raw(header.newSize));
  reader.expectEnd();
  return bytes;
}

function patched(
  oldBytes: Uint8Array,
  reader: ByteReader,
  header: PatchHeader,
  delta: Uint8Array,
): Uint8Array {
  const decoder = new RangeDecoder(unsigned(delta), reader.position);
  const shape = { ...header, runAfter: 2 ** header.method };
  const codec = new PatchCodec(decoder, unsigned(oldBytes), shape);
  codec.run();
  decoder.expectEnd();
  return new Uint8Array(codec.history.subarray(header.oldSize, header.oldSize + header.newSize));
}

/** Bytes may come as an array of another name, by whose elements one must not reckon. */
function unsigned({ buffer, byteOffset, length }: Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, length);
}
