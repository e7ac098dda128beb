import type { ReplicaId, Slot } from "./ballot.ts";
import type { PaxosMessage } from "./messages.ts";
import type { RecordIndex } from "./record.ts";

/** Everything the world can tell the engine. */
export type PaxosInput =
  | { readonly kind: "wake" }
  | {
      readonly kind: "message";
      readonly from: ReplicaId;
      /** As the connection's handshake claims it. */
      readonly incarnation: string;
      readonly message: PaxosMessage;
    }
  /** Taken only while leading; else dropped, as the host knows from the last event. */
  | { readonly kind: "propose"; readonly entries: readonly Uint8Array[] }
  | { readonly kind: "persisted"; readonly through: RecordIndex }
  /** The host's state at `slot`, in a durable file: the log before it may go. */
  | { readonly kind: "snapshotTaken"; readonly slot: Slot; readonly bytes: Uint8Array }
  /** Give up leading, and let a peer that is caught up lead at once. */
  | { readonly kind: "handOver" }
  /**
   * Prove that we lead now, without a clock: answered by `confirmed` with this token or a later one,
   * or by `following`. At most one at a time keeps the rounds few.
   */
  | { readonly kind: "confirm"; readonly token: number }
  /** The process stood still for so long, and could hear of nothing. */
  | { readonly kind: "stalled"; readonly stalledMs: number }
  /** The clock cannot be trusted for what passed: no lease is held until a new round is granted. */
  | { readonly kind: "voidLease" };
