import { assert } from "@cubby/base";
import { CLOCK_RATE_ERROR, FILE_BYTES_MAX, SESSION_LEASE_MS_MIN } from "@cubby/protocol";

/** Replicas that one client knows: the configured ones and those it was told of. */
export const ENDPOINTS_MAX = 32;
/** How many replicas are asked at once while no master is known. */
export const PARALLEL_PROBES_MAX = 5;
/** After the first round, so many are asked per step: enough to notice, too few to be a storm. */
export const PROBES_PER_STEP = 2;
/** A cell fails over in well under a second: while that may be going on, ask often. */
export const FAST_PROBE_PHASE_MS = 3_000;
export const FAST_PROBE_MS_MIN = 15;
export const FAST_PROBE_MS_MAX = 40;
/** Afterwards the steps double, with jitter, up to this. */
export const SLOW_PROBE_MS_MAX = 1_000;
/** A replica that refused or dropped a connection is tried again after so long, doubling. */
export const RECONNECT_MS_FIRST = 20;
export const RECONNECT_MS_MAX = 1_000;
/** A connection that breaks sooner is made again ever later. */
export const LASTING_MS = 1_000;
/** A replica of another cell, or none of ours, is looked at again this late. */
export const STRANGER_RETRY_MS = 5_000;
export const CONNECT_TIMEOUT_MS = 2_000;
/** For the address behind a name: longer than a resolver whose first server is silent needs. */
export const LOOKUP_TIMEOUT_MS = 30_000;
/** Locate is answered by any replica at once; later than this means it does not answer. */
export const LOCATE_ANSWER_MS = 1_000;
/** A link that takes contents no faster may be taken for dead. */
export const UPLOAD_BYTES_PER_SECOND_MIN = 65_536;
/**
 * A Locate behind contents is waited for so much longer, and no more, or a dead master would be left too
 * late: the largest file takes as long over the slowest link, and is answered before the next.
 */
export const UPLOAD_MS_MAX = (1_000 * FILE_BYTES_MAX) / UPLOAD_BYTES_PER_SECOND_MIN;
/** A replica that claims to be master and serves nothing is believed for so long. */
export const IDLE_MASTER_MS = 1_000;
/**
 * When masters have shown only past epochs for so long, the cell is taken to have begun anew. With the
 * usual lease and grace period the sessions of the old one are over by then; with longer ones they may
 * not be, and go on asking under their own epoch until they are.
 */
export const PAST_EPOCH_MS = 60_000;
/** With prompt calls waiting and not a byte received for so long, the master is asked to answer. */
export const SILENCE_MS = 1_000;

/**
 * A session has so many bytes of contents unanswered at most: behind megabytes its KeepAlive would be
 * late, and the session lost.
 */
export const CONTENTS_IN_FLIGHT_MAX = FILE_BYTES_MAX;
/** Calls that wait for room in flight. Beyond it: too_many_requests. */
export const QUEUED_CALLS_MAX = 4_096;
/** A refused request is repeated after so long, doubling. */
export const REPEAT_MS_FIRST = 20;
export const REPEAT_MS_MAX = 500;
/** A call that a healthy master answers at once is sent again after so long, doubling. */
export const UNANSWERED_MS = 3_000;
/** CreateSession and KeepAlive that were refused for the moment. */
export const CONTROL_REPEAT_MS = 100;
/** A master that answers KeepAlives at once, over and over, gets them no faster than this. */
export const KEEP_ALIVE_SPACING_MS_MIN = 50;
export const KEEP_ALIVE_BURST_MAX = 4;
/**
 * The share of the lease after which an unanswered KeepAlive is suspicious, in hundredths: later
 * than a healthy master answers, and early enough to find another one before jeopardy.
 */
export const KEEP_ALIVE_OVERDUE_HUNDREDTHS = 70;
/** How often a session in doubt asks for a sign of life. */
export const SUSPICION_MS = 1_000;

assert(FAST_PROBE_MS_MAX <= 50, "a new master is noticed within 50 ms");
assert(
  (SESSION_LEASE_MS_MIN * (1 - CLOCK_RATE_ERROR) * (100 - KEEP_ALIVE_OVERDUE_HUNDREDTHS)) / 100 >
    LOCATE_ANSWER_MS / 2,
  "even the shortest lease leaves time to leave a silent master",
);
