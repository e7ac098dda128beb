import type { Rng } from "@cubby/base";
import type { Call } from "@cubby/client/core";
import { NodeKind } from "@cubby/protocol";
import { pick } from "./plan.ts";
import {
  type Ask,
  ask,
  isServed,
  type Opened,
  open,
  type ScriptStart,
  type Stage,
  think,
  useAgainAndAgain,
} from "./script.ts";

const CHILDREN = ["n0", "n1", "n2", "n3", "__proto__", "toString"];

/** A directory whose files come and go, and that goes itself now and then, when it is empty. */
export function directoryScript(stage: Stage, rng: Rng, path: string): ScriptStart {
  return () =>
    useAgainAndAgain(path, { kind: NodeKind.DIRECTORY }, function* (directory) {
      yield { kind: "sleep", ms: 3 * think(stage, rng) };
      return yield* useDirectory(rng, directory);
    });
}

/** False when the handle serves no more. */
function* useDirectory(rng: Rng, directory: Opened): Generator<Ask, boolean, Call | undefined> {
  const { handle, about } = directory;
  const choice = rng.below(10);
  if (choice < 4) {
    const value = { handle, after: "" };
    return isServed(yield ask({ $case: "readDir", value }, about));
  }
  if (choice < 5) return isServed(yield ask({ $case: "getStat", value: { handle } }, about));
  if (choice < 6) {
    const call = yield ask({ $case: "delete", value: { handle } }, about);
    return call?.result === undefined && isServed(call);
  }
  const child = yield* open(`${about.path}/${pick(rng, CHILDREN)}`, {
    ephemeral: rng.chance(0.2),
    directory: rng.chance(0.5) ? handle : undefined,
  });
  // Most likely it is the directory that is gone.
  if (child === undefined) return false;
  const value = { handle: child.handle };
  if (choice < 8) yield ask({ $case: "delete", value }, child.about);
  else yield ask({ $case: "close", value }, child.about);
  return true;
}
