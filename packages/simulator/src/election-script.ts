import { type Rng, utf8Decode, utf8Encode } from "@cubby/base";
import type { Call } from "@cubby/client/core";
import { LockMode } from "@cubby/protocol";
import { pick } from "./plan.ts";
import {
  type Ask,
  ask,
  type Hold,
  isServed,
  type Opened,
  type ScriptStart,
  type Stage,
  think,
  useAgainAndAgain,
} from "./script.ts";
import { Violation } from "./violation.ts";

type Candidate = {
  readonly stage: Stage;
  readonly rng: Rng;
  readonly file: Opened;
  readonly process: Hold["process"];
  readonly session: Hold["session"];
};

/** Who holds the file's lock leads, and writes its name into the file for all others to read. */
export function electionScript(stage: Stage, rng: Rng, path: string): ScriptStart {
  const lockDelayMs = pick(rng, [0, 400, 2_000]);
  let newest = 0;
  return (process, session) =>
    useAgainAndAgain(path, { lockDelayMs }, function* (file) {
      yield { kind: "sleep", ms: 4 * think(stage, rng) };
      if (rng.chance(0.6)) return yield* stand({ stage, rng, file, process, session });
      const leader = yield* whoLeads(file);
      if (leader === undefined) return false;
      // 14: for everybody who looks, later leaders have later locks.
      if (leader !== 0 && leader < newest) {
        const detail = `${process.name} reads that ${path} is led at ${leader}, after ${newest}`;
        throw new Violation(14, "leaders-in-order", detail);
      }
      newest = Math.max(newest, leader);
      return true;
    });
}

/** False when the handle serves no more. */
function* stand(candidate: Candidate): Generator<Ask, boolean, Call | undefined> {
  const { stage, rng, file, process, session } = candidate;
  const { handle, about } = file;
  const mode = LockMode.EXCLUSIVE;
  const call = yield ask({ $case: "acquire", value: { handle, mode, wait: true } }, about);
  if (call?.result?.$case !== "acquire") return isServed(call);
  const { sequencer, lockGeneration: generation } = call.result.value;
  const hold: Hold = { process, session, ...about, mode, generation };
  const letGo = stage.onHolds(hold);
  let leads = yield* proclaim(candidate, sequencer, generation);
  for (let rounds = rng.below(4); leads && rounds > 0; rounds -= 1) {
    yield { kind: "sleep", ms: pick(rng, [2, 50, 600]) };
    stage.use(hold);
    leads = yield* proclaim(candidate, sequencer, generation);
  }
  letGo();
  yield ask({ $case: "release", value: { handle } }, about);
  // One who has not heard that its time is over.
  if (rng.chance(0.3)) yield* proclaim(candidate, sequencer, generation);
  return true;
}

/** SEQ-7: false when it leads no more. */
function* proclaim(
  { stage, file, process }: Candidate,
  guard: Uint8Array,
  generation: number,
): Generator<Ask, boolean, Call | undefined> {
  const { handle, about } = file;
  const contents = utf8Encode(`${stage.uniqueText()} ${process.name} ${generation}`);
  const value = { handle, contents, hasIfGeneration: false, ifGeneration: 0 };
  const guardedBy = { path: about.path, generation };
  const call = yield ask({ $case: "setContents", value }, { ...about, guardedBy }, { guard });
  return call?.result !== undefined;
}

/** The leader's lock generation, 0 for none yet; undefined when the handle serves no more. */
function* whoLeads({
  handle,
  about,
}: Opened): Generator<Ask, number | undefined, Call | undefined> {
  const call = yield ask({ $case: "getContentsAndStat", value: { handle } }, about);
  const { result } = call ?? {};
  if (result?.$case !== "getContentsAndStat") return isServed(call) ? 0 : undefined;
  return Number(utf8Decode(result.value.contents).split(" ")[2] ?? 0);
}
