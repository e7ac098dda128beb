import type { CellState } from "./cell-state.ts";
import { failure, type Result } from "./result.ts";

/** Why names and contents may not grow by so much. A cell above its limit already may still shrink. */
export function treeGrowthFailure(state: CellState, grownBy: number): Result | undefined {
  const { namespace, treeBytesMax } = state;
  return growthFailure("names and contents", namespace.sizeBytes, grownBy, treeBytesMax);
}

/** Apart from the tree: whoever fills it with files keeps nobody from a lock. */
export function handleGrowthFailure(state: CellState, grownBy: number): Result | undefined {
  const { handleBytes, handleBytesMax } = state;
  return growthFailure("held handles", handleBytes, grownBy, handleBytesMax);
}

function growthFailure(
  what: string,
  sizeBytes: number,
  grownBy: number,
  sizeBytesMax: number,
): Result | undefined {
  if (grownBy <= 0 || sizeBytes + grownBy <= sizeBytesMax) return undefined;
  const detail = `The ${what} of the cell have ${sizeBytes} bytes; ${sizeBytesMax} are allowed.`;
  return failure("quota_exceeded", detail);
}
