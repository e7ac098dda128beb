import { utf8Length } from "@cubby/base";
import {
  CLIENT_NAME_BYTES_MAX,
  CreateMode,
  type CreateSession,
  FILE_BYTES_MAX,
  LockMode,
  type Open,
  type OpenNode,
  quoted,
  type Request,
  SESSION_LEASE_MS_DEFAULT,
  SESSION_LEASE_MS_MAX,
  SESSION_LEASE_MS_MIN,
  type SetContents,
} from "@cubby/protocol";
import { guardFailure } from "../state/apply.ts";
import { openFailure, tooLarge } from "../state/apply-node.ts";
import { ACCESS_READ, ACCESS_WRITE, encodeHandleToken } from "../state/handle-token.ts";
import type { Node } from "../state/node.ts";
import { done, failure, type Result } from "../state/result.ts";
import type { Call } from "./call.ts";
import type { Intake } from "./intake.ts";
import type { LockCalls } from "./lock-calls.ts";
import type { MasterSession } from "./master-session.ts";
import { checkHandle, forgetHandle, type OpenHandle, rememberHandle } from "./open-handles.ts";
import { openTarget } from "./open-target.ts";
import type { MasterParts } from "./parts.ts";
import type { CommandBody } from "./proposals.ts";
import { contentsAndStat, directory, sequencer, sequencerChecked, stat } from "./reads.ts";

type CallBody = NonNullable<Request["call"]>;
type Read = Extract<
  CallBody,
  { $case: "getContentsAndStat" | "getStat" | "readDir" | "getSequencer" | "checkSequencer" }
>;

/**
 * The calls, one handler each, at a master that serves: its own epoch entry is applied and its lease
 * is live. A handler answers from state, or proposes a command, or queues the caller.
 */
export class Calls {
  readonly #parts: MasterParts;
  readonly #intake: Intake;
  readonly #locks: LockCalls;

  constructor(parts: MasterParts, intake: Intake, locks: LockCalls) {
    this.#parts = parts;
    this.#intake = intake;
    this.#locks = locks;
  }

  /** Calls outside a session. */
  onSessionless(call: Call): void {
    const { answers, state } = this.#parts;
    const body = call.request.call;
    switch (body?.$case) {
      case "createSession":
        this.#onCreateSession(call, body.value);
        return;
      case "checkSequencer": {
        const guard = guardFailure(state, call.request.guard);
        answers.fromState(call, guard ?? sequencerChecked(state, body.value));
        return;
      }
      default:
        answers.asFact(call, failure("invalid_argument", "This call needs a session."));
    }
  }

  /** A call of a living session that knows this epoch and has acknowledged it. */
  onCall(session: MasterSession, call: Call): void {
    const body = call.request.call;
    const read = readOf(body);
    // What changes nothing may go without a number: run twice, it does no harm.
    const needsNumber = read === undefined || call.number !== 0;
    if (needsNumber && !this.#intake.isNew(session, call)) return;
    if (read !== undefined) {
      this.#onRead(session, call, read);
      return;
    }
    switch (body?.$case) {
      case "open":
        this.#onOpen(session, call, body.value);
        return;
      case "close":
        this.#onClose(session, call, body.value.handle);
        return;
      case "setContents":
        this.#onSetContents(session, call, body.value);
        return;
      case "delete":
        this.#onDelete(session, call, body.value.handle);
        return;
      case "acquire": {
        if (body.value.mode !== LockMode.EXCLUSIVE && body.value.mode !== LockMode.SHARED) {
          const detail = "A lock is acquired in exclusive or in shared mode.";
          this.#parts.answers.asFact(call, failure("invalid_argument", detail));
          return;
        }
        // LCK-4: in either mode, so that a mere reader cannot keep a writer out.
        const handle = this.#handle(session, call, body.value.handle, ACCESS_WRITE);
        if (handle !== undefined) this.#locks.onAcquire(session, call, handle, body.value);
        return;
      }
      case "release": {
        const handle = this.#handle(session, call, body.value.handle, 0);
        if (handle === undefined) return;
        const { handleId } = handle.token;
        call.releases = handleId;
        this.#intake.propose(session, call, { $case: "releaseLock", value: { handleId } });
        return;
      }
      case "cancel":
      case "endSession":
        // Both may delete ephemeral nodes, and then wait at the gate like any deletion.
        if (session.session.openerCount > 0) this.#intake.proposeGated(session, call, body);
        else this.#intake.propose(session, call, body);
        return;
      default: {
        const detail = "This replica does not know the call.";
        this.#parts.answers.asFact(call, failure("unsupported", detail));
      }
    }
  }

  #onCreateSession(call: Call, asked: CreateSession): void {
    const { answers, proposals } = this.#parts;
    const leaseMs = asked.leaseMs === 0 ? SESSION_LEASE_MS_DEFAULT : asked.leaseMs;
    if (leaseMs < SESSION_LEASE_MS_MIN || leaseMs > SESSION_LEASE_MS_MAX) {
      const detail = `A session lease is ${SESSION_LEASE_MS_MIN} to ${SESSION_LEASE_MS_MAX} ms.`;
      answers.asFact(call, failure("invalid_argument", detail));
      return;
    }
    if (utf8Length(asked.clientName) > CLIENT_NAME_BYTES_MAX) {
      const detail = `A client name has at most ${CLIENT_NAME_BYTES_MAX} bytes.`;
      answers.asFact(call, failure("invalid_argument", detail));
      return;
    }
    if (this.#intake.isOverloaded) {
      this.#intake.refuseOverloaded(call);
      return;
    }
    const { caches, clientName } = asked;
    proposals.proposeFor(call, { $case: "beginSession", value: { leaseMs, caches, clientName } });
  }

  /** Answered once: were it to come again when the node is gone, or another, it would do something. */
  #onOpen(session: MasterSession, call: Call, open: Open): void {
    const { answers, state } = this.#parts;
    let base: OpenHandle | undefined;
    if (open.directory.length > 0) {
      base = this.#handle(session, call, open.directory, 0);
      if (base === undefined) return;
    }
    const target = openTarget(state, open, base);
    if ("$case" in target) {
      answers.asFact(call, target);
      return;
    }
    const handlesMax = state.quotas.handlesPerSessionMax;
    if ((session.handles?.size ?? 0) >= handlesMax) {
      const detail = `The session has ${handlesMax} handles open, as many as the quota allows.`;
      answers.onceFromState(session, call, failure("quota_exceeded", detail));
      return;
    }
    const node = state.namespace.get(target.path);
    const mayCreate = open.create !== CreateMode.NEVER;
    if (node !== undefined && !node.isEphemeral) {
      answers.onceFromState(session, call, this.#openPermanent(session, call, node, target));
      return;
    }
    const body: CommandBody = { $case: "openNode", value: target };
    if (mayCreate) this.#intake.proposeGated(session, call, body);
    else if (node !== undefined) this.#intake.propose(session, call, body);
    else {
      const missing = failure("not_found", `${quoted(target.path)} does not exist.`);
      answers.onceFromState(session, call, guardFailure(state, call.request.guard) ?? missing);
    }
  }

  /** API-1: opening what exists changes nothing, so it needs no command. */
  #openPermanent(session: MasterSession, call: Call, node: Node, target: OpenNode): Result {
    const { state, clientEpoch } = this.#parts;
    const problem =
      guardFailure(state, call.request.guard) ?? openFailure(node, target.create, target.kind);
    if (problem !== undefined) return problem;
    const token = {
      sessionId: session.id,
      handleId: call.number,
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
  #onClose(session: MasterSession, call: Call, bytes: Uint8Array): void {
    const { answers, gate, state } = this.#parts;
    const check = checkHandle(state, session, bytes);
    if (check.kind === "bad") {
      if (check.token !== undefined) forgetHandle(state, session, check.token);
      const isForged = check.code === "forged_handle";
      answers.asFact(call, isForged ? failure(check.code, check.detail) : done("close"));
      return;
    }
    const { token } = check.handle;
    const { handleId } = token;
    const record = session.session.handles?.get(handleId);
    if (record === undefined && !this.#locks.hasClaimUnderWay(session, handleId)) {
      forgetHandle(state, session, token);
      this.#locks.dropWaitersOf(session, handleId);
      answers.asFact(call, done("close"));
    } else if (record?.isOpener === true && !gate.isOpen) this.#intake.holdAtGate(call);
    else if (this.#intake.isOverloaded) this.#intake.refuseOverloaded(call);
    else {
      forgetHandle(state, session, token);
      this.#locks.dropWaitersOf(session, handleId);
      this.#intake.propose(session, call, { $case: "closeHandle", value: { handleId } });
    }
  }

  #onRead(session: MasterSession, call: Call, read: Read): void {
    const { answers, state } = this.#parts;
    const guard = guardFailure(state, call.request.guard);
    if (guard !== undefined) {
      answers.fromState(call, guard);
      return;
    }
    if (read.$case === "checkSequencer") {
      answers.fromState(call, sequencerChecked(state, read.value));
      return;
    }
    const access = read.$case === "getContentsAndStat" || read.$case === "readDir";
    const handle = this.#handle(session, call, read.value.handle, access ? ACCESS_READ : 0);
    if (handle !== undefined) answers.fromState(call, readResult(session, handle, read));
  }

  #onSetContents(session: MasterSession, call: Call, asked: SetContents): void {
    const handle = this.#handle(session, call, asked.handle, ACCESS_WRITE);
    if (handle === undefined) return;
    const { path, instance } = handle.token;
    const { contents, hasIfGeneration, ifGeneration } = asked;
    if (contents.length > FILE_BYTES_MAX) {
      this.#parts.answers.asFact(call, tooLarge(path, contents.length));
      return;
    }
    const value = { path, instance, contents, hasIfGeneration, ifGeneration };
    this.#intake.proposeGated(session, call, { $case: "writeContents", value });
  }

  #onDelete(session: MasterSession, call: Call, bytes: Uint8Array): void {
    const handle = this.#handle(session, call, bytes, ACCESS_WRITE);
    if (handle === undefined) return;
    const { path, instance } = handle.token;
    this.#intake.proposeGated(session, call, { $case: "deleteNode", value: { path, instance } });
  }

  /** The handle, if it is good and may be used for this; otherwise the caller has its answer. */
  #handle(
    session: MasterSession,
    call: Call,
    bytes: Uint8Array,
    access: number,
  ): OpenHandle | undefined {
    const { answers, state } = this.#parts;
    const check = checkHandle(state, session, bytes);
    if (check.kind === "bad") {
      answers.fromState(call, failure(check.code, check.detail));
      return undefined;
    }
    const { token } = check.handle;
    if ((token.access & access) === access) return check.handle;
    const mode = access === ACCESS_WRITE ? "write" : "read";
    const detail = `${quoted(token.path)} was opened without ${mode} mode.`;
    answers.asFact(call, failure("permission_denied", detail));
    return undefined;
  }
}

function readOf(body: Request["call"]): Read | undefined {
  switch (body?.$case) {
    case "getContentsAndStat":
    case "getStat":
    case "readDir":
    case "getSequencer":
    case "checkSequencer":
      return body;
    default:
      return undefined;
  }
}

function readResult(
  session: MasterSession,
  handle: OpenHandle,
  read: Exclude<Read, { $case: "checkSequencer" }>,
): Result {
  switch (read.$case) {
    case "getContentsAndStat":
      return contentsAndStat(handle.node);
    case "getStat":
      return stat(handle.node);
    case "readDir":
      return directory(handle.node, read.value);
    case "getSequencer":
      return sequencer(session.session, handle.token.handleId);
  }
}
