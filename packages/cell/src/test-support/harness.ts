import { type Instant, instant, NEVER } from "@cubby/base";
import {
  CreateMode,
  errorCodeOf,
  LockMode,
  NodeKind,
  type Open,
  type Opened,
  Request,
  type Stat,
} from "@cubby/protocol";
import { Cell } from "../cell.ts";
import type { OutgoingReply } from "../master/outbox.ts";
import type { CellOptions, ConnectionId } from "../options.ts";
import type { ReplicatedLog } from "../replicated-log.ts";
import type { Result } from "../state/result.ts";
import type { TraceEvent } from "../trace.ts";

/** A log of one replica: chosen at once, or held back until the test says. */
export class FakeLog implements ReplicatedLog {
  readonly proposed: Uint8Array[] = [];

  propose(command: Uint8Array): void {
    this.proposed.push(command);
  }
}

export const LEASE_FOREVER_MS = 1_000_000_000;

export function connection(id: number): ConnectionId {
  return id as ConnectionId;
}

export type Call = NonNullable<Request["call"]>;
type Pair = { readonly cell: Cell; readonly log: FakeLog };

export function options(replicaId = 1, more: Partial<CellOptions> = {}): CellOptions {
  return {
    cellName: "local",
    replicaId,
    replicas: [1, 2, 3].map((id) => ({ replicaId: id, address: `127.0.0.1:${7000 + id}` })),
    keyMaterial: new Uint8Array(16).fill(replicaId),
    ...more,
  };
}

/**
 * Replicas of one cell over one log, with a clock that the test moves. Replica 1 is master from the
 * start. Every command is chosen at once and applied at all replicas, unless `isHeldBack`. It throws
 * at a second answer to one tag.
 */
export class Harness {
  now: Instant = instant(1_000_000);
  isHeldBack = false;
  readonly replicas: Pair[] = [];
  readonly trace: TraceEvent[] = [];
  readonly chosen: { index: number; command: Uint8Array }[] = [];
  replies: OutgoingReply[] = [];
  #master = 0;
  #epoch = 0;
  #tag = 0;
  #index = 0;
  #wakeAt: Instant = NEVER;
  readonly #answered = new Set<number>();
  readonly #more: Partial<CellOptions>;

  constructor(replicaCount = 1, more: Partial<CellOptions> = {}) {
    this.#more = more;
    for (let id = 1; id <= replicaCount; id += 1) {
      const log = new FakeLog();
      this.replicas.push({ log, cell: new Cell(options(id, more), log) });
    }
    this.elect(0);
  }

  get cell(): Cell {
    return this.pair(this.#master).cell;
  }

  get wakeAt(): Instant {
    return this.#wakeAt;
  }

  get epoch(): number {
    return this.cell.status(this.now).clientEpoch;
  }

  pair(at: number): Pair {
    const pair = this.replicas[at];
    if (pair === undefined) throw new Error(`no replica ${at}`);
    return pair;
  }

  /** Makes a replica master, in a new Paxos epoch. */
  elect(at: number, leaseMs = LEASE_FOREVER_MS): void {
    const before = this.#master;
    this.#master = at;
    this.#epoch += 1024;
    this.replicas.forEach(({ cell }, i) => {
      if (i !== at) cell.onLogEvent(this.now, { kind: "notMaster", master: at + 1 });
    });
    if (before !== at) this.pair(before).log.proposed.length = 0;
    this.lease(leaseMs);
  }

  /** Loses mastership and has it back in the same Paxos epoch. */
  regain(): void {
    this.cell.onLogEvent(this.now, { kind: "notMaster", master: undefined });
    this.lease(LEASE_FOREVER_MS);
  }

  /** Renews the master's lease. */
  lease(leaseMs: number): void {
    const leaseUntil = instant(this.now + leaseMs);
    this.cell.onLogEvent(this.now, { kind: "master", epoch: this.#epoch, leaseUntil });
    this.settle();
  }

  /** What was held back goes on. */
  letGo(): void {
    this.isHeldBack = false;
    this.settle();
  }

  /** Chooses what has been proposed, until nothing more is. */
  settle(): void {
    const { log } = this.pair(this.#master);
    for (let rounds = 0; !this.isHeldBack && log.proposed.length > 0; rounds += 1) {
      if (rounds > 10_000) throw new Error("the cell proposes without end");
      const next = log.proposed.shift();
      if (next !== undefined) this.choose(next);
    }
    this.#collect();
  }

  /** Replaces a replica's cell by one that starts from another replica's snapshot. */
  restore(at: number, from: number): void {
    const { index, bytes } = this.pair(from).cell.snapshot();
    const log = new FakeLog();
    const cell = new Cell(options(at + 1, this.#more), log);
    cell.onLogEvent(this.now, { kind: "restored", index, snapshot: bytes });
    this.replicas[at] = { cell, log };
  }

  /** One entry, at all replicas. */
  choose(command: Uint8Array): void {
    this.#index += 1;
    this.chosen.push({ index: this.#index, command });
    for (const { cell } of this.replicas) {
      cell.onLogEvent(this.now, { kind: "chosen", index: this.#index, command });
    }
  }

  /** Lets time pass, waking the master when it asks for it. */
  advance(ms: number): void {
    const end = instant(this.now + ms);
    for (let wakes = 0; this.#wakeAt <= end; wakes += 1) {
      if (wakes > 1_000_000) throw new Error("the cell wakes without end");
      if (this.#wakeAt > this.now) this.now = this.#wakeAt;
      this.cell.onWake(this.now);
      this.settle();
    }
    this.now = end;
  }

  /** Sends a request and lets the cell settle. Returns its tag. */
  send(request: Partial<Request>, from = 1): number {
    return this.sendTo(this.#master, request, from);
  }

  /** Sends a request to a replica of the test's choice. */
  sendTo(at: number, request: Partial<Request>, from = 1): number {
    this.#tag += 1;
    const whole = { ...Request.create(), ...request, tag: this.#tag };
    this.pair(at).cell.onRequest(this.now, connection(from), whole);
    this.settle();
    return this.#tag;
  }

  disconnect(from: number): void {
    this.cell.onDisconnected(this.now, connection(from));
    this.settle();
  }

  /** The reply to a tag, taken; undefined while there is none. */
  replyTo(tag: number): OutgoingReply | undefined {
    const at = this.replies.findIndex(({ reply }) => reply.tag === tag);
    return at < 0 ? undefined : this.replies.splice(at, 1)[0];
  }

  resultOf(tag: number): Result | undefined {
    return this.replyTo(tag)?.reply.result;
  }

  #collect(): void {
    this.replicas.forEach(({ cell }, at) => {
      const output = cell.take();
      for (const { reply } of output.replies) {
        if (this.#answered.has(reply.tag)) throw new Error(`tag ${reply.tag} is answered twice`);
        this.#answered.add(reply.tag);
      }
      this.replies.push(...output.replies);
      this.trace.push(...output.trace);
      if (at === this.#master) this.#wakeAt = output.wakeAt;
    });
  }
}

/** A client of one session, as simple as can be: it numbers its requests and believes its epoch. */
export class TestSession {
  readonly harness: Harness;
  readonly id: number;
  readonly from: number;
  epoch: number;
  lowest = 1;
  next = 1;

  constructor(harness: Harness, terms: { leaseMs?: number; caches?: boolean; from?: number } = {}) {
    this.harness = harness;
    this.from = terms.from ?? 1;
    const tag = harness.send(
      {
        call: {
          $case: "createSession",
          value: { leaseMs: terms.leaseMs ?? 0, caches: terms.caches ?? false, clientName: "test" },
        },
      },
      this.from,
    );
    const result = harness.resultOf(tag);
    if (result?.$case !== "createSession") throw new Error(`no session: ${show(result)}`);
    this.id = result.value.sessionId;
    this.epoch = harness.epoch;
  }

  /** Sends a call under its own number; the reply may come later. */
  begin(call: Call, more: Partial<Request> = {}): number {
    const requestNumber = this.next;
    this.next += 1;
    return this.harness.send(this.envelope(call, { requestNumber, ...more }), this.from);
  }

  envelope(call: Call, more: Partial<Request> = {}): Partial<Request> {
    return {
      sessionId: this.id,
      clientEpoch: this.epoch,
      lowestUnanswered: this.lowest,
      call,
      ...more,
    };
  }

  /** Sends a call that is answered at once. */
  call(call: Call, more: Partial<Request> = {}): Result {
    const number = more.requestNumber ?? this.next;
    const result = this.harness.resultOf(this.begin(call, more));
    if (result === undefined) throw new Error(`${call.$case} is not answered`);
    if (number === this.lowest) this.lowest = number + 1;
    return result;
  }

  open(name: string, more: Partial<Open> = {}): Opened {
    const result = this.tryOpen(name, more);
    if (result.$case !== "open") throw new Error(`open of ${name}: ${show(result)}`);
    return result.value;
  }

  tryOpen(name: string, more: Partial<Open> = {}): Result {
    return this.call({ $case: "open", value: openCall(name, more) });
  }

  /** An Open that may be answered later. */
  beginOpen(name: string, more: Partial<Open> = {}): number {
    return this.begin({ $case: "open", value: openCall(name, more) });
  }

  acquire(handle: Uint8Array, mode: LockMode = LockMode.EXCLUSIVE): Result {
    return this.call({ $case: "acquire", value: { handle, mode, wait: false } });
  }

  beginAcquire(handle: Uint8Array, mode: LockMode = LockMode.EXCLUSIVE): number {
    return this.begin({ $case: "acquire", value: { handle, mode, wait: true } });
  }

  release(handle: Uint8Array): Result {
    return this.call({ $case: "release", value: { handle } });
  }

  close(handle: Uint8Array): Result {
    return this.call({ $case: "close", value: { handle } });
  }

  set(handle: Uint8Array, text: string, ifGeneration?: number): Result {
    return this.call({ $case: "setContents", value: setCall(handle, text, ifGeneration) });
  }

  get(handle: Uint8Array): Result {
    return this.call({ $case: "getContentsAndStat", value: { handle } });
  }

  stat(handle: Uint8Array): Stat {
    const result = this.call({ $case: "getStat", value: { handle } });
    if (result.$case !== "getStat") throw new Error(`getStat: ${show(result)}`);
    return result.value;
  }

  delete(handle: Uint8Array): Result {
    return this.call({ $case: "delete", value: { handle } });
  }

  /** Sends a KeepAlive; returns its tag, since the master holds it. */
  keepAlive(acknowledgedEpoch = 0, answerNow = false): number {
    const call: Call = { $case: "keepAlive", value: { acknowledgedEpoch, answerNow } };
    return this.harness.send(this.envelope(call), this.from);
  }

  /** FO-10: learns of the new epoch and acknowledges it. */
  acknowledge(): number {
    this.epoch = this.harness.epoch;
    return this.keepAlive(this.epoch);
  }

  end(): Result {
    return this.call({ $case: "endSession", value: {} });
  }
}

export function openCall(name: string, more: Partial<Open> = {}): Open {
  return {
    name,
    directory: new Uint8Array(0),
    read: true,
    write: true,
    changeAcl: false,
    create: CreateMode.IF_ABSENT,
    kind: NodeKind.FILE,
    ephemeral: false,
    initialContents: new Uint8Array(0),
    lockDelayMs: 0,
    hasLockDelay: false,
    ...more,
  };
}

export function setCall(handle: Uint8Array, text: string, ifGeneration?: number) {
  return {
    handle,
    contents: Uint8Array.from(text, (c) => c.charCodeAt(0)),
    hasIfGeneration: ifGeneration !== undefined,
    ifGeneration: ifGeneration ?? 0,
  };
}

/** The error code of a result, or the name of what it is instead. */
export function codeOf(result: Result | undefined): string {
  if (result === undefined) return "none";
  return result.$case === "error" ? errorCodeOf(result.value.code) : result.$case;
}

function show(result: Result | undefined): string {
  return result?.$case === "error"
    ? `${codeOf(result)}: ${result.value.detail}`
    : (result?.$case ?? "none");
}
