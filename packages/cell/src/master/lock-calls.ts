import { assert } from "@cubby/base";
import { type Acquire, type AcquireLock, quoted } from "@cubby/protocol";
import { guardFailure } from "../state/apply.ts";
import { lockFailure } from "../state/apply-lock.ts";
import { isGrantable } from "../state/locks.ts";
import type { Node } from "../state/node.ts";
import { failure, type Result } from "../state/result.ts";
import type { Call } from "./call.ts";
import type { Intake } from "./intake.ts";
import type { MasterSession } from "./master-session.ts";
import type { OpenHandle } from "./open-handles.ts";
import type { MasterParts } from "./parts.ts";

const MOVES_LOCKS: ReadonlySet<string | undefined> = new Set(["acquire", "release", "cancel"]);

/** Acquire, and the claims that wait or are under way. */
export class LockCalls {
  readonly #parts: MasterParts;
  readonly #intake: Intake;
  /** Sessions whose handles hold what they ask for once more, and who wait for what is under way. */
  readonly #stalled = new Set<MasterSession>();

  constructor(parts: MasterParts, intake: Intake) {
    this.#parts = parts;
    this.#intake = intake;
  }

  /** API-10, API-11. */
  onAcquire(session: MasterSession, call: Call, handle: OpenHandle, asked: Acquire): void {
    const { node, token } = handle;
    const claim: AcquireLock = {
      path: token.path,
      instance: token.instance,
      handleId: token.handleId,
      mode: asked.mode,
      wait: asked.wait,
      lockDelayMs: token.lockDelayMs,
    };
    const hold = holdOf(session, token.handleId);
    if (asked.wait) this.#wait(session, call, node, claim, hold === "held");
    else if (hold === "held") this.#try(session, call, claim);
    else if (hold === "none" && !isGrantable(node, asked.mode)) {
      this.#refuse(session, call, lockFailure(node, asked.mode));
    } else if (this.#parts.waiters.mustQueue(node, asked.mode)) {
      const detail = `Others wait for ${quoted(node.path)} already.`;
      this.#refuse(session, call, failure("lock_held", detail));
    } else this.#try(session, call, claim);
  }

  /** Proposes the claim of a waiter whose turn has come. */
  proposeClaim(call: Call): void {
    assert(call.claim !== undefined, "a waiter has a claim");
    this.#parts.proposals.proposeFor(call, { $case: "acquireLock", value: call.claim });
  }

  /**
   * LCK-11: what a handle asks for once more is granted too, as soon as it holds its lock, and as soon
   * as what might have given the lock back has not.
   */
  onSettled({ session, request: { call: settled } }: Call): void {
    if (session !== undefined && MOVES_LOCKS.has(settled?.$case)) this.#proposeHeld(session);
  }

  /** There is room again for what was held back. */
  resume(): void {
    this.#parts.waiters.resume();
    if (this.#stalled.size === 0) return;
    const sessions = [...this.#stalled];
    this.#stalled.clear();
    for (const session of sessions) this.#proposeHeld(session);
  }

  #proposeHeld(session: MasterSession): void {
    const waiting = [...(session.calls?.values() ?? [])].filter(
      ({ claim, isProposed }) => claim !== undefined && !isProposed,
    );
    if (waiting.length === 0) return;
    // Looked at once for all of them: of any length is what waits, what ends a hold and what is claimed.
    const endings = endingsOf(session);
    const holds = new Map<number, Hold>();
    for (const call of waiting) {
      const handleId = call.claim?.handleId ?? 0;
      const hold = holds.get(handleId) ?? holdOf(session, handleId, endings);
      holds.set(handleId, hold);
      if (hold !== "held" && !(hold === "ending" && isHeir(session, call, endings))) continue;
      if (this.#intake.isOverloaded) {
        this.#stalled.add(session);
        return;
      }
      this.proposeClaim(call);
    }
  }

  /** True when a claim of the handle may yet be granted: closing it then takes a command. */
  hasClaimUnderWay(session: MasterSession, handleId: number): boolean {
    if (session.calls === undefined) return false;
    for (const call of session.calls.values()) {
      if (call.isProposed && call.claim?.handleId === handleId) return true;
    }
    return false;
  }

  /** API-2: closing a handle cancels its waiting Acquires. */
  dropWaitersOf(session: MasterSession, handleId: number): void {
    if (session.calls === undefined) return;
    const calls = [...session.calls.values()];
    const ofHandle = calls.filter(({ claim }) => claim?.handleId === handleId);
    this.abandon(ofHandle, closedWhileWaiting());
  }

  /**
   * A client whose numbers must move on asks anew under a later number, and then cancels the first one: the
   * handle keeps its place in the queue.
   */
  passPlaceOn(session: MasterSession, cancelled: Call, cancelNumber: number): void {
    const { node, claim, number } = cancelled;
    if (node === undefined || claim === undefined) return;
    for (const heir of session.calls?.values() ?? []) {
      if (heir.number <= number || heir.number >= cancelNumber || heir.isProposed) continue;
      const { handleId, mode } = heir.claim ?? {};
      if (heir.node !== node || handleId !== claim.handleId || mode !== claim.mode) continue;
      this.#parts.waiters.swap(cancelled, heir);
      return;
    }
  }

  /**
   * Whoever waits here waits no longer, and those behind move up. A claim that is under way is
   * answered when it is applied.
   */
  abandon(calls: readonly Call[], result: Result): void {
    this.leaveQueues(calls);
    for (const call of calls) if (!call.isProposed) this.#intake.settle(call, result);
  }

  /** Nobody moves up before all have left: or it might be one of them, on its way to a grant. */
  leaveQueues(calls: Iterable<Call>): void {
    const { waiters } = this.#parts;
    const left = new Set<Node>();
    for (const call of calls) {
      if (call.node === undefined) continue;
      left.add(call.node);
      waiters.remove(call);
      call.node = undefined;
    }
    for (const node of left) if (!node.isDeleted) waiters.pump(node);
  }

  /**
   * The race for the lock was lost: the waiter takes its place again, if it still has one. Whoever left
   * because its session is about to expire hears of that.
   */
  onBlocked(call: Call): void {
    call.isProposed = false;
    if (call.node !== undefined || call.session?.isCondemned === true) return;
    this.#intake.settle(call, closedWhileWaiting());
  }

  /** SEQ-7: whoever has lost what guards the call hears of that, and not of who holds this lock. */
  #refuse(session: MasterSession, call: Call, result: Result): void {
    const { answers, state } = this.#parts;
    answers.onceFromState(session, call, guardFailure(state, call.request.guard) ?? result);
  }

  /** A claim that is not queued: it is granted or refused when it is applied. */
  #try(session: MasterSession, call: Call, claim: AcquireLock): void {
    call.claim = claim;
    this.#intake.propose(session, call, { $case: "acquireLock", value: claim });
  }

  #wait(session: MasterSession, call: Call, node: Node, claim: AcquireLock, isHeld: boolean): void {
    const { answers, state, waiters } = this.#parts;
    const guard = guardFailure(state, call.request.guard);
    if (guard !== undefined) {
      answers.fromState(call, guard);
      return;
    }
    if ((!isHeld && waiters.isFull(node)) || this.#intake.isOverloaded) {
      this.#intake.refuseOverloaded(call);
      return;
    }
    this.#intake.begin(session, call);
    call.node = node;
    call.claim = claim;
    waiters.add(node, call);
    // LCK-11: nobody is waited for, but it has a place, should the lock be lost meanwhile.
    if (isHeld && !call.isProposed) this.proposeClaim(call);
  }
}

/** "ending": it holds its lock, and something in the log may give that back. */
type Hold = "none" | "held" | "ending";

/** What is under way and may give a lock back: the last Release by handle, and the last Cancel by what it cancels. */
type Endings = { readonly releases: Map<number, number>; readonly cancelled: Map<number, number> };

function endingsOf(session: MasterSession): Endings {
  const endings: Endings = { releases: new Map(), cancelled: new Map() };
  for (const { number, releases, request } of session.calls?.values() ?? []) {
    if (releases !== undefined) {
      endings.releases.set(releases, Math.max(number, endings.releases.get(releases) ?? 0));
    }
    const { call } = request;
    if (call?.$case === "cancel") endings.cancelled.set(call.value.requestNumber, number);
  }
  return endings;
}

function holdOf(session: MasterSession, handleId: number, endings = endingsOf(session)): Hold {
  const { claims = [] } = session.session.handles?.get(handleId) ?? {};
  if (claims.length === 0) return "none";
  // A Release that was overtaken by a later claim does not free the lock.
  const released = endings.releases.get(handleId) ?? -1;
  if (claims.every((claim) => claim < released)) return "ending";
  return claims.some((claim) => endings.cancelled.has(claim)) ? "ending" : "held";
}

/**
 * Asked for anew before its handle's claim was cancelled: in the log it comes right behind that Cancel, and
 * before whoever is told that the lock is free.
 */
function isHeir(session: MasterSession, { number, claim }: Call, endings: Endings): boolean {
  const handleId = claim?.handleId ?? 0;
  if (endings.releases.has(handleId)) return false;
  const { claims = [], holds } = session.session.handles?.get(handleId) ?? {};
  // In another mode it waits for its own turn.
  if (claim?.mode !== holds) return false;
  return claims.some((held) => held < number && number < (endings.cancelled.get(held) ?? 0));
}

function closedWhileWaiting(): Result {
  return failure("stale_handle", "The handle was closed while it waited.");
}
