/** The first page of a segment: whose it is, and which life it lives. */

import { crc32c, fromHex, toHex, utf8Encode } from "@cubby/base";
import { CELL_ID_BYTES, type DirectoryIdentity, INCARNATION_BYTES } from "./identity.ts";
import { type DecodedPage, decodePage, encodePage } from "./journal-page.ts";
import { PAGE_BYTES, SECTOR_BYTES, SECTOR_DATA_BYTES } from "./segment-sector.ts";

const MAGIC = 0x47534243; // "CBSG"

export type SegmentHeader = {
  /** The number in the file's name: a segment renamed over another is found out. */
  readonly id: number;
  /**
   * Counts every use of any segment in this directory, so lives are also the order of segments.
   * Invariant: the lives of the segments that are kept have no gap.
   */
  readonly life: number;
  readonly sizeBytes: number;
};

export const SEGMENT_DATA_SECTOR = PAGE_BYTES / SECTOR_BYTES;

const NAME = /^segment-(\d{8})$/;

export function segmentFile(id: number): string {
  return `segment-${String(id).padStart(8, "0")}`;
}

export function segmentIdOf(file: string): number | undefined {
  const digits = NAME.exec(file)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** The smallest segment, in whole pages, with room for so many bytes and for a confirmation. */
export function segmentSizeFor(dataBytes: number): number {
  const sectors = Math.ceil(dataBytes / SECTOR_DATA_BYTES);
  return 2 * PAGE_BYTES + Math.ceil((sectors * SECTOR_BYTES) / PAGE_BYTES) * PAGE_BYTES;
}

export function encodeSegmentHeader(header: SegmentHeader, owner: DirectoryIdentity): Uint8Array {
  return encodePage(MAGIC, (writer) => {
    writer.raw(fromHex(owner.cellId));
    writer.raw(fromHex(owner.incarnation));
    writer.varint(header.id);
    writer.varint(header.life);
    writer.varint(header.sizeBytes);
  });
}

/** Also bad: a header of another cell or incarnation, or in a file of another name. */
export function decodeSegmentHeader(
  bytes: Uint8Array,
  id: number,
  owner: DirectoryIdentity,
): DecodedPage<SegmentHeader> {
  const page = decodePage(bytes, MAGIC, (reader) => ({
    cellId: toHex(reader.raw(CELL_ID_BYTES)),
    incarnation: toHex(reader.raw(INCARNATION_BYTES)),
    id: reader.varint(),
    life: reader.varint(),
    sizeBytes: reader.varint(),
  }));
  if (page.kind !== "ok") return page;
  const { cellId, incarnation, ...header } = page.value;
  if (cellId !== owner.cellId) return { kind: "bad", detail: `of cell ${cellId}` };
  if (incarnation !== owner.incarnation) {
    return { kind: "bad", detail: `of incarnation ${incarnation}` };
  }
  if (header.id !== id) return { kind: "bad", detail: `of segment ${header.id}` };
  return { kind: "ok", value: header };
}

/** What every stamp in the segment's present life rests on. */
export function segmentSeed(header: SegmentHeader, owner: DirectoryIdentity): number {
  const place = `${owner.cellId}/${owner.incarnation}/${header.id}/${header.life}`;
  return crc32c(utf8Encode(place));
}
