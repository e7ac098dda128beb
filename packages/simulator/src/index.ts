export {
  FAULT_KINDS,
  type FaultKind,
  type Finding,
  type RunOptions,
  type RunResult,
  type Verdict,
} from "./run-result.ts";
