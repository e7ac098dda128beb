import { type Backend, DeltaError, decodeStream, encode, type Values } from "@cubby/delta";
import { CubbyError } from "@cubby/protocol";
import { onFile } from "./delta-failure.ts";
import { readRaw } from "./raw-values.ts";

const PIECE_BYTES = 1 << 16;

/** Raw numbers as a series, which is known to decode to the same bytes. */
export async function encodeRaw(
  input: Uint8Array,
  path: string,
  options: { readonly type: string; readonly backend: Backend | undefined },
  onChecked: (fraction: number) => void,
): Promise<{ readonly rows: number; readonly bytes: Uint8Array }> {
  const { type, backend } = options;
  const { rows, bytes } = onFile(path, () => {
    const values = readRaw(input, type);
    return { rows: values.length, bytes: encode(values, { backend }) };
  });
  await assertSameRaw(input, bytes, onChecked);
  return { rows, bytes };
}

/** Decodes one chunk after the other: all values once more would not always have room in memory. */
export async function assertSameRaw(
  input: Uint8Array,
  bytes: Uint8Array,
  onChecked: (fraction: number) => void = () => undefined,
): Promise<void> {
  let at = 0;
  try {
    for await (const values of decodeStream(piecesOf(bytes))) {
      const decoded = bytesOf(values);
      const read = input.subarray(at, at + decoded.length);
      if (Buffer.compare(decoded, read) !== 0) {
        throw notTheSame(at + decoded.findIndex((byte, index) => byte !== read[index]));
      }
      at += decoded.length;
      onChecked(at / input.length);
    }
  } catch (error) {
    throw error instanceof DeltaError ? notTheSame(at, error) : error;
  }
  if (at !== input.length) throw notTheSame(at);
}

function* piecesOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    yield bytes.subarray(at, at + PIECE_BYTES);
  }
}

function bytesOf(values: Values): Uint8Array {
  if (!ArrayBuffer.isView(values)) return new Uint8Array(0);
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function notTheSame(at: number, cause?: unknown): CubbyError {
  const detail = `Nothing was written: from byte ${at} on, the numbers would not decode to the same bytes.`;
  return new CubbyError("internal", detail, { cause });
}
