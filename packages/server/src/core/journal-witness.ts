/**
 * The tiny record that must not be lost unnoticed, in two copies beside the journal (reliability §5
 * rule 12): the last vital record (a promise), and the newest segment there is. A journal that ends
 * before what its witness has seen has lost something that was acknowledged; a replica with no
 * witness at all has amnesia. Either way it must not take part under its old incarnation.
 */

import { assert, type ByteReader, type ByteWriter, fromHex, toHex } from "@cubby/base";
import { CELL_ID_BYTES, type DirectoryIdentity, INCARNATION_BYTES } from "./identity.ts";
import { type DecodedPage, decodePage, encodePage } from "./journal-page.ts";
import type { RecordBallot } from "./journal-record.ts";

/** Written one after the other: a crash tears at most one, and then the other still holds. */
export const WITNESS_FILES = ["witness-a", "witness-b"] as const;

const MAGIC = 0x54574243; // "CBWT"

/** What is kept of a vital record: enough to tell an operator what is missing. */
export type VitalMark = {
  readonly sequence: number;
  readonly hash: number;
  readonly type: number;
  readonly slot: number;
  readonly ballot: RecordBallot;
};

export type Witness = {
  /** Counts the updates: of two good copies the higher one holds. */
  readonly version: number;
  /** A segment of this life is on the disk, and so are those before it that were not dropped. */
  readonly life: number;
  readonly vital: VitalMark | undefined;
};

export function encodeWitness(witness: Witness, owner: DirectoryIdentity): Uint8Array {
  assert(witness.life >= 1, "lives count from 1");
  return encodePage(MAGIC, (writer) => {
    writer.raw(fromHex(owner.cellId));
    writer.raw(fromHex(owner.incarnation));
    writer.varint(witness.version);
    writer.varint(witness.life);
    writeVital(writer, witness.vital);
  });
}

export function decodeWitness(bytes: Uint8Array, owner: DirectoryIdentity): DecodedPage<Witness> {
  const page = decodePage(bytes, MAGIC, (reader) => ({
    cellId: toHex(reader.raw(CELL_ID_BYTES)),
    incarnation: toHex(reader.raw(INCARNATION_BYTES)),
    version: reader.varint(),
    life: reader.varint(),
    vital: readVital(reader),
  }));
  if (page.kind !== "ok") return page;
  const { cellId, incarnation, ...witness } = page.value;
  if (cellId !== owner.cellId || incarnation !== owner.incarnation) {
    return { kind: "bad", detail: "of another directory" };
  }
  return { kind: "ok", value: witness };
}

function writeVital(writer: ByteWriter, vital: VitalMark | undefined): void {
  writer.u8(vital === undefined ? 0 : 1);
  if (vital === undefined) return;
  writer.varint(vital.sequence);
  writer.u32(vital.hash);
  writer.u16(vital.type);
  writer.varint(vital.slot);
  writer.varint(vital.ballot.round);
  writer.varint(vital.ballot.priority);
  writer.varint(vital.ballot.replica);
}

function readVital(reader: ByteReader): VitalMark | undefined {
  if (reader.u8() === 0) return undefined;
  return {
    sequence: reader.varint(),
    hash: reader.u32(),
    type: reader.u16(),
    slot: reader.varint(),
    ballot: { round: reader.varint(), priority: reader.varint(), replica: reader.varint() },
  };
}
