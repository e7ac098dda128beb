import { assert, utf8Length } from "@cubby/base";
import { IN_FLIGHT_MAX, LockMode } from "@cubby/protocol";
import type { CellState } from "./cell-state.ts";
import type { Namespace } from "./namespace.ts";
import type { Node } from "./node.ts";
import type { Session } from "./session.ts";

/** Asserts what holds after every entry of the log. Costs a walk of the whole state: for tests. */
export function checkInvariants(state: CellState): void {
  let locksHeld = 0;
  let sizeBytes = 0;
  for (const path of state.namespace.sortedPaths()) {
    const node = state.namespace.get(path);
    assert(node !== undefined, "every path has its node");
    checkNode(state, node);
    if (node.lockMode !== LockMode.FREE) locksHeld += 1;
    if (node.parent !== undefined) sizeBytes += utf8Length(path) + node.contents.length;
  }
  for (const path of state.namespace.delayMarkers.keys()) sizeBytes += utf8Length(path);
  assert(sizeBytes === state.namespace.sizeBytes, "names and contents are counted");
  let handleBytes = 0;
  let resultBytes = 0;
  for (const session of state.sessions.values()) {
    for (const record of session.handles?.values() ?? []) handleBytes += record.sizeBytes;
    let ownBytes = 0;
    for (const stored of session.results?.values() ?? []) ownBytes += stored.sizeBytes;
    assert(ownBytes === session.resultBytes, "a session's results are counted");
    resultBytes += ownBytes;
  }
  assert(handleBytes === state.handleBytes, "held handles are counted");
  assert(resultBytes === state.resultTally.bytes, "results are counted");
  assert(locksHeld === state.locksHeld, "the count of held locks is right");
  for (const path of state.namespace.delayMarkers.keys()) {
    assert(state.namespace.get(path) === undefined, "only deleted names leave a delay behind");
  }
  for (const session of state.sessions.values()) checkSession(state, session);
}

function checkNode(state: CellState, node: Node): void {
  const { namespace } = state;
  assert(!node.isDeleted, "a node in the tree is not deleted");
  checkPlace(namespace, node);
  let holders = 0;
  let openers = 0;
  for (const record of node.records ?? []) {
    const session = state.sessions.get(record.sessionId);
    assert(session?.handles?.get(record.handleId) === record, "a holder's session lives (P20)");
    assert(!record.isIdle, "only handles that matter are replicated");
    if (record.isOpener) openers += 1;
    if (record.holds === LockMode.FREE) continue;
    holders += 1;
    assert(record.holds === node.lockMode, "all holders hold in the lock's mode");
    assert(record.claims.length > 0, "a holder was granted the lock by some request");
  }
  assert(holders === node.holderCount && openers === node.openerCount, "handles are counted");
  assert((holders === 0) === (node.lockMode === LockMode.FREE), "a lock is held by its holders");
  assert(node.lockMode !== LockMode.EXCLUSIVE || holders === 1, "one exclusive holder (LCK-1)");
  const isAbandoned = node.isEphemeral && openers === 0 && node.childCount === 0;
  assert(!isAbandoned, "an ephemeral node that nobody has open is gone (NS-5)");
  if (node.lockDelay?.mode === LockMode.EXCLUSIVE) {
    assert(node.lockMode === LockMode.FREE, "nothing is granted in an exclusive holder's delay");
  } else if (node.lockDelay !== undefined) {
    assert(
      node.lockMode !== LockMode.EXCLUSIVE,
      "a shared holder's delay keeps exclusive ones out",
    );
  }
}

function checkPlace(namespace: Namespace, node: Node): void {
  if (node === namespace.root) return;
  assert(node.parent !== undefined, "every node but the root is in a directory");
  assert(namespace.get(node.parent.path) === node.parent, "a node's directory is in the tree");
  assert(node.instance <= namespace.generationCounter, "instances come from the counter (GAP-9)");
}

function checkSession(state: CellState, session: Session): void {
  let openers = 0;
  for (const record of session.handles?.values() ?? []) {
    assert(record.node.records?.has(record), "a replicated handle is known to its node");
    assert(!record.node.isDeleted, "a replicated handle's node exists");
    if (record.isOpener) openers += 1;
  }
  assert(openers === session.openerCount, "a session's openers are counted");
  assert(session.id <= state.appliedIndex, "a session is created by an entry of the log (P17)");
  assert((session.results?.size ?? 0) <= IN_FLIGHT_MAX, "the result table is bounded");
  for (const number of session.results?.keys() ?? []) {
    assert(number >= session.lowestUnanswered, "no result is kept that has been taken");
  }
}
