import { type Rng, utf8Encode } from "@cubby/base";
import type { Call } from "@cubby/client/core";
import { LockMode } from "@cubby/protocol";
import {
  type Ask,
  ask,
  isServed,
  type Opened,
  open,
  PATIENT_MS,
  type ScriptStart,
  type Stage,
  think,
  useAgainAndAgain,
} from "./script.ts";

/** Writes all the while it waits for a lock: so many numbers that its Acquire has to be asked for anew. */
export function busyWaiterScript(stage: Stage, rng: Rng, path: string): ScriptStart {
  return () =>
    useAgainAndAgain(path, {}, function* (lock) {
      yield { kind: "sleep", ms: think(stage, rng) };
      return yield* writeUntilGranted(stage, rng, lock);
    });
}

/** False when the handle serves no more. */
function* writeUntilGranted(
  stage: Stage,
  rng: Rng,
  { handle, about }: Opened,
): Generator<Ask, boolean, Call | undefined> {
  const file = yield* open("/ls/local/busy", {});
  if (file === undefined) return false;
  const acquire = { handle, mode: LockMode.EXCLUSIVE, wait: true };
  const call = yield {
    kind: "start",
    ask: ask({ $case: "acquire", value: acquire }, about, { timeoutMs: PATIENT_MS }),
  };
  if (call === undefined) return false;
  while (!call.isSettled) {
    const contents = utf8Encode(stage.uniqueText());
    const value = { handle: file.handle, contents, hasIfGeneration: false, ifGeneration: 0 };
    yield ask({ $case: "setContents", value }, file.about);
    yield { kind: "sleep", ms: think(stage, rng) / 4 };
  }
  yield { kind: "settled", call };
  if (call.result?.$case !== "acquire") return isServed(call);
  return isServed(yield ask({ $case: "release", value: { handle } }, about));
}
