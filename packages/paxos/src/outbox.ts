import type { Instant } from "@cubby/base";

import type { ReplicaId, Slot } from "./ballot.ts";
import { Durability } from "./durability.ts";
import type { PaxosMessage } from "./messages.ts";
import type { PaxosRecord, RecordIndex } from "./record.ts";
import type { TraceEvent } from "./trace.ts";

export type Send = { readonly to: ReplicaId; readonly message: PaxosMessage };

export type PaxosEvent =
  /** Reported once per slot, in order; slots of control entries are left out. */
  | { readonly kind: "chosen"; readonly slot: Slot; readonly command: Uint8Array }
  /** The log is synchronised and a quorum's lease is held; again whenever `leaseUntil` moves. */
  | { readonly kind: "leading"; readonly epoch: number; readonly leaseUntil: Instant }
  /** A quorum still followed us when `confirm` with this token, and all before it, was asked. */
  | { readonly kind: "confirmed"; readonly token: number }
  /** Not leader any more, or another leader is known than before. */
  | { readonly kind: "following"; readonly leader: ReplicaId | undefined }
  /** A peer's snapshot, durable now, replaces the state. */
  | { readonly kind: "restored"; readonly slot: Slot; readonly bytes: Uint8Array }
  /** A peer has another incarnation on record for this replica: it can never take part. */
  | { readonly kind: "refused"; readonly by: ReplicaId; readonly reason: string };

/** Fields in the order in which they may be carried out. */
export type PaxosOutput = {
  /** May leave now: they claim nothing that a crash could undo. */
  readonly sends: readonly Send[];
  /** Append and sync in order, then answer with `persisted`. */
  readonly records: readonly PaxosRecord[];
  /** Leave only once every record handed out so far is durable. */
  readonly sendsAfterPersist: readonly Send[];
  readonly events: readonly PaxosEvent[];
  readonly wakeAt: Instant;
  readonly trace: readonly TraceEvent[];
};

/** Collects what the participants put out until the host takes it. */
export class Outbox {
  readonly durability = new Durability();
  #sends: Send[] = [];
  #records: PaxosRecord[] = [];
  #sendsAfterPersist: Send[] = [];
  #events: PaxosEvent[] = [];
  #trace: TraceEvent[] = [];

  /** For what claims nothing durable. */
  send(to: ReplicaId, message: PaxosMessage): void {
    this.#sends.push({ to, message });
  }

  /** For what vouches for the records through `index`; leaves at once if they are durable. */
  vouch(to: ReplicaId, message: PaxosMessage, index: RecordIndex): void {
    const sends = this.durability.covers(index) ? this.#sends : this.#sendsAfterPersist;
    sends.push({ to, message });
  }

  record(now: Instant, record: PaxosRecord): RecordIndex {
    this.#records.push(record);
    return this.durability.issue(now);
  }

  event(event: PaxosEvent): void {
    this.#events.push(event);
  }

  trace(event: TraceEvent): void {
    this.#trace.push(event);
  }

  get hasRecords(): boolean {
    return this.#records.length > 0;
  }

  take(wakeAt: Instant): PaxosOutput {
    const output = {
      sends: this.#sends,
      records: this.#records,
      sendsAfterPersist: this.#sendsAfterPersist,
      events: this.#events,
      wakeAt,
      trace: this.#trace,
    };
    this.#sends = [];
    this.#records = [];
    this.#sendsAfterPersist = [];
    this.#events = [];
    this.#trace = [];
    return output;
  }
}
