import { readFile } from "node:fs/promises";
import { CubbyError } from "@cubby/protocol";
import type { Context } from "../context.ts";

/** A name that stands for standard input or output. */
export const STANDARD = "-";

/** As Node has it for files. One value takes a byte at least. */
export const INPUT_BYTES_MAX = 2 ** 31;

/** All of a file, or of standard input. */
export async function readInput(context: Context, path: string): Promise<Uint8Array> {
  if (path === STANDARD) {
    const input = await context.readInput(INPUT_BYTES_MAX);
    if (input.length > INPUT_BYTES_MAX) throw tooLarge("Standard input");
    return plain(input);
  }
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
        throw tooLarge(path, cause);
      default:
        throw new CubbyError("file_not_found", `${path} cannot be read: ${message}.`, { cause });
    }
  }
}

function tooLarge(what: string, cause?: unknown): CubbyError {
  return new CubbyError("file_malformed", `${what} is larger than 2 GiB.`, { cause });
}

/** Never a Buffer, whose `slice` is a view where all other arrays copy. */
function plain({ buffer, byteOffset, length }: Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, length);
}
