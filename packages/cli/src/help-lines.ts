import type { CubbyError, ErrorCode } from "@cubby/protocol";

/** Where the error table speaks of a program's calls, what there is to do at a command line. */
const HELP_LINES: Partial<Record<ErrorCode, string>> = {
  invalid_argument: "Correct the command: --help shows how it is used.",
  not_found:
    "Correct the path, or make it first: `cubby put` a file, `cubby mkdir -p` a directory.",
  already_exists: "Use another path, or `mkdir -p`, to which an existing directory is fine.",
  not_empty: "Delete what is in it first.",
  stale_handle: "It was deleted meanwhile: run the command again.",
  lock_held: "Wait longer with --wait, or try again later.",
  lock_lost: "Look at how far the command came before it is run again.",
  session_expired: "Run the command again: the cell had not heard of it for too long.",
  bad_frame: "Name the addresses for clients: those of sessionAddress.",
  handshake_failed: "Name replicas of this cell, by their addresses for clients, with --cell.",
};

export function helpLineOf({ code, help }: CubbyError): string {
  return HELP_LINES[code] ?? help;
}
