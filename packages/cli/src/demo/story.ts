import { decodeSequencer, sequencerFromText } from "@cubby/protocol";
import {
  actLeaderElected,
  actLeaderKilled,
  actLeaderPaused,
  actSecondLeader,
} from "./act-leaders.ts";
import {
  actAllKilled,
  actMasterKilled,
  actRestart,
  actSecondKilled,
  actThirdKilled,
} from "./act-replicas.ts";
import { writeKnownFile } from "./outage.ts";
import type { Scene } from "./scene.ts";
import { LOCK_PATH, type Sabotage } from "./stage.ts";
import { generationsRise, inOrder, jobsProblem, overlaps } from "./timeline.ts";

type Act = (scene: Scene) => Promise<void>;

const WHOLE_STORY: readonly Act[] = [
  actLeaderElected,
  actLeaderKilled,
  actLeaderPaused,
  actMasterKilled,
  actSecondKilled,
  actThirdKilled,
  actRestart,
  actAllKilled,
];

/** A sabotage is played as far as it takes to notice it. */
const SHORT_STORIES: Readonly<Record<Sabotage, readonly Act[]>> = {
  "lock-delay": [actLeaderElected, actLeaderKilled],
  sequencer: [actLeaderElected, actLeaderPaused],
  durability: [actLeaderElected, actAllKilled],
  "second-leader": [actLeaderElected, actSecondLeader],
};

/** Plays the story from beginning to end; what it finds is in the scene's checks. */
export async function playStory(scene: Scene): Promise<void> {
  const { sabotage } = scene;
  await scene.stage.cell.waitReady({ signal: scene.signal });
  await prepare(scene);
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, scene.signal]);
  const { watch, ledger } = scene;
  const background = Promise.all([
    watch.run(async () => (await scene.session()).open(LOCK_PATH, {}), signal),
    ledger.run(scene.session, signal),
  ]);
  try {
    for (const act of sabotage === undefined ? WHOLE_STORY : SHORT_STORIES[sabotage]) {
      await act(scene);
    }
    await checkWholeRun(scene);
  } finally {
    stop.abort();
    await background;
  }
}

async function prepare(scene: Scene): Promise<void> {
  const session = await scene.session();
  await session.open("/ls/local/demo", { write: true, create: true, kind: "directory" });
  await writeKnownFile(session);
  const lock = await session.open(LOCK_PATH, { write: true, create: true });
  await lock.close();
}

/** What must hold over the whole run, whoever died when. */
async function checkWholeRun({ stage, checks }: Scene): Promise<void> {
  const reigns = inOrder(stage.reigns);
  const found = overlaps(reigns);
  checks.add("never-two-leaders", found.length === 0, found, "no two reigns overlap", { reigns });
  checks.add(
    "sequencers-rise",
    generationsRise(reigns),
    reigns.map(({ generation }) => generation),
    "each leader's sequencer is greater than the one before",
  );
  const jobs = (await stage.store.jobs()).map(({ job, worker, sequencer }) => {
    const { lockGeneration } = decodeSequencer(sequencerFromText(sequencer));
    return { job, worker, generation: lockGeneration };
  });
  const problem = jobsProblem(jobs);
  checks.add(
    "jobs-in-order",
    problem === undefined && jobs.length > 0,
    problem ?? jobs.length,
    "each job done once, and none under an older sequencer than the one before",
    { jobs: jobs.length, workers: [...new Set(jobs.map(({ worker }) => worker))] },
  );
}
