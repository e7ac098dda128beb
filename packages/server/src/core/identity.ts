/**
 * Whose directory this is. Written once, by whoever formats it, and never changed: a replica that
 * finds another identity than the one it was told to be does not start, and one that finds none has
 * never promised anything here (DESIGN §3 "Identity", reliability §5 rules 12 and 16).
 */

import type { ByteReader, ByteWriter } from "@cubby/base";
import { assert, DecodeError, fromHex, toHex } from "@cubby/base";
import { type DecodedPage, decodePage, encodePage } from "./journal-page.ts";

/** Two copies: one alone is enough to know who we are, and is then copied to the other. */
export const IDENTITY_FILES = ["identity-a", "identity-b"] as const;

const MAGIC = 0x44494243; // "CBID"
export const CELL_ID_BYTES = 16;
export const INCARNATION_BYTES = 16;
const CELL_NAME_BYTES_MAX = 255;

export type DirectoryIdentity = {
  /** 32 hex digits, drawn at random for the cell. */
  readonly cellId: string;
  readonly cellName: string;
  /** From 1. */
  readonly replica: number;
  /** 32 hex digits, drawn at random for this directory: wiped and formatted again, it is another. */
  readonly incarnation: string;
};

/** What the caller requires of a directory; what is left out is not compared. */
export type ExpectedIdentity = {
  readonly cellId?: string;
  readonly cellName?: string;
  readonly replica?: number;
};

export type IdentityMismatch = {
  readonly what: "cellId" | "cellName" | "replica";
  readonly expected: string;
  readonly found: string;
};

export function encodeIdentity(identity: DirectoryIdentity): Uint8Array {
  assertIdentity(identity);
  return encodePage(MAGIC, (writer) => writeIdentity(writer, identity));
}

export function decodeIdentity(bytes: Uint8Array): DecodedPage<DirectoryIdentity> {
  return decodePage(bytes, MAGIC, readIdentity);
}

export function identityMismatch(
  found: DirectoryIdentity,
  expected: ExpectedIdentity,
): IdentityMismatch | undefined {
  for (const what of ["cellId", "cellName", "replica"] as const) {
    const wanted = expected[what];
    if (wanted === undefined || wanted === found[what]) continue;
    return { what, expected: String(wanted), found: String(found[what]) };
  }
  return undefined;
}

export function equalIdentities(a: DirectoryIdentity, b: DirectoryIdentity): boolean {
  return identityMismatch(a, b) === undefined && a.incarnation === b.incarnation;
}

export function assertIdentity(identity: DirectoryIdentity): void {
  assert(fromHex(identity.cellId).length === CELL_ID_BYTES, "a cell id has 32 hex digits");
  assert(
    fromHex(identity.incarnation).length === INCARNATION_BYTES,
    "an incarnation has 32 hex digits",
  );
  assert(Number.isInteger(identity.replica) && identity.replica > 0, "replica ids count from 1");
}

function writeIdentity(writer: ByteWriter, identity: DirectoryIdentity): void {
  writer.raw(fromHex(identity.cellId));
  writer.string(identity.cellName);
  writer.varint(identity.replica);
  writer.raw(fromHex(identity.incarnation));
}

function readIdentity(reader: ByteReader): DirectoryIdentity {
  const cellId = toHex(reader.raw(CELL_ID_BYTES));
  const cellName = reader.string();
  if (cellName.length > CELL_NAME_BYTES_MAX) throw new DecodeError("cell name too long", 0);
  const replica = reader.varint();
  if (replica < 1) throw new DecodeError("replica id 0", 0);
  return { cellId, cellName, replica, incarnation: toHex(reader.raw(INCARNATION_BYTES)) };
}
