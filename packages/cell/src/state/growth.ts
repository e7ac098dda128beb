import type { CellState } from "./cell-state.ts";
import { failure, type Result } from "./result.ts";

/** Why the state may not grow by so much. A cell that is above the limit already may still shrink. */
export function growthFailure(state: CellState, grownBy: number): Result | undefined {
  const sizeBytes = state.namespace.sizeBytes + state.handleBytes;
  if (grownBy <= 0 || sizeBytes + grownBy <= state.treeBytesMax) return undefined;
  return failure(
    "quota_exceeded",
    `The names, contents and held handles of the cell have ${sizeBytes} bytes; ${state.treeBytesMax} are allowed.`,
  );
}
