import type { RunResult, Verdict } from "@cubby/simulator";
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

function isFailure(verdict: Verdict): boolean {
  return verdict !== "passed" && verdict !== "void";
}

/** Found by what was said to be likely to find it. */
export function isExpected({ expects }: PlantedBug, { finding }: RunResult): boolean {
  return finding !== undefined && expects.includes(finding.invariant);
}

/** A busy machine hangs too: a verdict that nobody gave is a catch only where a crash is expected. */
export function isCatch({ expects }: PlantedBug, { verdict, finding }: RunResult): boolean {
  if (!isFailure(verdict)) return false;
  const isLost = finding?.rule === "hang" || finding?.rule === "worker-died";
  return !isLost || expects.includes(0);
}

/** What the same seed finds without the bug is no catch of it; `clean`: where that was, if anywhere. */
export function isMissed({ caught }: Hunt, clean: RunResult | undefined): boolean {
  return caught === undefined || caught.seed === clean?.seed;
}

/** Seeds 1, 2, 3 … with the bug planted, until one fails. */
export async function hunt(bug: PlantedBug, seedsMax: number, cores: number): Promise<Hunt> {
  const begunAt = performance.now();
  const planted = await bundle(bug);
  const fails = (result: RunResult): boolean => isCatch(bug, result);
  const { caught, seeds } = await firstFailure(planted, seedsMax, cores, fails);
  return { bug, caught, seeds, seconds: (performance.now() - begunAt) / 1_000 };
}

/** What the same seeds find without any bug: nothing, or the hunts prove nothing. */
export async function playClean(seedsMax: number, cores: number): Promise<RunResult | undefined> {
  const fails = ({ verdict }: RunResult): boolean => isFailure(verdict);
  return (await firstFailure(await bundle(undefined), seedsMax, cores, fails)).caught;
}

/** The lowest one: those before it that another core is at are waited for. */
async function firstFailure(
  { file, remove }: Bundle,
  seedsMax: number,
  cores: number,
  fails: (result: RunResult) => boolean,
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
      if (!fails(result)) return;
      if (caught === undefined || Number(result.seed) < Number(caught.seed)) caught = result;
    });
  } finally {
    await crew.leave();
    await remove();
  }
  return { caught, seeds: caught === undefined ? last : Number(caught.seed) };
}
