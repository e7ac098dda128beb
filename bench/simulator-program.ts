/** What `bench/simulator.ts` times, in a process of its own: `SIMULATED_MS SEEDS`, and a line of JSON. */

import { playSteadyLoad, runSeed } from "@cubby/simulator";

export type SimulatorFigures = {
  readonly steady: { readonly eventsPerSecond: number; readonly timesRealTime: number };
  readonly seeds: { readonly eventsPerSecond: number; readonly perSecond: number };
};

/** Of processor time, since cores are shared. */
function secondsOf(run: () => void): number {
  const before = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

const [simulatedMs = 0, seeds = 0] = process.argv.slice(2).map(Number);
playSteadyLoad("warm-up", simulatedMs / 2);
let steadyEvents = 0;
const steadySeconds = secondsOf(() => {
  steadyEvents = playSteadyLoad("steady", simulatedMs).coreEvents;
});
let seedEvents = 0;
const seedSeconds = secondsOf(() => {
  for (let seed = 1; seed <= seeds; seed += 1)
    seedEvents += runSeed({ seed: `${seed}` }).coreEvents;
});
const figures: SimulatorFigures = {
  steady: {
    eventsPerSecond: steadyEvents / steadySeconds,
    timesRealTime: simulatedMs / 1e3 / steadySeconds,
  },
  seeds: { eventsPerSecond: seedEvents / seedSeconds, perSecond: seeds / seedSeconds },
};
process.stdout.write(`${JSON.stringify(figures)}\n`);
