/**
 * A client of a World with one session, as simple as may be: it numbers its requests, repeats each
 * until it is answered, and looks for the master by asking everybody in turn.
 */

import { assert } from "@cubby/base";
import {
  type ContentsAndStat,
  CreateMode,
  errorCodeOf,
  KeepAlive,
  LockMode,
  NodeKind,
  type Opened,
  type Reply,
  Request,
  type Stat,
} from "@cubby/protocol";
import type { ClientEnd, World } from "./replica-world.test-support.ts";

export type CallBody = NonNullable<Request["call"]>;
export type Result = NonNullable<Reply["result"]>;

export type Pending = {
  readonly number: number;
  readonly call: CallBody;
  readonly beganAt: number;
  result: Result | undefined;
  answeredAt: number;
};

/** An answer to anything but a KeepAlive is late after this; then somebody else is asked. */
const SILENCE_MS = 150;
const TICK_MS = 10;
const REPEAT_MS = 50;

export class TestClient implements ClientEnd {
  readonly #world: World;
  readonly #leaseMs: number;
  sessionId = 0;
  epoch = 0;
  target: number;
  readonly #pending = new Map<number, Pending>();
  #next = 1;
  #tag = 0;
  readonly #waiting = new Map<number, { readonly number: number; readonly replica: number }>();
  #askedAt = 0;
  #heardAt = 0;
  #keptAt = Number.NEGATIVE_INFINITY;

  constructor(world: World, leaseMs = 60_000) {
    this.#world = world;
    this.#leaseMs = leaseMs;
    this.target = world.ids[0] ?? 1;
    const tick = (): void => {
      this.#onTick();
      world.time.at(world.time.now + TICK_MS, tick);
    };
    tick();
  }

  /** Opens the session; everything else waits for that. */
  connect(withinMs = 10_000): this {
    this.call(
      { $case: "createSession", value: { leaseMs: this.#leaseMs, caches: false, clientName: "" } },
      withinMs,
    );
    return this;
  }

  begin(call: CallBody): Pending {
    const beganAt = this.#world.time.now;
    const number = call.$case === "createSession" ? 0 : this.#next++;
    const pending = { number, call, beganAt, result: undefined, answeredAt: 0 };
    if (this.#pending.size === 0) this.#heardAt = beganAt;
    this.#pending.set(number, pending);
    this.#send(pending);
    return pending;
  }

  call(call: CallBody, withinMs = 10_000): Result {
    const pending = this.begin(call);
    this.#world.runUntil(() => pending.result !== undefined, withinMs);
    if (pending.result === undefined) {
      throw new Error(`${call.$case} is not answered\n${this.#world.report()}`);
    }
    return pending.result;
  }

  open(name: string): Opened {
    const result = this.call({
      $case: "open",
      value: {
        name: `/ls/local/${name}`,
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
      },
    });
    assert(result.$case === "open", `open is answered: ${codeOf(result)}`);
    return result.value;
  }

  beginSet(handle: Uint8Array, text: string, ifGeneration?: number): Pending {
    const contents = Uint8Array.from(text, (c) => c.charCodeAt(0));
    const hasIfGeneration = ifGeneration !== undefined;
    const value = { handle, contents, hasIfGeneration, ifGeneration: ifGeneration ?? 0 };
    return this.begin({ $case: "setContents", value });
  }

  set(handle: Uint8Array, text: string): Stat {
    const pending = this.beginSet(handle, text);
    this.#world.runUntil(() => pending.result !== undefined, 10_000);
    const { result } = pending;
    if (result?.$case === "setContents") return result.value;
    throw new Error(`a write: ${codeOf(result)}\n${this.#world.report()}`);
  }

  get(handle: Uint8Array): ContentsAndStat {
    const result = this.call({ $case: "getContentsAndStat", value: { handle } });
    assert(result.$case === "getContentsAndStat", `a read is answered: ${codeOf(result)}`);
    return result.value;
  }

  /** One read at this very replica, on a connection of its own, never repeated. */
  askOnce(replica: number, handle: Uint8Array, withinMs = 10_000): { result: Result | undefined } {
    const answer: { result: Result | undefined } = { result: undefined };
    const end: ClientEnd = {
      onReply: (_, reply) => {
        answer.result ??= reply.result;
      },
      onClosed: () => undefined,
    };
    this.#world.request(end, replica, {
      ...Request.create(),
      tag: 1,
      sessionId: this.sessionId,
      requestNumber: this.#next,
      lowestUnanswered: this.#next,
      clientEpoch: this.epoch,
      call: { $case: "getContentsAndStat", value: { handle } },
    });
    this.#world.runUntil(() => answer.result !== undefined, withinMs);
    return answer;
  }

  /** Sends its last request once more, as if the answer had been lost. */
  repeat({ number, call, beganAt }: Pending): Pending {
    const pending = { number, call, beganAt, result: undefined, answeredAt: 0 };
    this.#pending.set(number, pending);
    this.#send(pending);
    return pending;
  }

  tryAcquire(handle: Uint8Array): Result {
    const value = { handle, mode: LockMode.EXCLUSIVE, wait: false };
    return this.call({ $case: "acquire", value });
  }

  onReply(replica: number, reply: Reply): void {
    const waiting = this.#waiting.get(reply.tag);
    this.#waiting.delete(reply.tag);
    const { result } = reply;
    if (waiting === undefined || result === undefined) return;
    if (replica === this.target) this.#heardAt = this.#world.time.now;
    const code = codeOf(result);
    if (code === "not_master") {
      this.#onNotMaster(replica, result.$case === "error" ? result.value.masterId : 0);
    } else if (code === "stale_epoch") {
      this.#onStaleEpoch(replica, reply.clientEpoch);
    } else if (waiting.number < 0) {
      this.#onKeptAlive(result);
    } else if (!RETRIED.has(code)) this.#settle(waiting.number, reply.clientEpoch, result);
  }

  onClosed(replica: number): void {
    if (replica === this.target) this.#turnTo(this.#other());
  }

  #settle(number: number, clientEpoch: number, result: Result): void {
    const pending = this.#pending.get(number);
    if (pending === undefined) return;
    this.#pending.delete(number);
    pending.result = result;
    pending.answeredAt = this.#world.time.now;
    if (result.$case !== "createSession") return;
    this.sessionId = result.value.sessionId;
    this.epoch = clientEpoch;
  }

  #onNotMaster(replica: number, masterId: number): void {
    if (replica !== this.target) return;
    this.#turnTo(masterId === 0 || masterId === replica ? this.#other() : masterId);
  }

  #onStaleEpoch(replica: number, epoch: number): void {
    if (replica !== this.target || epoch <= this.epoch) return;
    this.epoch = epoch;
    this.#sendAll();
  }

  #onKeptAlive(result: Result): void {
    if (result.$case !== "keepAlive") return;
    this.#keptAt = Number.NEGATIVE_INFINITY;
  }

  #onTick(): void {
    const { now } = this.#world.time;
    if (this.sessionId !== 0 && now - this.#keptAt > this.#leaseMs / 3) this.#keepAlive();
    if (this.#pending.size === 0) return;
    if (now - Math.max(this.#heardAt, this.#askedAt) > SILENCE_MS) this.#turnTo(this.#other());
    else if (now - this.#heardAt > REPEAT_MS && now % REPEAT_MS < TICK_MS) this.#sendAll();
  }

  #turnTo(replica: number): void {
    this.target = replica;
    const { now } = this.#world.time;
    this.#askedAt = now;
    this.#heardAt = now;
    // A little later, lest two replicas that name each other are asked without end.
    this.#world.time.at(now + 1, () => {
      if (this.target === replica) this.#sendAll();
    });
  }

  #sendAll(): void {
    // The master answers nothing else before it knows that we know of it (FO-5).
    if (this.sessionId !== 0) this.#keepAlive();
    for (const pending of this.#pending.values()) this.#send(pending);
  }

  #keepAlive(): void {
    this.#keptAt = this.#world.time.now;
    const value = KeepAlive.create({ acknowledgedEpoch: this.epoch });
    this.#transmit(-1, { $case: "keepAlive", value });
  }

  #send({ number, call }: Pending): void {
    if (number > 0 && this.sessionId === 0) return;
    this.#transmit(number, call);
  }

  #transmit(number: number, call: CallBody): void {
    this.#tag += 1;
    this.#waiting.set(this.#tag, { number, replica: this.target });
    const lowest = this.#pending.keys().next().value ?? this.#next;
    const request: Request = {
      ...Request.create(),
      tag: this.#tag,
      sessionId: number === 0 ? 0 : this.sessionId,
      requestNumber: Math.max(0, number),
      lowestUnanswered: number === 0 ? 0 : lowest,
      clientEpoch: this.epoch,
      call,
    };
    this.#world.request(this, this.target, request);
  }

  #other(): number {
    const { ids } = this.#world;
    return ids[ids.indexOf(this.target) + 1] ?? ids[0] ?? 1;
  }
}

/** The call may be repeated, and its number makes that safe. */
const RETRIED: ReadonlySet<string> = new Set([
  "no_quorum",
  "connection_lost",
  "overloaded",
  "deadline_exceeded",
]);

/** The error code of a result, or the name of what it is instead. */
export function codeOf(result: Result | undefined): string {
  if (result === undefined) return "none";
  return result.$case === "error" ? errorCodeOf(result.value.code) : result.$case;
}
