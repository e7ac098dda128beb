/** This program is wrong. Nothing catches it; the process stops and restarts from its journal. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Stops the program unless `property` holds. On in production; one property a call. */
export function assert(condition: unknown, property: string): asserts condition {
  if (!condition) throw new AssertionError(`violated: ${property}`);
}

/** Ends a `switch` over a union: compiles only while every kind has its case. */
export function unreachable(x: never): never {
  throw new AssertionError(`unreachable: ${describe(x)}`);
}

function describe(x: unknown): string {
  if (typeof x === "object" && x !== null && "kind" in x) return `kind ${String(x.kind)}`;
  return String(x);
}
