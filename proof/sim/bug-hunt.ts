import type { RunResult } from "@cubby/simulator";
import { type Bundle, bundle } from "./bundle.ts";
import { Crew } from "./crew.ts";
import type { PlantedBug } from "./planted-bug.ts";
import type { SeedTask } from "./task.ts";

export type Hunt = {
  readonly bug: PlantedBug;
  /** The first seed that catches it; undefined if none does. */
  readonly caught: RunResult | undefined;
  /** Seeds that it took, or that were tried. */
  readonly seeds: number;
  readonly seconds: number;
};

/** Seeds 1, 2, 3 … with the bug planted, until one fails. */
export async function hunt(bug: PlantedBug, seedsMax: number, cores: number): Promise<Hunt> {
  const begunAt = performance.now();
  const { caught, seeds } = await firstFailure(await bundle(bug), seedsMax, cores);
  return { bug, caught, seeds, seconds: (performance.now() - begunAt) / 1_000 };
}

/** What the same seeds find without any bug: nothing, or the hunts prove nothing. */
export async function playClean(seedsMax: number, cores: number): Promise<RunResult | undefined> {
  return (await firstFailure(await bundle(undefined), seedsMax, cores)).caught;
}

/** The lowest one: those before it that another core is at are waited for. */
async function firstFailure(
  { file, remove }: Bundle,
  seedsMax: number,
  cores: number,
): Promise<{ caught: RunResult | undefined; seeds: number }> {
  const crew = new Crew(file, cores);
  let last = 0;
  let caught: RunResult | undefined;
  const next = (): SeedTask | undefined => {
    if (caught !== undefined || last >= seedsMax) return undefined;
    last += 1;
    return { kind: "seed", seed: `${last}` };
  };
  try {
    await crew.seeds(next, (result) => {
      if (result.verdict === "passed" || result.verdict === "void") return;
      if (caught === undefined || Number(result.seed) < Number(caught.seed)) caught = result;
    });
  } finally {
    await crew.leave();
    await remove();
  }
  return { caught, seeds: caught === undefined ? last : Number(caught.seed) };
}
