import type { Rng } from "@cubby/base";
import type { SessionMachine } from "@cubby/client/core";
import type { LockMode } from "@cubby/protocol";
import { WaitChecker } from "./check-waiting.ts";
import type { ClientProcess } from "./client-process.ts";
import { hasThinLinks, isStretched, type Plan, pick, QUIET_PLAN } from "./plan.ts";
import type { ReplicaProcess } from "./replica-process.ts";
import { drawTopology, hubOf, linksOf, missingLinks, quorumOf, reach } from "./topology.ts";
import { Violation } from "./violation.ts";
import type { World } from "./world.ts";

/** 22: the claim is four election timeouts; leases, restart waits and slow links come on top. */
const MASTER_WITHIN_MS = 15_000;
/** The same where a leader that is behind learns what it lacks entry by entry. */
const PIECEMEAL_WITHIN_MS = 60_000;
const PIECEMEAL_BYTES = 1_000;
/** 23: every client gets answers again, whatever state the faults left it in. */
const CLIENTS_WITHIN_MS = 120_000;
/** 18: lease, drift and one more full lease for the last fail-over. */
const DEAD_SESSIONS_WITHIN_MS = 60_000;
/** The same where every session may have been granted the longest lease. */
const STRETCHED_WITHIN_MS = 200_000;
/** 20: a new master times a delay anew, and tries again when its command is lost. */
const DELAY_SLACK_MS = 20_000;
/** Under the full load, as far as events allow, and then a calm one: what is left time brings. */
const SERVED_LOADED_EVENTS = 3_000;
const WATCH_LOADED_MS = 4_000;
const WATCH_LOADED_EVENTS = 3_000;
const WATCH_CALM_MS = 7_000;
/** Of the calm, the end: nobody is elected in it. */
const CALM_ALONE_MS = 4_000;
/** The load, for a cell so quiet that its run would not count. */
const WATCH_LOADED_MS_MAX = 60_000;
/** Until a client has left a deposed master that is cut off from the others and not from it. */
const SETTLED_WITHIN_MS = 4_000;
/** How long scripts think then, about. */
const CALM_THINK_MS = 1_000;
const LOOK_MS = 10;
/** The same where a look is at every session there is. */
const LOOK_AT_ALL_MS = 100;
/** Longer than any run. */
const HANGS_MS = 1e9;
/** Of replicas that the core must do without, those that are neither there nor gone. */
const UNSTEADY_RATE = 0.5;
/** Shorter than an election timeout, as long, and as long as a master's lease. */
const FLAP_PERIODS_MS = [40, 150, 500, 2_000];
/** 22: changes of leader while nothing is wrong, and the load is full. One may be on its way. */
const ELECTIONS_MAX = 3;
/** Two, and one that is being written. */
const SNAPSHOTS_MAX = 3;
const JOURNAL_BYTES_MAX = 768 << 10;
/** So much more where commands are long: few fit a segment, and those that wait are in each checkpoint. */
const BULKY_FACTOR = 4;
/** And where segments are. */
const LONG_SEGMENTS_FACTOR = 2;
/** 23: of all processes together; a cell under the heaviest load that is drawn stays far below. */
const EVENTS_PER_MS_MAX = 40;

/**
 * The faults are over, or have become permanent: a core of replicas is healed and demanded life of
 * (22 to 24). The rest stays as it is, for good. Goes on until the run has had so many events.
 */
export function awaitLiveness(world: World, rng: Rng, coreEventsMin: number): void {
  const core = healCore(world, rng);
  const began = world.time.now;
  const eventsBefore = world.coreEvents;
  const isPiecemeal = world.plan.snapshotPartBytes < PIECEMEAL_BYTES;
  world.isCatchingUp = isPiecemeal;
  const masterWithinMs = isPiecemeal ? PIECEMEAL_WITHIN_MS : MASTER_WITHIN_MS;
  demand(world, masterWithinMs, 22, "a-master", () => world.master() !== undefined, core);
  const answered = new Map(world.clients.map((client) => [client, answeredBy(world, client.id)]));
  // Each of a client's sessions: the others must not hide one that is stuck.
  const unserved = new Set(
    world.clients.flatMap((client) => (client.isDead ? [] : client.everySession)),
  );
  const areServed = (): boolean => {
    // Some wait for a lock until the lease of its dead holder is over, which may be a minute.
    if (world.coreEvents >= eventsBefore + SERVED_LOADED_EVENTS) calmDown(world);
    const hasAnswers = (client: ClientProcess): boolean =>
      client.isDead || answeredBy(world, client.id) >= (answered.get(client) ?? 0) + 3;
    return haveMaster(unserved) && world.clients.every(hasAnswers);
  };
  demand(world, CLIENTS_WITHIN_MS, 23, "clients-served", areServed, core);
  const caughtUp = appliedOf(world.master());
  demand(
    world,
    CLIENTS_WITHIN_MS,
    23,
    "replicas-catch-up",
    () => haveAll(world, core, caughtUp),
    core,
  );
  world.isCatchingUp = false;
  const watched = appliedOf(world.master());
  watch(world, coreEventsMin, began);
  demand(
    world,
    CLIENTS_WITHIN_MS,
    23,
    "replicas-keep-up",
    () => haveAll(world, core, watched),
    core,
  );
  // Who learns no more takes no snapshot either, and may have been slow to write its last one.
  for (const each of reached(world, core) ?? []) checkSizes(each, journalBytesMax(world.plan));
  const delaysEnd = (): boolean => world.cellChecker.delaysOverdue(DELAY_SLACK_MS).length === 0;
  demand(world, DELAY_SLACK_MS, 20, "lock-delays-end", delaysEnd, core);
  // Nothing but time is waited for.
  world.calm *= 10;
  const noneLeft = (): boolean => deadSessions(world).length === 0;
  const withinMs = isStretched(world.plan) ? STRETCHED_WITHIN_MS : DEAD_SESSIONS_WITHIN_MS;
  demand(world, withinMs, 18, "no-immortal-session", noneLeft, core, LOOK_AT_ALL_MS);
  const perMs = (world.coreEvents - eventsBefore) / Math.max(1_000, world.time.now - began);
  if (perMs > EVENTS_PER_MS_MAX) {
    throw new Violation(23, "no-storm", `${perMs.toFixed(1)} events a ms after the faults`);
  }
  demand(world, masterWithinMs, 22, "a-master", () => world.master() !== undefined, core);
  // Entry by entry over slow links even a leaf that is well takes longer than the watch.
  const end = world.time.now + (isPiecemeal ? PIECEMEAL_WITHIN_MS : 0);
  while (whoIsBehind(world, watched) !== undefined && world.time.now < end) {
    world.time.runTo(world.time.now + LOOK_AT_ALL_MS);
  }
  checkAllCaughtUp(world, watched);
}

function calmDown(world: World): void {
  world.calm = CALM_THINK_MS / world.plan.thinkMs;
}

/** Forgets those that have a live lease, or are over. */
function haveMaster(unserved: Set<SessionMachine>): boolean {
  for (const session of unserved) {
    if (session.isOver || session.state === "safe") unserved.delete(session);
  }
  return unserved.size === 0;
}

function answeredBy(world: World, client: number): number {
  return world.clientChecker.answeredBy(client);
}

/** Replicas that may be relied on from here on, and whom the master must reach. */
function healCore(world: World, rng: Rng): readonly ReplicaProcess[] {
  const { plan, network } = world;
  network.healAll();
  for (const client of world.clients) client.resume();
  for (const replica of world.replicas) {
    if (replica.isLost) continue;
    replica.diskMs = undefined;
    replica.slowFiles = "";
    replica.failsNext = undefined;
    replica.resume();
    if (!replica.isUp) replica.start();
  }
  world.onHealed();
  // A wiped directory is refused as soon as somebody hears of it.
  const core = world.replicas.filter((each) => !each.isLost && !each.isWiped);
  const quorum = quorumOf(plan.replicas);
  if (core.length < quorum) {
    const detail = `${core.length} replicas are left of ${plan.replicas}`;
    throw new Violation(24, "recovers-alone", detail);
  }
  // A cell whose replicas have not all met once waits for the last of them, as it must.
  if (world.reference.clientEpoch === 0) return core;
  const spare = core.length - quorum;
  if (spare > 0 && rng.chance(0.3)) {
    const gone = new Set(core.map((each) => each.id));
    while (gone.size > spare) gone.delete(pick(rng, [...gone]));
    for (const each of core) if (gone.has(each.id)) loseForGood(world, rng, each, gone);
    return core.filter((each) => !gone.has(each.id));
  }
  const isWhole = core.length === plan.replicas;
  const hangs = plan.kinds.has("D5-slow-disk") && core.length > quorum;
  if (isWhole && hangs && (!plan.kinds.has("N4-partial") || rng.chance(0.5))) {
    const hanging = hangDisk(world, core);
    return core.filter((each) => each !== hanging);
  }
  if (!isWhole || !plan.kinds.has("N4-partial")) return core;
  const links = drawTopology(rng, plan.replicas, world.master()?.id);
  const led = core.filter((each) => reach(links ?? [], each.id) + 1 >= quorum);
  // Of seven in a chain nobody reaches a quorum.
  if (links === undefined || led.length === 0) return core;
  if (rng.chance(0.5)) {
    const { coverage, time } = world;
    const heal = network.cutAll(linksOf(hubOf(links, plan.replicas), plan.replicas));
    time.runTo(time.now + pick(rng, [100, 700, 2_000]));
    heal();
    coverage.add("fault N4-hub-behind");
  }
  network.cutAll(missingLinks(plan.replicas, links));
  world.coverage.add("topologies for good");
  // Who reaches a quorum may lead; whoever leads must bring those up to date whom it reaches.
  return led;
}

/** Of the others, a quorum is left: they must do without it, whether it is dead, deaf, dumb or unsteady. */
function loseForGood(
  world: World,
  rng: Rng,
  replica: ReplicaProcess,
  gone: ReadonlySet<number>,
): void {
  const { network, plan } = world;
  const { id } = replica;
  const how = pick(rng, ["down", "cut off", "deaf", "dumb"]);
  // Drawn apart, so that what else a seed draws stays as it is.
  const unsteady = rng.fork(`unsteady ${id}`);
  // Beside a master that stays. One of whom it is true lasts for as long as it happens to.
  const master = world.master();
  if (unsteady.chance(UNSTEADY_RATE) && master !== undefined && !gone.has(master.id)) {
    world.coverage.add("replicas unsteady for good");
    const loses = unsteady.chance(0.5);
    world.chart?.(`---- from now on r${id} ${loses ? "loses packets" : "comes and goes"}`);
    if (loses) network.lose(linksOf(id, plan.replicas), pick(unsteady, [0.1, 0.5]));
    else flapForGood(world, unsteady, replica);
    // An election may be on its way, and may be its own.
    replica.steady = () => {
      replica.steady = undefined;
      network.lose(linksOf(id, plan.replicas), 0);
    };
    return;
  }
  world.coverage.add("replicas lost for good");
  if (how === "down") {
    replica.staysDown = true;
    world.crash(replica, "killed", rng.chance(0.5));
    return;
  }
  const links = linksOf(id, plan.replicas);
  network.cutAll(
    links.filter(
      ([from, to]) => !(how === "deaf" && to !== id) && !(how === "dumb" && from !== id),
    ),
  );
}

/** N3: its links come and go, all at once or each by itself: the known way into a livelock. */
function flapForGood({ network, plan, time }: World, rng: Rng, replica: ReplicaProcess): void {
  const all = linksOf(replica.id, plan.replicas);
  const peers = all.flatMap(([from, to]) => (from === replica.id ? to : []));
  const isWhole = rng.chance(0.5);
  const groups = isWhole ? [all] : peers.map((peer) => all.filter((link) => link.includes(peer)));
  const periodMs = pick(rng, FLAP_PERIODS_MS);
  for (const links of groups) {
    const flap = (): void => {
      if (replica.steady === undefined) return;
      const heal = network.cutAll(links);
      time.after(periodMs, () => {
        heal();
        time.after(periodMs, flap);
      });
    };
    time.after(rng.below(2 * periodMs), flap);
  }
}

/** One disk answers no more, for good: that of the master, if there is one. */
function hangDisk(world: World, core: readonly ReplicaProcess[]): ReplicaProcess | undefined {
  const victim = world.master() ?? core[0];
  if (victim !== undefined) {
    victim.diskMs = HANGS_MS;
    world.coverage.add("disks hung for good");
  }
  return victim;
}

function demand(
  world: World,
  withinMs: number,
  invariant: number,
  rule: string,
  holds: () => boolean,
  core: readonly ReplicaProcess[],
  lookMs = LOOK_MS,
): void {
  const end = world.time.now + withinMs;
  let nextLook = 0;
  for (;;) {
    // Each look costs more than an event: not after every one.
    if (world.time.now >= nextLook) {
      if (holds()) return;
      nextLook = world.time.now + lookMs;
    }
    if (!world.time.step(end)) break;
  }
  if (holds()) return;
  const states = core.map(
    (each) => `${each.id}: ${JSON.stringify(each.replica?.facts(each.localNow()))}`,
  );
  const detail = `not within ${withinMs} ms of the faults' end\n${states.join("\n")}`;
  throw new Violation(invariant, rule, detail);
}

function appliedOf(replica: ReplicaProcess | undefined): number {
  return replica?.cell?.status(replica.localNow()).appliedIndex ?? -1;
}

/** Of the core, the master and whom it reaches; undefined where there is none. */
function reached(
  world: World,
  core: readonly ReplicaProcess[],
): readonly ReplicaProcess[] | undefined {
  const master = world.master();
  if (master === undefined) return undefined;
  // One that finds out only now that its directory is refused is none of them.
  return core.filter(
    (each) => !each.isLost && (each === master || !world.network.isCut(master.id, each.id)),
  );
}

/** 23 and 5: those whom the master reaches have applied what it had then. */
function haveAll(world: World, core: readonly ReplicaProcess[], target: number): boolean {
  const all = reached(world, core);
  return all?.every((each) => appliedOf(each) >= Math.max(0, target)) ?? false;
}

/** All is well, and must stay so for a while: the queues of locks move on, and nobody is deposed. */
function watch(world: World, coreEventsMin: number, healedAt: number): void {
  const { time, clientChecker, cellChecker, coverage } = world;
  const queues = new WaitChecker();
  const electedBefore = coverage.of("elections");
  let electedLoaded = electedBefore;
  let lapsedBefore = coverage.of("jeopardies");
  const modeOf = (path: string): LockMode | undefined => cellChecker.modeOf(path);
  // Who is refused for want of room has no place in a queue.
  const areQueued = world.plan.proposedBytesMax === QUIET_PLAN.proposedBytesMax;
  if (areQueued) {
    clientChecker.onGranted = (path, mode, begunAt) =>
      queues.onGranted(path, mode, begunAt, clientChecker.waiters);
  }
  // What a client was granted before may run out before it has found the present master.
  const settledAt =
    Math.max(healedAt, world.electedAt) + SETTLED_WITHIN_MS + 1.2 * world.plan.sessionLeaseMs;
  const began = time.now;
  const loadedEvents = world.coreEvents + WATCH_LOADED_EVENTS;
  const hasSeenEnough = (): boolean =>
    time.now >= began + WATCH_LOADED_MS_MAX ||
    (world.coreEvents >= coreEventsMin &&
      (world.coreEvents >= loadedEvents || time.now >= began + WATCH_LOADED_MS));
  let end = began + WATCH_LOADED_MS_MAX;
  let nextLook = 0;
  let isCalm = false;
  const done = (): number => world.log.newest + clientChecker.acknowledged;
  let doneBefore: number | undefined;
  world.calm = 1;
  do {
    if (time.now < nextLook) continue;
    nextLook = time.now + LOOK_MS;
    if (isCalm && doneBefore === undefined && time.now >= end - CALM_ALONE_MS) {
      doneBefore = done();
      world.pace.beginCalm();
    }
    // One that began under the load may end a little later.
    if (!isCalm || time.now < end - CALM_ALONE_MS) electedLoaded = coverage.of("elections");
    if (!isCalm || time.now < settledAt) lapsedBefore = coverage.of("jeopardies");
    if (!areQueued || world.master() === undefined) queues.pause();
    else queues.look(time.now, clientChecker, modeOf);
    if (isCalm || !hasSeenEnough()) continue;
    isCalm = true;
    calmDown(world);
    end = time.now + WATCH_CALM_MS;
  } while (time.step(end));
  clientChecker.onGranted = undefined;
  world.pace.endCalm(done() - (doneBefore ?? 0));
  const elections = coverage.of("elections") - electedBefore;
  const lapsed = coverage.of("jeopardies") - lapsedBefore;
  if (elections === 0 && lapsed > 0) {
    const detail = `${lapsed} leases of sessions ran out under one master and without a fault`;
    throw new Violation(23, "leases-kept-up", detail);
  }
  const electedCalm = coverage.of("elections") - electedLoaded;
  // A master whose disk hangs finds out by its next write, and that may come late in the calm.
  const hungDisks = world.replicas.filter(({ diskMs }) => diskMs !== undefined).length;
  if (elections > ELECTIONS_MAX || electedCalm > hungDisks) {
    const detail = `${elections} elections within ${Math.round(time.now - began)} ms without a fault, ${electedCalm} of them without a load`;
    throw new Violation(22, "a-lasting-master", detail);
  }
}

function journalBytesMax(plan: Plan): number {
  const bulkyFactor = hasThinLinks(plan) ? BULKY_FACTOR : 1;
  return JOURNAL_BYTES_MAX * bulkyFactor * (plan.hasOwnSettings ? LONG_SEGMENTS_FACTOR : 1);
}

/** 23: a journal and its snapshots are as long as what they must hold, and no longer. */
function checkSizes(replica: ReplicaProcess, bytesMax: number): void {
  const names = replica.disk.names();
  const snapshots = names.filter((name) => name.startsWith("snapshot-")).length;
  // Not what production says: it may have forgotten one.
  const segments = names.filter((name) => name.startsWith("segment-"));
  const bytes = segments.reduce((sum, name) => sum + replica.disk.content(name).length, 0);
  if (snapshots <= SNAPSHOTS_MAX && bytes <= bytesMax) return;
  const detail = `replica ${replica.id} keeps ${snapshots} snapshots and a journal of ${bytes} bytes`;
  throw new Violation(23, "bounded-disk", detail);
}

/** 23: those as well whom nobody waits for, such as the leaves of a star, if the master reaches them. */
export function checkAllCaughtUp(world: World, target: number): void {
  const detail = whoIsBehind(world, target);
  if (detail !== undefined) throw new Violation(23, "all-keep-up", detail);
}

function whoIsBehind(world: World, target: number): string | undefined {
  const master = world.master();
  if (master === undefined) return undefined;
  for (const replica of world.replicas) {
    const isReached = !world.network.isCut(master.id, replica.id);
    const isHeard = !world.network.isCut(replica.id, master.id);
    const isHung = replica.diskMs !== undefined;
    if (!replica.isUp || replica.isWiped || replica.steady !== undefined) continue;
    if (isHung || !isReached || !isHeard) continue;
    const applied = appliedOf(replica);
    if (applied >= target) continue;
    return `replica ${replica.id} has applied ${applied}, and replica ${master.id} had ${target} long ago`;
  }
  return undefined;
}

/** Sessions of clients that are gone. */
function deadSessions(world: World): readonly number[] {
  const alive = new Set<number>();
  for (const client of world.clients) {
    if (client.isDead) continue;
    for (const session of client.everySession) alive.add(session.sessionId);
  }
  return [...world.reference.sessions.keys()].filter((id) => !alive.has(id));
}
