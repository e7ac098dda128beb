import { type Instant, instant } from "@cubby/base";
import { ERROR_CODES, type ErrorCode, Open, type Reply, type Request } from "@cubby/protocol";
import { Call, type CallBody, type ConnectionId } from "../core/call.ts";
import { ClientCore } from "../core/client-core.ts";
import { SessionMachine, type SessionOptions } from "../core/session-machine.ts";

export type Result = NonNullable<Reply["result"]>;

export type Arrival = {
  readonly at: number;
  readonly address: string;
  readonly connection: ConnectionId;
  readonly request: Request;
  /** Of the request. */
  readonly kind: string;
};

/**
 * A cell that a test scripts, around a real ClientCore, in virtual time and without latency.
 * Replicas answer Locate; the master grants sessions and asks for fail-overs to be acknowledged;
 * KeepAlives and calls wait until the test answers them.
 */
export class World {
  now: Instant = instant(1_000);
  readonly core: ClientCore;
  /** Replicas that accept connections. */
  readonly up = new Set<string>();
  /** Replicas to which a connection is neither made nor refused. */
  readonly hanging = new Set<string>();
  /** Replicas that accept connections and then say nothing. */
  readonly mute = new Set<string>();
  /** Replicas that were master, are cut off from the others, and do not know it. */
  readonly deposed = new Set<string>();
  /** They say that they are master, and refuse all requests as none. */
  readonly confused = new Set<string>();
  master: string | undefined;
  /** Whom replicas name, where that differs from the truth. */
  hint: string | undefined;
  /** Whom each names, before the above. */
  readonly hints = new Map<string, string>();
  /** Whom they name as the cell's replicas. */
  replicas: readonly string[] = [];
  /** What they say is the name of their cell. */
  cellName = "local";
  /** What each says, before the above. */
  readonly cellNames = new Map<string, string>();
  epoch = 1;
  leaseMs = 12_000;
  windowMax = 256;
  /** "later": CreateSession waits for `answerCreate`. */
  creates: "atOnce" | "later" = "atOnce";
  /** Sessions that have acknowledged the present epoch, or were created in it. */
  readonly acknowledged = new Set<number>();
  readonly arrivals: Arrival[] = [];
  readonly connectAttempts: { at: number; address: string }[] = [];
  readonly events: string[] = [];
  readonly settled: Call[] = [];
  readonly #open = new Map<ConnectionId, string>();
  #nextSession = 1;

  constructor(addresses: readonly string[], seed = "world", cellName = "local") {
    this.core = new ClientCore({ addresses, cellName, seed });
    for (const address of addresses) this.up.add(address);
    this.master = addresses[0];
  }

  get connections(): string[] {
    return [...this.#open.values()];
  }

  /** Starts a session; it is open at once if there is a master. */
  session(options: Partial<SessionOptions> = {}): SessionMachine {
    const terms = { leaseMs: 0, gracePeriodMs: 45_000, clientName: "test", openWithinMs: 10_000 };
    const session = new SessionMachine({ ...terms, ...options }, this.core.rngFor("session"));
    this.core.step(this.now, { kind: "openSession", session });
    this.settle();
    return session;
  }

  call(session: SessionMachine, body: CallBody, timeoutMs?: number): Call {
    const call = new Call(session, body, { timeoutMs });
    this.core.step(this.now, { kind: "call", call });
    this.settle();
    return call;
  }

  abort(call: Call): void {
    this.core.step(this.now, { kind: "giveUp", call, code: "cancelled", detail: "aborted" });
    this.settle();
  }

  close(session: SessionMachine, withinMs = 2_000): void {
    this.core.step(this.now, { kind: "closeSession", session, withinMs });
    this.settle();
  }

  suspend(): void {
    this.core.step(this.now, { kind: "suspended" });
    this.settle();
  }

  /** Lets time pass, waking the client whenever it asked for it. */
  run(ms: number): void {
    const end = this.now + ms;
    let wakes = 0;
    for (;;) {
      const wakeAt = this.core.take().wakeAt;
      if (wakeAt > end) break;
      wakes += 1;
      if (wakes > 100_000) throw new Error("the client never sleeps");
      this.now = instant(Math.max(this.now, wakeAt));
      this.core.step(this.now, { kind: "wake" });
      this.settle();
    }
    this.now = instant(end);
  }

  /** The clock moves while the process does not run: nobody is woken. */
  stall(ms: number): void {
    this.now = instant(this.now + ms);
  }

  /** Answers an arrival. */
  reply(arrival: Arrival, result: Result, epoch = this.epoch): void {
    if (!this.#open.has(arrival.connection)) return;
    const reply: Reply = { tag: arrival.request.tag, clientEpoch: epoch, result };
    this.core.step(this.now, { kind: "reply", connection: arrival.connection, reply });
    this.settle();
  }

  refuse(arrival: Arrival, code: ErrorCode, epoch = this.epoch, masterAddress = ""): void {
    this.reply(arrival, errorResult(code, masterAddress), epoch);
  }

  /** The latest unanswered KeepAlive of any session, answered. */
  answerKeepAlive(heldMs: number, leaseMs = this.leaseMs): void {
    const arrival = this.last("keepAlive");
    this.reply(arrival, { $case: "keepAlive", value: { leaseMs, heldMs, failOverEpoch: 0 } });
  }

  answerCreate(): void {
    this.reply(this.last("createSession"), this.#created());
  }

  last(kind: string): Arrival {
    const arrival = this.arrivals.findLast((a) => a.kind === kind);
    if (arrival === undefined) throw new Error(`no ${kind} has arrived`);
    return arrival;
  }

  of(kind: string): Arrival[] {
    return this.arrivals.filter((a) => a.kind === kind);
  }

  /** The process dies: its connections break and nobody listens any more. */
  kill(address: string): void {
    this.up.delete(address);
    this.cut(address);
  }

  cut(address: string): void {
    for (const [connection, to] of [...this.#open]) {
      if (to !== address) continue;
      this.#open.delete(connection);
      const reason = { code: "connection_lost", detail: "reset" } as const;
      this.core.step(this.now, { kind: "disconnected", connection, ...reason });
    }
    this.settle();
  }

  /** Another replica becomes master, in a new epoch. */
  elect(address: string): void {
    this.master = address;
    this.epoch += 1;
    this.acknowledged.clear();
  }

  /** Carries out what the core asks for, until it asks for nothing more. */
  settle(): void {
    for (let turns = 0; turns < 10_000; turns += 1) {
      const output = this.core.take();
      this.settled.push(...output.settled);
      for (const { event } of output.events) this.events.push(`${this.now}:${event.kind}`);
      for (const connection of output.disconnects) this.#open.delete(connection);
      for (const { connection, address } of output.connects) this.#connect(connection, address);
      for (const { connection, request } of output.sends) this.#arrive(connection, request);
      if (output.connects.length + output.sends.length === 0) return;
    }
    throw new Error("the client and the cell never come to rest");
  }

  #connect(connection: ConnectionId, address: string): void {
    this.connectAttempts.push({ at: this.now, address });
    if (this.hanging.has(address)) return;
    if (this.up.has(address)) {
      this.#open.set(connection, address);
      this.core.step(this.now, { kind: "connected", connection });
    } else {
      const reason = { code: "unreachable", detail: "refused" } as const;
      this.core.step(this.now, { kind: "disconnected", connection, ...reason });
    }
  }

  #arrive(connection: ConnectionId, request: Request): void {
    const address = this.#open.get(connection);
    if (address === undefined) return;
    const kind = request.call?.$case ?? "nothing";
    const arrival: Arrival = { at: this.now, address, connection, request, kind };
    this.arrivals.push(arrival);
    if (this.mute.has(address)) return;
    const answer = this.#answer(address, request);
    if (answer === undefined) return;
    const isMaster = address === this.master;
    const reply: Reply = {
      tag: request.tag,
      clientEpoch: isMaster ? this.epoch : 0,
      result: answer,
    };
    this.core.step(this.now, { kind: "reply", connection, reply });
  }

  #answer(address: string, request: Request): Result | undefined {
    const call = request.call;
    if (call?.$case === "locate") return this.#located(address);
    if (this.deposed.has(address)) return errorResult("no_quorum");
    if (this.confused.has(address)) return errorResult("not_master", address);
    if (address !== this.master) return errorResult("not_master", this.hint ?? this.master);
    if (call?.$case === "createSession") {
      return this.creates === "atOnce" ? this.#created() : undefined;
    }
    if (request.sessionId === 0) return undefined;
    if (request.clientEpoch !== this.epoch) return errorResult("stale_epoch");
    const hasAcknowledged = this.acknowledged.has(request.sessionId);
    if (call?.$case === "keepAlive") {
      if (hasAcknowledged) return undefined;
      if (call.value.acknowledgedEpoch === this.epoch) {
        this.acknowledged.add(request.sessionId);
        return undefined;
      }
      const value = { leaseMs: this.leaseMs, heldMs: 0, failOverEpoch: this.epoch };
      return { $case: "keepAlive", value };
    }
    if (!hasAcknowledged) return errorResult("stale_epoch");
    return call?.$case === "endSession" ? { $case: "endSession", value: {} } : undefined;
  }

  #created(): Result {
    const sessionId = this.#nextSession;
    this.#nextSession += 1;
    this.acknowledged.add(sessionId);
    const value = { sessionId, leaseMs: this.leaseMs, inFlightMax: this.windowMax };
    return { $case: "createSession", value };
  }

  #located(address: string): Result {
    const isDeposed = this.deposed.has(address);
    const masterAddress = isDeposed
      ? address
      : (this.hints.get(address) ?? this.hint ?? this.master ?? "");
    const isMaster = isDeposed || address === this.master;
    const value = {
      cellName: this.cellNames.get(address) ?? this.cellName,
      replicaId: idOf(address),
      masterId: isMaster ? idOf(address) : masterAddress === "" ? 0 : idOf(masterAddress),
      masterAddress,
      replicas: this.replicas.map((to) => ({ replicaId: idOf(to), address: to })),
    };
    return { $case: "locate", value };
  }
}

export function errorResult(code: ErrorCode, masterAddress = ""): Result {
  const value = { code: ERROR_CODES[code].id, detail: code, masterId: 0, masterAddress };
  return { $case: "error", value };
}

function idOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}

/** The replica of `opened`. */
export const ALONE = "h:1";

/** One replica, and a session at it. */
export function opened(): { world: World; session: SessionMachine } {
  const world = new World([ALONE]);
  return { world, session: world.session() };
}

const HANDLE = new Uint8Array([1, 2, 3]);
const LARGE = new Uint8Array(250_000);

export const body = {
  read: { $case: "getContentsAndStat", value: { handle: HANDLE } },
  open: { $case: "open", value: { ...Open.create(), name: "/ls/local/f" } },
  write: {
    $case: "setContents",
    value: { handle: HANDLE, contents: HANDLE, hasIfGeneration: false, ifGeneration: 0 },
  },
  largeWrite: {
    $case: "setContents",
    value: { handle: HANDLE, contents: LARGE, hasIfGeneration: false, ifGeneration: 0 },
  },
  acquire: { $case: "acquire", value: { handle: HANDLE, mode: 1, wait: true } },
  tryAcquire: { $case: "acquire", value: { handle: HANDLE, mode: 1, wait: false } },
  release: { $case: "release", value: { handle: HANDLE } },
  close: { $case: "close", value: { handle: HANDLE } },
  checkSequencer: { $case: "checkSequencer", value: { sequencer: HANDLE, mode: 0, name: "" } },
} as const satisfies Record<string, CallBody>;

export const answer = {
  read: { $case: "getContentsAndStat", value: { contents: HANDLE, stat: undefined } },
  acquired: { $case: "acquire", value: { sequencer: HANDLE, lockGeneration: 7 } },
  released: { $case: "release", value: {} },
  closed: { $case: "close", value: {} },
  cancelled: { $case: "cancel", value: { released: true } },
} as const satisfies Record<string, Result>;

export const written: Result = {
  $case: "setContents",
  value: {
    kind: 1,
    instance: 1,
    contentGeneration: 2,
    lockGeneration: 0,
    aclGeneration: 1,
    checksum: "",
    sizeBytes: 0,
    childCount: 0,
    ephemeral: false,
    lockMode: 0,
    lockHolders: 0,
    lockDelayed: false,
    readAcl: "",
    writeAcl: "",
    changeAcl: "",
  },
};
