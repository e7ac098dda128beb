import type { CellState } from "../state/cell-state.ts";
import type { Answers } from "./answers.ts";
import type { FailOverGate } from "./fail-over.ts";
import type { KeepAlives } from "./keep-alive.ts";
import type { MasterSession } from "./master-session.ts";
import type { Proposals } from "./proposals.ts";
import type { Waiters } from "./waiters.ts";

/** What the parts of a serving master share. */
export type MasterParts = {
  readonly state: CellState;
  readonly clientEpoch: number;
  readonly answers: Answers;
  readonly proposals: Proposals;
  readonly waiters: Waiters;
  readonly gate: FailOverGate;
  readonly keepAlives: KeepAlives;
  /** By id. */
  readonly sessions: Map<number, MasterSession>;
};
