import type { Verdict } from "./run-result.ts";

/** Of 24: whoever goes on where it must not may lose what was acknowledged. */
const UNSAFE_RULES: ReadonlySet<string> = new Set([
  "wiped-votes",
  "damage-named",
  "errors-are-fatal",
  "errors-end-recovery",
  "refuses-without-quorum",
  "foreign-directory-refused",
]);

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
    return this.invariant >= 22 && !UNSAFE_RULES.has(this.rule) ? "liveness" : "safety";
  }
}
