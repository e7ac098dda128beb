import type { ReplicaLog } from "./log.ts";

export const SILENT_LOG: ReplicaLog = {
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: ignore,
  flushSync: ignore,
};

function ignore(): void {
  // A test that reads no log.
}
