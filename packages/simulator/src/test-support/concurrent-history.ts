import type { Rng } from "@cubby/base";
import type { Operation } from "../linearizability.ts";
import { type FileInput, type FileOutput, type FileState, fileModel } from "../models.ts";

export type HistoryShape = {
  readonly operations: number;
  readonly clients: number;
  /** The share of answers that get lost; half of those operations never took effect. */
  readonly lost: number;
};

/** What clients of a file that works see: each operation takes effect between call and return. */
export function concurrentFileHistory(
  rng: Rng,
  { operations, clients, lost }: HistoryShape,
): Operation<FileInput, FileOutput>[] {
  const planned = planOperations(rng, operations, clients);
  const byEffect = planned.toSorted((a, b) => a.effect - b.effect);
  const history: Operation<FileInput, FileOutput>[] = [];
  let state: FileState = { value: "", generation: 1 };
  for (const [index, { process, call, returned }] of byEffect.entries()) {
    const isLost = rng.chance(lost);
    const input = drawInput(rng, `v${index}`, state);
    if (!isLost) {
      const output = answer(state, input);
      history.push({ process, input, call, returned, outcome: "ok", output });
    } else {
      history.push({ process, input, call, outcome: "unknown" });
      if (rng.chance(0.5)) continue;
    }
    state = fileModel(state).step(state, input, undefined)[0] ?? state;
  }
  return history;
}

type Planned = { process: number; call: number; effect: number; returned: number };

function planOperations(rng: Rng, count: number, clients: number): Planned[] {
  const planned: Planned[] = [];
  const freeAt = new Array<number>(clients).fill(0);
  for (let i = 0; i < count; i += 1) {
    const process = i % clients;
    const call = (freeAt[process] ?? 0) + 1 + rng.below(20);
    const effect = call + rng.below(50);
    const returned = effect + rng.below(50);
    freeAt[process] = returned;
    planned.push({ process, call, effect, returned });
  }
  return planned;
}

function drawInput(rng: Rng, value: string, state: FileState): FileInput {
  if (rng.chance(0.5)) return { kind: "read" };
  if (rng.chance(0.5)) return { kind: "write", value };
  return { kind: "write", value, ifGeneration: state.generation - rng.below(2) };
}

function answer(state: FileState, input: FileInput): FileOutput {
  const { value, generation } = state;
  if (input.kind === "read") return { kind: "contents", value, generation };
  if (input.ifGeneration !== undefined && input.ifGeneration !== generation) {
    return { kind: "mismatch" };
  }
  return { kind: "written", generation: generation + 1 };
}
