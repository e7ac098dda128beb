import { after, earliest, equalBytes, type Instant, NEVER, type Rng } from "@cubby/base";
import {
  ERROR_CODES,
  type ErrorCode,
  type Error as ErrorReply,
  errorCodeOf,
  IN_FLIGHT_MAX,
  type Reply,
  type Request,
} from "@cubby/protocol";
import {
  Call,
  type CallBody,
  type CallOwner,
  type ConnectionId,
  type Failure,
  notApplied,
} from "./call.ts";
import { SILENCE_MS } from "./limits.ts";
import { repeatDelayMs } from "./pacing.ts";
import { RequestTable } from "./request-table.ts";

/** The session that the calls belong to. */
export interface CallingSession extends CallOwner {
  /** 0 until the session has been created. */
  readonly sessionId: number;
  readonly epoch: number;
  /** The connection to the master, or 0. */
  readonly link: ConnectionId;
  /** This master knows that we know of it: it takes calls (FO-7). */
  readonly isGateOpen: boolean;
  /** There is a link, the gate is open, and the lease is live: API-18, calls block in jeopardy. */
  readonly maySend: boolean;
  /** A request was refused in a way that says something of the master. */
  onRefused(now: Instant, code: ErrorCode, hint: string, epoch: number): void;
  expire(now: Instant, detail: string): void;
}

/** What calls ask of the client around them. */
export interface CallsHost {
  /** Sends it and returns its tag; the answer comes back to `call`. */
  send(connection: ConnectionId, request: Request, call: Call): number;
  /** Whatever comes back under that tag is of no interest any more. */
  forget(connection: ConnectionId, tag: number): void;
  /** How long what was sent on it may yet be on its way. */
  uploadMs(connection: ConnectionId): number;
  /** When it last brought a part of an answer. */
  partAt(connection: ConnectionId): Instant;
  settle(call: Call): void;
}

/**
 * The application's calls of one session, from the queue to the answer. A call is repeated under
 * its own number until it is answered; one that was given up is cancelled at the master.
 */
export class SessionCalls {
  readonly #session: CallingSession;
  readonly #host: CallsHost;
  readonly #rng: Rng;
  readonly #table = new RequestTable(IN_FLIGHT_MAX);
  /** When the next refused call may be repeated. */
  #repeatAt: Instant = NEVER;
  /** When prompt calls are looked through for one whose answer seems lost. */
  #lookAt: Instant = NEVER;

  constructor(session: CallingSession, host: CallsHost, rng: Rng) {
    this.#session = session;
    this.#host = host;
    this.#rng = rng;
  }

  get inFlightCount(): number {
    return this.#table.inFlightCount;
  }

  get queuedCount(): number {
    return this.#table.queuedCount;
  }

  get wakeAt(): Instant {
    return earliest(this.#repeatAt, this.#lookAt);
  }

  onWake(now: Instant): void {
    if (now >= this.#lookAt) this.#repeatUnanswered(now);
    else if (now >= this.#repeatAt) this.pump(now);
  }

  /** CreateSession's answer brings the cell's own figure. */
  setWindow(windowMax: number): void {
    this.#table.setWindow(windowMax);
  }

  /** The connection is gone with everything that was on its way. */
  onLinkLost(): void {
    this.#repeatAt = NEVER;
    this.#lookAt = NEVER;
    this.#table.markAllUnsent();
  }

  /**
   * Another master, perhaps behind the same connection: it knows of no waiter. What is answered
   * promptly will be refused by itself; an Acquire that waits would be waited for in vain.
   */
  onEpochAdopted(): void {
    for (const call of this.#table.inFlight()) {
      if (!call.waitsForOthers) continue;
      this.#forgetSend(call);
      this.#table.markUnsent(call);
    }
  }

  /** Takes it in and sends it when it may, or settles it at once with the reason why not. */
  add(now: Instant, call: Call): void {
    if (this.#table.enqueue(call)) {
      if (call.body.$case === "release") this.#callBackAcquires(call.body.value.handle);
      this.pump(now);
      return;
    }
    const detail = call.waitsForOthers
      ? `A session may wait for ${this.#table.waitersMax} locks at once.`
      : `${this.#table.queuedCount} calls of this session wait already.`;
    this.refuse(call, notApplied("too_many_requests", detail));
  }

  /** It never comes into the table. */
  refuse(call: Call, reason: Failure): void {
    call.phase = "done";
    this.#settle(call, reason);
  }

  giveUp(now: Instant, call: Call, code: ErrorCode, detail: string): void {
    if (call.isSettled) return;
    const { cancellable, mutating } = call.traits;
    // What is not cancelled stays in the table, and is sent though nobody waits for it any more.
    const outcome = mutating && !cancellable ? "unknown" : call.outcomeUnanswered;
    if (cancellable) {
      this.#forgetSend(call);
      this.#table.onGivenUp(call);
    }
    this.#settle(call, { code, detail, outcome });
    this.pump(now);
  }

  onReply(now: Instant, connection: ConnectionId, call: Call, reply: Reply): void {
    // Given up, renumbered or sent again since: that answer says nothing about this send.
    if (call.tag !== reply.tag || call.connection !== connection) return;
    const { result } = reply;
    if (result?.$case === "error") {
      this.#onRefused(now, call, result.value, reply.clientEpoch);
      return;
    }
    this.#table.onAnswered(call);
    if (result?.$case === call.body.$case) {
      call.result = result;
      this.#settle(call, undefined);
    } else {
      this.#fail(call, "internal", "The answer is not one to this call.");
    }
    this.pump(now);
  }

  failAll(code: ErrorCode, detail: string): void {
    const calls = [...this.#table.inFlight(), ...this.#table.queued()];
    this.#table.clear();
    this.#repeatAt = NEVER;
    this.#lookAt = NEVER;
    for (const call of calls) {
      call.phase = "done";
      call.tag = 0;
      this.#fail(call, code, detail);
    }
  }

  /** The number of the session's last request: nothing that came before is unanswered any more. */
  takeLastNumber(): number {
    return this.#table.takeLastNumber();
  }

  /** Sends what may be sent: repeats in their old order, then Cancels, then new calls. */
  pump(now: Instant): void {
    this.#repeatAt = NEVER;
    if (!this.#session.maySend) return;
    if (this.#table.hasUnsent) this.#repeatUnsent(now);
    this.#sendCancels(now);
    for (;;) {
      const call = this.#table.admit();
      if (call === undefined) break;
      this.#sendCall(now, call);
    }
    this.#renumber(now, this.#table.waitersHoldingWindow());
  }

  #sendCancels(now: Instant): void {
    for (;;) {
      const requestNumber = this.#table.nextToCancel();
      if (requestNumber === undefined) return;
      const cancel = new Call(this.#session, { $case: "cancel", value: { requestNumber } });
      // Nobody waits for it; it is repeated until it is answered all the same.
      cancel.isSettled = true;
      this.#table.addCancel(cancel, requestNumber);
      this.#sendCall(now, cancel);
    }
  }

  #repeatUnsent(now: Instant): void {
    for (const call of this.#table.inFlight()) {
      if (call.tag !== 0) continue;
      if (call.repeatAt > now) this.#repeatAt = earliest(this.#repeatAt, call.repeatAt);
      else this.#sendCall(now, call);
    }
  }

  #sendCall(now: Instant, call: Call): void {
    const { link } = this.#session;
    const request = this.request(call.body, call.number, call.guard);
    if (!call.traits.inSession) {
      request.sessionId = 0;
      request.lowestUnanswered = 0;
    }
    this.#table.markSent(call, link, this.#host.send(link, request, call));
    call.sentAt = now;
    if (!call.waitsForOthers) this.#lookAt = earliest(this.#lookAt, after(now, call.patienceMs));
  }

  /**
   * A master whose own lease lapsed for a moment drops the replies that rested on it, and keeps the
   * connection: what should have been answered long ago is sent again.
   */
  #repeatUnanswered(now: Instant): void {
    this.#lookAt = NEVER;
    for (const call of this.#table.inFlight()) {
      if (call.tag === 0 || call.waitsForOthers) continue;
      const overdueAt = this.#overdueAt(call);
      if (now < overdueAt) {
        this.#lookAt = earliest(this.#lookAt, overdueAt);
        continue;
      }
      this.#forgetSend(call);
      this.#table.markUnsent(call);
      call.patienceMs *= 2;
    }
    this.pump(now);
  }

  /** Over a slow link the request may be on its way yet, or its answer be coming in. */
  #overdueAt({ sentAt, patienceMs, connection }: Call): Instant {
    const unansweredAt = after(sentAt, patienceMs + this.#host.uploadMs(connection));
    const silentAt = after(this.#host.partAt(connection), SILENCE_MS);
    return unansweredAt > silentAt ? unansweredAt : silentAt;
  }

  /**
   * Acquires that wait for others keep the window of numbers from moving. They are asked anew under later
   * numbers and then cancelled: in this order the master lets them keep their places in the locks' queues.
   * Where there is no room for both numbers of all, they are cancelled first, at the cost of their places.
   */
  #renumber(now: Instant, waiters: readonly Call[]): void {
    if (waiters.length === 0) return;
    const goesAhead = this.#table.hasRoomToRenumber(waiters.length);
    for (const waiter of waiters) {
      this.#forgetSend(waiter);
      if (goesAhead) {
        this.#table.renumberAhead(waiter);
        this.#sendCall(now, waiter);
      } else this.#table.renumber(waiter);
    }
    this.#sendCancels(now);
  }

  /**
   * A Release may come before them or after them and free what they were granted: Acquires of its
   * handle without an answer are asked anew behind it, like those that are made from now on.
   */
  #callBackAcquires(handle: Uint8Array): void {
    for (const call of [...this.#table.inFlight()]) {
      if (call.body.$case !== "acquire" || !equalBytes(call.body.value.handle, handle)) continue;
      this.#forgetSend(call);
      this.#table.renumber(call);
    }
  }

  /** Every request of the session says which of its numbers are answered. */
  request(body: CallBody, number: number, guard: Uint8Array): Request {
    return {
      tag: 0,
      sessionId: this.#session.sessionId,
      requestNumber: number,
      lowestUnanswered: this.#table.lowestUnanswered,
      clientEpoch: this.#session.epoch,
      guard,
      call: body,
    };
  }

  #onRefused(now: Instant, call: Call, error: ErrorReply, epoch: number): void {
    const code = errorCodeOf(error.code);
    if (code === "session_expired" && call.traits.inSession) {
      this.#session.expire(now, error.detail);
      return;
    }
    if (!isRepeatable(code)) {
      this.#table.onAnswered(call);
      const outcome = call.traits.mutating ? ERROR_CODES[code].outcome : "not-applied";
      this.#settle(call, { code, detail: error.detail, outcome });
      this.pump(now);
      return;
    }
    // A refusal takes its own send out of doubt, and no other one.
    if (ERROR_CODES[code].outcome === "not-applied") call.doubtfulSends -= 1;
    this.#table.markUnsent(call);
    const isNews =
      code === "stale_epoch" && (epoch > this.#session.epoch || !this.#session.isGateOpen);
    if (!isNews && code !== "not_master") {
      call.refusals += 1;
      call.repeatAt = after(now, repeatDelayMs(this.#rng, call.refusals));
    }
    this.#session.onRefused(now, code, error.masterAddress, epoch);
    this.pump(now);
  }

  #forgetSend(call: Call): void {
    if (call.tag !== 0) this.#host.forget(call.connection, call.tag);
  }

  #fail(call: Call, code: ErrorCode, detail: string): void {
    this.#settle(call, { code, detail, outcome: call.outcomeUnanswered });
  }

  #settle(call: Call, reason: Failure | undefined): void {
    if (call.isSettled) return;
    call.isSettled = true;
    call.failure = reason;
    this.#host.settle(call);
  }
}

/** The same request may be sent again under its number: it was refused, or its fate is unknown. */
function isRepeatable(code: ErrorCode): boolean {
  switch (code) {
    case "stale_epoch":
    case "not_master":
    case "no_quorum":
    case "overloaded":
    case "too_many_requests":
    // A master that was deposed with the request under way: the number makes the repeat safe.
    case "deadline_exceeded":
    case "connection_lost":
      return true;
    default:
      return false;
  }
}
