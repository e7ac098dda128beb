import type { ErrorCode } from "@cubby/protocol";
import type { FailedOperation } from "./journal-task.ts";

const FULL = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

/** How a replica ends over a disk operation that failed: never retried (reliability §5 rule 3). */
export function endOfDisk(failed: FailedOperation): { code: ErrorCode; detail: string } {
  const { operation, file, error } = failed;
  const what = `${operation} of ${file} failed: ${error.code} ${error.message}.`;
  if (FULL.has(error.code)) {
    return {
      code: "disk_full",
      detail: `${what} Nothing unconfirmed was acknowledged. Free space, then start it again.`,
    };
  }
  return {
    code: "disk_failed",
    detail: `${what} What the disk holds now is unknown; check it before starting again.`,
  };
}
