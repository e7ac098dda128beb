/** One page that stands for itself: the identity, the witness, and the header of a segment. */

import { assert, ByteReader, ByteWriter, crc32c, DecodeError } from "@cubby/base";
import { isZero, PAGE_BYTES } from "./segment-sector.ts";

/** Of everything in the directory. A replica refuses a directory of any other version. */
export const FORMAT_VERSION = 1;

const HEADER_BYTES = 16;
export const PAGE_BODY_BYTES_MAX = PAGE_BYTES - HEADER_BYTES;

export type DecodedPage<T> =
  | { readonly kind: "ok"; readonly value: T }
  /** Never written, or wiped. */
  | { readonly kind: "zero" }
  | { readonly kind: "otherVersion"; readonly version: number }
  | { readonly kind: "bad"; readonly detail: string };

export function encodePage(magic: number, body: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter();
  body(writer);
  const content = writer.finish();
  assert(content.length <= PAGE_BODY_BYTES_MAX, "a page holds its body");
  const page = new Uint8Array(PAGE_BYTES);
  const view = new DataView(page.buffer);
  view.setUint32(0, magic, true);
  view.setUint32(4, FORMAT_VERSION, true);
  view.setUint32(8, content.length, true);
  page.set(content, HEADER_BYTES);
  view.setUint32(12, checksumOf(page), true);
  return page;
}

export function decodePage<T>(
  bytes: Uint8Array,
  magic: number,
  decode: (reader: ByteReader) => T,
): DecodedPage<T> {
  if (bytes.length < PAGE_BYTES) return { kind: "bad", detail: `${bytes.length} bytes long` };
  const page = bytes.subarray(0, PAGE_BYTES);
  if (isZero(page, 0, PAGE_BYTES)) return { kind: "zero" };
  const view = new DataView(page.buffer, page.byteOffset, page.length);
  if (view.getUint32(0, true) !== magic) return { kind: "bad", detail: "another magic number" };
  if (view.getUint32(12, true) !== checksumOf(page)) return { kind: "bad", detail: "checksum" };
  const version = view.getUint32(4, true);
  if (version !== FORMAT_VERSION) return { kind: "otherVersion", version };
  const length = view.getUint32(8, true);
  if (length > PAGE_BODY_BYTES_MAX) return { kind: "bad", detail: "length" };
  try {
    const reader = new ByteReader(page, HEADER_BYTES, HEADER_BYTES + length);
    const value = decode(reader);
    reader.expectEnd();
    return { kind: "ok", value };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return { kind: "bad", detail: error.message };
  }
}

/** Over the whole page but the checksum's own four bytes. */
function checksumOf(page: Uint8Array): number {
  return crc32c(page.subarray(16), crc32c(page.subarray(0, 12)));
}
