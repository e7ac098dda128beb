import { assert, type Rng } from "@cubby/base";
import type { Reply, Request } from "@cubby/protocol";
import { answer, errorResult, type Result, written } from "./world.ts";

type Waiter = { readonly sessionId: number; readonly number: number; readonly key: string };

type ModelSession = {
  lowest: number;
  readonly results: Map<number, Result>;
  /** Where the answer to an unanswered request goes. */
  readonly listening: Map<number, { connection: number; tag: number }>;
};

export type SendReply = (connection: number, reply: Reply) => void;

const WINDOW = 16;

/**
 * What a cell promises, without how: one state, request numbers with stored results, one lock, and
 * masters that come and go. Requests that wait, and whom to answer, are the present master's alone.
 */
export class ModelCell {
  readonly #rng: Rng;
  readonly #addresses: readonly string[];
  readonly #sendReply: SendReply;
  master: string | undefined;
  epoch = 1;
  readonly sessions = new Map<number, ModelSession>();
  #acknowledged = new Set<number>();
  #nextSession = 1;
  /** How often each write was carried out, by its contents. */
  readonly applied = new Map<string, number>();
  /** Who holds the lock, as `session/handle`, and by which request numbers. */
  holder: { key: string; sessionId: number; claims: number[] } | undefined;
  #waiters: Waiter[] = [];
  readonly complaints: string[] = [];
  /** Chance that a reply is lost although the connection stands. */
  replyLoss = 0;

  constructor(rng: Rng, addresses: readonly string[], sendReply: SendReply) {
    this.#rng = rng;
    this.#addresses = addresses;
    this.#sendReply = sendReply;
    this.master = addresses[0];
  }

  elect(address: string | undefined): void {
    this.master = address;
    if (address === undefined) return;
    this.epoch += 1;
    this.#acknowledged = new Set();
    this.#waiters = [];
    for (const session of this.sessions.values()) session.listening.clear();
  }

  expire(sessionId: number): void {
    this.sessions.delete(sessionId);
    this.#waiters = this.#waiters.filter((waiter) => waiter.sessionId !== sessionId);
    if (this.holder?.sessionId === sessionId) this.#free();
  }

  onRequest(address: string, connection: number, request: Request): void {
    const reply = (result: Result): void => {
      if (request.call?.$case !== "createSession" && this.#rng.chance(this.replyLoss)) return;
      const clientEpoch = address === this.master ? this.epoch : 0;
      this.#sendReply(connection, { tag: request.tag, clientEpoch, result });
    };
    const call = request.call;
    if (call?.$case === "locate") {
      reply(this.#located(address));
    } else if (address !== this.master) {
      reply(errorResult("not_master", this.master ?? ""));
    } else if (call?.$case === "createSession") {
      reply(this.#created());
    } else this.#inSession(connection, request, reply);
  }

  #inSession(connection: number, request: Request, reply: (result: Result) => void): void {
    const { sessionId, requestNumber: number, call } = request;
    const session = this.sessions.get(sessionId);
    if (request.clientEpoch !== this.epoch) reply(errorResult("stale_epoch"));
    else if (session === undefined) reply(errorResult("session_expired"));
    else if (call?.$case === "keepAlive") {
      const isNews = !this.#acknowledged.has(sessionId);
      if (call.value.acknowledgedEpoch === this.epoch) this.#acknowledged.add(sessionId);
      const failOverEpoch = this.#acknowledged.has(sessionId) ? 0 : this.epoch;
      if (isNews || this.#rng.chance(0.5)) {
        reply({ $case: "keepAlive", value: { leaseMs: 12_000, heldMs: 0, failOverEpoch } });
      }
    } else if (!this.#acknowledged.has(sessionId)) reply(errorResult("stale_epoch"));
    else if (this.#rng.chance(0.02)) reply(errorResult("overloaded"));
    else {
      session.lowest = Math.max(session.lowest, request.lowestUnanswered);
      for (const old of session.results.keys()) {
        if (old < session.lowest) session.results.delete(old);
      }
      if (number === 0) {
        if (call?.$case === "getContentsAndStat") reply(answer.read);
        else this.complaints.push(`a ${call?.$case} came without a number`);
        return;
      }
      if (number < session.lowest) {
        reply(errorResult("request_forgotten"));
        return;
      }
      if (number >= session.lowest + WINDOW) {
        this.complaints.push(`number ${number} is beyond the window from ${session.lowest}`);
        return;
      }
      session.listening.set(number, { connection, tag: request.tag });
      const result = session.results.get(number) ?? this.#run(session, request);
      if (result !== undefined) this.#answer(session, number, result);
    }
  }

  #run(session: ModelSession, request: Request): Result | undefined {
    const { sessionId, requestNumber: number, call } = request;
    switch (call?.$case) {
      case "setContents": {
        const id = new TextDecoder().decode(call.value.contents);
        this.applied.set(id, (this.applied.get(id) ?? 0) + 1);
        return this.#store(session, number, written);
      }
      case "acquire": {
        const key = `${sessionId}/${new TextDecoder().decode(call.value.handle)}`;
        if (this.holder?.key === key) {
          this.holder.claims.push(number);
          return this.#store(session, number, answer.acquired);
        }
        if (this.holder === undefined) {
          this.holder = { key, sessionId, claims: [number] };
          return this.#store(session, number, answer.acquired);
        }
        if (!call.value.wait) return this.#store(session, number, errorResult("lock_held"));
        if (!this.#waiters.some((w) => w.sessionId === sessionId && w.number === number)) {
          this.#waiters.push({ sessionId, number, key });
        }
        return undefined;
      }
      case "release": {
        const key = `${sessionId}/${new TextDecoder().decode(call.value.handle)}`;
        if (this.holder?.key !== key) {
          return this.#store(session, number, errorResult("lock_not_held"));
        }
        this.#free();
        return this.#store(session, number, answer.released);
      }
      case "cancel":
        return this.#cancel(session, sessionId, number, call.value.requestNumber);
      case "endSession":
        this.expire(sessionId);
        return { $case: "endSession", value: {} };
      default:
        this.complaints.push(`a ${call?.$case} was not expected`);
        return errorResult("unsupported");
    }
  }

  #cancel(session: ModelSession, sessionId: number, number: number, target: number): Result {
    const waiting = this.#waiters.findIndex(
      (w) => w.sessionId === sessionId && w.number === target,
    );
    if (waiting >= 0) this.#waiters.splice(waiting, 1);
    let released = false;
    const holder = this.holder;
    if (holder?.sessionId === sessionId && holder.claims.includes(target)) {
      holder.claims = holder.claims.filter((claim) => claim !== target);
      if (holder.claims.length === 0) {
        this.#free();
        released = true;
      }
    }
    this.#store(session, target, errorResult("cancelled"));
    return this.#store(session, number, { $case: "cancel", value: { released } });
  }

  #free(): void {
    this.holder = undefined;
    const next = this.#waiters.shift();
    if (next === undefined) return;
    const session = this.sessions.get(next.sessionId);
    assert(session !== undefined, "who waits has a session");
    this.holder = { key: next.key, sessionId: next.sessionId, claims: [next.number] };
    this.#store(session, next.number, answer.acquired);
    this.#answer(session, next.number, answer.acquired);
  }

  #store(session: ModelSession, number: number, result: Result): Result {
    session.results.set(number, result);
    return result;
  }

  #answer(session: ModelSession, number: number, result: Result): void {
    const to = session.listening.get(number);
    session.listening.delete(number);
    // A grant to a waiter is not lost while its connection stands; see the server's validUntil.
    const mayBeLost = result.$case !== "acquire";
    if (to === undefined || (mayBeLost && this.#rng.chance(this.replyLoss))) return;
    this.#sendReply(to.connection, { tag: to.tag, clientEpoch: this.epoch, result });
  }

  #created(): Result {
    const sessionId = this.#nextSession;
    this.#nextSession += 1;
    this.sessions.set(sessionId, { lowest: 1, results: new Map(), listening: new Map() });
    this.#acknowledged.add(sessionId);
    const value = { sessionId, leaseMs: 12_000, inFlightMax: WINDOW };
    return { $case: "createSession", value };
  }

  #located(address: string): Result {
    const idOf = (a: string): number => this.#addresses.indexOf(a) + 1;
    const value = {
      cellName: "local",
      replicaId: idOf(address),
      masterId: this.master === undefined ? 0 : idOf(this.master),
      masterAddress: this.master ?? "",
      replicas: [],
    };
    return { $case: "locate", value };
  }
}
