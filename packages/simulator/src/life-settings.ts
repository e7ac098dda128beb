import type { Rng } from "@cubby/base";
import type { CellOptions } from "@cubby/cell";
import type { PaxosOptions } from "@cubby/paxos";
import type { ReadMode } from "@cubby/server/core";
import { type Plan, pick } from "./plan.ts";

/** What an operator may give a replica of its own, and change from one life to the next. */
export type LifeSettings = {
  readonly timers: Partial<PaxosOptions>;
  readonly reads: ReadMode;
  readonly segmentBytes: number;
  readonly snapshotEverySlots: number;
  readonly quotas: NonNullable<CellOptions["quotas"]>;
};

export const SEGMENT_BYTES = 64 * 1024;

/** The usual value of each is the one drawn most, so that who differs meets who does not. */
export function settingsOf(plan: Plan, rng: Rng): LifeSettings {
  const { timerFactor, reads, snapshotEverySlots, hasOwnSettings } = plan;
  const usual = { reads, segmentBytes: SEGMENT_BYTES, snapshotEverySlots, quotas: {} };
  if (!hasOwnSettings) return { ...usual, timers: timersOf(timerFactor, timerFactor) };
  const leaseFactor = timerFactor * pick(rng, [0.5, 1, 1, 2, 4]);
  const electionFactor = timerFactor * pick(rng, [1, 1, 2]);
  return {
    timers: timersOf(leaseFactor, electionFactor),
    reads: pick(rng, ["lease", "quorum"]),
    segmentBytes: SEGMENT_BYTES * pick(rng, [1, 1, 0.75, 2]),
    snapshotEverySlots: Math.ceil(snapshotEverySlots * pick(rng, [0.5, 1, 1, 2])),
    // None is reached: what counts is that all go by those of the same master.
    quotas: { sessionsMax: pick(rng, [20_000, 30_000]), nodesMax: pick(rng, [20_000, 30_000]) },
  };
}

/** The engine's defaults, slower or faster, so that their relations hold. */
function timersOf(leaseFactor: number, electionFactor: number): Partial<PaxosOptions> {
  if (leaseFactor === 1 && electionFactor === 1) return {};
  return {
    leaseMs: 600 * leaseFactor,
    leaseRenewMs: 100 * leaseFactor,
    roundMs: 100 * electionFactor,
    electionTimeoutMs: 300 * electionFactor,
    electionTimeoutMsMax: 1_200 * electionFactor,
    retransmitMs: 100 * electionFactor,
  };
}
