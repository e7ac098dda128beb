import { monotonicMs } from "../process/monotonic.ts";
import { sleep } from "../process/sleep.ts";
import type { Evidence } from "./checks.ts";
import {
  ballots,
  type Scene,
  soleLeader,
  waitFor,
  waitForLeader,
  waitForReport,
  waitForWork,
} from "./scene.ts";
import { overlaps, whenLost } from "./timeline.ts";
import type { WorkerRecord } from "./worker-record.ts";

const WORK_MS = 5_000;
/** Long enough for a second leader to show itself. */
const SETTLE_MS = 500;

/** Three web servers stand for election; one is elected and does the background jobs. */
export async function actLeaderElected(scene: Scene): Promise<void> {
  const { stage, checks, tell } = scene;
  const master = await stage.cell.waitReady({ signal: scene.signal });
  const found = await ballots(scene);
  const ballot = found[`replica${master}`];
  checks.add("cell-formed", Object.keys(found).length === 5, `master ${master}`, "5 replicas up", {
    processIds: stage.processIds,
    ballots: found,
  });
  tell(
    `Five replicas have agreed: replica ${master} is master, by ballot ${ballot}.`,
    "A ballot wins when a quorum, three of five, promises to follow it. The master holds a lease of well under a second, renewed all the time: while it lasts no other can be master.",
  );
  await stage.startStore();
  await stage.startWorkers();
  const leader = await waitForLeader(scene);
  const workMs = await waitForWork(scene, WORK_MS);
  await sleep(SETTLE_MS, scene.signal);
  const leaders = stage.leaders.map(({ name }) => name);
  checks.add("leader-elected", leaders.length === 1, leaders, "exactly one of three", {
    processIds: stage.processIds,
    sequencers: { [leader.name]: leader.sequencer },
    generation: leader.generation,
    firstJobAfterMs: workMs,
  });
  tell(
    `${leader.name} holds the lock and leads, with sequencer generation ${leader.generation}.`,
    "All three asked for the exclusive lock of one file; one got it, two wait in line. It shows its sequencer with every job, and the job store checks it.",
  );
}

/** The leader dies without a word: its session must run out, then its lock-delay, then one leads. */
export async function actLeaderKilled(scene: Scene): Promise<void> {
  const { stage, tell } = scene;
  const dead = soleLeader(scene);
  const { name, pid, generation, sequencer } = dead;
  const killedAtMs = monotonicMs();
  await stage.killWorker(name);
  tell(
    `${name}, the leader, is killed (-9).`,
    "It cannot give its lock back. The cell keeps it for the dead session until its lease runs out, and then for the lock-delay: requests that the dead leader sent may still be on their way.",
  );
  const next = await waitForLeader(scene, generation);
  const [reign] = next.reigns.slice(-1);
  const leadsFromMs = reign?.fromMs ?? 0;
  const lost = await waitFor(scene, WORK_MS, "the lock is not seen to be lost", () =>
    whenLost(scene.watch.sightings, generation),
  );
  const evidence = {
    processIds: { [name]: pid, [next.name]: next.pid },
    sequencers: { [name]: sequencer, [next.name]: next.sequencer },
    monotonicMs: { heldAtMs: dead.heldAtMs, killedAtMs, ...lost, leadsFromMs },
  };
  const [leastMs, mostMs] = expiryBounds(scene.sessionLeaseMs);
  scene.checks.add(
    "waits-for-session-expiry",
    lost.notAfterMs - killedAtMs >= leastMs && lost.notBeforeMs - killedAtMs <= mostMs,
    lost.notAfterMs - killedAtMs,
    `${leastMs} to ${mostMs} ms from the kill to the expiry of its session`,
    { ...evidence, sessionLeaseMs: scene.sessionLeaseMs },
  );
  scene.checks.add(
    "waits-for-lock-delay",
    leadsFromMs - lost.notBeforeMs >= scene.lockDelayMs,
    leadsFromMs - lost.notBeforeMs,
    `>= ${scene.lockDelayMs} ms from the expiry to the next leader`,
    { ...evidence, lockDelayMs: scene.lockDelayMs },
  );
  await checkSuccession(scene, dead, generation, next);
  await stage.startWorker(name);
  tell(
    `${next.name} leads, ${Math.round(leadsFromMs - killedAtMs)} ms after the kill, with generation ${next.generation}.`,
    `First the session ran out, then the lock-delay of ${scene.lockDelayMs} ms. ${name} is started again and waits in line.`,
  );
}

/**
 * How long after its holder's death a session may end. A KeepAlive is answered after 7/12 of the
 * lease (SES-7), so a live holder has at least 5/12 of it left; the master counts 10 % more than it
 * granted. The slack is for the moment at which we see it.
 */
function expiryBounds(sessionLeaseMs: number): [leastMs: number, mostMs: number] {
  return [Math.floor((sessionLeaseMs * 5) / 12), Math.ceil(sessionLeaseMs * 1.1) + SETTLE_MS];
}

/** The leader stops, another takes over, and the old one goes on as if nothing had happened. */
export async function actLeaderPaused(scene: Scene): Promise<void> {
  const { stage, tell } = scene;
  const old = soleLeader(scene);
  const { name, pid, generation, sequencer } = old;
  const fromMs = monotonicMs();
  // In the middle of a job: what follows it, without a further thought, is the write.
  await waitForReport(
    scene,
    WORK_MS,
    `${name} does not work`,
    (report) => report.kind === "working" && report.pid === pid && report.atMs > fromMs,
  );
  stage.pauseWorker(name);
  const pausedAtMs = monotonicMs();
  tell(
    `${name}, the leader, is paused (SIGSTOP) in the middle of a job.`,
    "It cannot renew its session, nor notice that it does not. A long garbage collection or a suspended machine looks just like this.",
  );
  const next = await waitForLeader(scene, generation);
  const evidence = {
    processIds: { [name]: pid, [next.name]: next.pid },
    sequencers: { [name]: sequencer, [next.name]: next.sequencer },
  };
  await checkSuccession(scene, old, generation, next);
  await waitFor(scene, WORK_MS, "the job store does not see the new leader", async () => {
    const { greatestGeneration } = await stage.store.state();
    return greatestGeneration >= next.generation ? true : undefined;
  });
  tell(
    `${next.name} leads with generation ${next.generation}, and has done its first job.`,
    `${name} still believes in generation ${generation}: it has not run since.`,
  );
  await resume(scene, { name, pid, next: next.name, pausedAtMs, evidence });
}

type Paused = {
  readonly name: string;
  readonly pid: number;
  /** Who leads meanwhile. */
  readonly next: string;
  readonly pausedAtMs: number;
  readonly evidence: Evidence;
};

/** It writes as if nothing had happened, is refused, and steps down. */
async function resume(scene: Scene, paused: Paused): Promise<void> {
  const { stage, tell } = scene;
  const { name, pid, next, pausedAtMs, evidence } = paused;
  const resumedAtMs = monotonicMs();
  stage.resumeWorker(name);
  const write = await waitForReport(
    scene,
    WORK_MS,
    `${name} tries no write after its pause`,
    (report) =>
      (report.kind === "refused" || report.kind === "stored") &&
      report.pid === pid &&
      report.atMs > resumedAtMs,
  );
  const refusedByStore = (await stage.store.state()).refused;
  scene.checks.add(
    "stale-write-refused",
    write.kind === "refused" && refusedByStore > 0,
    write.kind === "refused" ? write.reason : "the job store accepted it",
    "refused by the job store, for its sequencer is stale",
    { ...evidence, monotonicMs: { pausedAtMs, resumedAtMs, writeAnsweredAtMs: write.atMs } },
  );
  tell(
    `${name} wakes up and writes: the job store ${write.kind === "refused" ? "refuses" : "ACCEPTS"} it.`,
    "The store keeps the greatest sequencer that it has seen on disk. It needs neither the cell nor a clock to see that this one is older.",
  );
  const steppedDown = await waitForReport(
    scene,
    WORK_MS,
    `${name} does not step down`,
    (report) => report.kind === "steppedDown" && report.pid === pid && report.atMs > resumedAtMs,
  ).catch(() => undefined);
  const leaders = stage.leaders.map((leader) => leader.name);
  // The next act counts lost sessions: this one's old session is to be behind us.
  await waitForReport(
    scene,
    WORK_MS,
    `${name} does not stand for election again`,
    (report) => report.kind === "waiting" && report.pid === pid && report.atMs > resumedAtMs,
  );
  scene.checks.add(
    "steps-down",
    steppedDown !== undefined && leaders.length === 1 && leaders[0] === next,
    steppedDown === undefined ? "it leads on" : steppedDown.atMs - resumedAtMs,
    "the old leader steps down, and only the new one leads",
    { ...evidence, leaders, monotonicMs: { resumedAtMs, steppedDownAtMs: steppedDown?.atMs } },
  );
}

/** Sabotage: a web server that leads without asking anybody. */
export async function actSecondLeader(scene: Scene): Promise<void> {
  const { stage, tell } = scene;
  const leader = soleLeader(scene);
  const usurper = stage.workers.find((worker) => worker !== leader)?.name ?? "";
  await stage.killWorker(usurper);
  await stage.startWorker(usurper, { usurp: true });
  await waitFor(scene, WORK_MS, "the usurper does not lead", () => {
    return stage.leaders.length > 1 ? true : undefined;
  });
  tell(`${usurper} leads too, without the lock.`, "This is sabotage: two lead at once.");
  await sleep(SETTLE_MS, scene.signal);
}

/** Exactly one leads after the old one, with a greater sequencer, and never both at once. */
async function checkSuccession(
  scene: Scene,
  old: WorkerRecord,
  oldGeneration: number,
  next: WorkerRecord,
): Promise<void> {
  await sleep(SETTLE_MS, scene.signal);
  const leaders = scene.stage.leaders.map(({ name }) => name);
  scene.checks.add("one-successor", leaders.length === 1, leaders, "exactly one leads", {
    processIds: { [next.name]: next.pid },
    overlaps: overlaps(scene.stage.reigns),
  });
  scene.checks.add(
    "greater-sequencer",
    next.generation > oldGeneration,
    next.generation,
    `greater than ${oldGeneration}, the generation of ${old.name}`,
    { sequencers: { [next.name]: next.sequencer } },
  );
}
