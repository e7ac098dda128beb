import { type ByteReader, type ByteWriter, DecodeError } from "@cubby/base";
import { type Ballot, PRIORITY_MAX, REPLICA_ID_MAX, type ReplicaId, ROUND_MAX } from "./ballot.ts";

export function writeBallot(writer: ByteWriter, ballot: Ballot): void {
  writer.varint(ballot.round);
  writer.varint(ballot.priority);
  writer.varint(ballot.replica);
}

export function readBallot(reader: ByteReader): Ballot {
  const round = reader.varint();
  const priority = reader.varint();
  const replica = reader.varint();
  if (round > ROUND_MAX || priority > PRIORITY_MAX || replica > REPLICA_ID_MAX) {
    throw new DecodeError("a ballot out of bounds", reader.position);
  }
  return { round, priority, replica: replica as ReplicaId };
}

export function readReplicaId(reader: ByteReader): ReplicaId {
  const id = reader.varint();
  if (id < 1 || id > REPLICA_ID_MAX) {
    throw new DecodeError("a replica id out of bounds", reader.position);
  }
  return id as ReplicaId;
}
