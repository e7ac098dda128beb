import { createReadStream } from "node:fs";
import { Socket } from "node:net";
import type { Readable } from "node:stream";
import { CubbyError } from "@cubby/protocol";

/** All of it, or, since it may have no end, somewhat more than `bytesMax` of it. */
export async function readStandardInput(bytesMax: number): Promise<Uint8Array> {
  const { stdin } = process;
  // Node's own stream takes for empty what it cannot read: a directory, a disk.
  const stream: Readable = stdin instanceof Socket ? stdin : createReadStream("", { fd: 0 });
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > bytesMax) break;
    }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const detail = `Standard input cannot be read: ${why}.`;
    throw new CubbyError("file_not_found", detail, { cause });
  }
  return Buffer.concat(chunks);
}
