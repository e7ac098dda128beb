import { after, assert, earliest, type Instant } from "@cubby/base";
import { type Command, type KeepAlive, type Quotas, quoted, type Request } from "@cubby/protocol";
import type { CellOptions, ConnectionId } from "../options.ts";
import type { ReplicatedLog } from "../replicated-log.ts";
import type { Outcome } from "../state/apply.ts";
import { type CellState, DEFAULT_QUOTAS } from "../state/cell-state.ts";
import { decodeHandleToken } from "../state/handle-token.ts";
import type { Node } from "../state/node.ts";
import { failure, type Result } from "../state/result.ts";
import { Answers } from "./answers.ts";
import { Call } from "./call.ts";
import { Calls } from "./calls.ts";
import { FailOverGate } from "./fail-over.ts";
import { HeldRequests } from "./held-requests.ts";
import { Intake } from "./intake.ts";
import { acknowledges, KeepAlives } from "./keep-alive.ts";
import { LockCalls } from "./lock-calls.ts";
import { LockDelayTimers } from "./lock-delay-timers.ts";
import { MasterSession } from "./master-session.ts";
import { rememberHandle } from "./open-handles.ts";
import type { Outbox } from "./outbox.ts";
import type { MasterParts } from "./parts.ts";
import { type ProposalCounter, Proposals } from "./proposals.ts";
import { SessionClock } from "./session-clock.ts";
import { Stretch } from "./stretch.ts";
import { Waiters } from "./waiters.ts";

/** How long a request is kept that the master cannot serve for want of a lease. */
const PARKED_MS_MAX = 5_000;
/** Expiry commands under way at once: a mass expiry must not crowd out the living. */
const EXPIRIES_UNDER_WAY_MAX = 1_024;

/** What makes a replica master. */
export type Mastership = {
  readonly now: Instant;
  readonly epoch: number;
  readonly leaseUntil: Instant;
  readonly counter: ProposalCounter;
};

/** What is known once this master's own epoch entry has been applied. */
type Serving = {
  readonly parts: MasterParts;
  readonly intake: Intake;
  readonly locks: LockCalls;
  readonly calls: Calls;
  readonly stretch: Stretch;
};

/**
 * The master of one Paxos epoch. Everything in it is volatile; a successor builds its own from the
 * replicated state, by the fail-over steps FO-1 to FO-8 in order.
 */
export class Master {
  readonly #options: CellOptions;
  readonly #state: CellState;
  readonly #outbox: Outbox;
  readonly #paxosEpoch: number;
  /** The command that begins the epoch: this master serves once that very one is applied. */
  readonly #beginProposal: number;
  readonly #clock: SessionClock;
  readonly #proposals: Proposals;
  readonly #delays = new LockDelayTimers();
  /** FO-2: requests that came before this master could serve, or while its lease was not live. */
  readonly #parked = new HeldRequests();
  #toExpire: MasterSession[] = [];
  /** A place and no shift(), which moves all the others: there may be 100,000. */
  #nextToExpire = 0;
  #expiriesUnderWay = 0;
  #serving: Serving | undefined;

  /** Woken too late for its lease: what is due waits for the next one, and nobody wakes us for it. */
  #wokeLapsed = false;

  /** FO-1: the first thing that a master does is to begin an epoch of its own. */
  constructor(
    options: CellOptions,
    state: CellState,
    log: ReplicatedLog,
    outbox: Outbox,
    mastership: Mastership,
  ) {
    this.#options = options;
    this.#state = state;
    this.#outbox = outbox;
    this.#paxosEpoch = mastership.epoch;
    this.#clock = new SessionClock(mastership.now, mastership.leaseUntil);
    this.#proposals = new Proposals(log, mastership.epoch, mastership.counter);
    this.#beginProposal = this.#proposals.proposeOwn({
      $case: "beginEpoch",
      value: {
        paxosEpoch: mastership.epoch,
        masterId: options.replicaId,
        keyMaterial: options.keyMaterial,
        quotas: this.#quotas(),
      },
    });
  }

  get paxosEpoch(): number {
    return this.#paxosEpoch;
  }

  get leaseUntil(): Instant {
    return this.#clock.leaseUntil;
  }

  isServing(now: Instant): boolean {
    return this.#serving !== undefined && this.#clock.isLeaseLive(now);
  }

  /** For checkers: not before this does a session expire here; undefined when it is over. */
  sessionUntil(id: number): Instant | undefined {
    const parts = this.#serving?.parts;
    const session = parts?.sessions.get(id);
    if (parts === undefined || session === undefined || session.isCondemned) return undefined;
    return parts.keepAlives.endOf(session);
  }

  get wakeAt(): Instant {
    let wakeAt = this.#parked.firstUntil;
    if (this.#serving === undefined) return wakeAt;
    // Without a lease nothing of this may be done; the renewal brings a new look at it.
    const { parts, stretch } = this.#serving;
    const sessionsAt = earliest(parts.keepAlives.wakeAt, stretch.wakeAt);
    const due = earliest(sessionsAt, this.#delays.wakeAt);
    if (due < this.#clock.leaseUntil && !this.#wokeLapsed) wakeAt = earliest(wakeAt, due);
    return wakeAt;
  }

  onLease(now: Instant, leaseUntil: Instant): void {
    this.#wokeLapsed = false;
    const byMs = this.#clock.onLease(now, leaseUntil);
    if (byMs > 0) this.#outbox.trace({ kind: "timeMoved", byMs });
    this.#unpark(now);
  }

  onStall(now: Instant, stalledMs: number): void {
    const byMs = this.#clock.onStall(now, stalledMs);
    if (byMs > 0) this.#outbox.trace({ kind: "timeMoved", byMs });
  }

  onRequest(now: Instant, from: ConnectionId, request: Request): void {
    if (this.#serving === undefined || !this.#clock.isLeaseLive(now)) {
      if (!this.#isOfOneUnderWay(from, request)) this.#park(now, from, request);
      return;
    }
    const { parts, calls } = this.#serving;
    if (request.sessionId === 0) {
      calls.onSessionless(new Call(undefined, from, request));
      return;
    }
    const session = parts.sessions.get(request.sessionId);
    // FO-1: before anything else, the epoch.
    if (request.clientEpoch !== parts.clientEpoch) {
      this.#refuse(from, request, failure("stale_epoch", this.#epochDetail(request)));
    } else if (session === undefined || session.isCondemned) {
      this.#refuse(from, request, sessionOver(request.sessionId));
    } else if (request.call?.$case === "keepAlive") {
      this.#onKeepAlive(now, session, from, request, request.call.value);
    } else if (!session.hasAcknowledged) {
      this.#refuse(from, request, failure("stale_epoch", this.#epochDetail(request)));
    } else calls.onCall(session, new Call(session, from, request));
  }

  /**
   * GAP-11: what is on its way may take effect without a lease as well, so nobody may be told that it
   * did not. It has its answer, or will have it.
   */
  #isOfOneUnderWay(from: ConnectionId, request: Request): boolean {
    if (this.#serving === undefined) return false;
    const { parts, intake } = this.#serving;
    const session = parts.sessions.get(request.sessionId);
    if (session === undefined || session.isCondemned) return false;
    if (request.clientEpoch !== parts.clientEpoch || !session.hasAcknowledged) return false;
    return intake.isKnown(session, new Call(session, from, request));
  }

  /**
   * Waiters and proposed requests stay: the client repeats the number on another connection and gets
   * the one result there, or its session dies and they go with it.
   */
  onDisconnected(connection: ConnectionId): void {
    this.#serving?.parts.keepAlives.onDisconnected(connection);
    this.#parked.dropFrom(connection);
  }

  onWake(now: Instant): void {
    for (let due = this.#parked.takeDue(now); due; due = this.#parked.takeDue(now)) {
      this.#reply(due.from, due.request, failure("no_quorum", "The master has no live lease."));
    }
    if (this.#serving === undefined) return;
    this.#wokeLapsed = !this.#clock.isLeaseLive(now);
    if (this.#wokeLapsed) return;
    const { keepAlives } = this.#serving.parts;
    // Answers first: a session with a KeepAlive in hand is answered, not expired.
    keepAlives.replyDue(now, this.#serving.stretch);
    for (let next = keepAlives.takeExpired(now); next; next = keepAlives.takeExpired(now)) {
      this.#condemn(now, next);
    }
    this.#pumpExpiries();
    this.#adjustStretch(now, this.#serving);
    this.#pumpDelays(now);
  }

  /** After `apply`: answers the caller and does what a change asks of a master. */
  onApplied(now: Instant, command: Command, outcome: Outcome): void {
    const body = command.body;
    if (body?.$case === "beginEpoch") {
      const isOwn = body.value.paxosEpoch === this.#paxosEpoch;
      if (isOwn && command.proposal === this.#beginProposal) this.#serve(now);
      return;
    }
    const serving = this.#serving;
    if (serving === undefined) return;
    // A predecessor's entry, refused; nobody here awaits it.
    if (command.paxosEpoch !== this.#paxosEpoch) return;
    const call = this.#proposals.take(command);
    if (body?.$case === "expireSession") {
      this.#expiriesUnderWay -= 1;
      // Liveness: its session may have ended before, by itself; then nothing else makes room for the next.
      this.#pumpExpiries();
    }
    if (body?.$case === "setStretch") {
      serving.stretch.onApplied();
      this.#adjustStretch(now, serving);
    }
    if (outcome.kind === "result") {
      this.#onResult(now, serving, command, call, outcome.result, outcome.isReplay);
    } else if (outcome.kind === "blocked" && call !== undefined) serving.locks.onBlocked(call);
    if (body?.$case === "endLockDelay") {
      this.#delays.onApplied(body.value);
      // Without a lease the next one brings a wake.
      if (this.#clock.isLeaseLive(now)) this.#pumpDelays(now);
    }
    this.#onEffects(now, serving);
    if (serving.intake.hasRoom) serving.locks.resume();
  }

  /**
   * No longer master. What was never proposed did not happen, and is sent on to the new master. What
   * was proposed may yet be chosen: to that the answer is that the outcome is unknown, and that the
   * same number may be repeated at the new master, which knows the result if there is one.
   */
  depose(redirect: (to: ConnectionId, tag: number) => void): void {
    let proposed = 0;
    let waiting = this.#parked.size;
    for (const call of this.#proposals.calls()) {
      proposed += 1;
      const detail = "Mastership was lost with the request under way: repeat it at the new master.";
      const unknown = failure("connection_lost", detail);
      call.tellAll((to, tag) => this.#outbox.reply(to, tag, 0, unknown));
    }
    for (const held of this.#parked.takeAll()) redirect(held.from, held.request.tag);
    if (this.#serving !== undefined) {
      const { parts } = this.#serving;
      for (const { to, tag } of parts.keepAlives.takeHeld()) redirect(to, tag);
      for (const held of parts.gate.takeRequests()) {
        redirect(held.from, held.request.tag);
        waiting += 1;
      }
      for (const session of parts.sessions.values()) {
        if (session.calls === undefined) continue;
        for (const call of session.calls.values()) {
          if (call.isProposed) continue;
          call.tellAll(redirect);
          waiting += 1;
        }
      }
    }
    this.#outbox.trace({ kind: "deposed", proposed, waiting });
  }

  /** FO-2 to FO-5: builds what a master knows from the state, and opens for KeepAlives. */
  #serve(now: Instant): void {
    const state = this.#state;
    const clientEpoch = state.clientEpoch;
    const keepAlives = new KeepAlives(this.#clock, this.#outbox, clientEpoch);
    const gate = new FailOverGate();
    const sessions = new Map<number, MasterSession>();
    const waiters = new Waiters(
      (call) => locks.proposeClaim(call),
      () => intake.isOverloaded,
    );
    const parts: MasterParts = {
      state,
      clientEpoch,
      answers: new Answers(this.#outbox, this.#clock, clientEpoch),
      proposals: this.#proposals,
      waiters,
      gate,
      keepAlives,
      sessions,
    };
    const intake = new Intake(parts, this.#options);
    const locks = new LockCalls(parts, intake);
    const calls = new Calls(parts, intake, locks);
    for (const session of state.sessions.values()) {
      // FO-3: guard against the stretched session. The predecessor may have granted this much.
      const master = new MasterSession(session, now, false, state.leaseMsMaxOf(session));
      sessions.set(session.id, master);
      keepAlives.takeOver(now, master);
      gate.expect(master);
    }
    this.#delays.beginAll(now, state);
    const above = this.#options.stretchAboveSessions;
    const stretch = new Stretch(state, this.#clock, now, above);
    this.#serving = { parts, intake, locks, calls, stretch };
    this.#outbox.trace({ kind: "serving", clientEpoch, sessions: sessions.size });
    this.#adjustStretch(now, this.#serving);
    this.#unpark(now);
  }

  #onKeepAlive(
    now: Instant,
    session: MasterSession,
    from: ConnectionId,
    request: Request,
    keepAlive: KeepAlive,
  ): void {
    const { parts, stretch } = this.#servingNow();
    session.raiseLowestSeen(request.lowestUnanswered);
    if (!session.hasAcknowledged && acknowledges(keepAlive, parts.clientEpoch)) {
      session.hasAcknowledged = true;
      parts.gate.settle(session);
      parts.keepAlives.onKeepAlive(now, session, from, request.tag, keepAlive.answerNow);
      this.#openGate(now);
    } else parts.keepAlives.onKeepAlive(now, session, from, request.tag, keepAlive.answerNow);
    parts.keepAlives.replyDue(now, stretch);
  }

  #onResult(
    now: Instant,
    serving: Serving,
    command: Command,
    call: Call | undefined,
    result: Result,
    isReplay: boolean,
  ): void {
    const { parts } = serving;
    if (!isReplay && result.$case === "open") this.#onOpened(parts, command, result.value.handle);
    // A Cancel that was refused, or was cancelled itself, has cancelled nothing.
    if (result.$case === "cancel" && command.body?.$case === "cancel") {
      this.#onCancelled(serving, command, command.body.value.requestNumber);
    }
    if (parts.state.effects.sessionBegun !== 0) this.#onSessionBegun(now, serving);
    if (call === undefined) return;
    // A Close that was cancelled before it came has closed nothing: the handle may hold its lock yet.
    const asked = call.request.call;
    if (asked?.$case === "close" && result.$case === "error") {
      this.#onOpened(parts, command, asked.value.handle);
    }
    parts.waiters.remove(call);
    serving.intake.settle(call, result);
    serving.locks.onSettled(call);
    // Behind one that was granted, all that can be granted with it has been proposed already.
    if (call.node !== undefined && result.$case !== "acquire") parts.waiters.pump(call.node);
  }

  /** The handle of a node that a command created, or of an ephemeral one; or one that stays open. */
  #onOpened(parts: MasterParts, command: Command, bytes: Uint8Array): void {
    const session = parts.sessions.get(command.sessionId);
    const token = decodeHandleToken(this.#state.handleKey, bytes);
    if (session === undefined || token === undefined) return;
    const node = this.#state.namespace.getInstance(token.path, token.instance);
    if (node !== undefined) rememberHandle(session, { token, bytes, node });
  }

  /** The cancelled request will not be run: if it waits, it waits no more. */
  #onCancelled(serving: Serving, by: Command, number: number): void {
    const session = serving.parts.sessions.get(by.sessionId);
    // Below it the client has the answer, and what it was given stays good.
    if (session === undefined || number < session.session.lowestUnanswered) return;
    session.handles?.delete(number);
    session.answered?.delete(number);
    serving.locks.dropWaitersOf(session, number);
    const call = session.calls?.get(number);
    if (call === undefined) return;
    serving.locks.passPlaceOn(session, call, by.requestNumber);
    // Its claim comes too late, and whoever has its place moves up then.
    if (call.isProposed) return;
    serving.locks.abandon([call], failure("cancelled", "The caller cancelled the request."));
  }

  #onSessionBegun(now: Instant, serving: Serving): void {
    const { parts } = serving;
    const session = this.#state.sessions.get(this.#state.effects.sessionBegun);
    assert(session !== undefined, "a session that begins is in the state");
    const master = new MasterSession(session, now, true, session.leaseMs);
    parts.sessions.set(session.id, master);
    parts.keepAlives.begin(now, master);
    const { id, clientName } = session;
    this.#outbox.trace({ kind: "sessionBegun", sessionId: id, clientName });
    this.#adjustStretch(now, serving);
  }

  #onEffects(now: Instant, serving: Serving): void {
    const effects = this.#state.effects;
    for (const sessionId of effects.sessionsEnded) this.#onSessionEnded(now, serving, sessionId);
    for (const node of effects.deleted) this.#onNodeDeleted(serving, node);
    // Once a name: of many shared holders that failed in one step, each has begun it.
    for (const path of new Set(effects.delaysBegun)) this.#delays.begin(now, this.#state, path);
    for (const node of effects.unlocked) if (!node.isDeleted) serving.parts.waiters.pump(node);
  }

  /** Reliability P20: with the session go its waiters, and whatever else the master keeps of it. */
  #onSessionEnded(now: Instant, serving: Serving, sessionId: number): void {
    const { parts } = serving;
    const session = parts.sessions.get(sessionId);
    if (session === undefined) return;
    parts.sessions.delete(sessionId);
    parts.keepAlives.end(session, sessionOver(sessionId));
    // What is under way meets the end of its session when it is applied.
    serving.locks.abandon([...(session.calls?.values() ?? [])], sessionOver(sessionId));
    parts.gate.settle(session);
    this.#outbox.trace({ kind: "sessionEnded", sessionId });
    this.#pumpExpiries();
    this.#openGate(now);
  }

  /** HND-3, GAP-8. */
  #onNodeDeleted(serving: Serving, node: Node): void {
    const { parts, intake } = serving;
    const detail = `${quoted(node.path)} was deleted while it was waited for.`;
    for (const call of parts.waiters.takeAll(node)) {
      if (!call.isProposed) intake.settle(call, failure("stale_handle", detail));
    }
  }

  /** The master's decision: from here on, nothing of this session is honored. */
  #condemn(now: Instant, session: MasterSession): void {
    session.isCondemned = true;
    this.#outbox.trace({ kind: "expiryDecided", sessionId: session.id });
    const { locks, parts } = this.#servingNow();
    const { gate } = parts;
    // P20: its expiry may wait for its turn, and what it were granted meanwhile would be in delay.
    locks.leaveQueues(session.calls?.values() ?? []);
    // Its lease is over, so it cannot answer from a cache any more.
    gate.settle(session);
    this.#openGate(now);
    if (session.session.openerCount > 0 && !gate.isOpen) gate.holdExpiry(session);
    else this.#toExpire.push(session);
  }

  #pumpExpiries(): void {
    while (this.#expiriesUnderWay < EXPIRIES_UNDER_WAY_MAX) {
      const session = this.#toExpire[this.#nextToExpire];
      if (session === undefined) {
        if (this.#nextToExpire > 0) this.#toExpire = [];
        this.#nextToExpire = 0;
        return;
      }
      this.#nextToExpire += 1;
      this.#expiriesUnderWay += 1;
      const sessionId = session.id;
      this.#proposals.proposeOwn({ $case: "expireSession", value: { sessionId } });
    }
  }

  #pumpDelays(now: Instant): void {
    for (let due = this.#delays.takeDue(now, this.#state); due; ) {
      const { path, beganAt } = due;
      this.#proposals.proposeOwn({ $case: "endLockDelay", value: { path, beganAt } });
      due = this.#delays.takeDue(now, this.#state);
    }
  }

  /** FO-7: lets in what waited for the caching sessions, in order of arrival. */
  #openGate(now: Instant): void {
    const { gate, clientEpoch } = this.#servingNow().parts;
    if (!gate.isOpen) return;
    const requests = gate.takeRequests();
    const expiries = gate.takeExpiries();
    if (requests.length + expiries.length === 0) return;
    this.#outbox.trace({ kind: "gateOpened", clientEpoch });
    for (const session of expiries) this.#toExpire.push(session);
    this.#pumpExpiries();
    for (const held of requests) this.onRequest(now, held.from, held.request);
  }

  #park(now: Instant, from: ConnectionId, request: Request): void {
    if (this.#parked.add(from, request, after(now, PARKED_MS_MAX))) return;
    this.#reply(from, request, failure("overloaded", "Too many requests wait for the master."));
  }

  #unpark(now: Instant): void {
    if (this.#parked.size === 0 || !this.isServing(now)) return;
    for (const held of this.#parked.takeAll()) this.onRequest(now, held.from, held.request);
  }

  #adjustStretch(now: Instant, serving: Serving): void {
    const stretchMs = serving.stretch.next(now);
    if (stretchMs === undefined) return;
    this.#outbox.trace({ kind: "stretched", stretchMs });
    this.#proposals.proposeOwn({ $case: "setStretch", value: { stretchMs } });
  }

  #servingNow(): Serving {
    assert(this.#serving !== undefined, "only a serving master comes here");
    return this.#serving;
  }

  #quotas(): Quotas {
    return { ...DEFAULT_QUOTAS, ...this.#options.quotas };
  }

  #reply(from: ConnectionId, request: Request, result: Result): void {
    const clientEpoch = this.#serving?.parts.clientEpoch ?? 0;
    this.#outbox.reply(from, request.tag, clientEpoch, result);
  }

  /** Of sessions and epochs only the present master knows. */
  #refuse(from: ConnectionId, request: Request, result: Result): void {
    const { clientEpoch } = this.#servingNow().parts;
    this.#outbox.reply(from, request.tag, clientEpoch, result, this.#clock.leaseUntil);
  }

  #epochDetail(request: Request): string {
    return `The client epoch is ${this.#state.clientEpoch}; the request carries ${request.clientEpoch}, or its session has not acknowledged the fail-over.`;
  }
}

function sessionOver(sessionId: number): Result {
  return failure("session_expired", `Session ${sessionId} is over.`);
}
