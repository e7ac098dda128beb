import { writeSync } from "node:fs";
import { Socket } from "node:net";
import type { Writable } from "node:stream";
import { utf8Encode } from "@cubby/base";
import { CubbyError } from "@cubby/protocol";

/** Throws where the output is a file; a pipe or terminal tells its failures by events. */
export function writeStandardOutput(data: string | Uint8Array): void {
  const stream: Writable = process.stdout;
  if (stream instanceof Socket) {
    stream.write(data);
    return;
  }
  let rest = typeof data === "string" ? utf8Encode(data) : data;
  try {
    // A disk that is nearly full takes a part, and Node's own stream would lose the rest of it.
    while (rest.length > 0) rest = rest.subarray(writeSync(process.stdout.fd, rest));
  } catch (cause) {
    throw standardOutputFailure(cause);
  }
}

export function standardOutputFailure(cause: unknown): CubbyError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const detail = `Standard output cannot be written: ${why}.`;
  return new CubbyError("file_not_writable", detail, { cause });
}
