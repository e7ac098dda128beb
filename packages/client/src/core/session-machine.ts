import {
  after,
  assert,
  EMPTY_BYTES,
  earliest,
  type Instant,
  instant,
  NEVER,
  type Rng,
  unreachable,
} from "@cubby/base";
import {
  ERROR_CODES,
  type ErrorCode,
  errorCodeOf,
  KEEP_ALIVE_LATE_PARTS,
  type KeptAlive,
  type Reply,
  type Request,
  type SessionCreated,
} from "@cubby/protocol";
import { type Call, type CallBody, type ConnectionId, type Failure, notApplied } from "./call.ts";
import {
  CONTROL_REPEAT_MS,
  KEEP_ALIVE_BURST_MAX,
  KEEP_ALIVE_OVERDUE_HUNDREDTHS,
  KEEP_ALIVE_SPACING_MS_MIN,
  SUSPICION_MS,
} from "./limits.ts";
import { type CallingSession, type CallsHost, SessionCalls } from "./session-calls.ts";
import { SessionLease } from "./session-lease.ts";

export type SessionOptions = {
  /** 0 asks for the cell's default. */
  readonly leaseMs: number;
  readonly gracePeriodMs: number;
  readonly clientName: string;
  /** How long the session may take to come about. */
  readonly openWithinMs: number;
};

/** EVT-7. `closed` was asked for; `expired` was not. */
export type SessionState = "opening" | "safe" | "jeopardy" | "closing" | "closed" | "expired";

export type SessionEvent =
  | { readonly kind: "opened" }
  | { readonly kind: "failedToOpen"; readonly failure: Failure }
  | { readonly kind: "jeopardy" }
  | { readonly kind: "safe" }
  | { readonly kind: "failOver"; readonly epoch: number }
  | { readonly kind: "expired"; readonly failure: Failure }
  | { readonly kind: "closed" };

type ControlCall = "createSession" | "keepAlive" | "endSession";

/** A request that the session makes on its own account. */
export type Control = {
  readonly kind: "control";
  readonly call: ControlCall;
  readonly session: SessionMachine;
  readonly sentAt: Instant;
  /** The machine slept since, on a clock that stood still: the answer grants nothing. */
  isVoid: boolean;
};

/** What a session asks of the client around it. */
export interface SessionHost extends CallsHost {
  /** Sends it and returns its tag; the answer comes back to `waiting`. */
  send(connection: ConnectionId, request: Request, waiting: Call | Control): number;
  emit(session: SessionMachine, event: SessionEvent): void;
  onNotMaster(now: Instant, connection: ConnectionId, masterAddress: string): void;
  /** An answer is overdue, or there is no lease: the master is to show that it lives and serves. */
  onSuspicion(now: Instant): void;
  /** It is expired or closed: it needs no master any more. */
  onEnded(now: Instant, session: SessionMachine): void;
  explainSearch(): { code: ErrorCode; detail: string };
}

/**
 * One session: its lease, its epoch, and its requests. Everything rests on three facts. The lease
 * is counted from the sending of what the master answered (SES-11). A request is repeated under
 * its own number until it is answered, so a repeat never runs twice. And after a change of master
 * nothing but KeepAlives is sent until the fail-over has been acknowledged (FO-4, FO-5).
 */
export class SessionMachine implements CallingSession {
  queuedWakeAt: Instant = NEVER;
  readonly #options: SessionOptions;
  readonly #rng: Rng;
  readonly #lease = new SessionLease();
  #started: { readonly host: SessionHost; readonly calls: SessionCalls } | undefined;
  #state: SessionState = "opening";
  #ending: Failure | undefined;
  #sessionId = 0;

  /** FO-1. */
  #epoch = 0;
  #createdEpoch = 0;
  #acknowledgedEpoch = 0;
  /** The connection to the master, or 0. */
  #link: ConnectionId = 0;
  /** Calls may pass: this master knows that we know of it. */
  #isGateOpen = false;

  /** The last KeepAlive, whose answer is followed by the next. */
  #keepAlive: Control | undefined;
  /** KeepAlives of before, or of that very instant, may have slept on their way. */
  #suspendedAt: Instant = instant(0);
  /** The next KeepAlive follows an answer, so the master may hold it (SES-6). */
  #isInRhythm = true;
  /** The CreateSession or EndSession whose answer counts. */
  #control: Control | undefined;
  /** When the next KeepAlive, CreateSession or EndSession is to be sent. */
  #controlAt: Instant = NEVER;
  /** Why this master has no session for us yet, as far as it said. */
  #refusal: { readonly code: ErrorCode; readonly detail: string } | undefined;
  #quickKeepAlives = 0;
  #suspectAt: Instant = NEVER;
  /** When opening or closing is given up. */
  #giveUpAt: Instant = NEVER;

  constructor(options: SessionOptions, rng: Rng) {
    this.#options = options;
    this.#rng = rng;
  }

  get state(): SessionState {
    return this.#state;
  }

  get sessionId(): number {
    return this.#sessionId;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get link(): ConnectionId {
    return this.#link;
  }

  get isGateOpen(): boolean {
    return this.#isGateOpen;
  }

  get maySend(): boolean {
    return this.#link !== 0 && this.#isGateOpen && this.#state === "safe";
  }

  /** Locks and cached data may be relied on before this instant, and not from it on. */
  get leaseDeadline(): Instant {
    return this.#lease.deadline;
  }

  /** The machine slept when the lease ended or after: nobody knows for how long it has been over. */
  get hasSleptSinceLease(): boolean {
    return this.#lease.deadline <= this.#suspendedAt;
  }

  /** Why the session is over; undefined while it is not. */
  get ending(): Failure | undefined {
    return this.#ending;
  }

  get isOver(): boolean {
    return this.#state === "expired" || this.#state === "closed";
  }

  get inFlightCount(): number {
    return this.#calls.inFlightCount;
  }

  get queuedCount(): number {
    return this.#calls.queuedCount;
  }

  get wakeAt(): Instant {
    const state = this.#state;
    switch (state) {
      case "opening":
      case "closing":
        return earliest(this.#giveUpAt, this.#link === 0 ? NEVER : this.#controlAt);
      case "safe":
        return earliest(this.#lease.deadline, this.#linkWakeAt());
      case "jeopardy":
        return earliest(this.#graceEnd(), this.#linkWakeAt());
      case "closed":
      case "expired":
        return NEVER;
      default:
        return unreachable(state);
    }
  }

  start(now: Instant, host: SessionHost): void {
    assert(this.#started === undefined, "a session is started once");
    this.#started = { host, calls: new SessionCalls(this, host, this.#rng) };
    this.#giveUpAt = after(now, this.#options.openWithinMs);
  }

  onWake(now: Instant): void {
    this.#advance(now);
    if (this.isOver || this.#link === 0) return;
    if (now >= this.#controlAt) this.#sendControl(now);
    if (now >= this.#suspectAt) this.#onOverdue(now);
    this.#calls.onWake(now);
  }

  onMasterFound(now: Instant, connection: ConnectionId, epoch: number): void {
    this.#advance(now);
    if (this.isOver) return;
    this.#link = connection;
    this.#keepAlive = undefined;
    this.#control = undefined;
    this.#quickKeepAlives = 0;
    this.#refusal = undefined;
    // There is nothing yet that belongs to an epoch: the cell may have begun anew.
    if (this.#state === "opening") this.#epoch = epoch;
    else if (epoch > this.#epoch) this.#adoptEpoch(epoch);
    this.#isGateOpen = this.#hasAcknowledged();
    this.#sendControl(now);
    this.#calls.pump(now);
  }

  onMasterLost(now: Instant): void {
    this.#advance(now);
    this.#link = 0;
    this.#refusal = undefined;
    this.#isGateOpen = false;
    this.#keepAlive = undefined;
    this.#control = undefined;
    this.#controlAt = NEVER;
    this.#suspectAt = NEVER;
    this.#calls.onLinkLost();
  }

  onReply(now: Instant, connection: ConnectionId, waiting: Call | Control, reply: Reply): void {
    this.#advance(now);
    if (waiting.kind === "call") {
      this.#calls.onReply(now, connection, waiting, reply);
      return;
    }
    if (connection !== this.#link) return;
    switch (waiting.call) {
      case "createSession":
        if (waiting === this.#control) this.#onCreateReply(now, waiting, reply);
        return;
      case "endSession":
        if (waiting === this.#control) this.#onEndReply(now, reply);
        return;
      case "keepAlive":
        if (waiting === this.#keepAlive) this.#onKeepAliveReply(now, waiting, reply);
        else this.#onOvertaken(now, waiting, reply);
        return;
    }
  }

  /** A call of the application. It is settled in any case, now or later. */
  call(now: Instant, call: Call): void {
    this.#advance(now);
    assert(call.phase === "new", "a call is made once");
    if (this.#ending === undefined) this.#calls.add(now, call);
    else this.#calls.refuse(call, this.#ending);
  }

  /** The caller waits no longer: its deadline has come, its signal is aborted, its handle poisoned. */
  giveUp(now: Instant, call: Call, code: ErrorCode, detail: string): void {
    this.#advance(now);
    this.#calls.giveUp(now, call, code, detail);
  }

  /** Everything that waits fails with client_closed; locks are freed at once (GAP-5). */
  close(now: Instant, withinMs: number): void {
    this.#advance(now);
    if (this.#state === "closing" || this.#state === "closed") return;
    if (this.#state === "expired") {
      this.#emit({ kind: "closed" });
      return;
    }
    this.#ending = notApplied("client_closed", "The session was closed.");
    this.#calls.failAll("client_closed", "The session was closed before the answer came.");
    const mustTell = this.#sessionId !== 0;
    this.#state = mustTell ? "closing" : "closed";
    this.#keepAlive = undefined;
    this.#control = undefined;
    this.#suspectAt = NEVER;
    if (!mustTell) {
      this.#end(now, { kind: "closed" });
      return;
    }
    this.#giveUpAt = after(now, withinMs);
    if (this.#link !== 0) this.#sendControl(now);
  }

  /** The machine slept while the clock stood still: no lease counts until it is granted anew. */
  onSuspended(now: Instant): void {
    this.#lease.voidAt(now);
    this.#suspendedAt = now;
    if (this.#control !== undefined) this.#control.isVoid = true;
    this.#advance(now);
    if (this.#state !== "jeopardy" || this.#link === 0) return;
    // The KeepAlive that is out was sent before the sleep: its answer proves nothing about it.
    this.#keepAlive = undefined;
    this.#isInRhythm = false;
    this.#sendControl(now);
  }

  // --- time ---------------------------------------------------------------------------------

  /** Brings the state up to `now` before anything else is looked at (SES-12, SES-13). */
  #advance(now: Instant): void {
    if (this.#state === "safe" && !this.#lease.isLiveAt(now)) {
      this.#state = "jeopardy";
      this.#emit({ kind: "jeopardy" });
    }
    if (this.#state === "jeopardy" && now >= this.#graceEnd()) {
      this.expire(now, "No KeepAlive was answered before the grace period ended.");
    }
    if (now < this.#giveUpAt) return;
    if (this.#state === "opening") this.#failToOpen(now);
    else if (this.#state === "closing") this.#end(now, { kind: "closed" });
  }

  #graceEnd(): Instant {
    return after(this.#lease.deadline, this.#options.gracePeriodMs);
  }

  #linkWakeAt(): Instant {
    if (this.#link === 0) return NEVER;
    return earliest(earliest(this.#controlAt, this.#suspectAt), this.#calls.wakeAt);
  }

  // --- the session's own requests -------------------------------------------------------------

  /** CreateSession, EndSession or KeepAlive, whichever the state calls for. */
  #sendControl(now: Instant): void {
    this.#controlAt = NEVER;
    if (this.#state === "opening") {
      const { leaseMs, clientName } = this.#options;
      const value = { leaseMs, caches: false, clientName };
      this.#control = this.#send(now, "createSession", { $case: "createSession", value });
    } else if (this.#state === "closing") {
      if (!this.#hasAcknowledged()) this.#acknowledgeUnheard(now);
      const number = this.#calls.takeLastNumber();
      this.#control = this.#send(now, "endSession", { $case: "endSession", value: {} }, number);
    } else {
      const value = {
        acknowledgedEpoch: this.#acknowledgedEpoch,
        answerNow: !this.#isInRhythm,
      };
      // Until the next answer: whatever is sent before it follows a loss.
      this.#isInRhythm = false;
      this.#keepAlive = this.#send(now, "keepAlive", { $case: "keepAlive", value });
      this.#suspectAt = this.#overdueAt(now);
    }
  }

  /** A new master takes nothing but KeepAlives before its fail-over is acknowledged (FO-4). */
  #acknowledgeUnheard(now: Instant): void {
    this.#acknowledgedEpoch = this.#epoch;
    const value = { acknowledgedEpoch: this.#epoch, answerNow: true };
    this.#send(now, "keepAlive", { $case: "keepAlive", value });
  }

  #send(now: Instant, call: ControlCall, body: CallBody, number = 0): Control {
    const control: Control = { kind: "control", call, session: this, sentAt: now, isVoid: false };
    this.#host.send(this.#link, this.#calls.request(body, number, EMPTY_BYTES), control);
    return control;
  }

  #overdueAt(now: Instant): Instant {
    const leftMs = this.#lease.deadline - now;
    if (leftMs <= 0) return after(now, SUSPICION_MS);
    const share = Math.floor((leftMs * KEEP_ALIVE_OVERDUE_HUNDREDTHS) / 100);
    return after(now, Math.max(share, Math.min(leftMs, SUSPICION_MS / 2)));
  }

  #onOverdue(now: Instant): void {
    this.#host.onSuspicion(now);
    // A master that lives may have lost our KeepAlive, or its answer: it is sent another one.
    if (this.#link !== 0) this.#sendControl(now);
    this.#suspectAt = after(now, SUSPICION_MS);
  }

  #onCreateReply(now: Instant, control: Control, reply: Reply): void {
    this.#control = undefined;
    const { result } = reply;
    if (result?.$case === "createSession") {
      this.#onCreated(now, control, result.value, reply.clientEpoch);
    } else {
      const error = result?.$case === "error" ? result.value : undefined;
      const code = error === undefined ? "internal" : errorCodeOf(error.code);
      if (code === "invalid_argument" || code === "quota_exceeded" || code === "unsupported") {
        this.#ending = notApplied(code, error?.detail ?? "");
        this.#end(now, { kind: "failedToOpen", failure: this.#ending });
      } else {
        const detail = error?.detail.replace(/\.$/, "") ?? "";
        if (code === "overloaded") this.#refusal = { code, detail };
        this.#onControlRefused(now, code, error?.masterAddress ?? "", reply.clientEpoch);
      }
    }
  }

  #onCreated(now: Instant, control: Control, created: SessionCreated, epoch: number): void {
    // A Cancel needs a number beside the one that it cancels.
    if (created.inFlightMax === 1) {
      const detail = "The cell lets a session have one request under way; two are needed.";
      this.#ending = notApplied("unsupported", detail);
      this.#end(now, { kind: "failedToOpen", failure: this.#ending });
      return;
    }
    this.#sessionId = created.sessionId;
    this.#epoch = Math.max(this.#epoch, epoch);
    this.#createdEpoch = this.#epoch;
    if (created.inFlightMax > 0) this.#calls.setWindow(created.inFlightMax);
    if (!control.isVoid) this.#lease.extend(now, control.sentAt, created.leaseMs, 0);
    // Where that grants nothing, the first KeepAlive's answer will.
    this.#lease.beginAt(now);
    this.#state = "safe";
    this.#giveUpAt = NEVER;
    this.#isGateOpen = true;
    this.#emit({ kind: "opened" });
    // The master knows of no loss, and would hold a KeepAlive while the lease runs out.
    const isLate = (now - control.sentAt) * KEEP_ALIVE_LATE_PARTS > created.leaseMs;
    if (control.isVoid || isLate) this.#isInRhythm = false;
    this.#sendControl(now);
    this.#advance(now);
    this.#calls.pump(now);
  }

  #onEndReply(now: Instant, reply: Reply): void {
    this.#control = undefined;
    const { result } = reply;
    const code = result?.$case === "error" ? errorCodeOf(result.value.code) : undefined;
    const hint = result?.$case === "error" ? result.value.masterAddress : "";
    if (code === undefined || !ERROR_CODES[code].retry) this.#end(now, { kind: "closed" });
    else this.#onControlRefused(now, code, hint, reply.clientEpoch);
  }

  #onKeepAliveReply(now: Instant, control: Control, reply: Reply): void {
    this.#keepAlive = undefined;
    const { result } = reply;
    if (result?.$case === "keepAlive") {
      this.#onKeptAlive(now, control, result.value, reply.clientEpoch);
      return;
    }
    const error = result?.$case === "error" ? result.value : undefined;
    const code = error === undefined ? "internal" : errorCodeOf(error.code);
    if (code === "session_expired") this.expire(now, error?.detail ?? "");
    else this.#onControlRefused(now, code, error?.masterAddress ?? "", reply.clientEpoch);
  }

  /**
   * Another KeepAlive has left since, for suspicion: over a slow link the answer that comes may never be
   * that of the last. It tells of the lease, and of nothing else.
   */
  #onOvertaken(now: Instant, control: Control, { result, clientEpoch }: Reply): void {
    if (this.#keepAlive === undefined || result?.$case !== "keepAlive") return;
    if (clientEpoch !== this.#epoch || control.sentAt <= this.#suspendedAt) return;
    this.#extendLease(now, control, result.value);
    this.#suspectAt = this.#overdueAt(now);
    // What jeopardy held back goes on.
    this.#calls.pump(now);
  }

  #extendLease(now: Instant, control: Control, kept: KeptAlive): void {
    this.#lease.extend(now, control.sentAt, kept.leaseMs, kept.heldMs);
    if (this.#state !== "jeopardy" || !this.#lease.isLiveAt(now)) return;
    this.#state = "safe";
    this.#emit({ kind: "safe" });
  }

  #onKeptAlive(now: Instant, control: Control, kept: KeptAlive, epoch: number): void {
    this.#isInRhythm = true;
    this.#extendLease(now, control, kept);
    if (epoch > this.#epoch) this.#adoptEpoch(epoch);
    const failOver = kept.failOverEpoch;
    if (failOver > this.#acknowledgedEpoch) {
      this.#epoch = Math.max(this.#epoch, failOver);
      this.#acknowledgedEpoch = failOver;
      this.#emit({ kind: "failOver", epoch: failOver });
    } else if (failOver === 0 && !this.#hasAcknowledged()) {
      // This master has nothing to be acknowledged, but it is not the one that we knew.
      this.#acknowledgedEpoch = this.#epoch;
      this.#emit({ kind: "failOver", epoch: this.#epoch });
    }
    this.#isGateOpen = this.#hasAcknowledged();
    const isQuick = now - control.sentAt < KEEP_ALIVE_SPACING_MS_MIN;
    this.#quickKeepAlives = isQuick ? this.#quickKeepAlives + 1 : 0;
    if (this.#quickKeepAlives < KEEP_ALIVE_BURST_MAX) this.#sendControl(now);
    else {
      this.#controlAt = after(now, KEEP_ALIVE_SPACING_MS_MIN);
      this.#suspectAt = NEVER;
    }
    this.#calls.pump(now);
  }

  /** A KeepAlive, CreateSession or EndSession was refused, for the moment or by the wrong replica. */
  #onControlRefused(now: Instant, code: ErrorCode, hint: string, epoch: number): void {
    this.#suspectAt = NEVER;
    // Liveness: what acknowledged the fail-over was lost with its connection, and no KeepAlive follows it.
    if (code === "stale_epoch" && this.#state === "closing") this.#acknowledgedEpoch = 0;
    this.#controlAt = after(now, CONTROL_REPEAT_MS);
    this.onRefused(now, code, hint, epoch);
  }

  /** What a refusal says of the master, whichever request it answers. */
  onRefused(now: Instant, code: ErrorCode, hint: string, epoch: number): void {
    if (code === "not_master") this.#host.onNotMaster(now, this.#link, hint);
    // It has no lease: another may have been elected, of which it cannot hear.
    else if (code === "no_quorum") this.#host.onSuspicion(now);
    else if (code === "stale_epoch" && epoch > this.#epoch) {
      this.#adoptEpoch(epoch);
      // One that is held under the old epoch may never be answered.
      this.#sendControl(now);
    }
  }

  #adoptEpoch(epoch: number): void {
    assert(epoch > this.#epoch, "an epoch is adopted only upwards");
    this.#epoch = epoch;
    this.#isGateOpen = this.#hasAcknowledged();
    this.#calls.onEpochAdopted();
  }

  #hasAcknowledged(): boolean {
    if (this.#sessionId === 0) return false;
    return this.#epoch === this.#acknowledgedEpoch || this.#epoch === this.#createdEpoch;
  }

  // --- endings -------------------------------------------------------------------------------

  /** HND-4: from here on everything fails with session_expired, for ever. */
  expire(now: Instant, detail: string): void {
    if (this.isOver) return;
    const wasClosing = this.#state === "closing";
    this.#ending = notApplied("session_expired", detail);
    this.#state = "expired";
    this.#calls.failAll("session_expired", detail);
    const event: SessionEvent = { kind: "expired", failure: this.#ending };
    this.#end(now, wasClosing ? { kind: "closed" } : event);
  }

  #failToOpen(now: Instant): void {
    const { code, detail } = this.#refusal ?? this.#host.explainSearch();
    const withinMs = this.#options.openWithinMs;
    this.#ending = notApplied(code, `No session came about within ${withinMs} ms: ${detail}.`);
    this.#end(now, { kind: "failedToOpen", failure: this.#ending });
  }

  #end(now: Instant, event: SessionEvent): void {
    if (this.#state !== "expired") this.#state = "closed";
    this.#calls.failAll(this.#ending?.code ?? "client_closed", this.#ending?.detail ?? "");
    this.#giveUpAt = NEVER;
    this.#link = 0;
    this.#emit(event);
    this.#host.onEnded(now, this);
  }

  #emit(event: SessionEvent): void {
    this.#host.emit(this, event);
  }

  get #host(): SessionHost {
    assert(this.#started !== undefined, "the session has been started");
    return this.#started.host;
  }

  get #calls(): SessionCalls {
    assert(this.#started !== undefined, "the session has been started");
    return this.#started.calls;
  }
}
