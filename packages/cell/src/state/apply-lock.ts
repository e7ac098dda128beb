import {
  type AcquireLock,
  type EndLockDelay,
  LOCK_DELAY_MS_MAX,
  LockMode,
  quoted,
  type ReleaseLock,
} from "@cubby/protocol";
import type { CellState } from "./cell-state.ts";
import { handleGrowthFailure } from "./growth.ts";
import { claimBytesOf, type HandleRecord, handleBytesOf } from "./handle-record.ts";
import { keepClaims, recordOf } from "./handles.ts";
import { grant, isGrantable, setClaims } from "./locks.ts";
import type { Node } from "./node.ts";
import { done, failure, handleQuotaFailure, type Result } from "./result.ts";
import { sequencerOf } from "./sequencer.ts";
import type { Session } from "./session.ts";

/** API-10, API-11. Undefined: the lock is not free and the caller wants to wait. */
export function applyAcquireLock(
  state: CellState,
  session: Session,
  number: number,
  body: AcquireLock,
): Result | undefined {
  if (body.mode !== LockMode.EXCLUSIVE && body.mode !== LockMode.SHARED) {
    return failure("invalid_argument", "A lock is acquired in exclusive or in shared mode.");
  }
  const node = state.namespace.getInstance(body.path, body.instance);
  const known = session.handles?.get(body.handleId);
  if (node === undefined || (known !== undefined && known.node !== node)) {
    return failure("stale_handle", `${quoted(body.path)} was deleted since it was opened.`);
  }
  if (known !== undefined && known.holds !== LockMode.FREE) {
    return reacquire(state, session, known, number, body.mode);
  }
  // A handle's id is the number of its Open. One that was cancelled left nobody to release the lock.
  if (session.resultOf(body.handleId)?.$case === "error") {
    return failure(
      "stale_handle",
      `The Open of this handle of ${quoted(body.path)} was cancelled.`,
    );
  }
  // Of handles that the master has forgotten, too: the state must not grow with a client's numbers.
  const records = session.handles?.size ?? 0;
  if (known === undefined && records >= state.quotas.handlesPerSessionMax) {
    return handleQuotaFailure(state);
  }
  if (!isGrantable(node, body.mode)) return body.wait ? undefined : lockFailure(node, body.mode);
  const grownBy = known === undefined ? handleBytesOf(node.path) : 0;
  const problem = handleGrowthFailure(state, grownBy);
  if (problem !== undefined) return problem;
  const record = recordOf(state, session, body.handleId, node);
  if (record === undefined) return failure("internal", "The handle is of another node.");
  record.lockDelayMs = Math.min(body.lockDelayMs, LOCK_DELAY_MS_MAX);
  grant(state, record, body.mode);
  setClaims(state, record, [number]);
  return acquired(node);
}

/**
 * LCK-6: free at once, no delay. A Release that was refused for a moment may come behind a later
 * Acquire of its handle: what that one was granted is not its to give back.
 */
export function applyReleaseLock(
  state: CellState,
  session: Session,
  number: number,
  body: ReleaseLock,
): Result {
  const record = session.handles?.get(body.handleId);
  if (record === undefined || record.holds === LockMode.FREE) {
    return failure("lock_not_held", "This handle does not hold its lock.");
  }
  const later = record.claims.filter((claim) => claim > number);
  keepClaims(state, session, record, later);
  return done("release");
}

/** LCK-7: a delay that has been prolonged or is over is left alone. */
export function applyEndLockDelay(state: CellState, body: EndLockDelay): void {
  if (state.namespace.delayOf(body.path)?.beganAt !== body.beganAt) return;
  const node = state.namespace.get(body.path);
  if (node === undefined) {
    state.namespace.forgetDelay(body.path);
    return;
  }
  node.lockDelay = undefined;
  state.effects.unlocked.push(node);
}

/** Why a claim in `mode` cannot be granted now. */
export function lockFailure(node: Node, mode: LockMode): Result {
  const name = quoted(node.path);
  if (node.lockMode === LockMode.FREE || (node.lockMode === mode && mode === LockMode.SHARED)) {
    return failure(
      "lock_delayed",
      `The last holder of ${name} failed; its lock-delay of ${node.lockDelay?.lengthMs ?? 0} ms is not over.`,
    );
  }
  const how = node.lockMode === LockMode.EXCLUSIVE ? "exclusively" : "in shared mode";
  return failure("lock_held", `${name} is held ${how} at generation ${node.lockGeneration}.`);
}

/** LCK-11: the same mode is the same grant, another mode is refused (there is no upgrade). */
function reacquire(
  state: CellState,
  session: Session,
  record: HandleRecord,
  number: number,
  mode: LockMode,
): Result {
  if (record.holds !== mode) {
    return failure(
      "invalid_argument",
      `This handle holds ${quoted(record.node.path)} in the other mode: release it first.`,
    );
  }
  const pending = record.claims.filter((claim) => claim >= session.lowestUnanswered);
  const known = pending.length === record.claims.length ? pending : [0, ...pending];
  const grownBy = claimBytesOf(known.length + 1) - claimBytesOf(record.claims.length);
  const problem = handleGrowthFailure(state, grownBy);
  if (problem !== undefined) return problem;
  setClaims(state, record, [...known, number]);
  return acquired(record.node);
}

function acquired(node: Node): Result {
  return {
    $case: "acquire",
    value: { sequencer: sequencerOf(node), lockGeneration: node.lockGeneration },
  };
}
