import { assert, NEVER, utf8Length } from "@cubby/base";
import {
  type Acquire,
  CLIENT_NAME_BYTES_MAX,
  CreateMode,
  type CreateSession,
  FILE_BYTES_MAX,
  IN_FLIGHT_MAX,
  LockMode,
  type Open,
  quoted,
  type Request,
  SESSION_LEASE_MS_DEFAULT,
  SESSION_LEASE_MS_MAX,
  SESSION_LEASE_MS_MIN,
  type SetContents,
} from "@cubby/protocol";
import type { ConnectionId } from "../options.ts";
import { guardFailure } from "../state/apply.ts";
import { lockFailure } from "../state/apply-lock.ts";
import { openFailure, tooLarge } from "../state/apply-node.ts";
import { ACCESS_READ, ACCESS_WRITE, encodeHandleToken } from "../state/handle-token.ts";
import { isGrantable } from "../state/locks.ts";
import type { Node } from "../state/node.ts";
import { done, failure, type Result } from "../state/result.ts";
import { Call } from "./call.ts";
import type { MasterSession } from "./master-session.ts";
import { checkHandle, forgetHandle, type OpenHandle, rememberHandle } from "./open-handles.ts";
import { openTarget } from "./open-target.ts";
import type { MasterParts } from "./parts.ts";
import type { CommandBody } from "./proposals.ts";
import { contentsAndStat, directory, sequencer, sequencerChecked, stat } from "./reads.ts";

/** Requests of all sessions that may be proposed or waiting at once. */
const CALLS_MAX = 131_072;

/**
 * The calls, one handler each, at a master that serves: its own epoch entry is applied and its lease
 * is live. A handler answers from state, or proposes a command, or queues the caller.
 */
export class Calls {
  readonly #parts: MasterParts;

  constructor(parts: MasterParts) {
    this.#parts = parts;
  }

  /** Calls outside a session. */
  onSessionless(from: ConnectionId, request: Request): void {
    switch (request.call?.$case) {
      case "createSession":
        this.#onCreateSession(from, request, request.call.value);
        return;
      case "checkSequencer":
        this.#answerFromState(
          from,
          request,
          sequencerChecked(this.#parts.state, request.call.value),
        );
        return;
      default:
        this.#fail(from, request, failure("invalid_argument", "This call needs a session."));
    }
  }

  /** A call of a living session that knows this epoch and has acknowledged it. */
  onCall(session: MasterSession, from: ConnectionId, request: Request): void {
    const call = request.call;
    if (request.requestNumber === 0 && isRead(call)) {
      this.#onRead(session, from, request);
      return;
    }
    if (!this.#isNew(session, from, request)) return;
    switch (call?.$case) {
      case "open":
        this.#onOpen(session, from, request, call.value);
        return;
      case "close":
        this.#onClose(session, from, request, call.value.handle);
        return;
      case "getContentsAndStat":
      case "getStat":
      case "readDir":
      case "getSequencer":
      case "checkSequencer":
        this.#onRead(session, from, request);
        return;
      case "setContents":
        this.#onSetContents(session, from, request, call.value);
        return;
      case "delete": {
        const handle = this.#handle(session, from, request, call.value.handle, ACCESS_WRITE);
        if (handle === undefined) return;
        const { path, instance } = handle.token;
        this.#proposeGated(session, from, request, {
          $case: "deleteNode",
          value: { path, instance },
        });
        return;
      }
      case "acquire":
        this.#onAcquire(session, from, request, call.value);
        return;
      case "release": {
        const handle = this.#handle(session, from, request, call.value.handle, 0);
        if (handle === undefined) return;
        const handleId = handle.token.handleId;
        this.#propose(session, from, request, { $case: "releaseLock", value: { handleId } });
        return;
      }
      case "cancel":
      case "endSession":
        this.#onEnd(session, from, request, call);
        return;
      default:
        this.#fail(from, request, failure("unsupported", "This replica does not know the call."));
    }
  }

  /** Proposes the claim of a waiter whose turn has come. */
  proposeClaim(call: Call): void {
    assert(call.claim !== undefined, "a waiter has a claim");
    this.#parts.proposals.proposeFor(call, { $case: "acquireLock", value: call.claim });
  }

  /** LCK-11: what the handle that has just been granted its lock asks for once more is granted too. */
  proposeClaimsOf(granted: Call): void {
    if (granted.claim === undefined || granted.session?.calls === undefined) return;
    for (const call of granted.session.calls.values()) {
      const isSame = call.claim?.handleId === granted.claim.handleId;
      if (isSame && !call.isProposed) this.proposeClaim(call);
    }
  }

  /**
   * GAP-11. False when the request needs no running: it has a result, or is on its way, or its
   * number is one that is never run.
   */
  #isNew(session: MasterSession, from: ConnectionId, request: Request): boolean {
    const number = request.requestNumber;
    if (number === 0 || request.lowestUnanswered > number || request.lowestUnanswered === 0) {
      this.#fail(
        from,
        request,
        failure("invalid_argument", "The request's numbers make no sense."),
      );
      return false;
    }
    session.raiseLowestSeen(Math.max(request.lowestUnanswered, session.session.lowestUnanswered));
    if (number < session.lowestSeen) {
      const detail = `Request ${number} is below ${session.lowestSeen}, the lowest unanswered one.`;
      this.#fail(from, request, failure("request_forgotten", detail));
      return false;
    }
    const known = session.session.results?.get(number) ?? session.answered?.get(number);
    if (known !== undefined) {
      this.#answerAgain(from, request, known);
      return false;
    }
    const call = session.calls?.get(number);
    if (call !== undefined) {
      // The client repeats it, so this is where it listens now.
      call.to = from;
      call.tag = request.tag;
      return false;
    }
    if (number >= session.lowestSeen + IN_FLIGHT_MAX) {
      const detail = `At most ${IN_FLIGHT_MAX} requests of a session may be unanswered.`;
      this.#fail(from, request, failure("too_many_requests", detail));
      return false;
    }
    return true;
  }

  #onCreateSession(from: ConnectionId, request: Request, asked: CreateSession): void {
    const leaseMs = asked.leaseMs === 0 ? SESSION_LEASE_MS_DEFAULT : asked.leaseMs;
    if (leaseMs < SESSION_LEASE_MS_MIN || leaseMs > SESSION_LEASE_MS_MAX) {
      const detail = `A session lease is ${SESSION_LEASE_MS_MIN} to ${SESSION_LEASE_MS_MAX} ms.`;
      this.#fail(from, request, failure("invalid_argument", detail));
      return;
    }
    if (utf8Length(asked.clientName) > CLIENT_NAME_BYTES_MAX) {
      const detail = `A client name has at most ${CLIENT_NAME_BYTES_MAX} bytes.`;
      this.#fail(from, request, failure("invalid_argument", detail));
      return;
    }
    if (this.#parts.proposals.size >= CALLS_MAX) {
      this.#fail(from, request, overloaded());
      return;
    }
    this.#parts.proposals.proposeFor(new Call(undefined, from, request), {
      $case: "beginSession",
      value: { leaseMs, caches: asked.caches, clientName: asked.clientName },
    });
  }

  #onOpen(session: MasterSession, from: ConnectionId, request: Request, open: Open): void {
    const { state } = this.#parts;
    let base: OpenHandle | undefined;
    if (open.directory.length > 0) {
      base = this.#handle(session, from, request, open.directory, 0);
      if (base === undefined) return;
    }
    const target = openTarget(state, open, base);
    if ("$case" in target) {
      this.#fail(from, request, target);
      return;
    }
    if ((session.handles?.size ?? 0) >= state.quotas.handlesPerSessionMax) {
      const detail = `The session has ${state.quotas.handlesPerSessionMax} handles open, as many as the quota allows.`;
      this.#fail(from, request, failure("quota_exceeded", detail));
      return;
    }
    const node = state.namespace.get(target.path);
    if (node === undefined && open.create === CreateMode.NEVER) {
      const detail = `${quoted(target.path)} does not exist.`;
      this.#answerFromState(from, request, failure("not_found", detail));
      return;
    }
    if (node === undefined || node.isEphemeral) {
      const body: CommandBody = { $case: "openNode", value: target };
      if (open.create === CreateMode.NEVER) this.#propose(session, from, request, body);
      else this.#proposeGated(session, from, request, body);
      return;
    }
    const guard = guardFailure(state, request.guard);
    const result =
      guard ??
      openFailure(node, open.create, open.kind) ??
      this.#openPermanent(session, request.requestNumber, node, target);
    // Were it to come once more after the node is gone, it would create one.
    if (open.create !== CreateMode.NEVER) this.#rememberAnswer(session, request, result);
    this.#answerFromState(from, request, result);
  }

  /** API-1: opening what exists changes nothing, so it needs no command. */
  #openPermanent(
    session: MasterSession,
    handleId: number,
    node: Node,
    target: { access: number; lockDelayMs: number },
  ): Result {
    const { state, clientEpoch } = this.#parts;
    const token = {
      sessionId: session.id,
      handleId,
      path: node.path,
      instance: node.instance,
      access: target.access,
      lockDelayMs: target.lockDelayMs,
      epoch: clientEpoch,
      isEphemeral: false,
    };
    const bytes = encodeHandleToken(state.handleKey, token);
    rememberHandle(session, { token, bytes, node });
    return { $case: "open", value: { handle: bytes, created: false, stat: node.stat() } };
  }

  /** API-2: never fails, unless the handle was never one. */
  #onClose(session: MasterSession, from: ConnectionId, request: Request, bytes: Uint8Array): void {
    const { state } = this.#parts;
    const check = checkHandle(state, session, bytes);
    if (check.kind === "bad") {
      const isForged = check.code === "forged_handle";
      this.#fail(from, request, isForged ? failure(check.code, check.detail) : done("close"));
      return;
    }
    const token = check.handle.token;
    const record = session.session.handles?.get(token.handleId);
    const mustApply = record !== undefined || this.#hasClaimUnderWay(session, token.handleId);
    if (mustApply && record?.isOpener === true && !this.#parts.gate.isOpen) {
      this.#holdAtGate(from, request);
      return;
    }
    forgetHandle(state, session, token);
    this.#dropWaitersOf(session, token.handleId);
    if (!mustApply) {
      this.#fail(from, request, done("close"));
      return;
    }
    const body: CommandBody = { $case: "closeHandle", value: { handleId: token.handleId } };
    this.#propose(session, from, request, body);
  }

  #onRead(session: MasterSession, from: ConnectionId, request: Request): void {
    const { state } = this.#parts;
    const guard = guardFailure(state, request.guard);
    if (guard !== undefined) {
      this.#answerFromState(from, request, guard);
      return;
    }
    const call = request.call;
    switch (call?.$case) {
      case "getContentsAndStat": {
        const handle = this.#handle(session, from, request, call.value.handle, ACCESS_READ);
        if (handle !== undefined)
          this.#answerFromState(from, request, contentsAndStat(handle.node));
        return;
      }
      case "getStat": {
        const handle = this.#handle(session, from, request, call.value.handle, 0);
        if (handle !== undefined) this.#answerFromState(from, request, stat(handle.node));
        return;
      }
      case "readDir": {
        const handle = this.#handle(session, from, request, call.value.handle, ACCESS_READ);
        if (handle === undefined) return;
        this.#answerFromState(from, request, directory(handle.node, call.value));
        return;
      }
      case "getSequencer": {
        const handle = this.#handle(session, from, request, call.value.handle, 0);
        if (handle === undefined) return;
        const result = sequencer(session.session, handle.token.handleId);
        this.#answerFromState(from, request, result);
        return;
      }
      case "checkSequencer":
        this.#answerFromState(from, request, sequencerChecked(state, call.value));
        return;
      default:
        assert(false, "only reads are answered from state");
    }
  }

  #onSetContents(
    session: MasterSession,
    from: ConnectionId,
    request: Request,
    call: SetContents,
  ): void {
    const handle = this.#handle(session, from, request, call.handle, ACCESS_WRITE);
    if (handle === undefined) return;
    const { path, instance } = handle.token;
    if (call.contents.length > FILE_BYTES_MAX) {
      this.#fail(from, request, tooLarge(path, call.contents.length));
      return;
    }
    this.#proposeGated(session, from, request, {
      $case: "writeContents",
      value: {
        path,
        instance,
        contents: call.contents,
        hasIfGeneration: call.hasIfGeneration,
        ifGeneration: call.ifGeneration,
      },
    });
  }

  /** API-10, API-11, LCK-4. */
  #onAcquire(session: MasterSession, from: ConnectionId, request: Request, call: Acquire): void {
    if (call.mode !== LockMode.EXCLUSIVE && call.mode !== LockMode.SHARED) {
      const detail = "A lock is acquired in exclusive or in shared mode.";
      this.#fail(from, request, failure("invalid_argument", detail));
      return;
    }
    const handle = this.#handle(session, from, request, call.handle, ACCESS_WRITE);
    if (handle === undefined) return;
    const { node, token } = handle;
    const { waiters } = this.#parts;
    const claim = {
      path: token.path,
      instance: token.instance,
      handleId: token.handleId,
      mode: call.mode,
      wait: call.wait,
      lockDelayMs: token.lockDelayMs,
    };
    const held = session.session.handles?.get(token.handleId)?.holds ?? LockMode.FREE;
    if (held !== LockMode.FREE || (!call.wait && this.#mayTry(node, call.mode))) {
      this.#propose(session, from, request, { $case: "acquireLock", value: claim });
      return;
    }
    if (!call.wait) {
      const result = isGrantable(node, call.mode)
        ? failure("lock_held", `Others wait for ${quoted(node.path)} already.`)
        : lockFailure(node, call.mode);
      // Were it to come once more when the lock is free, it would take it.
      this.#rememberAnswer(session, request, result);
      this.#answerFromState(from, request, result);
      return;
    }
    const guard = guardFailure(this.#parts.state, request.guard);
    if (guard !== undefined) {
      this.#answerFromState(from, request, guard);
      return;
    }
    if (waiters.isFull(node) || this.#isOverloaded()) {
      this.#fail(from, request, overloaded());
      return;
    }
    const waiter = this.#begin(session, from, request);
    waiter.node = node;
    waiter.claim = claim;
    waiters.add(node, waiter);
  }

  #mayTry(node: Node, mode: LockMode): boolean {
    return isGrantable(node, mode) && !this.#parts.waiters.mustQueue(node, mode);
  }

  /** Both may delete ephemeral nodes, and then wait at the gate like any deletion. */
  #onEnd(
    session: MasterSession,
    from: ConnectionId,
    request: Request,
    body: Extract<CommandBody, { $case: "cancel" | "endSession" }>,
  ): void {
    if (session.session.openerCount > 0) this.#proposeGated(session, from, request, body);
    else this.#propose(session, from, request, body);
  }

  /** FO-6: what changes something cachable waits for the gate. */
  #proposeGated(
    session: MasterSession,
    from: ConnectionId,
    request: Request,
    body: CommandBody,
  ): void {
    if (!this.#parts.gate.isOpen) this.#holdAtGate(from, request);
    else this.#propose(session, from, request, body);
  }

  #holdAtGate(from: ConnectionId, request: Request): void {
    if (!this.#parts.gate.hold(from, request)) this.#fail(from, request, overloaded());
  }

  #propose(session: MasterSession, from: ConnectionId, request: Request, body: CommandBody): void {
    if (this.#isOverloaded()) this.#fail(from, request, overloaded());
    else this.#parts.proposals.proposeFor(this.#begin(session, from, request), body);
  }

  #begin(session: MasterSession, from: ConnectionId, request: Request): Call {
    const call = new Call(session, from, request);
    session.calls ??= new Map();
    session.calls.set(call.number, call);
    return call;
  }

  #isOverloaded(): boolean {
    return this.#parts.proposals.size + this.#parts.waiters.size >= CALLS_MAX;
  }

  #hasClaimUnderWay(session: MasterSession, handleId: number): boolean {
    if (session.calls === undefined) return false;
    for (const call of session.calls.values()) {
      if (!call.isProposed) continue;
      const acquire = call.request.call;
      // A try is not queued, so its claim is not kept: any Acquire under way may be of this handle.
      if (acquire?.$case !== "acquire") continue;
      if (call.claim === undefined || call.claim.handleId === handleId) return true;
    }
    return false;
  }

  /** API-2: closing a handle cancels its waiting Acquires. */
  #dropWaitersOf(session: MasterSession, handleId: number): void {
    if (session.calls === undefined) return;
    for (const call of [...session.calls.values()]) {
      if (call.claim?.handleId !== handleId) continue;
      this.abandon(call, failure("stale_handle", "The handle was closed while it waited."));
    }
  }

  /**
   * Whoever waits here waits no longer, and those behind move up. A claim that is under way is
   * answered when it is applied.
   */
  abandon(call: Call, result: Result): void {
    const node = call.node;
    this.#parts.waiters.remove(call);
    call.node = undefined;
    if (!call.isProposed) this.settle(call, result);
    if (node !== undefined && !node.isDeleted) this.#parts.waiters.pump(node);
  }

  /** The call has its answer. */
  settle(call: Call, result: Result): void {
    const session = call.session;
    if (session?.calls !== undefined) {
      session.calls.delete(call.number);
      if (session.calls.size === 0) session.calls = undefined;
    }
    this.#parts.outbox.reply(call.to, call.tag, this.#parts.clientEpoch, result, NEVER);
  }

  /** The handle, if it is good and may be used for this; otherwise the caller has its answer. */
  #handle(
    session: MasterSession,
    from: ConnectionId,
    request: Request,
    bytes: Uint8Array,
    access: number,
  ): OpenHandle | undefined {
    const check = checkHandle(this.#parts.state, session, bytes);
    if (check.kind === "bad") {
      this.#answerFromState(from, request, failure(check.code, check.detail));
      return undefined;
    }
    if ((check.handle.token.access & access) !== access) {
      const mode = access === ACCESS_WRITE ? "write" : "read";
      const detail = `${quoted(check.handle.token.path)} was opened without ${mode} mode.`;
      this.#fail(from, request, failure("permission_denied", detail));
      return undefined;
    }
    return check.handle;
  }

  #rememberAnswer(session: MasterSession, request: Request, result: Result): void {
    session.answered ??= new Map();
    session.answered.set(request.requestNumber, result);
  }

  /** A repeated number gets its one result, provided it is a number of the same call. */
  #answerAgain(from: ConnectionId, request: Request, result: Result): void {
    if (result.$case !== "error" && result.$case !== request.call?.$case) {
      const detail = `Request ${request.requestNumber} was another call.`;
      this.#fail(from, request, failure("invalid_argument", detail));
      return;
    }
    this.#answerFromState(from, request, result);
  }

  /** What is read from state holds as long as no other master can be. */
  #answerFromState(from: ConnectionId, request: Request, result: Result): void {
    const { outbox, clientEpoch, clock } = this.#parts;
    outbox.reply(from, request.tag, clientEpoch, result, clock.leaseUntil);
  }

  /** Holds whoever is master. */
  #fail(from: ConnectionId, request: Request, result: Result): void {
    this.#parts.outbox.reply(from, request.tag, this.#parts.clientEpoch, result, NEVER);
  }
}

/** What changes nothing may go without a number: run twice, it does no harm. */
function isRead(call: Request["call"]): boolean {
  switch (call?.$case) {
    case "getContentsAndStat":
    case "getStat":
    case "readDir":
    case "getSequencer":
    case "checkSequencer":
      return true;
    default:
      return false;
  }
}

function overloaded(): Result {
  return failure("overloaded", "The master has as many requests at hand as it may have.");
}
