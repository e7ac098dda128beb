import { readFile } from "node:fs/promises";
import { CubbyError } from "@cubby/protocol";
import type { Context } from "../context.ts";

/** A name that stands for standard input or output. */
export const STANDARD = "-";

/** All of a file, or of standard input. */
export async function readInput(context: Context, path: string): Promise<Uint8Array> {
  if (path === STANDARD) return plain(await context.readInput());
  try {
    return plain(await readFile(path));
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    switch (code) {
      case "ENOENT":
        throw new CubbyError("file_not_found", `${path} does not exist.`, { cause });
      case "EISDIR":
        throw new CubbyError("file_not_found", `${path} is a directory.`, { cause });
      case "ERR_FS_FILE_TOO_LARGE":
        throw new CubbyError("file_malformed", `${path} is larger than 2 GiB.`, { cause });
      default:
        throw new CubbyError("file_not_found", `${path} cannot be read: ${message}.`, { cause });
    }
  }
}

/** Never a Buffer, whose `slice` is a view where all other arrays copy. */
function plain({ buffer, byteOffset, length }: Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, length);
}
