import { assert, Rng, utf8Encode } from "@cubby/base";
import { LockMode } from "@cubby/protocol";
import { FAULT_CLASSES } from "./availability.ts";
import { type Plan, pick, QUIET_PLAN } from "./plan.ts";
import { ask, type Hold, open, type ScriptStart } from "./script.ts";
import { Violation } from "./violation.ts";
import { World } from "./world.ts";

export type LongHoldReport = {
  readonly days: number;
  readonly generation: number;
  readonly checks: number;
  readonly faults: number;
  readonly failOvers: number;
  readonly snapshots: number;
  readonly restarts: number;
  readonly coreEvents: number;
};

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const FAULT_EVERY_MS = 2 * HOUR_MS;
const CHECKS_A_DAY = 48;
/** A check right at a fail-over may get no answer, and is made again at the next half hour. */
const ANSWERED_SHARE_MIN = 0.8;
/** Those of a year that no session needs to outlive. */
const FAULTS = FAULT_CLASSES.filter(({ lastsMs }) => lastsMs <= 60_000);

/** Slow timers: a month of heartbeats is what such a run consists of. */
const PLAN: Plan = {
  ...QUIET_PLAN,
  replicas: 3,
  timerFactor: 40,
  sessionLeaseMs: 60_000,
  snapshotEverySlots: 200,
  retainSlots: 100,
};

/** One lock, held for so many days through everything, with one sequencer throughout. */
export function holdLock(
  seed: string,
  days: number,
  onHour?: (hour: number) => void,
): LongHoldReport {
  const rng = new Rng(seed);
  const world = new World(seed, PLAN, undefined);
  const { time } = world;
  for (const replica of world.replicas) replica.start();
  const seen = { generation: 0, checks: 0 };
  world.addClient(rng.fork("holder"), [[holder(world, seen)]]);
  world.addClient(rng.fork("writer"), [[writer()]]);
  const faultRng = rng.fork("faults");
  let faults = 0;
  const fault = (): void => {
    time.after(FAULT_EVERY_MS, fault);
    const master = world.master();
    if (master === undefined) return;
    faults += 1;
    pick(faultRng, FAULTS).inject({ world, master, rng: faultRng });
  };
  time.after(HOUR_MS, fault);
  const end = days * DAY_MS;
  for (let hour = 1; time.now < end; hour += 1) {
    time.runTo(Math.min(end, hour * HOUR_MS));
    onHour?.(hour);
  }
  if (seen.checks < ANSWERED_SHARE_MIN * days * CHECKS_A_DAY) {
    throw new Violation(23, "long-hold", `the holder was answered ${seen.checks} times only`);
  }
  const through = {
    faults,
    failOvers: world.coverage.of("fail-overs with sessions"),
    snapshots: world.coverage.of("snapshots taken"),
    restarts: world.coverage.of("restarts") - PLAN.replicas,
  };
  // Held through nothing it would prove nothing.
  for (const [what, count] of Object.entries(through)) assert(count > 0, `there are ${what}`);
  const { coreEvents } = world;
  return { days, generation: seen.generation, checks: seen.checks, ...through, coreEvents };
}

/** Takes the lock once, and asks every half hour whether its sequencer is still good. */
function holder(world: World, seen: { generation: number; checks: number }): ScriptStart {
  return function* (process, session) {
    if (seen.generation !== 0) {
      throw new Violation(18, "long-hold", "the holder's session was lost");
    }
    const path = "/ls/local/long";
    const lock = yield* open(path, { lockDelayMs: 10_000 });
    if (lock === undefined) throw new Violation(23, "long-hold", "the lock cannot be opened");
    const value = { handle: lock.handle, mode: LockMode.EXCLUSIVE, wait: true };
    const call = yield ask({ $case: "acquire", value }, lock.about);
    if (call?.result?.$case !== "acquire") {
      throw new Violation(23, "long-hold", "the lock cannot be taken");
    }
    const { sequencer, lockGeneration: generation } = call.result.value;
    seen.generation = generation;
    const hold: Hold = { process, session, ...lock.about, mode: LockMode.EXCLUSIVE, generation };
    world.onHolds(hold);
    for (;;) {
      yield { kind: "sleep", ms: DAY_MS / CHECKS_A_DAY };
      const asked = { sequencer, mode: LockMode.EXCLUSIVE, name: path };
      const check = yield ask(
        { $case: "checkSequencer", value: asked },
        { ...lock.about, generation },
      );
      if (check?.result?.$case !== "checkSequencer") continue;
      if (!check.result.value.valid) {
        throw new Violation(14, "long-hold", check.result.value.reason);
      }
      seen.checks += 1;
    }
  };
}

/** Others go on meanwhile, so that there are snapshots to take. */
function writer(): ScriptStart {
  return function* () {
    for (let i = 0; ; i += 1) {
      const file = yield* open("/ls/local/other", {});
      yield { kind: "sleep", ms: 120_000 };
      if (file === undefined) continue;
      const contents = utf8Encode(`${i}`);
      const value = { handle: file.handle, contents, hasIfGeneration: false, ifGeneration: 0 };
      yield ask({ $case: "setContents", value }, file.about);
    }
  };
}
