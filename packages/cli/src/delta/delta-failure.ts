import { DeltaError } from "@cubby/delta";
import { CubbyError } from "@cubby/protocol";

/** Runs `work` on a file's bytes; what the library says of them becomes an error of the command line. */
export function onFile<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof DeltaError ? asCubbyError(error, path) : named(error, path);
  }
}

function asCubbyError(error: DeltaError, path: string): CubbyError {
  const where = error.offset === undefined ? "" : ` (at ${error.offset})`;
  const detail = `${path}: ${error.code}: ${error.detail}${where}.`;
  switch (error.code) {
    case "invalid_argument":
      return new CubbyError("invalid_argument", detail, { cause: error });
    case "unsupported_version":
    case "unsupported_feature":
      return new CubbyError("unsupported", detail, { cause: error });
    default:
      return new CubbyError("file_malformed", detail, { cause: error });
  }
}

/** Readers of text know lines, and not the name of the file. */
function named(error: unknown, path: string): unknown {
  if (!(error instanceof CubbyError) || error.code !== "file_malformed") return error;
  const detail = error.message.replace(/^\[\w+\] /, "");
  return new CubbyError(error.code, `${path}: ${detail}`, { cause: error });
}
