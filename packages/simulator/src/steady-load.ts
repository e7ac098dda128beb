import { Rng } from "@cubby/base";
import { QUIET_PLAN } from "./plan.ts";
import { fileScript } from "./script.ts";
import { World } from "./world.ts";

export type SteadyReport = {
  readonly coreEvents: number;
  readonly acknowledged: number;
  readonly simulatedMs: number;
};

/** A cell of five with some 50 calls a second and no faults: what a benchmark times. */
export function playSteadyLoad(seed: string, simulatedMs: number, clients = 5): SteadyReport {
  const rng = new Rng(seed);
  const world = new World(seed, { ...QUIET_PLAN, thinkMs: 100, paths: 4 }, undefined);
  for (const replica of world.replicas) replica.start();
  for (let i = 0; i < clients; i += 1) {
    world.addClient(rng.fork(`client ${i}`), [[fileScript(world, rng.fork(`script ${i}`))]]);
  }
  world.time.runTo(simulatedMs);
  const { acknowledged } = world.clientChecker;
  return { coreEvents: world.coreEvents, acknowledged, simulatedMs };
}
