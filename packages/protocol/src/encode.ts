import { BinaryWriter } from "@bufbuild/protobuf/wire";

type Encoder<T> = { encode(message: T, writer: BinaryWriter): BinaryWriter };

/** Growing a writer from nothing costs more than writing a small message: one serves all. */
let writer = new BinaryWriter();

/** What a writer keeps between messages: one huge message must not pin its buffer for ever. */
const KEPT_SIZE_MAX = 1 << 20;

/** The bytes of a message. They are the caller's own. */
export function encodeMessage<T>(type: Encoder<T>, message: T): Uint8Array {
  let bytes: Uint8Array | undefined;
  try {
    bytes = type.encode(message, writer).finish();
    return bytes;
  } finally {
    // A writer that was left in the middle of a message would put that half before the next one.
    if (bytes === undefined || bytes.length > KEPT_SIZE_MAX) writer = new BinaryWriter();
  }
}
