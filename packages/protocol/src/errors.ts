import { assert } from "@cubby/base";

/** What a caller may conclude about an operation that failed. */
export type Outcome = "not-applied" | "unknown";

/** One row of the error table: the wire, HTTP, the command line and the docs are made from it. */
export type ErrorRow = {
  /** Wire id. Never reused, never renumbered. */
  readonly id: number;
  /** `not-applied` only where that holds on every path to the code. */
  readonly outcome: Outcome;
  /** True when the same call may succeed later without a change to the call. */
  readonly retry: boolean;
  readonly httpStatus: number;
  /** Exit code of the command line, and of a replica that ends for this reason. */
  readonly exitCode: number;
  /** What the user does about it. */
  readonly help: string;
};

const row = (
  id: number,
  outcome: Outcome,
  retry: boolean,
  httpStatus: number,
  exitCode: number,
  help: string,
): ErrorRow => ({ id, outcome, retry, httpStatus, exitCode, help });

/** Every error that a caller, an operator or the command line can meet. */
export const ERROR_CODES = {
  // Calls: 1-99.
  invalid_argument: row(1, "not-applied", false, 400, 64, "Correct the call."),
  invalid_name: row(
    2,
    "not-applied",
    false,
    400,
    64,
    "Use /ls/<cell>/<path>, at most 1,024 bytes, without empty, `.` or `..` parts.",
  ),
  not_found: row(3, "not-applied", false, 404, 66, "Create the node first, or correct the path."),
  already_exists: row(4, "not-applied", false, 409, 73, "Open it without must-create."),
  not_a_directory: row(5, "not-applied", false, 409, 65, "Use a directory here."),
  is_a_directory: row(6, "not-applied", false, 409, 65, "Use a file here."),
  not_empty: row(7, "not-applied", false, 409, 65, "Delete the children first."),
  file_too_large: row(8, "not-applied", false, 413, 65, "Keep a file within 262,144 bytes."),
  generation_mismatch: row(
    9,
    "not-applied",
    false,
    412,
    79,
    "Read the file again and decide on its present contents.",
  ),
  permission_denied: row(
    10,
    "not-applied",
    false,
    403,
    77,
    "Open the handle with the mode that the call needs (locks need write).",
  ),
  stale_handle: row(
    11,
    "not-applied",
    false,
    410,
    65,
    "The node was deleted or the handle closed: open it again.",
  ),
  forged_handle: row(12, "not-applied", false, 403, 77, "Present a handle as Open returned it."),
  lock_held: row(13, "not-applied", true, 409, 80, "Wait with acquire, or try again later."),
  lock_delayed: row(
    14,
    "not-applied",
    true,
    409,
    80,
    "The last holder failed; the lock opens when its lock-delay is over.",
  ),
  lock_not_held: row(15, "not-applied", false, 409, 65, "Acquire the lock on this handle first."),
  sequencer_stale: row(
    16,
    "not-applied",
    false,
    412,
    83,
    "The lock has passed on: stop, and acquire it again.",
  ),
  sequencer_malformed: row(
    17,
    "not-applied",
    false,
    400,
    64,
    "Pass the sequencer exactly as it was handed out.",
  ),
  stale_epoch: row(
    18,
    "not-applied",
    true,
    409,
    75,
    "The master changed: acknowledge the new epoch by a KeepAlive, then repeat the request.",
  ),
  session_expired: row(
    19,
    "unknown",
    false,
    410,
    84,
    "Open a new session; locks and ephemeral files of the old one are gone.",
  ),
  not_master: row(20, "not-applied", true, 421, 75, "Ask the replica named in the error."),
  no_quorum: row(
    21,
    "not-applied",
    true,
    503,
    82,
    "The cell has no master now: try again, and look at `cubby status`.",
  ),
  deadline_exceeded: row(
    22,
    "unknown",
    false,
    504,
    82,
    "Read the state back: the operation may or may not have taken effect.",
  ),
  cancelled: row(23, "not-applied", false, 499, 75, "The caller cancelled the request."),
  too_many_requests: row(
    24,
    "not-applied",
    true,
    429,
    75,
    "Wait for answers before sending more requests.",
  ),
  quota_exceeded: row(
    25,
    "not-applied",
    false,
    429,
    65,
    "Close handles or sessions, or delete nodes; of the limits only sessionsMax, nodesMax and childrenMax can be raised.",
  ),
  request_forgotten: row(
    26,
    "unknown",
    false,
    409,
    70,
    "A request number below the lowest unanswered one is never run again.",
  ),
  unsupported: row(27, "not-applied", false, 501, 69, "Upgrade the older side."),
  internal: row(28, "unknown", false, 500, 70, "Report it with the replica's log."),
  overloaded: row(29, "not-applied", true, 503, 75, "Try again later."),
  handle_poisoned: row(30, "not-applied", false, 410, 65, "Open the node again."),

  // The connection: 100-119.
  frame_too_long: row(100, "unknown", false, 413, 65, "Keep a frame within the limit."),
  bad_frame: row(101, "unknown", false, 400, 65, "Speak Cubby's session lane on this port."),
  handshake_failed: row(102, "not-applied", false, 400, 69, "Connect to a replica of this cell."),
  unreachable: row(103, "not-applied", true, 503, 82, "Check the addresses and the replicas."),
  connection_lost: row(104, "unknown", true, 503, 82, "Read the state back, or repeat the call."),

  // The client: 120-139.
  lock_lost: row(120, "unknown", false, 409, 81, "Stop the guarded work: another may hold it."),
  session_jeopardy: row(
    121,
    "not-applied",
    true,
    503,
    82,
    "Stop critical work until the session is safe again.",
  ),
  client_closed: row(122, "not-applied", false, 410, 70, "Connect again."),

  // Files that a command reads or writes: 140-159.
  file_not_found: row(140, "not-applied", false, 404, 66, "Correct the path or its permissions."),
  file_malformed: row(
    141,
    "not-applied",
    false,
    400,
    65,
    "Correct the file, or say how it is to be read: the command's --help lists the options.",
  ),
  file_exists: row(142, "not-applied", false, 409, 73, "Give another name, or --force."),
  file_not_writable: row(
    143,
    "not-applied",
    false,
    500,
    73,
    "Check the directory, its permissions, and the space on the disk.",
  ),

  // A replica that cannot start or go on: 200-219.
  config_invalid: row(200, "not-applied", false, 400, 78, "Correct the configuration."),
  not_formatted: row(201, "not-applied", false, 500, 90, "Run `cubby init` on the directory."),
  already_formatted: row(202, "not-applied", false, 500, 91, "Use another directory."),
  wrong_directory: row(
    203,
    "not-applied",
    false,
    500,
    92,
    "The directory belongs to another cell or replica: correct --data or the identity.",
  ),
  directory_in_use: row(204, "not-applied", false, 500, 93, "Stop the other process first."),
  directory_denied: row(205, "not-applied", false, 500, 77, "Give this user the directory."),
  address_in_use: row(206, "not-applied", false, 500, 94, "Choose a free port."),
  data_damaged: row(
    207,
    "not-applied",
    false,
    500,
    95,
    "Keep the directory, and do not format it again: the cell runs on with the other replicas.",
  ),
  disk_failed: row(208, "unknown", false, 500, 96, "Check the disk; the replica must not go on."),
  disk_full: row(209, "unknown", false, 500, 97, "Free space on the disk, then start it again."),
  identity_refused: row(
    210,
    "not-applied",
    false,
    500,
    98,
    "Start it on the directory that the cell knows. If that is lost, format no other: the cell runs on with the others.",
  ),
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERROR_CODES;

const BY_ID = new Map<number, ErrorCode>();
for (const code of Object.keys(ERROR_CODES) as ErrorCode[]) {
  assert(!BY_ID.has(ERROR_CODES[code].id), `wire id of ${code} is its own`);
  BY_ID.set(ERROR_CODES[code].id, code);
}

/** The code of a wire id; an id of a newer version reads as `internal`, whose outcome is unknown. */
export function errorCodeOf(id: number): ErrorCode {
  return BY_ID.get(id) ?? "internal";
}

/** The one error class of Cubby. `code` is stable; the message says what happened and what to do. */
export class CubbyError extends Error {
  override readonly name = "CubbyError";
  readonly code: ErrorCode;
  readonly outcome: Outcome;

  /** `outcome` may be given only to say less than the table knows on this path, or more precisely. */
  constructor(code: ErrorCode, detail: string, options?: ErrorOptions & { outcome?: Outcome }) {
    super(`[${code}] ${detail}`, options);
    this.code = code;
    this.outcome = options?.outcome ?? ERROR_CODES[code].outcome;
  }

  get retryable(): boolean {
    // A deadline alone does not say whether the call took effect.
    if (this.code === "deadline_exceeded") return this.outcome === "not-applied";
    return ERROR_CODES[this.code].retry;
  }

  get help(): string {
    return ERROR_CODES[this.code].help;
  }
}
