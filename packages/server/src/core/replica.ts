/**
 * One replica, pure: the log engine, the cell, and the journal that both stand on. This is the only
 * place where they meet. A driver feeds `step` with everything that arrived in a turn, then carries
 * out what `take` returns; production, tests and simulators differ in the driver alone.
 */

import {
  assert,
  DecodeError,
  EMPTY_BYTES,
  earliest,
  type Instant,
  msBetween,
  NEVER,
} from "@cubby/base";
import type {
  Cell,
  TraceEvent as CellTrace,
  ConnectionId,
  LogEvent,
  ReplicatedLog,
} from "@cubby/cell";
import {
  decodeMessage,
  encodeMessage,
  encodeRecord,
  type PaxosEvent,
  type PaxosMessage,
  type PaxosOutput,
  type PaxosRecord,
  type PaxosReplica,
  type TraceEvent as PaxosTrace,
  type RecordIndex,
  type ReplicaId,
  type Send,
} from "@cubby/paxos";
import type { ErrorCode, Reply, Request } from "@cubby/protocol";
import type { DiskCompletion, DiskRequest } from "./disk.ts";
import { endOfDisk } from "./disk-end.ts";
import { checkpointToJournal } from "./engine-record.ts";
import type { Journal } from "./journal.ts";
import { ReadConfirmation, type ReadMode } from "./read-confirmation.ts";
import { type ReplicaFacts, replicaStatus } from "./replica-status.ts";

export type ReplicaInput =
  | { readonly kind: "wake" }
  | {
      readonly kind: "peerFrame";
      readonly from: ReplicaId;
      /** As the connection's hello claimed; the engine decides whether it may speak. */
      readonly incarnation: string;
      readonly bytes: Uint8Array;
    }
  | { readonly kind: "request"; readonly connection: ConnectionId; readonly request: Request }
  | { readonly kind: "disconnected"; readonly connection: ConnectionId }
  | { readonly kind: "disk"; readonly completion: DiskCompletion }
  /** The event loop stood still: session time did not run (DESIGN §4 "Expiry"). */
  | { readonly kind: "stalled"; readonly stalledMs: number }
  /** The machine was suspended: leases are void until renewed. */
  | { readonly kind: "suspended" }
  /** Voluntary: let a caught-up peer be master. */
  | { readonly kind: "handOver" };

export type OutgoingReply = {
  readonly to: number;
  readonly reply: Reply;
  /** Compared with the clock right before the bytes are written; NEVER: rests on no lease. */
  readonly validUntil: Instant;
};

export type Trace =
  | CellTrace
  | PaxosTrace
  | { readonly kind: "peerFrameDropped"; readonly from: number; readonly reason: string }
  | { readonly kind: "snapshotDurable"; readonly slot: number; readonly tookMs: number };

/** Everything a replica asks of the world, in the order in which it may be carried out. */
export type ReplicaOutput = {
  readonly peerFrames: readonly { readonly to: ReplicaId; readonly bytes: Uint8Array }[];
  readonly replies: readonly OutgoingReply[];
  readonly disk: readonly DiskRequest[];
  readonly wakeAt: Instant;
  readonly trace: readonly Trace[];
  /** The process must end with this code; nothing else is to be carried out. */
  readonly ended: { readonly code: ErrorCode; readonly detail: string } | undefined;
};

export type ReplicaOptions = {
  readonly engine: PaxosReplica;
  readonly journal: Journal;
  readonly createCell: (log: ReplicatedLog) => Cell;
  readonly facts: ReplicaFacts;
  /** A snapshot is taken after so many slots, if the journal does not ask for one earlier. */
  readonly snapshotEverySlots: number;
  readonly reads: ReadMode;
  /** What recovery found: state up to this slot. */
  readonly snapshot: { readonly slot: number; readonly bytes: Uint8Array } | undefined;
  /** False if nothing in the journal can take the snapshot's place. */
  readonly reachesSnapshot: boolean;
};

/** A session notices no pause that is shorter; snapshots of some 50,000 nodes stay below it. */
export const LONG_STALL_MS = 200;

/** Rounds in which engine, cell and journal hand work to each other; more is a livelock. */
const SETTLE_ROUNDS_MAX = 1_000;

type Vouching = {
  readonly through: RecordIndex;
  readonly to: ReplicaId;
  readonly bytes: Uint8Array;
};

export class Replica {
  readonly #engine: PaxosReplica;
  readonly #journal: Journal;
  readonly #cell: Cell;
  readonly #facts: ReplicaFacts;
  readonly #snapshotEverySlots: number;
  /** Undefined when reads rest on the lease. */
  readonly #confirmation: ReadConfirmation | undefined;
  #now: Instant;

  #proposals: Uint8Array[] = [];
  #proposed = 0;

  /** Counted alike by the engine and by the journal, which gives checkpoints no number. */
  #records: RecordIndex = 0;
  #persisted: RecordIndex = 0;
  #progress = 0;
  readonly #vouching: Vouching[] = [];

  #lastMessage: PaxosMessage | undefined;
  #lastBytes = EMPTY_BYTES;

  #snapshot: { readonly slot: number; readonly bytes: Uint8Array } | undefined;
  #snapshotReported: number;
  #snapshotBegunAt: Instant;
  /** The last command that the cell was told of; slots of the engine itself are not counted. */
  #appliedSlot: number;

  #peerFrames: { to: ReplicaId; bytes: Uint8Array }[] = [];
  #replies: OutgoingReply[] = [];
  #trace: Trace[] = [];
  #engineWakeAt: Instant = NEVER;
  #cellWakeAt: Instant = NEVER;
  #ended: { code: ErrorCode; detail: string } | undefined;

  constructor(options: ReplicaOptions, now: Instant) {
    this.#engine = options.engine;
    this.#journal = options.journal;
    this.#facts = options.facts;
    this.#snapshotEverySlots = options.snapshotEverySlots;
    if (options.reads === "quorum") {
      this.#confirmation = new ReadConfirmation((token) => {
        this.#engine.step(this.#now, { kind: "confirm", token });
      });
    }
    this.#now = now;
    this.#cell = options.createCell({
      propose: (command) => {
        this.#proposals.push(command);
      },
    });
    this.#snapshot = options.snapshot;
    this.#snapshotReported = options.snapshot?.slot ?? 0;
    this.#snapshotBegunAt = now;
    this.#appliedSlot = this.#snapshotReported;
    if (options.snapshot !== undefined) {
      const { slot, bytes } = options.snapshot;
      this.#cell.onLogEvent(now, { kind: "restored", index: slot, snapshot: bytes });
    }
    // Before any record: on an older snapshot than the last life had, less may be known to be
    // chosen; and where the records end before the snapshot, those that follow leave a gap.
    this.#checkpointIfDue({ restores: !options.reachesSnapshot });
  }

  /** Takes one input in. `now` was read after the input's bytes were in memory (DESIGN §3). */
  step(now: Instant, input: ReplicaInput): void {
    assert(now >= this.#now, "the monotonic clock does not go back");
    this.#now = now;
    if (this.#ended !== undefined) return;
    switch (input.kind) {
      case "wake":
        if (now >= this.#engineWakeAt) this.#engine.step(now, input);
        if (now >= this.#cellWakeAt) this.#cell.onWake(now);
        // Idle: an empty write behind the last one, so that its loss could not pass for a torn tail.
        this.#journal.confirm();
        return;
      case "peerFrame":
        this.#onPeerFrame(input.from, input.incarnation, input.bytes);
        return;
      case "request":
        this.#onRequest(input.connection, input.request);
        return;
      case "disconnected":
        this.#cell.onDisconnected(now, input.connection);
        return;
      case "disk":
        this.#onDisk(input.completion);
        return;
      case "stalled":
        this.#engine.step(now, input);
        if (input.stalledMs >= LONG_STALL_MS) this.#cell.onStall(now, input.stalledMs);
        return;
      case "suspended":
        this.#engine.step(now, { kind: "voidLease" });
        // Safety: at once. The next input of this turn may be a read, and the cell must know by then.
        this.#comeToRest();
        return;
      case "handOver":
        this.#engine.step(now, input);
        return;
    }
  }

  /** What has accumulated since the last call. */
  take(): ReplicaOutput {
    this.#comeToRest();
    this.#checkpointIfDue();
    this.#snapshotIfDue();
    const output: ReplicaOutput = {
      peerFrames: this.#peerFrames,
      replies: this.#replies,
      disk: this.#journal.takeRequests(),
      wakeAt: earliest(this.#engineWakeAt, this.#cellWakeAt),
      trace: this.#trace,
      ended: this.#ended,
    };
    this.#peerFrames = [];
    this.#replies = [];
    this.#trace = [];
    return output;
  }

  /** Commands proposed since the start. */
  get proposed(): number {
    return this.#proposed;
  }

  /** For checkers: until when no other replica can be promised anything here. */
  boundToUntil(replica: ReplicaId): Instant {
    return this.#engine.boundToUntil(replica);
  }

  /** What this replica says of itself to operators. */
  facts(now: Instant): ReturnType<typeof replicaStatus> {
    return replicaStatus(this.#facts, now, {
      engine: this.#engine.status(),
      cell: this.#cell.status(now),
      journalBytes: this.#journal.status().segmentBytes,
      snapshotSlot: this.#snapshotReported,
    });
  }

  #onPeerFrame(from: ReplicaId, incarnation: string, bytes: Uint8Array): void {
    let message: PaxosMessage;
    try {
      message = decodeMessage(bytes);
    } catch (error) {
      // A frame that passed its checksum but makes no sense: another version, or a hostile peer.
      if (!(error instanceof DecodeError)) throw error;
      this.#trace.push({ kind: "peerFrameDropped", from, reason: error.message });
      return;
    }
    this.#engine.step(this.#now, { kind: "message", from, incarnation, message });
  }

  #onRequest(connection: ConnectionId, request: Request): void {
    if (request.call?.$case === "getStatus") {
      const { tag } = request;
      const value = this.facts(this.#now);
      const reply: Reply = {
        tag,
        clientEpoch: value.clientEpoch,
        result: { $case: "getStatus", value },
      };
      this.#replies.push({ to: connection, reply, validUntil: NEVER });
      return;
    }
    this.#cell.onRequest(this.#now, connection, request);
  }

  #onDisk(completion: DiskCompletion): void {
    this.#journal.onCompletion(completion);
    const { fatal } = this.#journal;
    if (fatal !== undefined) {
      this.#ended = endOfDisk(fatal);
      return;
    }
    this.#reportPersisted();
    this.#reportSnapshot();
  }

  #reportPersisted(): void {
    const { persistedThrough: persisted, progress } = this.#journal;
    // Liveness: a disk in the middle of a long checkpoint is busy, not stuck, and all others' are too.
    if (persisted === this.#persisted && progress === this.#progress) return;
    this.#progress = progress;
    this.#persisted = persisted;
    let released = 0;
    for (const vouching of this.#vouching) {
      if (vouching.through > persisted) break;
      this.#peerFrames.push({ to: vouching.to, bytes: vouching.bytes });
      released += 1;
    }
    this.#vouching.splice(0, released);
    this.#engine.step(this.#now, { kind: "persisted", through: persisted });
  }

  #comeToRest(): void {
    for (let round = 0; this.#settle(); round += 1) {
      assert(round < SETTLE_ROUNDS_MAX, "engine, cell and journal come to rest");
    }
  }

  /** One exchange between engine, cell and journal; true if something may follow from it. */
  #settle(): boolean {
    const output = this.#engine.take();
    this.#engineWakeAt = output.wakeAt;
    for (const { to, message } of output.sends) {
      this.#peerFrames.push({ to, bytes: this.#encoded(message) });
    }
    this.#persist(output);
    for (const event of output.events) this.#onEngineEvent(event);
    for (const trace of output.trace) this.#trace.push(trace);
    const fromCell = this.#cell.take();
    this.#cellWakeAt = fromCell.wakeAt;
    for (const reply of fromCell.replies) this.#reply(reply);
    for (const trace of fromCell.trace) this.#trace.push(trace);
    for (const reply of this.#confirmation?.take() ?? []) this.#replies.push(reply);
    if (this.#confirmation?.pump()) return true;
    if (this.#proposals.length > 0) {
      const entries = this.#proposals;
      this.#proposals = [];
      this.#proposed += entries.length;
      this.#engine.step(this.#now, { kind: "propose", entries });
      return true;
    }
    return output.events.length > 0;
  }

  #reply(reply: OutgoingReply): void {
    if (this.#confirmation === undefined || reply.validUntil === NEVER) this.#replies.push(reply);
    else this.#confirmation.hold(reply);
  }

  #persist(output: PaxosOutput): void {
    for (const record of output.records) this.#append(record);
    for (const send of output.sendsAfterPersist) this.#vouch(send);
  }

  #append(record: PaxosRecord): void {
    if (this.#ended !== undefined) return;
    this.#records += 1;
    const encoded = encodeRecord(record);
    let index: number;
    if (record.kind === "restored") {
      // Nothing of it is on the disk yet: once it were, this program could not start there again.
      const problem = this.#cell.restoreProblem(record.bytes);
      if (problem !== undefined) {
        this.#ended = { code: "unsupported", detail: `A peer's snapshot: ${problem}.` };
        return;
      }
      // The file that the record names is durable before the record is.
      this.#journal.writeSnapshot({
        slot: record.slot,
        ballot: record.ballot,
        configuration: EMPTY_BYTES,
        state: record.bytes,
      });
      this.#snapshot = { slot: record.slot, bytes: record.bytes };
      this.#snapshotReported = record.slot;
      index = this.#journal.append([{ ...encoded, afterSnapshot: record.slot }]);
    } else {
      const vital = record.kind === "promised" || record.kind === "genesis";
      index = this.#journal.append([{ ...encoded, vital }]);
    }
    assert(index === this.#records, "the journal counts the engine's records as the engine does");
  }

  /** Persist before send: it leaves when everything handed out so far is durable. */
  #vouch({ to, message }: Send): void {
    const bytes = this.#encoded(message);
    if (this.#persisted === this.#records) this.#peerFrames.push({ to, bytes });
    else this.#vouching.push({ through: this.#records, to, bytes });
  }

  /** The same message to several peers is encoded once. */
  #encoded(message: PaxosMessage): Uint8Array {
    if (message !== this.#lastMessage) {
      this.#lastBytes = encodeMessage(message);
      this.#lastMessage = message;
    }
    return this.#lastBytes;
  }

  #onEngineEvent(event: PaxosEvent): void {
    switch (event.kind) {
      case "chosen":
        this.#tellCell({ kind: "chosen", index: event.slot, command: event.command });
        return;
      case "leading":
        this.#confirmation?.onMaster();
        this.#tellCell({
          kind: "master",
          epoch: event.epoch,
          leaseUntil: event.leaseUntil,
        });
        return;
      case "confirmed":
        this.#confirmation?.onConfirmed(event.token);
        return;
      case "following":
        this.#confirmation?.onDeposed();
        this.#tellCell({ kind: "notMaster", master: event.leader });
        return;
      case "restored":
        this.#tellCell({ kind: "restored", index: event.slot, snapshot: event.bytes });
        return;
      case "refused":
        this.#ended = {
          code: "identity_refused",
          detail: `Replica ${event.by} refuses this directory: ${event.reason}`,
        };
        return;
    }
  }

  #tellCell(event: LogEvent): void {
    if (event.kind === "chosen" || event.kind === "restored") this.#appliedSlot = event.index;
    this.#cell.onLogEvent(this.#now, event);
  }

  /**
   * The engine's checkpoint builds on the last snapshot that it has, which may be a peer's that is
   * still being written: then it waits for that one.
   */
  #checkpointIfDue({ restores } = { restores: false }): void {
    const journal = this.#journal;
    if (!journal.needsCheckpoint || journal.snapshotSlot < this.#snapshotReported) {
      assert(!restores, "a snapshot that the records do not reach has no checkpoint yet");
      return;
    }
    journal.appendCheckpoint(checkpointToJournal(this.#engine.checkpoint()), { restores });
  }

  /** At most one snapshot is being written; the next waits until it is durable. */
  #snapshotIfDue(): void {
    const journal = this.#journal;
    if (this.#snapshot !== undefined && journal.snapshotSlot < this.#snapshot.slot) return;
    const since = this.#appliedSlot - this.#snapshotReported;
    if (since <= 0) return;
    if (since < this.#snapshotEverySlots && !journal.wantsSnapshot) return;
    const { index, bytes } = this.#cell.snapshot();
    assert(index === this.#appliedSlot, "a snapshot is of the last applied slot");
    this.#snapshot = { slot: index, bytes };
    this.#snapshotBegunAt = this.#now;
    const { acceptedBallot } = this.#engine.status();
    journal.writeSnapshot({
      slot: index,
      ballot: acceptedBallot,
      configuration: EMPTY_BYTES,
      state: bytes,
    });
  }

  /** The engine may drop its log, and serve these bytes, once the file is durable. */
  #reportSnapshot(): void {
    const snapshot = this.#snapshot;
    if (snapshot === undefined || snapshot.slot === this.#snapshotReported) return;
    if (this.#journal.snapshotSlot < snapshot.slot) return;
    this.#snapshotReported = snapshot.slot;
    const tookMs = msBetween(this.#snapshotBegunAt, this.#now);
    this.#trace.push({ kind: "snapshotDurable", slot: snapshot.slot, tookMs });
    this.#engine.step(this.#now, { kind: "snapshotTaken", ...snapshot });
  }
}
