export {
  type AvailabilityReport,
  type ClassReport,
  type FaultClass,
  playYear,
} from "./availability.ts";
export type { CoverageClass } from "./coverage.ts";
export {
  checkLinearizable,
  type LinearizabilityVerdict,
  type Model,
  type Operation,
  type SearchLimits,
} from "./linearizability.ts";
export { holdLock, type LongHoldReport } from "./long-hold.ts";
export {
  type FileInput,
  type FileOutput,
  type FileState,
  fileModel,
  type LockInput,
  type LockOutput,
  type LockState,
  lockModel,
  narrowUnknownWrites,
} from "./models.ts";
export { runSeed } from "./run.ts";
export {
  FAULT_KINDS,
  type FaultKind,
  type Finding,
  type RunOptions,
  type RunResult,
  type Verdict,
} from "./run-result.ts";
export { playSteadyLoad, type SteadyReport } from "./steady-load.ts";
export { Violation } from "./violation.ts";
