import { unreachable } from "@cubby/base";
import type { Model, Operation } from "./linearizability.ts";

/** Contents are known by a tag of their writer's making; tags of one file differ. */
export type FileInput =
  | { readonly kind: "read" }
  /** `ifGeneration` makes it a compare-and-swap. */
  | { readonly kind: "write"; readonly value: string; readonly ifGeneration?: number };

export type FileOutput =
  | { readonly kind: "contents"; readonly value: string; readonly generation: number }
  | { readonly kind: "written"; readonly generation: number }
  | { readonly kind: "mismatch" };

export type FileState = { readonly value: string; readonly generation: number };

/** API-4, API-7: contents with their generation, which each write raises by one. */
export function fileModel(init: FileState): Model<FileState, FileInput, FileOutput> {
  return {
    init,
    step: stepFile,
    key: ({ value, generation }) => `${generation}:${value}`,
    isPast({ generation }, input, output) {
      if (output?.kind === "contents") return output.generation < generation;
      if (output?.kind === "written") return output.generation <= generation;
      const isOpen = output === undefined && input.kind === "write";
      return isOpen && (input.ifGeneration ?? generation) < generation;
    },
  };
}

function stepFile(
  state: FileState,
  input: FileInput,
  output: FileOutput | undefined,
): readonly FileState[] {
  switch (input.kind) {
    case "read": {
      if (output === undefined) return [state];
      const isRight =
        output.kind === "contents" &&
        output.value === state.value &&
        output.generation === state.generation;
      return isRight ? [state] : [];
    }
    case "write": {
      const { value, ifGeneration } = input;
      if (ifGeneration !== undefined && ifGeneration !== state.generation) {
        return output === undefined || output.kind === "mismatch" ? [state] : [];
      }
      const generation = state.generation + 1;
      const isRight =
        output === undefined || (output.kind === "written" && output.generation === generation);
      return isRight ? [{ value, generation }] : [];
    }
    default:
      return unreachable(input);
  }
}

/**
 * What is known of writes of unknown outcome to one file whose values are unique: one that was read
 * had taken effect by then, and what one wrote that was never read does not matter. Both keep the
 * search small, and change no verdict.
 */
export function narrowUnknownWrites(
  history: readonly Operation<FileInput, FileOutput>[],
): Operation<FileInput, FileOutput>[] {
  const firstSeen = new Map<string, { readonly returned: number; readonly generation: number }>();
  for (const { output, returned } of history) {
    if (output?.kind !== "contents" || returned === undefined) continue;
    const { value, generation } = output;
    const seen = firstSeen.get(value);
    if (seen === undefined || seen.returned > returned) {
      firstSeen.set(value, { returned, generation });
    }
  }
  return history.map((each) => {
    const { input, call, outcome, returned } = each;
    if (outcome !== "unknown" || input.kind !== "write" || returned !== undefined) return each;
    const seen = firstSeen.get(input.value);
    if (seen === undefined) return { ...each, input: { ...input, value: "never read" } };
    const output = { kind: "written", generation: seen.generation } as const;
    return { ...each, returned: Math.max(call, seen.returned), output };
  });
}

/**
 * What handles can do with one exclusive lock, and what can happen to it. A handle takes the lock
 * only while it does not hold it. That a session ends is an event of its own, for the reporter to
 * put in as operations of unknown outcome: `failed` from the moment at which the holder's session
 * was last known to be alive, `delayOver` from then plus the lock-delay. A lock that is freed
 * earlier, or without either, is a violation.
 */
export type LockInput =
  /** `wait` is acquire, otherwise tryAcquire. */
  | { readonly kind: "acquire"; readonly holder: string; readonly wait: boolean }
  | { readonly kind: "release"; readonly holder: string }
  /** checkSequencer, of the sequencer that was handed out with this lock generation. */
  | { readonly kind: "check"; readonly generation: number }
  | { readonly kind: "failed"; readonly holder: string }
  | { readonly kind: "delayOver"; readonly holder: string };

export type LockOutput =
  | { readonly kind: "granted"; readonly generation: number }
  /**
   * lock_held or lock_delayed. GAP-7: the first is said of a free lock too while others wait for it,
   * who need not be granted it. Whether any did is for the reporter to say.
   */
  | { readonly kind: "busy"; readonly mayBeBehind?: true }
  | { readonly kind: "released" }
  | { readonly kind: "notHeld" }
  | { readonly kind: "verdict"; readonly valid: boolean };

export type LockState = {
  readonly generation: number;
  /** The handle that holds it, or held it when its session failed. */
  readonly holder: string;
  readonly phase: "free" | "held" | "delayed";
};

/** LCK-1, LCK-6, LCK-7, META-2, SEQ-4, GAP-7. */
export function lockModel(init: LockState): Model<LockState, LockInput, LockOutput> {
  return {
    init,
    step: stepLock,
    key: ({ generation, holder, phase }) => `${generation}:${phase}:${holder}`,
    isPast: ({ generation }, _, output) =>
      output?.kind === "granted" && output.generation <= generation,
  };
}

function stepLock(
  state: LockState,
  input: LockInput,
  output: LockOutput | undefined,
): readonly LockState[] {
  const { generation, holder, phase } = state;
  switch (input.kind) {
    case "acquire":
      return acquire(state, input, output);
    case "release": {
      if (phase !== "held" || holder !== input.holder) {
        return output === undefined || output.kind === "notHeld" ? [state] : [];
      }
      if (output !== undefined && output.kind !== "released") return [];
      return [{ generation, holder: "", phase: "free" }];
    }
    case "check": {
      if (output === undefined) return [state];
      const valid = phase === "held" && generation === input.generation;
      return output.kind === "verdict" && output.valid === valid ? [state] : [];
    }
    case "failed": {
      if (phase !== "held" || holder !== input.holder) return [];
      return [{ generation, holder, phase: "delayed" }];
    }
    case "delayOver": {
      if (phase !== "delayed" || holder !== input.holder) return [];
      return [{ generation, holder: "", phase: "free" }];
    }
    default:
      return unreachable(input);
  }
}

function acquire(
  state: LockState,
  input: Extract<LockInput, { readonly kind: "acquire" }>,
  output: LockOutput | undefined,
): readonly LockState[] {
  if (state.phase !== "free") {
    // One that waits says nothing until the lock is its own.
    if (output === undefined) return [state];
    return output.kind === "busy" && !input.wait ? [state] : [];
  }
  if (output?.kind === "busy" && output.mayBeBehind === true && !input.wait) return [state];
  const generation = state.generation + 1;
  const isRight =
    output === undefined || (output.kind === "granted" && output.generation === generation);
  return isRight ? [{ generation, holder: input.holder, phase: "held" }] : [];
}
