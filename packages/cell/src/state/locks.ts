import { assert } from "@cubby/base";
import { LockMode } from "@cubby/protocol";
import type { CellState } from "./cell-state.ts";
import type { HandleRecord } from "./handle-record.ts";
import { delaysClaim, prolonged } from "./lock-delay.ts";
import type { Node } from "./node.ts";

/** LCK-1: one exclusive holder, or any number of shared ones; LCK-7: none that a delay keeps out. */
export function isGrantable(node: Node, mode: LockMode): boolean {
  if (delaysClaim(node.lockDelay, mode)) return false;
  if (node.lockMode === LockMode.FREE) return true;
  return node.lockMode === LockMode.SHARED && mode === LockMode.SHARED;
}

export function grant(state: CellState, record: HandleRecord, mode: LockMode): void {
  const node = record.node;
  assert(isGrantable(node, mode), "a lock is granted only when it is grantable");
  assert(record.holds === LockMode.FREE, "a handle holds its lock once");
  // META-2, META-4: the generation rises from free to held, not with each shared holder.
  if (node.lockMode === LockMode.FREE) {
    node.lockGeneration += 1;
    state.locksHeld += 1;
  }
  node.lockMode = mode;
  node.holderCount += 1;
  record.holds = mode;
}

/** One session can have hundreds of claims to each of its handles: they are counted. */
export function setClaims(state: CellState, record: HandleRecord, claims: readonly number[]): void {
  state.handleBytes -= record.sizeBytes;
  record.claims = claims;
  state.handleBytes += record.sizeBytes;
}

/** LCK-6, GAP-6: given back on purpose, the lock is free at once. */
export function giveBack(state: CellState, record: HandleRecord): void {
  const node = record.node;
  assert(record.holds !== LockMode.FREE, "only a held lock is given back");
  record.holds = LockMode.FREE;
  setClaims(state, record, []);
  node.holderCount -= 1;
  // Who goes while others hold it makes room for nobody.
  if (node.holderCount > 0) return;
  node.lockMode = LockMode.FREE;
  state.locksHeld -= 1;
  state.effects.unlocked.push(node);
}

/** LCK-7: the holder failed. A delay of 0 frees the lock at once. */
export function lose(state: CellState, record: HandleRecord, index: number): void {
  const mode = record.holds;
  const node = record.node;
  giveBack(state, record);
  if (record.lockDelayMs === 0) return;
  node.lockDelay = prolonged(node.lockDelay, { lengthMs: record.lockDelayMs, mode, index });
  state.effects.delaysBegun.push(node.path);
}
