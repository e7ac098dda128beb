import type { Call } from "@cubby/client/core";
import type { ClientProcess } from "./client-process.ts";
import type { Coverage } from "./coverage.ts";

/** Placeholder until the search is wired in. */
export class History {
  onCalled(_process: ClientProcess, _call: Call, _at: number): void {}
  search(_coverage: Coverage): void {}
  onSettled(_call: Call, _at: number): void {}
}
