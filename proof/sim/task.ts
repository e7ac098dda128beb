import type {
  AvailabilityReport,
  FaultKind,
  LongHoldReport,
  RunResult,
  Violation,
} from "@cubby/simulator";

/** One seed, and what a shrunk run leaves out of what it draws. */
export type SeedTask = {
  readonly kind: "seed";
  readonly seed: string;
  readonly without?: readonly FaultKind[];
  readonly replicas?: number;
  readonly clients?: number;
  readonly safetyMs?: number;
  /** Run once more in the same process: both must leave the same trace. */
  readonly isTwice?: boolean;
  readonly isCharted?: boolean;
};

export type Task =
  | SeedTask
  | { readonly kind: "year"; readonly seed: string; readonly share: number }
  | { readonly kind: "hold"; readonly seed: string; readonly days: number };

/** Of what is not a seed: production code crashed, or an invariant was broken. */
export type Failure = "crash" | Violation["verdict"];

export type Answer =
  | { readonly kind: "chart"; readonly lines: readonly string[] }
  | { readonly kind: "progress"; readonly done: number; readonly all: number }
  | { readonly kind: "seed"; readonly result: RunResult }
  | { readonly kind: "year"; readonly report: AvailabilityReport }
  | { readonly kind: "hold"; readonly report: LongHoldReport }
  /** Thrown by what is not a run of a seed, whose errors are verdicts. */
  | { readonly kind: "failed"; readonly detail: string; readonly verdict: Failure };
