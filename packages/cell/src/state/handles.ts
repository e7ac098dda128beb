import { assert } from "@cubby/base";
import { LockMode } from "@cubby/protocol";
import type { CellState } from "./cell-state.ts";
import { HandleRecord } from "./handle-record.ts";
import { giveBack, lose, setClaims } from "./locks.ts";
import type { Node } from "./node.ts";
import type { Session } from "./session.ts";

/** The handle's record, made when there is none; undefined when it belongs to another node. */
export function recordOf(
  state: CellState,
  session: Session,
  handleId: number,
  node: Node,
): HandleRecord | undefined {
  const known = session.handles?.get(handleId);
  if (known !== undefined) return known.node === node ? known : undefined;
  const record = new HandleRecord(session.id, handleId, node);
  session.handles ??= new Map();
  session.handles.set(handleId, record);
  node.records ??= new Set();
  node.records.add(record);
  state.handleBytes += record.sizeBytes;
  return record;
}

/** NS-5: this handle now keeps its ephemeral node alive. */
export function beginOpener(session: Session, record: HandleRecord): void {
  assert(record.node.isEphemeral, "only ephemeral nodes count their openers");
  if (record.isOpener) return;
  record.isOpener = true;
  record.node.openerCount += 1;
  session.openerCount += 1;
}

/** Forgets a record that matters no longer. */
export function settleRecord(state: CellState, session: Session, record: HandleRecord): void {
  if (!record.isIdle || !session.handles?.has(record.handleId)) return;
  state.handleBytes -= record.sizeBytes;
  session.handles?.delete(record.handleId);
  if (session.handles?.size === 0) session.handles = undefined;
  record.node.records?.delete(record);
  if (record.node.records?.size === 0) record.node.records = undefined;
}

/** API-2, GAP-6: the handle is closed on purpose. */
export function closeRecord(state: CellState, session: Session, record: HandleRecord): void {
  if (record.holds !== LockMode.FREE) giveBack(state, record);
  endOpener(state, session, record);
}

/** Leaves these claims to the lock, which goes back with the last one: true if it did. */
export function keepClaims(
  state: CellState,
  session: Session,
  record: HandleRecord,
  claims: readonly number[],
): boolean {
  setClaims(state, record, claims);
  if (claims.length > 0) return false;
  giveBack(state, record);
  settleRecord(state, session, record);
  return true;
}

/**
 * The session is over. All its locks go, then all its ephemeral nodes, in one step (reliability §3,
 * invariant 20). When it failed, its locks stay closed for their lock-delay (LCK-7), and a node that
 * goes with it leaves that delay behind on its name; ended on purpose, they are free (GAP-5).
 */
export function endSession(
  state: CellState,
  session: Session,
  end: { hasFailed: boolean; index: number },
): void {
  const records = session.sortedHandles();
  for (const record of records) {
    if (record.holds === LockMode.FREE) continue;
    if (end.hasFailed) lose(state, record, end.index);
    else giveBack(state, record);
  }
  for (const record of records) endOpener(state, session, record);
  session.forgetResults();
  state.sessions.delete(session.id);
  state.effects.sessionsEnded.push(session.id);
}

/** Takes a node out, with its lock (GAP-8), its handles and each ephemeral parent it kept alive. */
export function deleteNode(state: CellState, node: Node): void {
  let next: Node | undefined = node;
  while (next !== undefined) {
    const parent: Node | undefined = next.parent;
    dropRecords(state, next);
    state.namespace.remove(next);
    state.effects.deleted.push(next);
    next = parent !== undefined && isAbandoned(parent) ? parent : undefined;
  }
}

function isAbandoned(node: Node): boolean {
  return node.isEphemeral && node.openerCount === 0 && node.childCount === 0;
}

function endOpener(state: CellState, session: Session, record: HandleRecord): void {
  const node = record.node;
  if (record.isOpener) {
    record.isOpener = false;
    node.openerCount -= 1;
    session.openerCount -= 1;
  }
  settleRecord(state, session, record);
  if (!node.isDeleted && isAbandoned(node)) deleteNode(state, node);
}

function dropRecords(state: CellState, node: Node): void {
  if (node.lockMode !== LockMode.FREE) state.locksHeld -= 1;
  node.lockMode = LockMode.FREE;
  node.holderCount = 0;
  node.openerCount = 0;
  if (node.records === undefined) return;
  for (const record of node.records) {
    const session = state.sessions.get(record.sessionId);
    assert(session !== undefined, "a replicated handle belongs to a living session");
    if (record.isOpener) session.openerCount -= 1;
    record.isOpener = false;
    record.holds = LockMode.FREE;
    state.handleBytes -= record.sizeBytes;
    record.claims = [];
    session.handles?.delete(record.handleId);
    if (session.handles?.size === 0) session.handles = undefined;
  }
  node.records = undefined;
}
