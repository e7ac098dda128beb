import { equalBytes, type Rng } from "@cubby/base";
import { type SimDisk, snapshotSlotOf } from "@cubby/server/core";
import type { ClientProcess } from "./client-process.ts";
import { drawExponential, pick } from "./plan.ts";
import type { ReplicaProcess } from "./replica-process.ts";
import type { FaultKind } from "./run-result.ts";
import { drawTopology, hubOf, linksOf, missingLinks } from "./topology.ts";
import { Violation } from "./violation.ts";
import type { Moment, World } from "./world.ts";

type Inject = (faults: Faults) => boolean;

/**
 * Draws faults and carries them out (reliability §2), for as long as the safety phase lasts. What
 * damages a disk touches fewer than half of the replicas, so that what was acknowledged survives
 * and a failure to recover is a bug: a fault atlas.
 */
export class Faults {
  readonly world: World;
  readonly rng: Rng;
  /** A client that died is followed by another of the same habits. */
  readonly respawn: (died: ClientProcess) => void;
  #isOver = false;
  #happened = 0;
  readonly #kinds: readonly FaultKind[];

  constructor(world: World, rng: Rng, respawn: (died: ClientProcess) => void) {
    this.world = world;
    this.rng = rng;
    this.respawn = respawn;
    this.#kinds = [...world.plan.kinds].filter((kind) => INJECTORS[kind] !== undefined);
  }

  start(): void {
    if (this.#kinds.length > 0) this.#next();
    const { coverage, network, plan } = this.world;
    network.onFault = (kind) => coverage.add(`fault ${kind}`);
    network.onQueuedLong = () => coverage.add("packets queued for long");
    network.onMinuteOld = () => coverage.add("packets more than a minute old");
    for (const kind of OF_WHOLE_RUNS) if (plan.kinds.has(kind)) coverage.add(`fault ${kind}`);
    this.#startAtClients();
    const { failpointRate, kinds } = this.world.plan;
    // Drawn apart, so that what else a seed draws stays as it is.
    const races = this.rng.fork("snapshot races");
    if (kinds.has("M2-snapshot-races") && races.chance(RACES_RATE)) {
      this.world.onSnapshotFile = (replica) => {
        if (this.#isOver || replica.isServing || !races.chance(HELD_UP_RATE)) return;
        this.after(0, () => holdUpSnapshot(this, races, replica));
      };
    }
    const local = [...kinds].filter((kind) => AT_A_MOMENT[kind] !== undefined);
    if (local.length === 0 || failpointRate === 0) return;
    this.world.onMoment = (replica, moment) => {
      if (this.#isOver || !this.rng.chance(failpointRate * (RATE_FACTORS[moment] ?? 1))) return;
      const kind = pick(this.rng, local);
      if ((ONLY_AT[kind] ?? moment) !== moment) return;
      // Before its first write is done, as often as a little later.
      const withinMs = this.rng.chance(0.5) ? 0.3 : 3;
      this.after((withinMs * this.rng.below(1_000)) / 1_000, () => {
        if (!replica.isUp) return;
        this.world.chart?.(
          `---- fault ${kind} at ${this.world.time.now.toFixed(1)}, on ${moment} of r${replica.id}`,
        );
        if (AT_A_MOMENT[kind]?.(this, replica) !== false) this.happened(kind);
      });
    };
  }

  /** What hurts a client most: to lose an answer, and to be gone while it holds a lock. */
  #startAtClients(): void {
    const { rng, world } = this;
    const { kinds } = world.plan;
    if (kinds.has("N5-reset")) {
      world.lane.losesReply = (from) => {
        if (this.#isOver || !rng.chance(LOST_REPLY_RATE)) return false;
        this.happened("N5-reset");
        world.coverage.add("answers lost");
        // Whoever answers the repetition has not seen the request, if its log has not.
        if (kinds.has("C1-crash") && rng.chance(LOSERS_CRASH_RATE)) {
          this.after(0, () => crashOne(this, from, "killed"));
        }
        return true;
      };
    }
    const ends = (["C2-client-crash", "C2-client-pause"] as const).filter((kind) =>
      kinds.has(kind),
    );
    if (ends.length === 0) return;
    world.onHeld = (client) => {
      if (this.#isOver || !rng.chance(HOLDER_GONE_RATE)) return;
      this.after(0, () => {
        if (client.isDead) return;
        const end = pick(rng, ends);
        this.happened(end);
        world.coverage.add("holders of locks gone");
        if (end === "C2-client-crash") crashClient(this, client);
        else client.clock.pause(HOLDERS_PAUSE_MS);
      });
    };
  }

  happened(kind: FaultKind): void {
    this.#happened += 1;
    this.world.coverage.add(`fault ${kind}`);
  }

  /** No new ones; what is under way ends by itself. */
  end(): void {
    this.#isOver = true;
  }

  /** Those injected here, and packets that were lost, doubled, spoiled or came again. */
  get total(): number {
    return this.#happened + this.world.network.faults;
  }

  get replicas(): readonly ReplicaProcess[] {
    return this.world.replicas.filter((each) => each.isUp);
  }

  /** For what a fault does or undoes later: nothing once the faults are over and all is healed. */
  after(ms: number, run: () => void): void {
    this.world.time.after(ms, () => {
      if (!this.#isOver) run();
    });
  }

  /** For what supervisors do, who go on when the faults are over. */
  always(ms: number, run: () => void): void {
    this.world.time.after(ms, run);
  }

  /** Brings it back after a while, unless its directory is lost. */
  restartLater(replica: ReplicaProcess, ms: number): void {
    this.always(ms, () => {
      if (replica.isUp || replica.isLost || replica.staysDown) return;
      if (!this.#isOver) this.#spoilRecovery(replica);
      replica.start();
      if (!replica.isUp && !replica.isLost) this.restartLater(replica, ms);
    });
  }

  /** Up to two recoveries come to nothing before the one that counts. */
  #spoilRecovery(replica: ReplicaProcess): void {
    const { coverage, plan } = this.world;
    if (plan.kinds.has("C1-crash-in-recovery") && this.rng.chance(0.4)) {
      const wasCut = replica.crashInRecovery(this.rng.below(40));
      if (wasCut) coverage.add("fault C1-crash-in-recovery");
    }
    if (plan.kinds.has("D5-io-error") && this.rng.chance(0.2)) {
      const changes = this.rng.below(CHANGES_OF_RECOVERY);
      const hasFailed = replica.failInRecovery(changes, pick(this.rng, WRITE_ERRORS));
      if (!hasFailed) return;
      coverage.add("recoveries failed");
      // What such a disk shows is in memory only: it matters if its machine goes soon after.
      if (!this.rng.chance(0.5)) return;
      this.after(this.rng.below(400), () => {
        if (replica.isUp) crashOne(this, replica, "torn");
      });
    }
  }

  /** A replica whose disk may be damaged: fewer than half of them ever are. */
  suspect(among = this.world.replicas): ReplicaProcess | undefined {
    const { world, rng } = this;
    const { suspects } = world;
    // Before all have met once, a lost directory is a cell that was never formed.
    if (world.reference.clientEpoch === 0) return undefined;
    const mayAdd = suspects.size < Math.floor((world.plan.replicas - 1) / 2);
    const eligible = among.filter((each) => !each.isLost && (suspects.has(each.id) || mayAdd));
    if (eligible.length === 0) return undefined;
    const chosen = pick(rng, eligible);
    suspects.add(chosen.id);
    return chosen;
  }

  #next(): void {
    const { rng, world } = this;
    this.after(drawExponential(rng, world.plan.faultEveryMs), () => {
      if (this.#isOver) return;
      const kind = pick(rng, this.#kinds);
      world.chart?.(`---- fault ${kind} at ${world.time.now.toFixed(1)}`);
      if (INJECTORS[kind]?.(this)) this.happened(kind);
      this.#next();
    });
  }
}

/** Kinds that are rates of the network or habits of clients have no injector. */
const INJECTORS: Partial<Record<FaultKind, Inject>> = {
  "N2-partition": partition,
  "N3-one-way": oneWay,
  "N3-flapping": flapping,
  "N4-partial": partial,
  "N5-clog": clog,
  "N5-slow-link": slowLink,
  "N5-reset": reset,
  "C1-crash": (faults) => crash(faults, "killed"),
  "D1-power-loss": (faults) => crash(faults, "power loss"),
  "D2-torn-write": (faults) => crash(faults, "torn"),
  "C2-pause": (faults) => pauseReplica(faults, [10, 200, 1_000, 5_000, 20_000, 90_000]),
  "C3-blocked-loop": (faults) => pauseReplica(faults, [60, 260, 700]),
  "C2-client-pause": pauseClient,
  "C2-client-crash": crashSomeClient,
  "D3-bit-rot": bitRot,
  "D4-stale-sector": staleSector,
  "D5-io-error": ioError,
  "D5-slow-disk": slowDisk,
  "D6-lost-directory": loseDirectory,
  "T1-wall-step": wallStep,
  "M1-hand-over": handOver,
  "T2-suspend": suspend,
};

/** What a run has or has not, from its beginning to its end. */
const OF_WHOLE_RUNS: readonly FaultKind[] = [
  "N1-reordering",
  "T1-drift",
  "T3-late-timers",
  "M2-snapshot-races",
  "U1-session-churn",
  "U3-convoy",
];

/** Some moments come many times a second, and others once in many seconds. */
const RATE_FACTORS: Partial<Record<Moment, number>> = {
  leaseRequest: 0.1,
  adopted: 3,
  synchronised: 3,
  expiryDecided: 6,
  snapshotInstalled: 6,
};

const ONLY_AT: Partial<Record<FaultKind, Moment>> = {
  "C2-client-pause": "expiryDecided",
  "D3-bit-rot": "snapshotInstalled",
};

const LOST_REPLY_RATE = 0.03;
const LOSERS_CRASH_RATE = 0.1;
const HOLDER_GONE_RATE = 0.1;
/** Of runs with races of snapshots, and of the snapshots in these. */
const RACES_RATE = 0.4;
const HELD_UP_RATE = 0.1;
/** Longer than any lease that is drawn, and its delay. */
const HOLDERS_PAUSE_MS = 20_000;

/** False when nothing came of it that is a fault. */
type AtAMoment = (faults: Faults, replica: ReplicaProcess) => unknown;

/** What can befall a replica at a moment that matters, as failpoints in its code would have it. */
const AT_A_MOMENT: Partial<Record<FaultKind, AtAMoment>> = {
  "C1-crash": (faults, replica) => crashOne(faults, replica, "killed"),
  "D1-power-loss": (faults, replica) => crashOne(faults, replica, "power loss"),
  "D2-torn-write": (faults, replica) => crashOne(faults, replica, "torn"),
  "C2-pause": (faults, replica) => replica.clock.pause(pick(faults.rng, [50, 900, 3_000])),
  "T2-suspend": (faults, replica) => replica.clock.suspend(pick(faults.rng, [400, 2_000])),
  "N2-partition": (faults, replica) => cutOffOrBack(faults, replica),
  "D5-slow-disk": (faults, replica) => slowDown(faults, replica),
  "D3-bit-rot": (faults, replica) => rotInstalledSnapshot(faults, replica),
  "N1-old-packets": (faults, replica) => {
    faults.world.network.replay(replica.id);
    return false; // The network counts it.
  },
  // A client that is heard of again just when it has been given up.
  "C2-client-pause": (faults) => {
    for (const client of faults.world.clients) client.resume();
    return false; // Its pause was one.
  },
};

/** Half of the time the master: what befalls others matters less. */
function someReplica(faults: Faults): ReplicaProcess | undefined {
  const up = faults.replicas;
  if (up.length === 0) return undefined;
  const master = up.find((each) => each.isServing);
  return master !== undefined && faults.rng.chance(0.5) ? master : pick(faults.rng, up);
}

/** A crash while a write is under way is ten times as likely as another. */
function crash(faults: Faults, how: "killed" | "power loss" | "torn"): boolean {
  const weighted = faults.replicas.flatMap((each) =>
    new Array<ReplicaProcess>(each.pendingWrites > 0 ? 10 : 1).fill(each),
  );
  if (weighted.length === 0) return false;
  const { rng } = faults;
  if (rng.chance(0.08)) return coup(faults, how);
  const first = rng.chance(0.3)
    ? (someReplica(faults) ?? pick(rng, weighted))
    : pick(rng, weighted);
  // Now and then the whole room goes dark.
  const victims = rng.chance(0.12) ? faults.replicas : [first];
  for (const victim of victims) crashOne(faults, victim, how);
  return true;
}

/** All but the master start over and are back at once, and the master is cut off from them. */
function coup(faults: Faults, how: "killed" | "power loss" | "torn"): boolean {
  const master = faults.world.master();
  if (master === undefined || faults.replicas.length < 2) return false;
  isolate(faults, master);
  for (const victim of faults.replicas) if (victim !== master) crashOne(faults, victim, how, 20);
  return true;
}

function crashOne(
  faults: Faults,
  victim: ReplicaProcess,
  how: "killed" | "power loss" | "torn",
  backAfterMs = pick(faults.rng, [20, 300, 1_500, 6_000]),
): void {
  faults.world.crash(victim, how);
  faults.world.coverage.add("crashes");
  faults.restartLater(victim, backAfterMs);
}

function pauseReplica(faults: Faults, lengths: readonly number[]): boolean {
  const replica = someReplica(faults);
  if (replica === undefined) return false;
  replica.clock.pause(pick(faults.rng, lengths));
  faults.world.coverage.add("pauses");
  return true;
}

function someClient(faults: Faults): ClientProcess | undefined {
  const alive = faults.world.clients.filter((each) => !each.isDead);
  return alive.length === 0 ? undefined : pick(faults.rng, alive);
}

function pauseClient(faults: Faults): boolean {
  const client = someClient(faults);
  client?.clock.pause(pick(faults.rng, [50, 1_000, 5_000, 20_000, 90_000]));
  return client !== undefined;
}

function crashSomeClient(faults: Faults): boolean {
  const client = someClient(faults);
  if (client !== undefined) crashClient(faults, client);
  return client !== undefined;
}

function crashClient(faults: Faults, client: ClientProcess): void {
  faults.world.lane.onClientDied(client, faults.rng.chance(0.5));
  client.die();
  faults.always(faults.rng.between(100, 4_000), () => faults.respawn(client));
}

/** T2: the clock of the machine stands still as well. */
function suspend(faults: Faults): boolean {
  const ms = pick(faults.rng, [100, 800, 4_000, 15_000]);
  const process = faults.rng.chance(0.5) ? someClient(faults) : someReplica(faults);
  if (process === undefined) return false;
  process.clock.suspend(ms);
  faults.world.coverage.add("suspends");
  return true;
}

/** T1: no core reads the wall clock; a step is taken for a suspend, which may only void leases. */
function wallStep(faults: Faults): boolean {
  const replica = someReplica(faults);
  replica?.input({ kind: "suspended" });
  return replica !== undefined;
}

// Links

type Ends = readonly (readonly [number, number])[];

function cutFor(faults: Faults, links: Ends, ms: number): void {
  faults.after(ms, faults.world.network.cutAll(links));
}

function partitionMs(rng: Rng): number {
  return pick(rng, [100, 700, 3_000, 10_000]);
}

/** Clients stand with one side or see both. */
function partition(faults: Faults): boolean {
  const { rng, world } = faults;
  const ids = world.replicas.map(({ id }) => id);
  if (ids.length < 2) return false;
  const how = rng.below(3);
  const inside = new Set<number>();
  if (how === 0) inside.add(someReplica(faults)?.id ?? pick(rng, ids));
  else for (const id of ids) if (rng.chance(0.5)) inside.add(id);
  const links: [number, number][] = [];
  const ends = [...ids, ...world.clients.filter(() => rng.chance(0.3)).map(({ id }) => -id)];
  for (const end of ends) if (end < 0 && rng.chance(0.5)) inside.add(end);
  for (const a of ends) {
    for (const b of ends) {
      if (a !== b && (a > 0 || b > 0) && inside.has(a) !== inside.has(b)) links.push([a, b]);
    }
  }
  cutFor(faults, links, partitionMs(rng));
  return links.length > 0;
}

/** Cut off, or what was cut off is back; and then perhaps this one goes in its place. */
function cutOffOrBack(faults: Faults, replica: ReplicaProcess): boolean {
  if (faults.rng.chance(0.5)) {
    isolate(faults, replica);
    return true;
  }
  faults.world.network.healCuts();
  if (!faults.world.plan.kinds.has("C1-crash")) return false;
  crashOne(faults, replica, "killed");
  return true;
}

/** From all other replicas; clients see it still. */
function isolate(faults: Faults, { id }: ReplicaProcess): void {
  cutFor(faults, linksOf(id, faults.world.plan.replicas), partitionMs(faults.rng));
}

function someLink(faults: Faults): [number, number] | undefined {
  const { rng, world } = faults;
  const ids = world.replicas.map(({ id }) => id);
  if (ids.length < 2) return undefined;
  const from = pick(rng, ids);
  const to = pick(
    rng,
    ids.filter((id) => id !== from),
  );
  return [from, to];
}

function oneWay(faults: Faults): boolean {
  const { rng, world } = faults;
  const ids = world.replicas.map(({ id }) => id);
  if (ids.length < 2) return false;
  const links: [number, number][] = [];
  const client = rng.chance(0.2) ? someClient(faults) : undefined;
  if (client !== undefined) {
    const isDeaf = rng.chance(0.5);
    for (const id of ids) links.push(isDeaf ? [id, -client.id] : [-client.id, id]);
    cutFor(faults, links, partitionMs(rng));
    return true;
  }
  const deaf = pick(rng, ids);
  const isWhole = rng.chance(0.5);
  for (const other of ids) {
    if (other === deaf || !(isWhole || rng.chance(0.4))) continue;
    links.push(rng.chance(0.5) || isWhole ? [other, deaf] : [deaf, other]);
  }
  cutFor(faults, links, partitionMs(rng));
  return links.length > 0;
}

function flapping(faults: Faults): boolean {
  const link = someLink(faults);
  if (link === undefined) return false;
  const [a, b] = link;
  const times = faults.rng.between(3, 12);
  const periodMs = pick(faults.rng, [40, 150, 500]);
  for (let i = 0; i < times; i += 1) {
    faults.after(i * 2 * periodMs, () => {
      cutFor(
        faults,
        [
          [a, b],
          [b, a],
        ],
        periodMs,
      );
    });
  }
  return true;
}

function partial(faults: Faults): boolean {
  const { rng, world } = faults;
  const { replicas } = world.plan;
  const links = drawTopology(rng, replicas, world.master()?.id);
  if (links === undefined) return false;
  const behindMs = pick(rng, [0, 0, 100, 700, 2_000]);
  if (behindMs > 0) {
    cutFor(faults, linksOf(hubOf(links, replicas), replicas), behindMs);
    world.coverage.add("fault N4-hub-behind");
  }
  faults.after(behindMs, () => cutFor(faults, missingLinks(replicas, links), partitionMs(rng)));
  return true;
}

function clog(faults: Faults): boolean {
  const { rng, world } = faults;
  const ids = world.replicas.map(({ id }) => id);
  const ends = [...ids, ...world.clients.map(({ id }) => -id)];
  const from = pick(rng, ends);
  let clogged = 0;
  // Swizzle: links of one end stop one after the other, and go on in another order.
  for (const to of ids) {
    if (to === from || !rng.chance(0.6)) continue;
    clogged += 1;
    const ms = rng.between(50, 3_000);
    faults.after(rng.below(300), () => world.network.clog(from, to, ms));
  }
  return clogged > 0;
}

/** One link between replicas, all into one of them, what a client hears, or links with little room. */
function slowLink(faults: Faults): boolean {
  const { rng, world } = faults;
  const { network } = world;
  const link = someLink(faults);
  const how = rng.below(4);
  const links: [number, number][] = [];
  if (how === 3) links.push(...linksOf(someReplica(faults)?.id ?? 1, world.plan.replicas));
  else if (how === 0) {
    const to = someReplica(faults)?.id;
    if (to !== undefined)
      links.push(...linksOf(to, world.plan.replicas).filter(([, b]) => b === to));
  } else if (how === 1) {
    const client = someClient(faults);
    for (const { id } of world.replicas) if (client !== undefined) links.push([id, -client.id]);
  } else if (link !== undefined) links.push(link);
  const extraMs = pick(rng, [5, 60, 200, 600]);
  const capacity = how === 3 ? rng.between(1, 20) : undefined;
  for (const [from, to] of links) network.slow(from, to, extraMs, capacity);
  faults.after(partitionMs(rng), () => {
    for (const [from, to] of links) network.slow(from, to, 0);
  });
  return links.length > 0;
}

function reset(faults: Faults): boolean {
  const { open } = faults.world.lane;
  if (open.length === 0) return false;
  faults.world.lane.breakOff(pick(faults.rng, open));
  return true;
}

// Disks

function someFile(faults: Faults, replica: ReplicaProcess): string | undefined {
  const names = replica.disk.names().filter((name) => replica.disk.content(name).length > 0);
  return names.length === 0 ? undefined : pick(faults.rng, names);
}

const ROT_TRIES_MAX = 200;

function bitRot(faults: Faults): boolean {
  const replica = faults.suspect();
  if (replica === undefined) return false;
  const name = someFile(faults, replica);
  if (name === undefined) return false;
  if (snapshotSlotOf(name) !== undefined && faults.rng.chance(0.3)) {
    loseSnapshot(faults, replica, name);
    return true;
  }
  rotOneBit(replica, name, faults.rng);
  rebootSoon(faults, replica);
  return true;
}

/** The whole file is gone, as when a file system was repaired; found by who starts next. */
function loseSnapshot(faults: Faults, replica: ReplicaProcess, name: string): void {
  if (replica.isUp) crashOne(faults, replica, "killed", 200);
  replica.disk.replace(name, undefined);
  replica.tampered.add(name);
  replica.hasLostSnapshot = true;
  faults.world.coverage.add("fault D3-snapshot-gone");
}

export function rotOneBit(replica: ReplicaProcess, name: string, rng: Rng): void {
  const content = replica.disk.content(name);
  if (content.length === 0) return;
  let at = rng.below(content.length);
  // Rot in zeros, which files are full of, is rarely seen.
  const tries = rng.chance(0.9) ? ROT_TRIES_MAX : 0;
  for (let i = 0; i < tries && content[at] === 0; i += 1) at = rng.below(content.length);
  content[at] = (content[at] ?? 0) ^ (1 << rng.below(8));
  replica.tampered.add(name);
}

/** Of one that stopped while a peer's snapshot became durable; later the file rots. */
function rotInstalledSnapshot(faults: Faults, replica: ReplicaProcess): boolean {
  if (faults.suspect([replica]) === undefined) return false;
  crashOne(faults, replica, "torn", 20);
  faults.after(faults.rng.between(50, 500), () => {
    const snapshots = replica.disk.names().filter((name) => snapshotSlotOf(name) !== undefined);
    const newest = snapshots.sort().at(-1);
    if (newest === undefined) return;
    rotOneBit(replica, newest, faults.rng);
    faults.happened("D3-bit-rot");
    rebootSoon(faults, replica);
  });
  return false; // It is counted when it happens.
}

/** Damage is found by who reads: the process that starts next. */
function rebootSoon(faults: Faults, replica: ReplicaProcess): void {
  if (!replica.isUp || !faults.rng.chance(0.7)) return;
  faults.world.crash(replica, "killed");
  faults.restartLater(replica, 200);
}

/**
 * D4: a sector holds again what it held before: a write was lost, or lies elsewhere. Never the
 * last write of a file: that it is gone no disk can tell, and `docs/guarantees.md` assumes that disks
 * keep what they confirmed. What was written behind it shows that something is missing.
 */
function staleSector(faults: Faults): boolean {
  const replica = faults.suspect();
  if (replica === undefined) return false;
  const { rng } = faults;
  const before = contentsOf(replica.disk);
  faults.after(rng.between(50, 1_000), () => {
    const between = contentsOf(replica.disk);
    faults.after(rng.between(50, 1_000), () => {
      // What a power loss would take away may not be what shows that something is missing.
      const kept = contentsOf(replica.disk.afterPowerLoss());
      const stale = replica.disk.names().flatMap((name) => {
        const [first, second, third] = [before.get(name), between.get(name), kept.get(name)];
        if (first === undefined || second === undefined || third === undefined) return [];
        const lost = writtenSectors(first, second);
        const later = writtenSectors(second, third);
        if (lost.length === 0 || (later.at(-1) ?? -1) <= (lost.at(-1) ?? 0)) return [];
        return [{ name, first, at: pick(rng, lost) }];
      });
      if (stale.length === 0) return;
      const { name, first, at } = pick(rng, stale);
      const content = replica.disk.content(name);
      if (rng.chance(0.5)) {
        const elsewhere = rng.below(Math.floor(content.length / SECTOR)) * SECTOR;
        content.copyWithin(elsewhere, at, at + SECTOR);
      }
      content.set(first.subarray(at, at + SECTOR), at);
      replica.tampered.add(name);
      replica.hasStaleSector = true;
      faults.happened("D4-stale-sector");
      rebootSoon(faults, replica);
    });
  });
  return false;
}

function contentsOf(disk: SimDisk): ReadonlyMap<string, Uint8Array> {
  return new Map(disk.names().map((name) => [name, disk.content(name).slice()]));
}

const SECTOR = 512;

/** A write leaves more than this many bytes of a sector changed: its stamp and its seal; rot, one. */
const ROT_BYTES_MAX = 3;

/** The sectors that were written to between two versions of a file, by offset. */
export function writtenSectors(before: Uint8Array, after: Uint8Array): readonly number[] {
  const written: number[] = [];
  for (let at = 0; at + SECTOR <= Math.min(before.length, after.length); at += SECTOR) {
    let changed = 0;
    for (let i = at; i < at + SECTOR && changed <= ROT_BYTES_MAX; i += 1) {
      if (after[i] !== before[i]) changed += 1;
    }
    if (changed > ROT_BYTES_MAX) written.push(at);
  }
  return written;
}

const WRITE_ERRORS = ["EIO", "ENOSPC", "ESHORT"];
/** How many changes to its disk a recovery makes, about. */
const CHANGES_OF_RECOVERY = 14;
const FAILING_OPERATIONS = [
  ...["write", "write", "write"],
  ...["create", "syncDirectory", "rename", "remove", "read"],
];

function ioError(faults: Faults): boolean {
  const kind = pick(faults.rng, FAILING_OPERATIONS);
  if (kind === "read") return unreadable(faults);
  const replica = someReplica(faults);
  if (replica === undefined) return false;
  const code = pick(faults.rng, WRITE_ERRORS);
  replica.failsNext = { kind, code };
  return true;
}

/** Only who starts reads. What cannot be read is damage, so this befalls those that may have some. */
function unreadable(faults: Faults): boolean {
  const replica = faults.suspect();
  if (replica === undefined) return false;
  if (replica.isUp) crashOne(faults, replica, "killed", 200);
  replica.failsNext = { kind: "read", code: "EIO" };
  return true;
}

function slowDisk(faults: Faults): boolean {
  const replica = someReplica(faults);
  if (replica !== undefined) slowDown(faults, replica);
  return replica !== undefined;
}

function slowDown(faults: Faults, replica: ReplicaProcess): void {
  replica.diskMs = pick(faults.rng, [5, 40, 300, 2_500]);
  // A journal that is behind while snapshots are quick makes these durable before what they rest on.
  replica.slowFiles = faults.rng.chance(0.3) ? "segment-" : "";
  faults.after(pick(faults.rng, [500, 3_000, 8_000]), () => {
    replica.diskMs = undefined;
  });
}

/** M2: its snapshot takes long to write, and it is behind by then, so that a peer has another one for it. */
function holdUpSnapshot(faults: Faults, rng: Rng, replica: ReplicaProcess): void {
  if (!replica.isUp) return;
  replica.diskMs = pick(rng, [600, 2_500]);
  replica.slowFiles = "snapshot-";
  faults.after(10_000, () => {
    replica.diskMs = undefined;
  });
  cutFor(faults, linksOf(replica.id, faults.world.plan.replicas), pick(rng, [700, 3_000]));
  faults.world.coverage.add("snapshots held up");
}

/** M1, as far as there is any: the master is asked to let another one lead. */
function handOver(faults: Faults): boolean {
  const replica = someReplica(faults);
  replica?.input({ kind: "handOver" });
  return replica !== undefined;
}

/** D6: started on another's directory, a replica refuses it and leaves it as it is. */
function mountAnother(faults: Faults): boolean {
  const { rng, world } = faults;
  const replica = someReplica(faults);
  const others = world.replicas.filter((each) => each !== replica && !each.isLost);
  if (replica === undefined || others.length === 0) return false;
  crashOne(faults, replica, "killed", 200);
  const other = pick(rng, others);
  const mounted = other.disk.copy();
  const result = replica.recoverFrom(mounted);
  // What is damaged or was wiped may be refused for that.
  if (world.suspects.has(other.id) && result.kind === "damaged") return true;
  const isUntouched = mounted
    .names()
    .every((name) => equalBytes(mounted.content(name), other.disk.content(name)));
  if (result.kind !== "mismatch" || !isUntouched) {
    const detail = `replica ${replica.id} finds ${result.kind} in the directory of ${other.id}`;
    throw new Violation(24, "foreign-directory-refused", detail);
  }
  world.coverage.add("foreign directories refused");
  return true;
}

function loseDirectory(faults: Faults): boolean {
  if (faults.rng.chance(0.3)) return mountAnother(faults);
  const replica = faults.suspect();
  if (replica === undefined) return false;
  if (replica.isUp) faults.world.crash(replica, "power loss");
  replica.wipe();
  faults.restartLater(replica, 500);
  return true;
}
