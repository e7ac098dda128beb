export {
  checkLinearizable,
  type LinearizabilityVerdict,
  type Model,
  type Operation,
  partitionHistory,
  type SearchLimits,
} from "./linearizability.ts";
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
