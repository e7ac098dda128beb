import { after, assert, EMPTY_BYTES, earliest, type Instant, NEVER, Rng } from "@cubby/base";
import type { ErrorCode, Reply, Request } from "@cubby/protocol";
import type { Call, CallOwner, ConnectionId } from "./call.ts";
import { DeadlineQueue } from "./deadline-queue.ts";
import { SILENCE_MS } from "./limits.ts";
import { type LocatorHost, MasterLocator } from "./master-locator.ts";
import type { Control, SessionEvent, SessionHost, SessionMachine } from "./session-machine.ts";
import { freeTagFrom, tagAfter } from "./tag.ts";
import { Uploads } from "./uploads.ts";

export type ClientCoreOptions = {
  /** `host:port` of replicas. */
  readonly addresses: readonly string[];
  /** The cell that is meant; empty takes whichever answers. */
  readonly cellName: string;
  /** For jitter: clients with different seeds do not march in step. */
  readonly seed: string;
};

/** Everything that the world and the application can tell a client. */
export type ClientInput =
  | { readonly kind: "wake" }
  /** The host's name has been looked up; of an address there is nothing to tell. */
  | { readonly kind: "lookedUp"; readonly connection: ConnectionId }
  | { readonly kind: "connected"; readonly connection: ConnectionId }
  | {
      readonly kind: "disconnected";
      readonly connection: ConnectionId;
      readonly code: ErrorCode;
      readonly detail: string;
    }
  /** Bytes came in that end no reply. */
  | { readonly kind: "heard"; readonly connection: ConnectionId }
  | { readonly kind: "reply"; readonly connection: ConnectionId; readonly reply: Reply }
  /** The machine slept: its clock stood still for a while. */
  | { readonly kind: "suspended" }
  | { readonly kind: "openSession"; readonly session: SessionMachine }
  | { readonly kind: "closeSession"; readonly session: SessionMachine; readonly withinMs: number }
  | { readonly kind: "call"; readonly call: Call }
  | {
      readonly kind: "giveUp";
      readonly call: Call;
      readonly code: ErrorCode;
      readonly detail: string;
    };

/** Everything a client can ask of the world, in the order in which it may be carried out. */
export type ClientOutput = {
  readonly settled: readonly Call[];
  readonly events: readonly { readonly session: SessionMachine; readonly event: SessionEvent }[];
  readonly connects: readonly { readonly connection: ConnectionId; readonly address: string }[];
  readonly sends: readonly { readonly connection: ConnectionId; readonly request: Request }[];
  readonly disconnects: readonly ConnectionId[];
  readonly wakeAt: Instant;
};

type LocateRequest = { readonly kind: "locate" };
const LOCATE: LocateRequest = { kind: "locate" };

type Connection = {
  readonly id: ConnectionId;
  nextTag: number;
  lastHeardAt: Instant;
  /** Bytes that end no reply came then. */
  partAt: Instant;
  readonly uploads: Uploads;
  /** By tag. */
  readonly waiting: Map<number, Call | Control | LocateRequest>;
  /** Calls among them that a healthy master answers at once, and since when there are any. */
  promptCount: number;
  promptSince: Instant;
  checkedAt: Instant;
};

/** Deadlines of calls are kept to this, those of sessions more finely. */
const CALL_DEADLINE_BUCKET_MS = 8;
const SESSION_WAKE_BUCKET_MS = 2;

/**
 * A whole client without its sockets: the search for the master and any number of sessions over one
 * connection. `step`, then `take`; the same object runs in production and in a simulation.
 */
export class ClientCore implements SessionHost, LocatorHost {
  readonly #rng: Rng;
  readonly #locator: MasterLocator;
  readonly #connections = new Map<ConnectionId, Connection>();
  #nextConnection = 1;
  readonly #sessions = new Set<SessionMachine>();
  readonly #sessionWakes = new DeadlineQueue<CallOwner>(SESSION_WAKE_BUCKET_MS);
  readonly #callDeadlines = new DeadlineQueue<Call>(CALL_DEADLINE_BUCKET_MS);
  #now = 0 as Instant;

  #settled: Call[] = [];
  #events: { session: SessionMachine; event: SessionEvent }[] = [];
  #connects: { connection: ConnectionId; address: string }[] = [];
  #sends: { connection: ConnectionId; request: Request }[] = [];
  #disconnects: ConnectionId[] = [];

  constructor(options: ClientCoreOptions) {
    this.#rng = new Rng(options.seed);
    const rng = this.#rng.fork("locator");
    this.#locator = new MasterLocator(this, rng, options.addresses, options.cellName);
  }

  /** The randomness for one more session. */
  rngFor(label: string): Rng {
    return this.#rng.fork(label);
  }

  /** As a replica told it; empty before any has. */
  get cellName(): string {
    return this.#locator.cellName;
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  step(now: Instant, input: ClientInput): void {
    assert(now >= this.#now, "the clock does not go back");
    this.#now = now;
    switch (input.kind) {
      case "wake":
        this.#onWake(now);
        return;
      case "lookedUp":
        this.#locator.onLookedUp(now, input.connection);
        return;
      case "connected":
        this.#onConnected(now, input.connection);
        return;
      case "disconnected":
        this.#onDisconnected(now, input.connection, input.code, input.detail);
        return;
      case "heard":
        this.#onHeard(now, input.connection);
        return;
      case "reply":
        this.#onReply(now, input.connection, input.reply);
        return;
      case "suspended":
        for (const session of [...this.#sessions]) {
          session.onSuspended(now);
          this.#schedule(session);
        }
        return;
      case "openSession":
        this.#onOpenSession(now, input.session);
        return;
      case "closeSession":
        input.session.close(now, input.withinMs);
        this.#schedule(input.session);
        return;
      case "call":
        this.#onCall(now, input.call);
        return;
      case "giveUp":
        input.call.session.giveUp(now, input.call, input.code, input.detail);
        this.#schedule(input.call.session);
        return;
    }
  }

  take(): ClientOutput {
    const output: ClientOutput = {
      settled: orNothing(this.#settled),
      events: orNothing(this.#events),
      connects: orNothing(this.#connects),
      sends: orNothing(this.#sends),
      disconnects: orNothing(this.#disconnects),
      wakeAt: this.#wakeAt(),
    };
    // Most turns fill one or two of them: only what is handed out is replaced.
    if (this.#settled.length > 0) this.#settled = [];
    if (this.#events.length > 0) this.#events = [];
    if (this.#connects.length > 0) this.#connects = [];
    if (this.#sends.length > 0) this.#sends = [];
    if (this.#disconnects.length > 0) this.#disconnects = [];
    return output;
  }

  // --- inputs --------------------------------------------------------------------------------

  #onWake(now: Instant): void {
    this.#locator.onWake(now);
    for (const session of this.#sessionWakes.takeDue(now)) {
      session.queuedWakeAt = NEVER;
      if (session.wakeAt <= now) session.onWake(now);
      this.#schedule(session);
    }
    for (const call of this.#callDeadlines.takeDue(now)) {
      call.session.giveUp(now, call, "deadline_exceeded", this.#lateness(call));
      this.#schedule(call.session);
    }
    const connection = this.#masterConnection();
    if (connection === undefined || now < this.#silentAt(connection)) return;
    connection.checkedAt = now;
    this.#locator.checkMaster(now);
  }

  #onConnected(now: Instant, id: ConnectionId): void {
    const connection = this.#connections.get(id);
    if (connection === undefined) return;
    connection.lastHeardAt = now;
    this.#locator.onConnected(now, id);
  }

  #onDisconnected(now: Instant, id: ConnectionId, code: ErrorCode, detail: string): void {
    if (this.#connections.delete(id)) this.#locator.onDisconnected(now, id, code, detail);
  }

  #onHeard(now: Instant, id: ConnectionId): void {
    const connection = this.#connections.get(id);
    if (connection === undefined) return;
    connection.lastHeardAt = now;
    connection.partAt = now;
  }

  #onReply(now: Instant, id: ConnectionId, reply: Reply): void {
    const connection = this.#connections.get(id);
    if (connection === undefined) return;
    connection.lastHeardAt = now;
    connection.uploads.onAnswered(reply.tag);
    const waiting = connection.waiting.get(reply.tag);
    if (waiting === undefined) return;
    connection.waiting.delete(reply.tag);
    if (waiting.kind === "locate") {
      this.#onLocateReply(now, id, reply);
      return;
    }
    if (isPrompt(waiting)) connection.promptCount -= 1;
    const { session } = waiting;
    // Calls belong to machines that this core was given.
    const machine = session as SessionMachine;
    machine.onReply(now, id, waiting, reply);
    this.#schedule(machine);
  }

  #onLocateReply(now: Instant, id: ConnectionId, reply: Reply): void {
    const { result } = reply;
    if (result?.$case === "locate") {
      this.#locator.onLocated(now, id, result.value, reply.clientEpoch);
    } else {
      const hint = result?.$case === "error" ? result.value.masterAddress : "";
      this.#locator.onLocateRefused(now, id, hint);
    }
  }

  #onOpenSession(now: Instant, session: SessionMachine): void {
    assert(!this.#sessions.has(session), "a session is opened once");
    this.#sessions.add(session);
    session.start(now, this);
    const { master } = this.#locator;
    if (master !== undefined) session.onMasterFound(now, master.connection, master.epoch);
    this.#locator.setWanted(now, true);
    this.#schedule(session);
  }

  #onCall(now: Instant, call: Call): void {
    if (call.timeoutMs !== undefined) call.deadline = after(now, call.timeoutMs);
    call.session.call(now, call);
    if (!call.isSettled) this.#callDeadlines.add(call.deadline, call);
    this.#schedule(call.session);
  }

  #lateness(call: Call): string {
    const { detail } = this.#locator.explain();
    const where = this.#locator.master === undefined ? `: ${detail}` : "";
    return `${call.body.$case} was not answered within ${call.timeoutMs} ms${where}.`;
  }

  // --- what sessions ask for (SessionHost) ----------------------------------------------------

  send(id: ConnectionId, request: Request, waiting: Call | Control): number {
    const connection = this.#connections.get(id);
    assert(connection !== undefined, "a session sends on a connection that exists");
    const tag = this.#nextTag(connection);
    request.tag = tag;
    connection.waiting.set(tag, waiting);
    if (waiting.kind === "call") connection.uploads.add(tag, waiting.contentsBytes);
    if (isPrompt(waiting)) {
      if (connection.promptCount === 0) connection.promptSince = this.#now;
      connection.promptCount += 1;
    }
    this.#sends.push({ connection: id, request });
    return tag;
  }

  forget(id: ConnectionId, tag: number): void {
    const connection = this.#connections.get(id);
    const waiting = connection?.waiting.get(tag);
    if (connection === undefined || waiting === undefined || waiting.kind === "locate") return;
    connection.waiting.delete(tag);
    if (isPrompt(waiting)) connection.promptCount -= 1;
  }

  settle(call: Call): void {
    this.#callDeadlines.remove(call.deadline, call);
    this.#settled.push(call);
  }

  emit(session: SessionMachine, event: SessionEvent): void {
    this.#events.push({ session, event });
  }

  onNotMaster(now: Instant, connection: ConnectionId, masterAddress: string): void {
    this.#locator.onNotMaster(now, connection, masterAddress);
  }

  onSuspicion(now: Instant): void {
    this.#locator.checkMaster(now);
  }

  onEnded(now: Instant, session: SessionMachine): void {
    this.#sessions.delete(session);
    if (this.#sessions.size === 0) this.#locator.setWanted(now, false);
  }

  explainSearch(): { code: ErrorCode; detail: string } {
    return this.#locator.explain();
  }

  // --- what the locator asks for (LocatorHost) ------------------------------------------------

  connect(address: string): ConnectionId {
    const id = this.#nextConnection;
    this.#nextConnection += 1;
    this.#connections.set(id, {
      id,
      nextTag: 1,
      lastHeardAt: this.#now,
      partAt: 0 as Instant,
      uploads: new Uploads(),
      waiting: new Map(),
      promptCount: 0,
      promptSince: this.#now,
      checkedAt: this.#now,
    });
    this.#connects.push({ connection: id, address });
    return id;
  }

  disconnect(id: ConnectionId): void {
    if (this.#connections.delete(id)) this.#disconnects.push(id);
  }

  sendLocate(id: ConnectionId): void {
    const connection = this.#connections.get(id);
    assert(connection !== undefined, "the locator asks on a connection that exists");
    const tag = this.#nextTag(connection);
    connection.waiting.set(tag, LOCATE);
    this.#sends.push({ connection: id, request: locateRequest(tag) });
  }

  lastHeardAt(id: ConnectionId): Instant {
    return this.#connections.get(id)?.lastHeardAt ?? (0 as Instant);
  }

  uploadMs(id: ConnectionId): number {
    return this.#connections.get(id)?.uploads.delayMs ?? 0;
  }

  partAt(id: ConnectionId): Instant {
    return this.#connections.get(id)?.partAt ?? (0 as Instant);
  }

  onMasterFound(now: Instant, connection: ConnectionId, epoch: number): void {
    for (const session of [...this.#sessions]) {
      session.onMasterFound(now, connection, epoch);
      this.#schedule(session);
    }
  }

  onMasterLost(now: Instant): void {
    for (const session of [...this.#sessions]) {
      session.onMasterLost(now);
      this.#schedule(session);
    }
  }

  // --- time ----------------------------------------------------------------------------------

  /** A session is queued once, and again only when it wants to be woken earlier than that. */
  #schedule(session: CallOwner): void {
    const { wakeAt } = session;
    if (wakeAt >= session.queuedWakeAt) return;
    this.#sessionWakes.remove(session.queuedWakeAt, session);
    session.queuedWakeAt = wakeAt;
    this.#sessionWakes.add(wakeAt, session);
  }

  #wakeAt(): Instant {
    const calls = earliest(this.#callDeadlines.nextAt(), this.#sessionWakes.nextAt());
    const connection = this.#masterConnection();
    const silentAt = connection === undefined ? NEVER : this.#silentAt(connection);
    return earliest(earliest(calls, silentAt), this.#locator.wakeAt);
  }

  /** When the master has been silent for too long, with calls that it should have answered. */
  #silentAt(connection: Connection): Instant {
    if (connection.promptCount === 0) return NEVER;
    const { lastHeardAt, promptSince, checkedAt } = connection;
    return after(Math.max(lastHeardAt, promptSince, checkedAt) as Instant, SILENCE_MS);
  }

  #masterConnection(): Connection | undefined {
    const { master } = this.#locator;
    return master === undefined ? undefined : this.#connections.get(master.connection);
  }

  #nextTag(connection: Connection): number {
    const tag = freeTagFrom(connection.nextTag, connection.waiting);
    connection.nextTag = tagAfter(tag);
    return tag;
  }
}

/** Never the array that goes on being filled while its reader carries the output out. */
function orNothing<T>(list: readonly T[]): readonly T[] {
  return list.length === 0 ? NOTHING : list;
}

const NOTHING: readonly never[] = [];

/** A healthy master answers it at once: it neither waits for a lock nor is held like a KeepAlive. */
function isPrompt(waiting: Call | Control): boolean {
  if (waiting.kind === "call") return !waiting.waitsForOthers;
  return waiting.call !== "keepAlive";
}

function locateRequest(tag: number): Request {
  return {
    tag,
    sessionId: 0,
    requestNumber: 0,
    lowestUnanswered: 0,
    clientEpoch: 0,
    guard: EMPTY_BYTES,
    call: { $case: "locate", value: {} },
  };
}
