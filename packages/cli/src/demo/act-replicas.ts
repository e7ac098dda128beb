import { monotonicMs } from "../process/monotonic.ts";
import { sleep } from "../process/sleep.ts";
import { probeOutage } from "./outage.ts";
import { ballots, type Scene, soleLeader, waitFor, waitForLeader, waitForWork } from "./scene.ts";

/** From the death of replicas, or their return, to the next finished job. */
const WORK_BOUND_MS = 10_000;
const JEOPARDY_MS = 60_000;

/** The master dies: another takes over, and neither sessions nor the lock notice. */
export async function actMasterKilled(scene: Scene): Promise<void> {
  const { stage, checks, tell } = scene;
  const master = await stage.cell.waitReady({ signal: scene.signal });
  const before = await reignNow(scene);
  const ballotsBefore = await ballots(scene);
  const pid = stage.cell.pid(master);
  const killedAtMs = monotonicMs();
  await stage.cell.kill(master);
  tell(
    `Replica ${master}, the master, is killed (-9).`,
    "Four are left. Once its lease, well under a second, is over, they may promise their votes to another. Sessions and locks are in the log that they agreed on, so the new master knows them all.",
  );
  const next = await stage.cell.waitReady({ signal: scene.signal });
  const masterAgainMs = monotonicMs() - killedAtMs;
  await waitForWork(scene, WORK_BOUND_MS);
  const workedAgainMs = monotonicMs() - killedAtMs;
  const after = await reignNow(scene);
  const evidence = {
    processIds: { [`replica${master}`]: pid, [`replica${next}`]: stage.cell.pid(next) },
    ballots: {
      before: ballotsBefore[`replica${master}`] ?? "",
      after: (await ballots(scene))[`replica${next}`] ?? "",
    },
    monotonicMs: { killedAtMs },
    masterAgainMs,
  };
  checks.add(
    "lock-survives-master",
    after.leader === before.leader && after.generation === before.generation,
    `${after.leader}, generation ${after.generation}`,
    `${before.leader}, generation ${before.generation}, as before`,
    { ...evidence, sequencers: { before: before.sequencer, after: after.sequencer } },
  );
  const lost = scene.reports.filter(
    (report) => report.kind === "expired" && report.atMs > killedAtMs,
  );
  checks.add("sessions-survive-master", lost.length === 0, lost.length, "0 sessions lost", {
    ...evidence,
    sessionsAtMaster: { before: before.sessions, after: after.sessions },
    lost,
  });
  checks.add(
    "work-goes-on-without-master",
    workedAgainMs <= WORK_BOUND_MS,
    workedAgainMs,
    `a job done within ${WORK_BOUND_MS} ms of the kill`,
    evidence,
  );
  tell(
    `Replica ${next} is master; ${after.leader} still leads with generation ${after.generation}.`,
    `A job was done ${Math.round(workedAgainMs)} ms after the kill. The web servers saw a pause, no more.`,
  );
}

/** A second one dies: three of five are still a quorum. */
export async function actSecondKilled(scene: Scene): Promise<void> {
  const { stage, checks, tell } = scene;
  const { replica, pid } = await killFollower(scene);
  const killedAtMs = monotonicMs();
  await waitForWork(scene, WORK_BOUND_MS);
  const workedMs = monotonicMs() - killedAtMs;
  const path = `/ls/local/demo/with-three-replicas`;
  const node = await (await scene.session()).open(path, { write: true, create: true });
  const { contentGeneration } = await node.write(new Uint8Array([3]));
  await node.close();
  checks.add(
    "works-with-three",
    workedMs <= WORK_BOUND_MS && contentGeneration > 0,
    workedMs,
    `a job done within ${WORK_BOUND_MS} ms, and a write acknowledged`,
    {
      processIds: { [`replica${replica}`]: pid },
      ballots: await ballots(scene),
      monotonicMs: { killedAtMs },
      running: stage.cell.replicas.filter((each) => stage.cell.pid(each) !== undefined),
    },
  );
  tell(
    `Replica ${replica} is killed too. Work goes on.`,
    "Three of five are left, and three are a quorum: any other three would share a replica with them, so nothing that is agreed can be missed.",
  );
}

/** A third one dies: without a quorum nothing is granted, and nothing is made up. */
export async function actThirdKilled(scene: Scene): Promise<void> {
  const { checks, tell } = scene;
  const { replica, pid } = await killFollower(scene);
  const killedAtMs = monotonicMs();
  tell(
    `Replica ${replica} is killed, the third.`,
    "Two of five are no quorum. The master cannot renew its lease and stops serving; calls wait, then fail with an error that says what is known of their effect.",
  );
  const outage = await probeOutage(scene);
  checks.add(
    "fails-clearly-without-quorum",
    outage.unclear.length === 0 && outage.succeededLate === 0 && outage.errors.length > 0,
    outage.unclear.length > 0 ? outage.unclear : outage.codes,
    "every call waits or fails with a clear error",
    {
      processIds: { [`replica${replica}`]: pid },
      ballots: await ballots(scene),
      monotonicMs: { killedAtMs },
      outcomes: outage.outcomes,
      succeededLate: outage.succeededLate,
    },
  );
  checks.add("nothing-wrong-answered", outage.wrong.length === 0, outage.wrong, "no wrong answer", {
    rightAnswersWhileTheLeaseLasted: outage.right,
  });
  await checkLeaderHolds(scene);
}

/** The dead replicas come back: what was acknowledged is there, and work goes on. */
export async function actRestart(scene: Scene): Promise<void> {
  const { stage, tell } = scene;
  const startedAtMs = monotonicMs();
  await stage.cell.startAll();
  tell(
    "The dead replicas are started again.",
    "Each reads its journal back. It promises nothing before the longest lease that it may have granted is over.",
  );
  await stage.cell.waitReady({ signal: scene.signal });
  await checkData(scene, "acknowledged-data-is-there", startedAtMs);
  await checkWorkAgain(scene, "work-goes-on-after-restart", startedAtMs);
}

/** All five die at the same moment, and come back from their disks alone. */
export async function actAllKilled(scene: Scene): Promise<void> {
  const { stage, tell } = scene;
  await Promise.all(stage.cell.replicas.map((replica) => stage.cell.kill(replica)));
  tell(
    "All five replicas are killed (-9) at once, and started again.",
    "Nothing that was acknowledged was only in memory: it was on the disks of a quorum first.",
  );
  if (scene.sabotage === "durability") stage.rollBackDisks();
  const startedAtMs = monotonicMs();
  await stage.cell.startAll();
  await stage.cell.waitReady({ signal: scene.signal });
  await checkData(scene, "acknowledged-data-survives-all-five", startedAtMs);
  if (scene.sabotage === undefined) {
    await checkWorkAgain(scene, "work-goes-on-after-all-five", startedAtMs);
  }
}

async function killFollower(
  scene: Scene,
): Promise<{ readonly replica: number; readonly pid: number | undefined }> {
  const { cell } = scene.stage;
  const master = await cell.waitReady({ signal: scene.signal });
  const replica = cell.replicas.find((each) => each !== master && cell.state(each) === "running");
  if (replica === undefined) throw new Error("No replica but the master is left.");
  const pid = cell.pid(replica);
  await cell.kill(replica);
  return { replica, pid };
}

/** Who leads under which sequencer, and how many sessions the master knows. */
async function reignNow(scene: Scene): Promise<{
  readonly leader: string;
  readonly generation: number;
  readonly sequencer: string;
  readonly sessions: number;
}> {
  const { name, generation, sequencer } = soleLeader(scene);
  const master = await scene.stage.cell.master();
  return { leader: name, generation, sequencer, sessions: master?.status.sessions ?? 0 };
}

/** A leader whose lease has run out must hold its work, though nobody told it anything. */
async function checkLeaderHolds(scene: Scene): Promise<void> {
  const { stage } = scene;
  await waitFor(scene, JEOPARDY_MS, "the leader is not in jeopardy", () =>
    stage.workers.some(({ view }) => view.state === "jeopardy") ? true : undefined,
  );
  // One job may have been on its way when the lease ran out.
  await sleep(WRITE_UNDER_WAY_MS, scene.signal);
  const before = (await stage.store.state()).nextJob;
  await sleep(HOLD_MS, scene.signal);
  const after = (await stage.store.state()).nextJob;
  scene.checks.add("leader-holds-its-work", after === before, after - before, "0 jobs done", {
    watchedForMs: HOLD_MS,
  });
  scene.tell(
    "The leader is in jeopardy: its lease ran out and nobody renewed it. It holds its work.",
    "It may still have the lock, but cannot know it. For 45 seconds it waits for the cell to come back before it gives its session up.",
  );
}

const WRITE_UNDER_WAY_MS = 700;
const HOLD_MS = 1_000;

async function checkData(scene: Scene, check: string, startedAtMs: number): Promise<void> {
  const readyMs = monotonicMs() - startedAtMs;
  // By a client that knows nothing but where the cell is.
  const { cells, stage, sessionLeaseMs } = scene;
  const terms = { timeoutMs: WORK_BOUND_MS, leaseMs: sessionLeaseMs };
  const audit = await scene.ledger.audit(() => cells.connect(stage.cell.url, terms));
  const ok = audit.acknowledged > 0 && audit.lost.length === 0 && audit.appeared.length === 0;
  const value = { ...audit, lost: audit.lost.length, appeared: audit.appeared.length };
  scene.checks.add(check, ok, value, "none lost, none that was said not to be applied", {
    processIds: scene.stage.processIds,
    ballots: await ballots(scene),
    readyMs,
    firstLost: audit.lost.slice(0, 3),
  });
  scene.tell(
    audit.lost.length === 0
      ? `All ${audit.acknowledged} acknowledged files are there.`
      : `${audit.lost.length} of ${audit.acknowledged} acknowledged files are LOST.`,
    "The demo wrote small files all the time and remembered each answer; now it has read them all back.",
  );
}

async function checkWorkAgain(scene: Scene, check: string, startedAtMs: number): Promise<void> {
  const leader = await waitForLeader(scene);
  await waitForWork(scene, WORK_BOUND_MS);
  const workedMs = monotonicMs() - startedAtMs;
  const bound = `a job done within ${WORK_BOUND_MS} ms of the restart`;
  scene.checks.add(check, workedMs <= WORK_BOUND_MS, workedMs, bound, {
    processIds: scene.stage.processIds,
    ballots: await ballots(scene),
    sequencers: { [leader.name]: leader.sequencer },
  });
}
