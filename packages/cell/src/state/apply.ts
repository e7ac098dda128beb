import { unreachable } from "@cubby/base";
import { Command, CubbyError, decodeSequencer, type SequencerToken } from "@cubby/protocol";
import { applyAcquireLock, applyEndLockDelay, applyReleaseLock } from "./apply-lock.ts";
import {
  applyCloseHandle,
  applyDeleteNode,
  applyOpenNode,
  applyWriteContents,
} from "./apply-node.ts";
import {
  applyBeginEpoch,
  applyBeginSession,
  applyCancel,
  applyEndSession,
  applyExpireSession,
  applySetStretch,
} from "./apply-session.ts";
import type { CellState } from "./cell-state.ts";
import { failure, type Result } from "./result.ts";
import { sequencerProblem } from "./sequencer.ts";
import type { Session } from "./session.ts";

/** What became of one entry of the log. */
export type Outcome =
  | { readonly kind: "result"; readonly result: Result; readonly isReplay: boolean }
  /** An Acquire that waits found its lock taken: nothing is recorded, the caller queues again. */
  | { readonly kind: "blocked" }
  /** One of the master's own commands, to which nobody awaits a result. */
  | { readonly kind: "carriedOut" }
  /** Changed nothing. */
  | { readonly kind: "refused"; readonly reason: "undecodable" | "unknown" | "epoch" };

const BLOCKED: Outcome = { kind: "blocked" };
const CARRIED_OUT: Outcome = { kind: "carriedOut" };
const UNDECODABLE: Outcome = { kind: "refused", reason: "undecodable" };
const UNKNOWN: Outcome = { kind: "refused", reason: "unknown" };
const OTHER_EPOCH: Outcome = { kind: "refused", reason: "epoch" };

/** The command in an entry of the log, or undefined when the bytes hold none. */
export function decodeCommand(bytes: Uint8Array): Command | undefined {
  try {
    return Command.decode(bytes);
  } catch {
    // Whatever the decoder thinks of the bytes, every replica thinks the same: a no-op.
    return undefined;
  }
}

/**
 * Applies one entry. Total: it never throws, whatever the bytes. Deterministic: it depends on the
 * state and the entry alone.
 */
export function apply(state: CellState, index: number, command: Command | undefined): Outcome {
  state.effects.clear();
  state.appliedIndex = index;
  if (command === undefined) return UNDECODABLE;
  const body = command.body;
  if (body === undefined) return UNKNOWN;
  if (body.$case === "beginEpoch") {
    return applyBeginEpoch(state, body.value) ? CARRIED_OUT : UNKNOWN;
  }
  // PML-20..22: whoever proposed this is no longer master, or was not without a break.
  if (state.clientEpoch === 0 || command.paxosEpoch !== state.paxosEpoch) return OTHER_EPOCH;
  switch (body.$case) {
    case "setStretch":
      applySetStretch(state, body.value);
      return CARRIED_OUT;
    case "expireSession":
      applyExpireSession(state, index, body.value);
      return CARRIED_OUT;
    case "endLockDelay":
      applyEndLockDelay(state, body.value);
      return CARRIED_OUT;
    case "beginSession":
      return answer(applyBeginSession(state, index, body.value));
    default:
      return applyInSession(state, index, command);
  }
}

/** GAP-11, exactly once: one number of one session has one result, which is kept until taken. */
function applyInSession(state: CellState, index: number, command: Command): Outcome {
  const session = state.sessions.get(command.sessionId);
  // Reliability P20: whatever a session asked for, it gets nothing once it is over.
  if (session === undefined) {
    return answer(failure("session_expired", `Session ${command.sessionId} is over.`));
  }
  const number = command.requestNumber;
  session.raiseLowestUnanswered(Math.min(command.lowestUnanswered, number));
  if (number < session.lowestUnanswered) {
    return answer(
      failure(
        "request_forgotten",
        `Request ${number} is below ${session.lowestUnanswered}, the lowest unanswered one.`,
      ),
    );
  }
  if (number >= session.requestNumberEnd) {
    return answer(
      failure("too_many_requests", `Request ${number} is too far above the lowest unanswered one.`),
    );
  }
  const stored = session.resultOf(number);
  if (stored !== undefined) return { kind: "result", result: stored, isReplay: true };
  const result = guardFailure(state, command.guard) ?? run(state, session, index, command);
  if (result === undefined) return BLOCKED;
  // EndSession leaves nothing to store it in.
  if (state.sessions.has(session.id)) session.storeResult(number, result);
  return answer(result);
}

function run(
  state: CellState,
  session: Session,
  index: number,
  command: Command,
): Result | undefined {
  const body = command.body;
  const number = command.requestNumber;
  switch (body?.$case) {
    case "openNode":
      return applyOpenNode(state, session, number, body.value);
    case "closeHandle":
      return applyCloseHandle(state, session, body.value);
    case "writeContents":
      return applyWriteContents(state, body.value);
    case "deleteNode":
      return applyDeleteNode(state, body.value);
    case "acquireLock":
      return applyAcquireLock(state, session, number, body.value);
    case "releaseLock":
      return applyReleaseLock(state, session, number, body.value);
    case "cancel":
      return applyCancel(state, session, body.value);
    case "endSession":
      return applyEndSession(state, session, index);
    case "beginEpoch":
    case "setStretch":
    case "beginSession":
    case "expireSession":
    case "endLockDelay":
    case undefined:
      return failure("internal", "The command has no place in a session.");
    default:
      return unreachable(body);
  }
}

/** SEQ-7: why the guard stops a request, or undefined when it has none or it holds. */
export function guardFailure(state: CellState, guard: Uint8Array): Result | undefined {
  if (guard.length === 0) return undefined;
  let token: SequencerToken;
  try {
    token = decodeSequencer(guard);
  } catch (error) {
    if (error instanceof CubbyError) {
      return failure("sequencer_malformed", "The guard is no sequencer of this cell.");
    }
    throw error;
  }
  const problem = sequencerProblem(state, token);
  return problem === undefined ? undefined : failure("sequencer_stale", `Guard: ${problem}.`);
}

function answer(result: Result): Outcome {
  return { kind: "result", result, isReplay: false };
}
