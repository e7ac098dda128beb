import {
  checkLinearizable,
  fileModel,
  type LinearizabilityVerdict,
  lockModel,
  type Model,
  type Operation,
} from "@cubby/simulator";
import type { Beginning, Belief, History } from "./history.ts";

export type Judgment = {
  /** Each is a broken promise. */
  readonly violations: readonly string[];
  /** What could not be decided, which is no pass. */
  readonly undecided: readonly string[];
  readonly nodes: number;
  readonly operations: number;
};

/** What the histories say: each node by itself, and no two holders of a lock at one time. */
export function judge(history: History, beginning: Beginning): Judgment {
  const violations: string[] = [];
  const undecided: string[] = [];
  let operations = 0;
  const check = <State, Input, Output>(
    node: string,
    model: Model<State, Input, Output>,
    part: readonly Operation<Input, Output>[],
  ): void => {
    operations += part.length;
    const verdict: LinearizabilityVerdict<State, Input, Output> = checkLinearizable(model, part);
    if (verdict.kind === "violation") {
      violations.push(`${node} is not linearizable.\n${verdict.explanation}`);
    } else if (verdict.kind === "unknown") {
      undecided.push(`${node}: ${verdict.why} over ${part.length} operations`);
    }
  };
  for (const [node, part] of history.files) {
    const init = beginning.files[node];
    if (init === undefined) undecided.push(`${node}: nobody knows what it held before`);
    else check(node, fileModel(init), part);
  }
  for (const [node, part] of history.locks) {
    const init = beginning.locks[node];
    if (init === undefined) undecided.push(`${node}: nobody knows what it was before`);
    else check(node, lockModel(init), part);
  }
  for (const [node, beliefs] of history.beliefs) violations.push(...overlaps(node, beliefs));
  return { violations, undecided, nodes: history.files.size + history.locks.size, operations };
}

/** Invariant 16: of two who were told that they hold a lock, one was told so after the other's end. */
export function overlaps(node: string, beliefs: readonly Belief[]): string[] {
  const inOrder = beliefs.toSorted((a, b) => a.from - b.from);
  const found: string[] = [];
  let last: Belief | undefined;
  for (const belief of inOrder) {
    if (last !== undefined && belief.from < last.until && belief.holder !== last.holder) {
      found.push(
        `${node}: ${last.holder} was told that it holds the lock at ${last.until} ms, ` +
          `when ${belief.holder} had had it since ${belief.from} ms.`,
      );
    }
    if (last === undefined || belief.until > last.until) last = belief;
  }
  return found;
}
