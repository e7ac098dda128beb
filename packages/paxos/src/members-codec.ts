import { type ByteReader, type ByteWriter, DecodeError } from "@cubby/base";
import { readReplicaId } from "./ballot-codec.ts";
import { INCARNATION_LENGTH_MAX, MEMBERS_MAX } from "./limits.ts";
import type { Member } from "./messages.ts";

export function writeMembers(writer: ByteWriter, members: readonly Member[]): void {
  writer.varint(members.length);
  for (const member of members) {
    writer.varint(member.replica);
    writer.string(member.incarnation);
  }
}

/** Ids rise, so that one configuration has one encoding and no id comes twice. */
export function readMembers(reader: ByteReader): Member[] {
  const count = reader.varint();
  if (count > MEMBERS_MAX) throw new DecodeError("too many members", reader.position);
  const members: Member[] = [];
  let previous = 0;
  for (let i = 0; i < count; i += 1) {
    const replica = readReplicaId(reader);
    if (replica <= previous) throw new DecodeError("members out of order", reader.position);
    previous = replica;
    members.push({ replica, incarnation: readIncarnation(reader) });
  }
  return members;
}

export function readIncarnation(reader: ByteReader): string {
  const incarnation = reader.string();
  if (incarnation.length === 0 || incarnation.length > INCARNATION_LENGTH_MAX) {
    throw new DecodeError("an incarnation of no sane length", reader.position);
  }
  return incarnation;
}
