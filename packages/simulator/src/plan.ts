import type { Rng } from "@cubby/base";
import { IN_FLIGHT_MAX } from "@cubby/protocol";
import { FAULT_KINDS, type FaultKind, type RunOptions } from "./run-result.ts";

/** What a seed draws before anything runs: everything that is not drawn on the way. */
export type Plan = {
  readonly replicas: number;
  readonly clients: number;
  readonly kinds: ReadonlySet<FaultKind>;
  /** The safety phase lasts at least so long, and until the run counts. */
  readonly safetyMs: number;
  readonly faultEveryMs: number;
  /** How often something befalls a replica right where it does something that matters. */
  readonly failpointRate: number;
  readonly latencyMs: number;
  /** Mean of the exponential part of a delay. */
  readonly jitterMs: number;
  readonly lossRate: number;
  readonly duplicateRate: number;
  /** Of frames that come once more, after a minute or so. */
  readonly oldPacketRate: number;
  readonly badFrameRate: number;
  readonly keepsOrder: boolean;
  /** Each clock runs at a rate within this of true time. */
  readonly driftPerMille: number;
  readonly lateTimerMs: number;
  readonly reads: "lease" | "quorum";
  readonly snapshotEverySlots: number;
  readonly retainSlots: number;
  readonly snapshotPartBytes: number;
  readonly sessionLeaseMs: number;
  readonly thinkMs: number;
  readonly paths: number;
  readonly convoy: number;
  /** Of writes, how many are longer than what the journal writes at once. */
  readonly longWriteRate: number;
  /** All timers of the log engine are its defaults, times this. */
  readonly timerFactor: number;
  /** More sessions than this are granted the longest lease there is. */
  readonly stretchAboveSessions: number;
  /** So much may be under way at a master. */
  readonly proposedBytesMax: number;
  /** So far a session's clients are told that its numbers may span, which the cell itself would let go further. */
  readonly windowMax: number;
  /** Each life of a replica has settings of its own, as while an operator changes them one replica at a time. */
  readonly hasOwnSettings: boolean;
  /** What goes through a link between two replicas; what is sent faster queues before it. */
  readonly linkBytesPerMs: number;
};

/** No fault at all: what other than runs of seeds begin from. */
export const QUIET_PLAN: Plan = {
  replicas: 5,
  clients: 0,
  kinds: new Set(),
  safetyMs: 0,
  faultEveryMs: 1_000,
  failpointRate: 0,
  latencyMs: 0.2,
  jitterMs: 0.2,
  lossRate: 0,
  duplicateRate: 0,
  oldPacketRate: 0,
  badFrameRate: 0,
  keepsOrder: true,
  driftPerMille: 1,
  lateTimerMs: 0,
  reads: "lease",
  snapshotEverySlots: 1_000,
  retainSlots: 10_000,
  snapshotPartBytes: 16_384,
  sessionLeaseMs: 12_000,
  thinkMs: 10,
  paths: 1,
  convoy: 0,
  longWriteRate: 0,
  timerFactor: 1,
  stretchAboveSessions: 20_000,
  proposedBytesMax: 32 << 20,
  windowMax: IN_FLIGHT_MAX,
  hasOwnSettings: false,
  linkBytesPerMs: Number.POSITIVE_INFINITY,
};

/** Whether some sessions are granted more than they ask for. */
export function isStretched(plan: Plan): boolean {
  return plan.stretchAboveSessions < QUIET_PLAN.stretchAboveSessions;
}

/** Whether what is under way fills a link for long enough to matter. */
export function hasThinLinks(plan: Plan): boolean {
  return Number.isFinite(plan.linkBytesPerMs);
}

/** Whether sessions use their numbers up while they wait for a lock. */
export function isNarrow(plan: Plan): boolean {
  return plan.windowMax < QUIET_PLAN.windowMax;
}

const CROWD = 1_000;
/** With room to ask three waiters of a session anew at once, or one, or none before its Cancel. */
const SMALL_WINDOWS = [32, 32, 16, 8];
const REPLICA_COUNTS = [1, 3, 3, 3, 5, 5, 5, 5, 7];

/** Swarm testing: whole kinds of fault are absent in a run, so that those present can bite. */
export function drawPlan(rng: Rng, options: RunOptions): Plan {
  const replicas = pick(rng, REPLICA_COUNTS);
  const share = pick(rng, [0.15, 0.3, 0.5, 0.8]);
  const drawn = FAULT_KINDS.filter(() => rng.chance(share));
  // A run without any fault proves little: one kind at least, of those that always apply.
  const kinds = new Set<FaultKind>(drawn.length > 0 ? drawn : ["C1-crash"]);
  // What is left out or given is drawn all the same: the rest of the seed stays as it is.
  const whole: ReadonlySet<FaultKind> = new Set(kinds);
  for (const kind of options.without ?? []) kinds.delete(kind);
  const has = (kind: FaultKind): boolean => kinds.has(kind);
  const drift = pick(rng, [0.5, 20, 90, 90]);
  const isBusy = rng.chance(0.5);
  const snapshotEvery = pick(rng, [15, 40, 120]);
  // Enough for a follower to go on from a snapshot that took it a while to fetch.
  const retain = pick(rng, [8, 25, 100, 600]);
  const part = pick(rng, [128, 1_024, 8_192]);
  const clients = rng.between(2, 6);
  const safetyMs = rng.between(12_000, 40_000);
  const plan: Plan = {
    replicas: options.replicas ?? replicas,
    clients: options.clients ?? clients,
    kinds,
    safetyMs: options.safetyMs ?? safetyMs,
    faultEveryMs: pick(rng, [300, 1_000, 3_000]),
    failpointRate: pick(rng, [0, 0.02, 0.1]),
    latencyMs: pick(rng, [0.1, 0.5, 5]),
    jitterMs: pick(rng, [0.1, 1, 8]),
    lossRate: pick(rng, [0.01, 0.05, 0.3]),
    duplicateRate: pick(rng, [0.01, 0.1, 0.5]),
    oldPacketRate: pick(rng, [0.005, 0.03]),
    badFrameRate: 0.01,
    keepsOrder: false,
    driftPerMille: has("T1-drift") ? drift : 0,
    lateTimerMs: whole.has("T3-late-timers") ? pick(rng, [2, 15, 80]) : 0,
    reads: pick(rng, ["lease", "lease", "quorum"] as const),
    snapshotEverySlots: has("M2-snapshot-races") ? snapshotEvery : 1_000,
    retainSlots: has("M2-snapshot-races") ? retain : 10_000,
    snapshotPartBytes: part,
    sessionLeaseMs: pick(rng, [2_000, 2_000, 4_000, 12_000]),
    thinkMs: isBusy ? pick(rng, [3, 10]) : pick(rng, [30, 120]),
    paths: rng.between(1, 4),
    convoy: whole.has("U3-convoy") ? drawConvoy(rng) : 0,
    longWriteRate: pick(rng, [0, 0, 0.02]),
    timerFactor: 1,
    stretchAboveSessions: rng.chance(0.1) ? pick(rng, [2, 3, 5]) : QUIET_PLAN.stretchAboveSessions,
    // One command at a time, some, or what it is in production.
    proposedBytesMax: rng.chance(0.1) ? pick(rng, [1, 800]) : QUIET_PLAN.proposedBytesMax,
    windowMax: rng.chance(0.25) ? pick(rng, SMALL_WINDOWS) : QUIET_PLAN.windowMax,
    hasOwnSettings: rng.chance(0.2),
    linkBytesPerMs: rng.chance(0.04) ? pick(rng, [640, 1_000]) : QUIET_PLAN.linkBytesPerMs,
  };
  // What passes another would have both sent again, over full links; a connection keeps its order.
  if (hasThinLinks(plan)) kinds.delete("N1-reordering");
  return {
    ...plan,
    lateTimerMs: has("T3-late-timers") ? plan.lateTimerMs : 0,
    convoy: has("U3-convoy") ? plan.convoy : 0,
    // What a crowd has asked for at once would be learned entry by entry, for half a minute.
    snapshotPartBytes: plan.convoy === CROWD ? 8_192 : plan.snapshotPartBytes,
    // And with room for one command at a time it would be served in ten minutes.
    proposedBytesMax: plan.convoy === CROWD ? QUIET_PLAN.proposedBytesMax : plan.proposedBytesMax,
    keepsOrder: !has("N1-reordering"),
    // The proof that an answer waits for queues behind the round before it, and then by itself.
    sessionLeaseMs: Math.max(plan.sessionLeaseMs, hasThinLinks(plan) ? 4_000 : 0),
    lossRate: has("N1-loss") ? plan.lossRate : 0,
    duplicateRate: has("N1-duplicates") ? plan.duplicateRate : 0,
    oldPacketRate: has("N1-old-packets") ? plan.oldPacketRate : 0,
    badFrameRate: has("N6-bad-frames") ? plan.badFrameRate : 0,
  };
}

/** Mostly short ones, which cost little; and a crowd. */
function drawConvoy(rng: Rng): number {
  return rng.chance(0.02) ? CROWD : rng.between(6, 24);
}

export function describePlan(plan: Plan): string {
  const { kinds, ...rest } = plan;
  const numbers = Object.entries(rest).map(([name, value]) => `${name} ${String(value)}`);
  return `${numbers.join(", ")}; ${[...kinds].join(" ")}`;
}

/** The rate of a clock in a run: mostly at an edge of what is allowed, where two are furthest apart. */
export function drawClockRate(rng: Rng, driftPerMille: number): number {
  const share = rng.chance(0.8) ? pick(rng, [-1, 1]) : (rng.below(2_001) - 1_000) / 1_000;
  return 1 + (driftPerMille * share) / 1_000;
}

/** How long it takes until something comes that comes every `mean` or so. */
export function drawExponential(rng: Rng, mean: number): number {
  return -Math.log(1 - rng.next32() / 0x1_0000_0000) * mean;
}

export function pick<T>(rng: Rng, choices: readonly [T, ...T[]] | readonly T[]): T {
  const choice = choices[rng.below(choices.length)];
  if (choice === undefined) throw new RangeError("there is nothing to pick from");
  return choice;
}
