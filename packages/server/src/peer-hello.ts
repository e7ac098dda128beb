import { ByteReader, ByteWriter, DecodeError } from "@cubby/base";

/*
 * The first frame in each direction of a peer connection. Its bytes are fixed by hand, like
 * everything that only replicas exchange: kind, version of the peer protocol, then the fields.
 */

/** Version of what replicas say to each other; a replica of another version is refused. */
export const PEER_PROTOCOL_VERSION = 1;

/** A hello is small; a longer first frame is not one. */
export const HELLO_BYTES_MAX = 1024;
/** In UTF-16 code units. */
const TEXT_LENGTH_MAX = 256;

export type PeerHello =
  | {
      readonly kind: "hello";
      readonly version: number;
      readonly cellId: string;
      readonly replicaId: number;
      readonly incarnation: string;
    }
  | { readonly kind: "refused"; readonly reason: string };

const KIND_HELLO = 1;
const KIND_REFUSED = 2;

export function encodeHello(hello: PeerHello): Uint8Array {
  const writer = new ByteWriter();
  if (hello.kind === "refused") {
    writer.u8(KIND_REFUSED);
    writer.string(hello.reason.slice(0, TEXT_LENGTH_MAX));
    return writer.finish();
  }
  writer.u8(KIND_HELLO);
  writer.varint(hello.version);
  writer.string(hello.cellId);
  writer.varint(hello.replicaId);
  writer.string(hello.incarnation);
  return writer.finish();
}

/** Throws DecodeError. Of another version only the version is read: the rest may have changed. */
export function decodeHello(bytes: Uint8Array): PeerHello {
  const reader = new ByteReader(bytes);
  const kind = reader.u8();
  if (kind === KIND_REFUSED) return { kind: "refused", reason: reader.string() };
  if (kind !== KIND_HELLO) throw new DecodeError(`a first frame of kind ${kind}`, 0);
  const version = reader.varint();
  if (version !== PEER_PROTOCOL_VERSION) {
    return { kind: "hello", version, cellId: "", replicaId: 0, incarnation: "" };
  }
  const cellId = boundedString(reader);
  const replicaId = reader.varint();
  const incarnation = boundedString(reader);
  reader.expectEnd();
  return { kind: "hello", version, cellId, replicaId, incarnation };
}

/** Why a replica of `cellId` does not speak with the sender, whichever it is; undefined if it may. */
export function strangerProblem(
  hello: PeerHello & { kind: "hello" },
  cellId: string,
): string | undefined {
  if (hello.version !== PEER_PROTOCOL_VERSION) {
    return `It speaks version ${hello.version} of the peer protocol; this is version ${PEER_PROTOCOL_VERSION}.`;
  }
  if (hello.cellId !== cellId) {
    return `It belongs to cell ${JSON.stringify(hello.cellId)}; this is cell ${JSON.stringify(cellId)}.`;
  }
  return undefined;
}

function boundedString(reader: ByteReader): string {
  const at = reader.position;
  const text = reader.string();
  if (text.length > TEXT_LENGTH_MAX) throw new DecodeError("a text that is too long", at);
  return text;
}
