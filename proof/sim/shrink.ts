import type { FaultKind, RunResult } from "@cubby/simulator";
import type { SeedTask } from "./task.ts";

/** Runs that looking for a smaller failure may take. */
const TRIES_MAX = 60;
const SAFETY_MS_MIN = 1_000;
/** 25: the same seed and build give the same trace. */
const TRACE_INVARIANT = 25;

export type Shrunk = {
  readonly task: SeedTask;
  readonly result: RunResult;
  readonly tries: number;
};

/**
 * The same failure with less around it: kinds of fault are left out, half of them at a time and then
 * one by one; then replicas, clients and time. A run that was not the same twice is left as it is: what
 * makes the difference may lie in what its process had run before.
 */
export async function shrink(
  failed: RunResult,
  task: SeedTask,
  run: (task: SeedTask) => Promise<RunResult>,
): Promise<Shrunk> {
  if (failed.finding?.invariant === TRACE_INVARIANT) {
    return { task: { ...task, isTwice: true }, result: failed, tries: 0 };
  }
  // Each try would take as long again as it takes to call it one.
  if (failed.finding?.rule === "hang") return { task, result: failed, tries: 0 };
  let best: Shrunk = { task, result: failed, tries: 0 };
  let tries = 0;
  const attempt = async (smaller: SeedTask): Promise<boolean> => {
    if (tries >= TRIES_MAX) return false;
    tries += 1;
    const result = await run(smaller);
    if (!isSame(result, failed)) return false;
    best = { task: smaller, result, tries };
    return true;
  };
  const without = (kinds: readonly FaultKind[]): Promise<boolean> =>
    attempt({ ...best.task, without: [...(best.task.without ?? []), ...kinds] });
  await leaveOut(failed.faultKinds, without);
  for (const replicas of [1, 3, 5]) {
    if (replicas >= best.result.replicas) break;
    if (await attempt({ ...best.task, replicas })) break;
  }
  for (let clients = 1; clients < best.result.clients; clients += 1) {
    if (await attempt({ ...best.task, clients })) break;
  }
  let safetyMs = Math.ceil((failed.finding?.atMs ?? 0) / 2);
  while (safetyMs >= SAFETY_MS_MIN && (await attempt({ ...best.task, safetyMs }))) {
    safetyMs = Math.ceil(safetyMs / 2);
  }
  return { ...best, tries };
}

/** By verdict and rule; crashes have one rule, and differ in their first line, whatever its numbers. */
function isSame(a: RunResult, b: RunResult): boolean {
  if (a.verdict !== b.verdict || a.finding?.rule !== b.finding?.rule) return false;
  return a.verdict !== "crash" || firstLine(a) === firstLine(b);
}

function firstLine({ finding }: RunResult): string | undefined {
  return finding?.detail.split("\n", 1)[0]?.replaceAll(/\d+/g, "");
}

/** Halves first: most kinds have nothing to do with it. */
async function leaveOut(
  kinds: readonly FaultKind[],
  without: (kinds: readonly FaultKind[]) => Promise<boolean>,
): Promise<void> {
  if (kinds.length === 0 || (await without(kinds)) || kinds.length === 1) return;
  const middle = Math.ceil(kinds.length / 2);
  await leaveOut(kinds.slice(0, middle), without);
  await leaveOut(kinds.slice(middle), without);
}
