/**
 * What a log engine tells the cell. Nothing here is a Paxos word: a cell runs on any log that
 * orders commands, names at most one master for a stretch of it, and leases it the right to answer.
 */
import type { Instant } from "@cubby/base";

export type LogEvent =
  /** The next entry, in order. Engine-internal entries use up indexes too, so there are gaps. */
  | { readonly kind: "chosen"; readonly index: number; readonly command: Uint8Array }
  /**
   * This replica is master for this Paxos epoch; repeated as the lease is renewed. A lease that
   * lapsed and came back keeps its epoch; mastership lost and regained does not (PML-20).
   */
  | { readonly kind: "master"; readonly epoch: number; readonly leaseUntil: Instant }
  /** This replica is not master; `master` is the replica that it believes to be. */
  | { readonly kind: "notMaster"; readonly master: number | undefined }
  /** A snapshot replaces the state: at start-up, or one received from a peer. */
  | { readonly kind: "restored"; readonly index: number; readonly snapshot: Uint8Array };

/** The cell's side of the port. It may not call back into the cell. */
export interface ReplicatedLog {
  /**
   * Ignored unless this replica is master. The bytes are kept: the caller must not change them. The
   * cell has at most 32 MiB of commands under way; a log takes in twice that.
   */
  propose(command: Uint8Array): void;
}
