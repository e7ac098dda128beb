import { ERROR_CODES, type ErrorCode, type Reply } from "@cubby/protocol";
import type { CellState } from "./cell-state.ts";

/** What a request comes to, in the form in which it is stored, replayed and sent. */
export type Result = NonNullable<Reply["result"]>;

export type DoneCase = "endSession" | "close" | "delete" | "release";

export function done(call: DoneCase): Result {
  return { $case: call, value: {} };
}

export function failure(code: ErrorCode, detail: string): Result {
  return {
    $case: "error",
    value: { code: ERROR_CODES[code].id, detail, masterId: 0, masterAddress: "" },
  };
}

export function handleQuotaFailure(state: CellState): Result {
  return failure(
    "quota_exceeded",
    `The session has ${state.quotas.handlesPerSessionMax} handles open, as many as the quota allows.`,
  );
}
