import { assert } from "@cubby/base";
import { IN_FLIGHT_MAX, LockMode, type Request } from "@cubby/protocol";
import type { CellOptions } from "../options.ts";
import type { CellState } from "../state/cell-state.ts";
import { decodeHandleToken } from "../state/handle-token.ts";
import { failure, type Result } from "../state/result.ts";
import type { Session } from "../state/session.ts";
import type { Call } from "./call.ts";
import type { MasterSession } from "./master-session.ts";
import type { MasterParts } from "./parts.ts";
import type { CommandBody } from "./proposals.ts";

/** Requests of all sessions that may be proposed at once. */
const CALLS_MAX = 131_072;
/**
 * Bytes of commands under way. Below what a log has to take in while it waits for a slow disk or for
 * a quorum, so that it never has to drop what a caller waits for.
 */
export const PROPOSED_BYTES_MAX = 32 * 1024 * 1024;

/** Of all sessions; beyond it, one that has more than its share has one call at a time that keeps a result. */
const RESULT_BYTES_MAX = 64 * 1024 * 1024;

/** The way of a call into the log and back: numbers, the gate, limits, the answer. */
export class Intake {
  readonly #parts: MasterParts;
  readonly #proposedBytesMax: number;
  readonly #resultBytesMax: number;

  constructor(parts: MasterParts, { proposedBytesMax, resultBytesMax }: Partial<CellOptions>) {
    this.#parts = parts;
    this.#proposedBytesMax = proposedBytesMax ?? PROPOSED_BYTES_MAX;
    this.#resultBytesMax = resultBytesMax ?? RESULT_BYTES_MAX;
  }

  get isOverloaded(): boolean {
    const { proposals } = this.#parts;
    return proposals.size >= CALLS_MAX || proposals.bytes >= this.#proposedBytesMax;
  }

  /** Half of it all is free: what was held back goes on in large lots, not one by one. */
  get hasRoom(): boolean {
    const { proposals } = this.#parts;
    return 2 * proposals.size < CALLS_MAX && 2 * proposals.bytes < this.#proposedBytesMax;
  }

  /**
   * GAP-11. False when the request needs no running: it has a result, or is on its way, or its
   * number is one that is never run. Then it has its answer, or will have it.
   */
  isNew(session: MasterSession, call: Call): boolean {
    const { number } = call;
    const lowest = call.request.lowestUnanswered;
    const { answers } = this.#parts;
    const problem = numberProblem(number, lowest);
    if (problem !== undefined) {
      answers.asFact(call, failure("invalid_argument", problem));
      return false;
    }
    session.raiseLowestSeen(Math.max(lowest, session.session.lowestUnanswered));
    if (number < session.lowestSeen) {
      const detail = `Request ${number} is below ${session.lowestSeen}, the lowest unanswered one.`;
      answers.asFact(call, failure("request_forgotten", detail));
      return false;
    }
    if (this.isKnown(session, call)) return false;
    const answered = session.answered?.get(number);
    if (answered !== undefined) {
      this.#answerAgain(call, answered, false);
      return false;
    }
    // The window alone does not bound them: what still waits may be below what was said to be lowest.
    const isFull = (session.calls?.size ?? 0) >= IN_FLIGHT_MAX;
    if (isFull || number >= session.lowestSeen + IN_FLIGHT_MAX) {
      const detail = `At most ${IN_FLIGHT_MAX} requests of a session may be unanswered.`;
      answers.asFact(call, failure("too_many_requests", detail));
      return false;
    }
    if (this.#keepsTooMuch(session, call)) {
      // What it asks for is nothing, and its session may wait for that answer before it goes on.
      if (cancelsNothing(session.session, call.request)) {
        answers.asFact(call, { $case: "cancel", value: { released: false } });
      } else this.refuseOverloaded(call);
      return false;
    }
    return true;
  }

  /** The log has its result, which it gets once more, or may have it soon: whoever is master then. */
  isKnown(session: MasterSession, call: Call): boolean {
    const { number } = call;
    const applied = session.session.resultOf(number);
    if (applied !== undefined) {
      this.#answerAgain(call, applied, true);
      return true;
    }
    const underWay = session.calls?.get(number);
    if (underWay === undefined) return false;
    if (underWay.request.call?.$case === call.request.call?.$case) underWay.addCopy(call);
    else this.#refuseOther(call);
    return true;
  }

  /** Each call says which answers its session has: one at a time, they go as they come. */
  #keepsTooMuch({ session, calls }: MasterSession, { number, request }: Call): boolean {
    const { state } = this.#parts;
    if (state.resultTally.bytes <= this.#resultBytesMax) return false;
    // What is forgotten when it is applied is what it says itself, and no KeepAlive beside it.
    const { lowestUnanswered } = request;
    const share = this.#resultBytesMax / state.sessions.size;
    if (number <= lowestUnanswered || session.resultBytesFrom(lowestUnanswered) <= share)
      return false;
    return !givesBack(state, session, calls, request);
  }

  /** FO-6: what changes something cachable waits for the gate. */
  proposeGated(session: MasterSession, call: Call, body: CommandBody): void {
    if (!this.#parts.gate.isOpen) this.holdAtGate(call);
    else this.propose(session, call, body);
  }

  holdAtGate(call: Call): void {
    const isHeld = this.#parts.gate.hold(call.to, call.request);
    if (!isHeld) this.refuseOverloaded(call);
  }

  propose(session: MasterSession, call: Call, body: CommandBody): void {
    if (this.isOverloaded) {
      this.refuseOverloaded(call);
      return;
    }
    this.begin(session, call);
    this.#parts.proposals.proposeFor(call, body);
  }

  /** The call is on its way: from now on its number stands for it. */
  begin(session: MasterSession, call: Call): void {
    session.calls ??= new Map();
    assert(!session.calls.has(call.number), "a number is under way once");
    session.calls.set(call.number, call);
  }

  /** The call has its answer, which holds whoever is master. */
  settle(call: Call, result: Result): void {
    const session = call.session;
    if (session?.calls !== undefined) {
      session.calls.delete(call.number);
      if (session.calls.size === 0) session.calls = undefined;
    }
    this.#parts.answers.asFact(call, result);
  }

  refuseOverloaded(call: Call): void {
    const detail = "The master has as many requests at hand, or waiting, as it may have.";
    this.#parts.answers.asFact(call, failure("overloaded", detail));
  }

  /** A repeated number gets its one result, provided it is a number of the same call. */
  #answerAgain(call: Call, result: Result, isApplied: boolean): void {
    const { answers } = this.#parts;
    const isOther = result.$case !== "error" && result.$case !== call.request.call?.$case;
    if (isOther) this.#refuseOther(call);
    else if (isApplied) answers.asFact(call, result);
    else answers.fromState(call, result);
  }

  #refuseOther(call: Call): void {
    const detail = `Request ${call.number} was another call.`;
    this.#parts.answers.asFact(call, failure("invalid_argument", detail));
  }
}

/** There is less of something else once it is done, or it keeps no result. */
function givesBack(
  state: CellState,
  session: Session,
  underWay: ReadonlyMap<number, Call> | undefined,
  { call, lowestUnanswered }: Request,
): boolean {
  switch (call?.$case) {
    case "cancel": {
      const { requestNumber } = call.value;
      const known = session.resultOf(requestNumber);
      // Of its lowest one, also if that never came: there is no other way to the next.
      const isLowest = requestNumber === lowestUnanswered && known === undefined;
      const isThere = isLowest || underWay?.has(requestNumber) === true || isGrant(known);
      return isThere && !isGivingBack(underWay);
    }
    case "release": {
      const token = decodeHandleToken(state.handleKey, call.value.handle);
      const record = token === undefined ? undefined : session.handles?.get(token.handleId);
      return record !== undefined && record.holds !== LockMode.FREE && !isGivingBack(underWay);
    }
    case "close":
    case "endSession":
      return true;
    default:
      return false;
  }
}

function cancelsNothing(session: Session, { call }: Request): boolean {
  if (call?.$case !== "cancel") return false;
  const known = session.resultOf(call.value.requestNumber);
  return known !== undefined && !isGrant(known);
}

function isGrant(result: Result | undefined): boolean {
  return result?.$case === "acquire" || result?.$case === "open";
}

/** What one of them gives back a second one would not. */
function isGivingBack(underWay: ReadonlyMap<number, Call> = new Map()): boolean {
  for (const { request } of underWay.values()) {
    if (request.call?.$case === "cancel" || request.call?.$case === "release") return true;
  }
  return false;
}

function numberProblem(number: number, lowest: number): string | undefined {
  if (number === 0) return "The request has no number.";
  if (lowest === 0) return "The request does not say which is the lowest unanswered one.";
  if (lowest > number)
    return `Request ${number} is below ${lowest}, its own lowest unanswered one.`;
  return undefined;
}
