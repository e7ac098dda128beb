import { CubbyError, type ErrorCode } from "@cubby/protocol";

type Row = { readonly code: ErrorCode; readonly reason: string };

/*
 * What the platform says when a connection fails, in this client's words. The code is about the
 * connection: what it means for a request that was under way is decided by the request's own state.
 */
const ROWS: ReadonlyMap<string, Row> = new Map([
  // Nothing listens there: the replica is down, and no request can have reached it.
  ["ECONNREFUSED", { code: "unreachable", reason: "the connection was refused" }],
  // The resolver knows no such host.
  ["ENOTFOUND", { code: "unreachable", reason: "the host name is unknown" }],
  // The resolver itself did not answer: it may later.
  ["EAI_AGAIN", { code: "unreachable", reason: "the host name could not be looked up now" }],
  // Routing problems and downed interfaces; both sides may live.
  ["EHOSTUNREACH", { code: "unreachable", reason: "there is no route to the host" }],
  ["ENETUNREACH", { code: "unreachable", reason: "there is no route to the network" }],
  ["EHOSTDOWN", { code: "unreachable", reason: "the host is down" }],
  ["EADDRNOTAVAIL", { code: "unreachable", reason: "no local address or port is free" }],
  // A firewall of this machine.
  ["EACCES", { code: "unreachable", reason: "this machine does not allow the connection" }],
  ["EPERM", { code: "unreachable", reason: "this machine does not allow the connection" }],
  // This process has no descriptors left; others' answers are not affected.
  ["EMFILE", { code: "unreachable", reason: "this process has too many open files" }],
  ["ENFILE", { code: "unreachable", reason: "this machine has too many open files" }],
  ["ENOBUFS", { code: "unreachable", reason: "this machine has no buffers left" }],
  // The peer, or something between, cut a connection that was up.
  ["ECONNRESET", { code: "connection_lost", reason: "the other side reset the connection" }],
  ["ECONNABORTED", { code: "connection_lost", reason: "the connection was aborted" }],
  ["EPIPE", { code: "connection_lost", reason: "the other side closed the connection" }],
  // No acknowledgement from the peer's TCP for a long time.
  ["ETIMEDOUT", { code: "connection_lost", reason: "the other side's TCP did not answer" }],
]);

/** Never classifies by an error's text: an unknown code is a lost connection, named as it came. */
export function describePlatformError(error: unknown): { code: ErrorCode; detail: string } {
  if (error instanceof CubbyError) return { code: error.code, detail: error.message };
  const code = codeOf(error);
  const row = ROWS.get(code);
  if (row !== undefined) return { code: row.code, detail: `${row.reason} (${code})` };
  return { code: "connection_lost", detail: `the connection failed (${code})` };
}

const UNKNOWN = "unknown error";

/** By what an error has: in Jest, that of a socket is no instance of the `Error` that is known here. */
function codeOf(error: unknown): string {
  if (typeof error !== "object" || error === null) return UNKNOWN;
  // Happy Eyeballs wraps one error per address; the first stands for all.
  if ("errors" in error && Array.isArray(error.errors) && error.errors.length > 0) {
    return codeOf(error.errors[0]);
  }
  return "code" in error && typeof error.code === "string" ? error.code : UNKNOWN;
}
