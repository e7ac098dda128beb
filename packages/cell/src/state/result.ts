import { utf8Length } from "@cubby/base";
import { ERROR_CODES, type ErrorCode, encodeMessage, Reply } from "@cubby/protocol";
import type { CellState } from "./cell-state.ts";

/** What a request comes to, in the form in which it is stored, replayed and sent. */
export type Result = NonNullable<Reply["result"]>;

/** What it takes with a Stat. */
const RESULT_BYTES = 100;

/**
 * Kept until the log hears that its session has the answer, which an idle one says with its next command;
 * many snapshots may be taken meanwhile, so it is encoded once.
 */
export class StoredResult {
  readonly result: Result;
  #bytes: Uint8Array | undefined;

  constructor(result: Result) {
    this.result = result;
  }

  /** About what it takes in a snapshot. */
  get sizeBytes(): number {
    const { result } = this;
    switch (result.$case) {
      case "open":
        return RESULT_BYTES + result.value.handle.length;
      case "acquire":
        return RESULT_BYTES + result.value.sequencer.length;
      case "error":
        return RESULT_BYTES + utf8Length(result.value.detail);
      default:
        return RESULT_BYTES;
    }
  }

  get bytes(): Uint8Array {
    this.#bytes ??= encodeMessage(Reply, { tag: 0, clientEpoch: 0, result: this.result });
    return this.#bytes;
  }
}

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
