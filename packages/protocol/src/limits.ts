import { assert } from "@cubby/base";

/** NS-7. */
export const FILE_BYTES_MAX = 256 * 1024;
export const NAME_BYTES_MAX = 1024;
/** Payload of one frame of the session lane: a file, its name, a handle and room to spare. */
export const FRAME_BYTES_MAX = 512 * 1024;
/** A directory page never outgrows a frame: 256 entries of a name and a Stat. */
export const DIRECTORY_PAGE_ENTRIES_MAX = 256;
export const CLIENT_NAME_BYTES_MAX = 128;

/** Session leases (SES-5). */
export const SESSION_LEASE_MS_DEFAULT = 12_000;
export const SESSION_LEASE_MS_MIN = 2_000;
export const SESSION_LEASE_MS_MAX = 60_000;
/** SES-12. */
export const GRACE_PERIOD_MS_DEFAULT = 45_000;

/** LCK-8, GAP-2. */
export const LOCK_DELAY_MS_DEFAULT = 10_000;
export const LOCK_DELAY_MS_MAX = 60_000;

/** Requests of one session that may be unanswered at once; also the size of its result table. */
export const IN_FLIGHT_MAX = 256;

/** Quotas of a cell unless its configuration says otherwise; each has its own message. */
export const SESSIONS_MAX_DEFAULT = 120_000;
export const NODES_MAX_DEFAULT = 1_000_000;
export const CHILDREN_MAX_DEFAULT = 100_000;
export const HANDLES_PER_SESSION_MAX_DEFAULT = 1_024;
/**
 * Of all nodes' names and contents (and of names in delay without a node), and of all handles that hold
 * something. A checkpoint is one record of at most 1 GiB, and holds what came in since the snapshot below it:
 * twice that one's size before the next is due, and up to four times while it is written; what sessions
 * have not taken of their results (cell: intake.ts) is in it as well.
 * Applying a command depends on these limits: replicas that differ in them would differ in their state.
 */
export const TREE_BYTES_MAX = 96 * 1024 * 1024;
export const HANDLE_BYTES_MAX = 32 * 1024 * 1024;

/** How far from true time the rate of any clock may be for leases to hold (ε). */
export const CLOCK_RATE_ERROR = 0.1;

/** A KeepAlive is late when this part of the lease has passed without one: half a second of 12. */
export const KEEP_ALIVE_LATE_PARTS = 24;

assert(FRAME_BYTES_MAX >= FILE_BYTES_MAX + 4 * NAME_BYTES_MAX, "a frame holds the largest file");
assert(
  FRAME_BYTES_MAX >= DIRECTORY_PAGE_ENTRIES_MAX * (NAME_BYTES_MAX + 256),
  "a frame holds a directory page",
);
assert(LOCK_DELAY_MS_DEFAULT <= LOCK_DELAY_MS_MAX, "the default lock-delay is within its bound");
