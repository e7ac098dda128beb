import { FAULT_KINDS } from "./run-result.ts";

/**
 * What a run came across, by class. A class that stays at zero over a nightly-sized run means that
 * the simulator no longer reaches something that it claims to test, so that run fails.
 */
export const COVERAGE_CLASSES = [
  ...FAULT_KINDS.map((kind) => `fault ${kind}` as const),
  "fault N5-narrow-link",
  "fault N4-hub-behind",
  "fault D3-snapshot-gone",
  "packets more than a minute old",
  "packets queued for long",
  "replicas lost for good",
  "replicas unsteady for good",
  "disks hung for good",
  "topologies for good",
  "elections",
  "ballot conflicts",
  "prepares kept for a lease",
  "log synchronisations",
  "logs adopted in prepare",
  "slots learned behind",
  "snapshots taken",
  "snapshots held up",
  "snapshots installed during replication",
  "leases lapsed",
  "master leases changed",
  "leases voided",
  "steps down",
  "masters that handed over",
  "disk stalls noticed",
  "fail-overs with sessions",
  "sessions expired",
  "sessions ended on purpose",
  "lock-delays begun",
  "lock-delays ended",
  "locks granted",
  "locks granted after waiting",
  "locks refused",
  "locks freed by expiry",
  "acquires cancelled",
  "shared locks granted",
  "sequencers found valid",
  "sequencers refused",
  "guarded writes refused",
  "compare-and-swaps refused",
  "nodes deleted and re-created",
  "ephemerals gone with their session",
  "dedupe hits",
  "jeopardies",
  "jeopardies survived",
  "reads",
  "writes",
  "careless overlaps",
  "fenced writes refused",
  "torn tails cut",
  "damage named",
  "damaged copies repaired",
  "damaged snapshots passed over",
  "fsync errors",
  "other errors of disks",
  "recoveries failed",
  "directories refused",
  "foreign directories refused",
  "cells ruined",
  "wrong frames dropped",
  "crashes",
  "restarts",
  "pauses",
  "suspends",
  "answers lost",
  "holders of locks gone",
  "quorum durability looked up",
  "histories searched",
  "reads proven by a quorum",
  "stats read",
  "directories read",
  "sequencers given again",
  "requests refused for want of room",
  "requests of connections left",
  "locks held after calls at once",
  "waiters asked for anew",
] as const;

export type CoverageClass = (typeof COVERAGE_CLASSES)[number];

export class Coverage {
  readonly #counts = new Map<CoverageClass, number>();

  add(name: CoverageClass, count = 1): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + count);
  }

  of(name: CoverageClass): number {
    return this.#counts.get(name) ?? 0;
  }

  /** Every class, those at zero too. */
  get table(): Readonly<Record<CoverageClass, number>> {
    const entries = COVERAGE_CLASSES.map((name) => [name, this.of(name)]);
    return Object.fromEntries(entries) as Record<CoverageClass, number>;
  }
}
