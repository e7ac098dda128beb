import { assert } from "@cubby/base";

/** Times. A round trip on a LAN is well under a millisecond; the lease rules the fail-over time. */
export const LEASE_MS = 600;
export const LEASE_RENEW_MS = 100;
/** A lease is renewed so often while it holds, at least: two lost rounds leave time for a third. */
export const LEASE_RENEWALS = 4;
export const ROUND_MS = 100;
export const ELECTION_TIMEOUT_MS = 300;
export const ELECTION_TIMEOUT_MS_MAX = 1_200;
export const RETRANSMIT_MS = 100;

/** Who catches up asks again for what does not come, ever later, but no later than this. */
export const FETCH_SILENCE_MS_MAX = 2_000;
/** What is known to be slow is given more time: a part has 256 KiB, and an earlier copy may be before it. */
export const FETCH_WAIT_MS_MAX = 4_500;

/**
 * A new leader waits so long for a part of the log that it adopts. Far longer than a failure takes to
 * be seen: a part over a slow link takes seconds, heartbeats queue behind it, and to turn to another
 * source is to begin again.
 */
export const ADOPT_PATIENCE_MS = 5_000;

/** ε: how much faster or slower than true time a clock may run, in thousandths. */
export const DRIFT_PER_MILLE = 100;
export const DRIFT_PER_MILLE_MAX = 500;

/** One batch: what goes out as one accept and is written as one record. */
export const BATCH_ENTRIES_MAX = 4_096;
export const BATCH_BYTES_MAX = 1 << 20;

/** One command: a file of 256 KiB (chubby.md), its name, and what surrounds them, with room. */
export const COMMAND_BYTES_MAX = 1 << 20;

/** Accepted by nobody but us yet, or not by a quorum. Beyond it proposals wait. */
export const UNCHOSEN_ENTRIES_MAX = 65_536;
export const UNCHOSEN_BYTES_MAX = 16 << 20;

/** Proposals that wait for the disk or for a quorum. Beyond it they are refused. */
export const WAITING_ENTRIES_MAX = 262_144;
export const WAITING_BYTES_MAX = 64 << 20;

/**
 * Sent to one follower and not acknowledged. Heartbeats queue behind it: over a link of 10 MB/s so much takes
 * less than an election timeout, and over one with a round trip of 50 ms it still lets 40 MB/s through.
 */
export const WINDOW_ENTRIES_MAX = 32_768;
export const WINDOW_BYTES_MAX = 2 << 20;

/** Kept below the snapshot for followers that lag a little. */
export const RETAIN_SLOTS = 65_536;
export const RETAIN_BYTES = 32 << 20;

/** While a follower fetches a snapshot, what comes after it is kept up to so many times more. */
export const RETAIN_PINNED_FACTOR = 4;

/** Sent to one follower in one turn, so that one that lags does not hold up the others. */
export const ACCEPTS_PER_TURN = 2;

export const SNAPSHOT_PART_BYTES = 256 << 10;
export const SNAPSHOT_BYTES_MAX = 2 ** 31;

/** An older snapshot goes on being served to whoever is fetching it, for so long after a request. */
export const SNAPSHOT_PIN_MS = 5_000;

/** A follower makes the chosen part of what it fetches durable in steps of about this size. */
export const LEARN_BYTES = 1 << 20;

export const MEMBERS_MAX = 9;
export const INCARNATION_LENGTH_MAX = 64;
export const REASON_LENGTH_MAX = 512;

/** No message encodes to more: a batch that was almost full, one command more, and the fields. */
export const MESSAGE_BYTES_MAX = BATCH_BYTES_MAX + COMMAND_BYTES_MAX + (64 << 10);

assert(FETCH_WAIT_MS_MAX < SNAPSHOT_PIN_MS, "a snapshot that is fetched slowly stays the same");
assert(ELECTION_TIMEOUT_MS >= ROUND_MS * 3, "a leader survives two lost heartbeats");
assert(ELECTION_TIMEOUT_MS_MAX >= ELECTION_TIMEOUT_MS, "timeouts grow, not shrink");
assert(BATCH_BYTES_MAX <= WINDOW_BYTES_MAX, "a follower can be sent one batch");
assert(BATCH_ENTRIES_MAX <= WINDOW_ENTRIES_MAX, "a follower can be sent one batch");
assert(SNAPSHOT_PART_BYTES < MESSAGE_BYTES_MAX, "a part of a snapshot fits a message");
