import { assert, DecodeError, type Instant, NEVER, unreachable } from "@cubby/base";
import type { Located, Request } from "@cubby/protocol";
import { Master } from "./master/master.ts";
import { Outbox, type OutgoingReply } from "./master/outbox.ts";
import type { CellOptions, ConnectionId } from "./options.ts";
import type { LogEvent, ReplicatedLog } from "./replicated-log.ts";
import { apply, decodeCommand } from "./state/apply.ts";
import { CellState } from "./state/cell-state.ts";
import { checkInvariants } from "./state/invariants.ts";
import { failure, type Result } from "./state/result.ts";
import { decodeSnapshot, encodeSnapshot, stateHash } from "./state/snapshot.ts";
import type { TraceEvent } from "./trace.ts";

export type CellOutput = {
  readonly replies: OutgoingReply[];
  /** Call `onWake` no later than this; NEVER when nothing is pending. */
  readonly wakeAt: Instant;
  readonly trace: TraceEvent[];
};

export type CellStatus = {
  readonly isMaster: boolean;
  /** True when requests are answered now: own epoch applied and lease live. */
  readonly isServing: boolean;
  readonly masterId: number | undefined;
  readonly appliedIndex: number;
  readonly clientEpoch: number;
  readonly paxosEpoch: number;
  readonly sessions: number;
  readonly locksHeld: number;
  readonly nodes: number;
  readonly leaseUntil: Instant | undefined;
};

/** What one replica hosts of the cell: the replicated state, and the master when it is one. */
export class Cell {
  readonly #options: CellOptions;
  readonly #log: ReplicatedLog;
  readonly #outbox = new Outbox();
  #state: CellState;
  #master: Master | undefined;
  #masterId: number | undefined;
  readonly #proposalCounter = { last: 0 };

  constructor(options: CellOptions, log: ReplicatedLog) {
    assert(options.keyMaterial.length === 16, "key material has 16 bytes");
    this.#options = options;
    this.#log = log;
    this.#state = new CellState(options.cellName);
  }

  onLogEvent(now: Instant, event: LogEvent): void {
    switch (event.kind) {
      case "chosen":
        this.#onChosen(now, event.index, event.command);
        return;
      case "master":
        this.#onMaster(now, event.epoch, event.leaseUntil);
        return;
      case "notMaster":
        this.#depose(event.master);
        return;
      case "restored":
        // A master that goes on from a snapshot is none until its log says so again.
        this.#depose(this.#masterId === this.#options.replicaId ? undefined : this.#masterId);
        this.#state = decodeSnapshot(event.snapshot, this.#options.cellName);
        this.#state.appliedIndex = event.index;
        return;
      default:
        unreachable(event);
    }
  }

  onRequest(now: Instant, from: ConnectionId, request: Request): void {
    const call = request.call;
    switch (call?.$case) {
      case "locate":
        this.#reply(
          from,
          request.tag,
          { $case: "locate", value: this.#located() },
          this.#epoch(now),
        );
        return;
      case "getStatus":
        assert(
          false,
          "what a replica says of itself, its log and its disk is the host's to answer",
        );
        return;
      case undefined:
        this.#reply(from, request.tag, failure("unsupported", "The request holds no known call."));
        return;
      default:
        if (this.#master === undefined) this.#redirect(from, request.tag);
        else this.#master.onRequest(now, from, request);
    }
  }

  onDisconnected(_now: Instant, from: ConnectionId): void {
    this.#master?.onDisconnected(from);
  }

  onWake(now: Instant): void {
    this.#master?.onWake(now);
  }

  /**
   * The event loop stood still for `stalledMs` up to now. To be told before the first input after
   * it, so that no session is expired for what it could not be heard saying.
   */
  onStall(now: Instant, stalledMs: number): void {
    this.#master?.onStall(now, stalledMs);
  }

  take(): CellOutput {
    return {
      replies: this.#outbox.takeReplies(),
      wakeAt: this.#master?.wakeAt ?? NEVER,
      trace: this.#outbox.takeTrace(),
    };
  }

  snapshot(): { index: number; bytes: Uint8Array } {
    return { index: this.#state.appliedIndex, bytes: encodeSnapshot(this.#state) };
  }

  /** Why a snapshot cannot be restored by this program, or undefined when it can. */
  restoreProblem(snapshot: Uint8Array): string | undefined {
    try {
      decodeSnapshot(snapshot, this.#options.cellName);
      return undefined;
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      return error.message;
    }
  }

  /** Equal at all replicas at equal index, however each came by its state. */
  stateHash(): string {
    return stateHash(this.#state);
  }

  /** For tests: throws when the state is not one that `apply` may leave behind. */
  checkInvariants(): void {
    checkInvariants(this.#state);
  }

  /** For checkers: not before this does the master that this replica is expire the session (SES-4). */
  sessionUntil(id: number): Instant | undefined {
    return this.#master?.sessionUntil(id);
  }

  status(now: Instant): CellStatus {
    const state = this.#state;
    return {
      isMaster: this.#master !== undefined,
      isServing: this.#master?.isServing(now) ?? false,
      masterId: this.#masterId,
      appliedIndex: state.appliedIndex,
      clientEpoch: state.clientEpoch,
      paxosEpoch: state.paxosEpoch,
      sessions: state.sessions.size,
      locksHeld: state.locksHeld,
      nodes: state.namespace.size,
      leaseUntil: this.#master?.leaseUntil,
    };
  }

  #onChosen(now: Instant, index: number, bytes: Uint8Array): void {
    assert(index > this.#state.appliedIndex, "entries are applied once, in order");
    const command = decodeCommand(bytes);
    const outcome = apply(this.#state, index, command);
    if (outcome.kind === "refused") {
      this.#outbox.trace({ kind: "commandRefused", index, reason: outcome.reason });
    }
    if (command === undefined) return;
    if (command.body?.$case === "beginEpoch" && outcome.kind === "carriedOut") {
      const { clientEpoch, masterId } = this.#state;
      this.#outbox.trace({ kind: "epochBegun", clientEpoch, masterId });
    }
    this.#master?.onApplied(now, command, outcome);
  }

  #onMaster(now: Instant, epoch: number, leaseUntil: Instant): void {
    this.#masterId = this.#options.replicaId;
    if (this.#master?.paxosEpoch === epoch) {
      this.#master.onLease(now, leaseUntil);
      return;
    }
    this.#depose(this.#options.replicaId);
    const mastership = { now, epoch, leaseUntil, counter: this.#proposalCounter };
    this.#master = new Master(this.#options, this.#state, this.#log, this.#outbox, mastership);
  }

  #depose(successor: number | undefined): void {
    this.#masterId = successor;
    const master = this.#master;
    if (master === undefined) return;
    this.#master = undefined;
    master.depose((to, tag) => this.#redirect(to, tag));
  }

  /** CELL-7. */
  #redirect(to: ConnectionId, tag: number): void {
    const masterId = this.#masterId ?? 0;
    const result = failure(
      "not_master",
      masterId === 0
        ? "This replica is not the master and knows of none."
        : `This replica is not the master; replica ${masterId} is.`,
    );
    if (result.$case === "error") {
      result.value.masterId = masterId;
      result.value.masterAddress = this.#addressOf(masterId);
    }
    this.#reply(to, tag, result);
  }

  #located(): Located {
    const masterId = this.#masterId ?? 0;
    return {
      cellName: this.#options.cellName,
      replicaId: this.#options.replicaId,
      masterId,
      masterAddress: this.#addressOf(masterId),
      replicas: this.#options.replicas.map(({ replicaId, address }) => ({ replicaId, address })),
    };
  }

  #addressOf(replicaId: number): string {
    return this.#options.replicas.find((at) => at.replicaId === replicaId)?.address ?? "";
  }

  /** FO-2: a master tells its epoch once that has begun. */
  #epoch(now: Instant): number {
    return this.#master?.isServing(now) === true ? this.#state.clientEpoch : 0;
  }

  #reply(to: ConnectionId, tag: number, result: Result, clientEpoch = 0): void {
    this.#outbox.reply(to, tag, clientEpoch, result);
  }
}
