import type { Rng } from "@cubby/base";
import {
  ask,
  isServed,
  padded,
  type ScriptStart,
  type Stage,
  think,
  useAgainAndAgain,
} from "./script.ts";

const FILES = 2;
const SESSIONS = 3;
const WRITERS = 12;
/** A sixteenth of what a file may hold, as all else that fills a thin link. */
const BYTES = 16_000;

/** Together they have four times as much under way as a thin link's window takes, if their master has room for it. */
export function bulkScripts(stage: Stage, rng: Rng): readonly (readonly ScriptStart[])[] {
  return Array.from({ length: SESSIONS }, (_, session) =>
    Array.from({ length: WRITERS }, (_, i) => {
      return bulkScript(stage, rng.fork(`${session}/${i}`), `/ls/local/bulk${i % FILES}`);
    }),
  );
}

function bulkScript(stage: Stage, rng: Rng, path: string): ScriptStart {
  return () =>
    useAgainAndAgain(path, {}, function* ({ handle, about }) {
      // Only a calm makes them pause.
      if (stage.calm > 1) yield { kind: "sleep", ms: think(stage, rng) };
      const contents = padded(stage.uniqueText(), BYTES);
      const value = { handle, contents, hasIfGeneration: false, ifGeneration: 0 };
      return isServed(yield ask({ $case: "setContents", value }, about));
    });
}
