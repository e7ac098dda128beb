import {
  type BeginEpoch,
  type BeginSession,
  type Cancel,
  type ExpireSession,
  IN_FLIGHT_MAX,
  SESSION_LEASE_MS_MAX,
  SESSION_LEASE_MS_MIN,
  type SetStretch,
} from "@cubby/protocol";
import type { CellState } from "./cell-state.ts";
import { closeRecord, endSession, keepClaims } from "./handles.ts";
import { done, failure, type Result } from "./result.ts";
import { Session } from "./session.ts";

const KEY_BYTES = 16;

/** FO-1. False when the command is not one that a master writes. */
export function applyBeginEpoch(state: CellState, body: BeginEpoch): boolean {
  if (body.keyMaterial.length !== KEY_BYTES) return false;
  state.paxosEpoch = body.paxosEpoch;
  state.clientEpoch += 1;
  state.masterId = body.masterId;
  // HND-6: later masters supply bytes too, but handles must stay good across them.
  if (state.handleKey.length === 0) state.handleKey = body.keyMaterial.slice();
  if (body.quotas !== undefined) state.quotas = { ...body.quotas };
  return true;
}

export function applySetStretch(state: CellState, body: SetStretch): void {
  state.stretchMs = Math.min(body.stretchMs, SESSION_LEASE_MS_MAX);
}

export function applyBeginSession(state: CellState, index: number, body: BeginSession): Result {
  if (state.sessions.size >= state.quotas.sessionsMax) {
    return failure(
      "quota_exceeded",
      `The cell has ${state.sessions.size} sessions, as many as its quota allows.`,
    );
  }
  const leaseMs = Math.min(Math.max(body.leaseMs, SESSION_LEASE_MS_MIN), SESSION_LEASE_MS_MAX);
  const { caches, clientName } = body;
  const session = new Session(index, { leaseMs, caches, clientName }, state.resultTally);
  state.sessions.set(session.id, session);
  state.effects.sessionBegun = session.id;
  return {
    $case: "createSession",
    value: { sessionId: session.id, leaseMs, inFlightMax: IN_FLIGHT_MAX },
  };
}

export function applyExpireSession(state: CellState, index: number, body: ExpireSession): void {
  const session = state.sessions.get(body.sessionId);
  // It may have been ended by its client while the decision was under way.
  if (session !== undefined) endSession(state, session, { hasFailed: true, index });
}

/** GAP-5: the client acted on purpose, so its locks are free at once. */
export function applyEndSession(state: CellState, session: Session, index: number): Result {
  endSession(state, session, { hasFailed: false, index });
  return done("endSession");
}

/**
 * The caller of `requestNumber` gave up. If it has not run, it never will; if it was granted a lock
 * or a handle, that is given back. So no lock is ever held by code that gave up.
 */
export function applyCancel(state: CellState, session: Session, body: Cancel): Result {
  const number = body.requestNumber;
  if (number < session.lowestUnanswered) return cancelled(false);
  if (number >= session.requestNumberEnd) {
    return failure("invalid_argument", `Request ${number} cannot have been sent yet.`);
  }
  const stored = session.resultOf(number);
  if (stored === undefined) {
    // An Open that needed no command has no result here, but its handle may hold a lock.
    closeOpened(state, session, number);
    session.storeResult(number, failure("cancelled", "The caller cancelled the request."));
    return cancelled(false);
  }
  if (stored.$case !== "acquire" && stored.$case !== "open") return cancelled(false);
  const released =
    stored.$case === "acquire"
      ? releaseClaim(state, session, number)
      : closeOpened(state, session, number);
  // What it made stays, or was there for others to see: nobody may be told that it had no effect.
  const hasMade = stored.$case === "open" && stored.value.created;
  const told = hasMade
    ? failure("request_forgotten", "The caller cancelled the request when it had made the file.")
    : failure("cancelled", "The caller cancelled the request.");
  session.storeResult(number, told);
  return cancelled(released);
}

/** Gives back the lock that this request alone has a claim to. */
function releaseClaim(state: CellState, session: Session, number: number): boolean {
  for (const record of session.sortedHandles()) {
    if (!record.claims.includes(number)) continue;
    const others = record.claims.filter((claim) => claim !== number);
    return keepClaims(state, session, record, others);
  }
  return false;
}

/** A handle's id is the number of its Open. */
function closeOpened(state: CellState, session: Session, number: number): boolean {
  const record = session.handles?.get(number);
  if (record !== undefined) closeRecord(state, session, record);
  return true;
}

function cancelled(released: boolean): Result {
  return { $case: "cancel", value: { released } };
}
