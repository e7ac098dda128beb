import type { Verdict } from "./run-result.ts";

/** Thrown by a checker: the run ends here, and this is what it found. */
export class Violation extends Error {
  override readonly name = "Violation";
  /** Its number in reliability §3. */
  readonly invariant: number;
  readonly rule: string;

  constructor(invariant: number, rule: string, detail: string) {
    super(detail);
    this.invariant = invariant;
    this.rule = rule;
  }

  get verdict(): Verdict & ("safety" | "liveness") {
    return this.invariant >= 22 ? "liveness" : "safety";
  }
}
