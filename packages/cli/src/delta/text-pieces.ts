import { isUtf8 } from "node:buffer";
import { CubbyError } from "@cubby/protocol";

const PIECE_BYTES = 1 << 20;
const SAMPLE_BYTES = 1 << 20;
const MARK = [0xef, 0xbb, 0xbf] as const;

export type TextPiece = { readonly text: string; readonly isLast: boolean };

/** True when UTF-8 text begins with a byte order mark. */
export function hasMark(bytes: Uint8Array): boolean {
  return MARK.every((byte, index) => bytes[index] === byte);
}

/** Without a mark, what is read is the text; else what stands behind it. */
export function withoutMark(bytes: Uint8Array): Uint8Array {
  return hasMark(bytes) ? bytes.subarray(MARK.length) : bytes;
}

export function assertUtf8(bytes: Uint8Array): void {
  if (isUtf8(bytes)) return;
  throw new CubbyError("file_malformed", "The text is not UTF-8; convert it first (iconv does).");
}

/** The beginning, which may end in the middle of a line. */
export function sampleOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes.subarray(0, SAMPLE_BYTES), {
    stream: bytes.length > SAMPLE_BYTES,
  });
}

/** The text of `bytes` in pieces, so that no one string need hold it all. */
export function* textPieces(
  bytes: Uint8Array,
  onProgress: (fraction: number) => void,
): Generator<TextPiece> {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    const piece = bytes.subarray(at, at + PIECE_BYTES);
    const isLast = at + PIECE_BYTES >= bytes.length;
    yield { text: decoder.decode(piece, { stream: !isLast }), isLast };
    onProgress(Math.min(1, (at + PIECE_BYTES) / bytes.length));
  }
}

/** How the first line of `sample` ends. */
export function newlineOf(sample: string): "\n" | "\r\n" {
  const first = sample.indexOf("\n");
  return first > 0 && sample[first - 1] === "\r" ? "\r\n" : "\n";
}
