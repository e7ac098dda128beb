import { Rng } from "@cubby/base";

/** Each hits one replica, or one at a time; but for a quorum loss, which leaves nobody a majority. */
export const REPLICA_FAULTS = [
  "kill",
  "pause",
  "rolling restart",
  "isolate",
  "quorum loss",
  "one-way",
  "link",
  "slow link",
  "loss",
  "flapping",
  "full disk",
  "damaged copy",
  "damaged snapshot",
  "damaged journal",
] as const;

export const CLIENT_FAULTS = ["client pause", "client kill", "client cut"] as const;

export type FaultKind = (typeof REPLICA_FAULTS)[number] | (typeof CLIENT_FAULTS)[number];

/** One thing that goes wrong, for a while. All chance in it comes from what is drawn here. */
export type Fault = {
  readonly kind: FaultKind;
  /** From the beginning of the run; a lane that is late begins it at once. */
  readonly atMs: number;
  readonly durationMs: number;
  /** Targets in order of preference: the first that nothing else has hit is taken. */
  readonly order: readonly number[];
  /** The master, or the client that holds a lock, goes before all others, whoever it is then. */
  readonly wantsLeader: boolean;
  /** Between 0 and 1, for what the kind leaves open; the seed of what it draws on the way. */
  readonly draws: readonly number[];
};

export type ScheduleOptions = {
  readonly seed: string;
  readonly forMs: number;
  readonly replicas: readonly number[];
  readonly clients: readonly number[];
  /** Kinds that this machine cannot do. */
  readonly without: ReadonlySet<FaultKind>;
};

/** Two of five replicas at most are hit at once, but for a quorum loss: one lane hits one. */
const REPLICA_LANES = 2;
const DRAWS = 4;
const PAUSE_BETWEEN_MS = { min: 400, max: 1_800 };
const LEADER_SHARE = 0.4;

const DURATIONS_MS: Readonly<Record<FaultKind, readonly [min: number, max: number]>> = {
  kill: [200, 3_000],
  pause: [200, 4_000],
  "rolling restart": [4_000, 6_000],
  isolate: [800, 4_000],
  "quorum loss": [800, 3_000],
  "one-way": [800, 4_000],
  link: [1_500, 5_000],
  "slow link": [2_000, 5_000],
  loss: [2_000, 5_000],
  flapping: [2_000, 5_000],
  "full disk": [10_000, 14_000],
  "damaged copy": [200, 800],
  "damaged snapshot": [200, 800],
  "damaged journal": [200, 800],
  // A lease and a lock-delay are over before the longest of them.
  "client pause": [300, 7_000],
  "client kill": [200, 1_500],
  "client cut": [500, 6_000],
};

/** The faults of each lane, in order; the last lane is that of the clients. */
export function createSchedule(options: ScheduleOptions): Fault[][] {
  const rng = new Rng(options.seed);
  const { replicas, clients, without, forMs } = options;
  const replicaBag = new Bag(rng.fork("replica kinds"), REPLICA_FAULTS, without);
  const clientBag = new Bag(rng.fork("client kinds"), CLIENT_FAULTS, without);
  const lanes = Array.from({ length: REPLICA_LANES }, (_, lane) => ({
    rng: rng.fork(`lane ${lane}`),
    atMs: (lane * PAUSE_BETWEEN_MS.max) / REPLICA_LANES,
    faults: [] as Fault[],
  }));
  // The lane that is free first takes the next kind, so that all kinds have their turn.
  for (;;) {
    const next = lanes.reduce((a, b) => (b.atMs < a.atMs ? b : a));
    if (next.atMs >= forMs) break;
    next.atMs = deal(next, replicaBag, replicas);
  }
  const clientLane = { rng: rng.fork("clients"), atMs: 0, faults: [] as Fault[] };
  while (clientLane.atMs < forMs) clientLane.atMs = deal(clientLane, clientBag, clients);
  return [...lanes, clientLane].map(({ faults }) => faults);
}

/** Puts one more fault into the lane; returns when the lane is free again. */
function deal(
  lane: { rng: Rng; atMs: number; faults: Fault[] },
  bag: Bag,
  targets: readonly number[],
): number {
  const { rng } = lane;
  const kind = bag.take();
  const [min, max] = DURATIONS_MS[kind];
  const atMs = lane.atMs + rng.between(PAUSE_BETWEEN_MS.min, PAUSE_BETWEEN_MS.max);
  const durationMs = rng.between(min, max);
  lane.faults.push({
    kind,
    atMs,
    durationMs,
    order: shuffled(rng, targets),
    wantsLeader: rng.chance(LEADER_SHARE),
    draws: Array.from({ length: DRAWS }, () => rng.below(1_000_000) / 1_000_000),
  });
  return atMs + durationMs;
}

/** Every kind once, in a drawn order, and again. */
class Bag {
  readonly #rng: Rng;
  readonly #kinds: readonly FaultKind[];
  #left: FaultKind[] = [];

  constructor(rng: Rng, kinds: readonly FaultKind[], without: ReadonlySet<FaultKind>) {
    this.#rng = rng;
    this.#kinds = kinds.filter((kind) => !without.has(kind));
  }

  take(): FaultKind {
    if (this.#left.length === 0) this.#left = shuffled(this.#rng, this.#kinds);
    const kind = this.#left.pop();
    if (kind === undefined) throw new RangeError("There is no kind of fault to draw from.");
    return kind;
  }
}

function shuffled<T>(rng: Rng, items: readonly T[]): T[] {
  const left = [...items];
  const result: T[] = [];
  while (left.length > 0) result.push(...left.splice(rng.below(left.length), 1));
  return result;
}
