export { DeltaError, type DeltaErrorCode } from "./delta-error.ts";
