import type { Rng } from "@cubby/base";
import type { Call } from "@cubby/client/core";
import { LockMode } from "@cubby/protocol";
import { pick } from "./plan.ts";
import {
  type Ask,
  ask,
  type CallAsk,
  type Hold,
  isServed,
  type Opened,
  type ScriptStart,
  type Stage,
  think,
  useAgainAndAgain,
} from "./script.ts";

type Hurried = {
  readonly stage: Stage;
  readonly rng: Rng;
  readonly process: Hold["process"];
  readonly session: Hold["session"];
  readonly lock: Opened;
  /** Without an answer: some are on their way after their caller has stopped to wait for them. */
  readonly releases: Set<Call>;
};

/** Several calls of one handle at once (LCK-6, LCK-11), as a program makes them that awaits nothing. */
export function hastyScript(stage: Stage, rng: Rng, path: string): ScriptStart {
  const lockDelayMs = pick(rng, [0, 400]);
  return (process, session) => {
    const releases = new Set<Call>();
    return useAgainAndAgain(path, { lockDelayMs }, (lock) =>
      hurryOnce({ stage, rng, process, session, lock, releases }),
    );
  };
}

/** False when the handle serves no more. */
function* hurryOnce(hurried: Hurried): Generator<Ask, boolean, Call | undefined> {
  const { stage, rng, lock, releases } = hurried;
  const { handle, about } = lock;
  yield { kind: "sleep", ms: 3 * think(stage, rng) };
  for (const call of releases) if (call.phase === "done") releases.delete(call);
  const calls: Call[] = [];
  for (let left = rng.between(2, 5); left > 0; left -= 1) {
    const call = yield { kind: "start", ask: someMove(lock, rng) };
    if (call === undefined) continue;
    calls.push(call);
    if (call.body.$case === "release") releases.add(call);
    if (rng.chance(0.6)) yield { kind: "sleep", ms: rng.below(pick(rng, [2, 30])) };
  }
  const isClosed = rng.chance(0.1);
  if (isClosed) yield ask({ $case: "close", value: { handle } }, about);
  for (const call of calls) yield { kind: "settled", call };
  if (isClosed || !calls.every(isServed)) return false;
  const grant = grantOf(calls, releases);
  if (grant !== undefined) yield* holdFor(hurried, grant);
  const last = yield ask({ $case: "release", value: { handle } }, about);
  if (last !== undefined) releases.add(last);
  return isServed(last);
}

function someMove({ handle, about }: Opened, rng: Rng): CallAsk {
  const choice = rng.below(10);
  if (choice < 1) return ask({ $case: "getStat", value: { handle } }, about);
  if (choice < 4) return ask({ $case: "release", value: { handle } }, about);
  const mode = rng.chance(0.15) ? LockMode.SHARED : LockMode.EXCLUSIVE;
  const giveUpAfterMs = rng.chance(0.3) ? rng.below(pick(rng, [3, 60])) : undefined;
  const value = { handle, mode, wait: rng.chance(0.7) };
  return ask({ $case: "acquire", value }, about, { giveUpAfterMs });
}

/** The last grant, if nothing that has come or may come behind it gives it back. */
function grantOf(calls: readonly Call[], releases: ReadonlySet<Call>): Call | undefined {
  const granted = calls.filter(({ result }) => result?.$case === "acquire");
  const last = granted.sort((a, b) => a.number - b.number).at(-1);
  if (last === undefined) return undefined;
  const isKept = [...releases].every(({ phase, number }) =>
    number === 0 ? phase === "done" : number < last.number,
  );
  return isKept ? last : undefined;
}

function* holdFor(
  { stage, rng, process, session, lock }: Hurried,
  { body, result }: Call,
): Generator<Ask, void, Call | undefined> {
  if (body.$case !== "acquire" || result?.$case !== "acquire") return;
  const { mode } = body.value;
  const { sequencer, lockGeneration: generation } = result.value;
  const { about } = lock;
  stage.coverage.add("locks held after calls at once");
  const letGo = stage.onHolds({ process, session, ...about, mode, generation });
  yield { kind: "sleep", ms: pick(rng, [2, 20, 200]) };
  const value = { sequencer, mode, name: about.path };
  yield ask({ $case: "checkSequencer", value }, { ...about, generation });
  letGo();
}
