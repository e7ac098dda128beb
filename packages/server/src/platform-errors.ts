import { CubbyError, type ErrorCode } from "@cubby/protocol";

/*
 * The one place where names of the operating system's errors are known. Each row says why its code
 * is the right one; what is not listed is `internal`, and its text is kept as the cause.
 */

/** The platform's name of an error (EADDRINUSE, …), or "" when it has none. */
export function platformCode(error: unknown): string {
  if (!(error instanceof Error) || !("code" in error)) return "";
  return typeof error.code === "string" ? error.code : "";
}

/** Why a socket could not be opened for listening. */
export function listenError(setting: string, address: string, error: unknown): CubbyError {
  const options = { cause: error };
  switch (platformCode(error)) {
    case "EADDRINUSE":
      return new CubbyError(
        "address_in_use",
        `${setting} ${address} is taken by another process, or by another address of this replica. Choose a free port.`,
        options,
      );
    case "EACCES":
      // A port below 1024, or a policy of the system: the setting is what the operator can change.
      return new CubbyError(
        "config_invalid",
        `This user may not listen on ${setting} ${address}. Choose a port above 1023.`,
        options,
      );
    // An address of a link without its interface is EINVAL.
    case "EINVAL":
    case "EADDRNOTAVAIL":
    case "EAFNOSUPPORT":
    case "ENOTFOUND":
      return new CubbyError(
        "config_invalid",
        `This machine has no address like ${setting} ${address}. Correct the host.`,
        options,
      );
    case "EAI_AGAIN":
      // After a power loss a machine may be up before its name server: another start may work.
      return new CubbyError(
        "unreachable",
        `The host of ${setting} ${address} cannot be looked up now, since no name server answers. Start again once one does, or give an IP address.`,
        options,
      );
    case "EMFILE":
    case "ENFILE":
      return new CubbyError(
        "overloaded",
        `No file descriptor is left to listen on ${setting} ${address}. Raise the limit.`,
        options,
      );
    default:
      return new CubbyError(
        "internal",
        `Cannot listen on ${setting} ${address}: ${messageOf(error)}.`,
        options,
      );
  }
}

/** Why a directory or a file in it cannot be used. */
export function directoryError(path: string, error: unknown): CubbyError {
  return new CubbyError(directoryCode(error), `${path}: ${messageOf(error)}.`, { cause: error });
}

/** Permission, and a file system mounted read-only: the operator gives us the directory. */
export function isDenied(code: string): boolean {
  return code === "EACCES" || code === "EPERM" || code === "EROFS";
}

/** No room, of the disk or of this user's part of it. */
export function isFull(code: string): boolean {
  return code === "ENOSPC" || code === "EDQUOT";
}

function directoryCode(error: unknown): ErrorCode {
  const code = platformCode(error);
  if (isDenied(code)) return "directory_denied";
  if (isFull(code)) return "disk_full";
  switch (code) {
    // The path itself is wrong: one that is to be made, and is a file, "exists".
    case "EEXIST":
    case "ENOENT":
    case "ENOTDIR":
    case "EISDIR":
    case "ELOOP":
    case "ENAMETOOLONG":
      return "config_invalid";
    case "EIO":
      return "disk_failed";
    default:
      return "internal";
  }
}

/** What the end of a connection means. Every one of these is ordinary: hosts and processes die. */
export function connectionErrorCode(error: unknown): ErrorCode {
  switch (platformCode(error)) {
    // Nobody listens there, or no way leads there: nothing was sent.
    case "ECONNREFUSED":
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return "unreachable";
    // The other side went away, perhaps with what we had sent.
    case "ECONNRESET":
    case "ECONNABORTED":
    case "EPIPE":
    case "ETIMEDOUT":
      return "connection_lost";
    default:
      return "connection_lost";
  }
}

export function messageOf(error: unknown): string {
  // A connection that was tried at several addresses of a name: what it met is in the parts alone.
  if (error instanceof AggregateError && error.message === "") {
    return error.errors.map(messageOf).join("; ");
  }
  return error instanceof Error ? error.message : String(error);
}
