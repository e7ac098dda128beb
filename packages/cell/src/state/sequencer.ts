import { encodeSequencer, LockMode, quoted, type SequencerToken } from "@cubby/protocol";
import type { CellState } from "./cell-state.ts";
import type { Node } from "./node.ts";

/** SEQ-1, SEQ-6: name, instance, mode and generation of the lock as it is held now. */
export function sequencerOf(node: Node): Uint8Array {
  return encodeSequencer({
    name: node.path,
    instance: node.instance,
    mode: node.lockMode,
    lockGeneration: node.lockGeneration,
  });
}

/** Why a sequencer is no longer valid, or undefined while it is (SEQ-3). */
export function sequencerProblem(state: CellState, token: SequencerToken): string | undefined {
  const node = state.namespace.get(token.name);
  if (node === undefined) return `${quoted(token.name)} does not exist any more`;
  if (node.instance !== token.instance) {
    return `${quoted(token.name)} was deleted and created again since`;
  }
  if (node.lockGeneration !== token.lockGeneration) {
    return `the lock of ${quoted(token.name)} is at generation ${node.lockGeneration}, the sequencer at ${token.lockGeneration}`;
  }
  if (node.lockMode === LockMode.FREE)
    return `the lock of ${quoted(token.name)} is not held any more`;
  if (node.lockMode !== token.mode) {
    return `the lock of ${quoted(token.name)} is held in another mode`;
  }
  return undefined;
}
