import { AssertionError, Rng } from "@cubby/base";
import { bulkScripts } from "./bulk-script.ts";
import { busyWaiterScript } from "./busy-waiter-script.ts";
import type { ClientProcess } from "./client-process.ts";
import { directoryScript } from "./directory-script.ts";
import { electionScript } from "./election-script.ts";
import { Faults } from "./faults.ts";
import { hastyScript } from "./hasty-script.ts";
import { awaitLiveness } from "./liveness.ts";
import { describePlan, drawPlan, hasThinLinks, isNarrow, type Plan } from "./plan.ts";
import { ruin } from "./ruin.ts";
import type { Finding, RunOptions, RunResult, Verdict } from "./run-result.ts";
import {
  churnScript,
  drawHabits,
  ephemeralScript,
  fileScript,
  lockScript,
  recreateScript,
  type ScriptStart,
} from "./script.ts";
import { Violation } from "./violation.ts";
import { World } from "./world.ts";

/** Below these a run proves too little to count. */
const CORE_EVENTS_MIN = 20_000;
const ACKNOWLEDGED_MIN = 100;
const FAULTS_MIN = 3;

/** Most of them are to be events under faults. */
const SAFETY_EVENTS_MIN = 15_000;
/** So much is enough of one seed, however short its time: another one shows more. */
const SAFETY_EVENTS_ENOUGH = 18_000;
/** A run that does not come to count by then is void. */
const SAFETY_MS_MAX = 240_000;
const SAFETY_EVENTS_MAX = 45_000;
const SUPERVISOR_MS = 300;
const READS_ALONE = 10;
const RUINED_RATE = 0.3;
const BUSY_WAITER_RATE = 0.5;
const LEADER_PATH = "/ls/local/leader";
const CONVOY_PATH = "/ls/local/convoy";

/** One seed from its first event to its verdict. */
export function runSeed(options: RunOptions): RunResult {
  const { seed } = options;
  const rng = new Rng(seed);
  const plan = drawPlan(rng.fork("plan"), options);
  const world = new World(seed, plan, options.chart);
  const faults = new Faults(world, rng.fork("faults"), (died) => respawn(died));
  const startsOf = new Map<ClientProcess, readonly (readonly ScriptStart[])[]>();
  const clientRng = rng.fork("clients");
  let spawned = 0;
  const spawn = (starts: readonly (readonly ScriptStart[])[]): void => {
    spawned += 1;
    startsOf.set(world.addClient(clientRng.fork(`${spawned}`), starts), starts);
  };
  const respawn = (died: ClientProcess): void => spawn(startsOf.get(died) ?? []);
  const result = (verdict: Verdict, finding: Finding | undefined): RunResult => ({
    seed,
    verdict,
    finding,
    drawn: describePlan(plan),
    replicas: plan.replicas,
    clients: plan.clients,
    faultKinds: [...plan.kinds],
    coreEvents: world.coreEvents,
    simulatedMs: Math.round(world.time.now),
    acknowledged: world.clientChecker.acknowledged,
    faults: faults.total,
    coverage: world.coverage.table,
    traceHash: world.hash.hex,
  });
  try {
    for (const replica of world.replicas) replica.start();
    const scriptRng = rng.fork("scripts");
    for (let i = 0; i < plan.clients; i += 1)
      spawn(drawScripts(world, plan, scriptRng.fork(`${i}`)));
    if (plan.convoy > 0) spawn(convoyScripts(world, plan, scriptRng.fork("convoy")));
    if (hasThinLinks(plan)) spawn(bulkScripts(world, scriptRng.fork("bulk")));
    world.supervise = (replica) => faults.restartLater(replica, SUPERVISOR_MS);
    faults.start();
    playSafety(world, faults, plan);
    faults.end();
    awaitLiveness(world, rng.fork("liveness"), CORE_EVENTS_MIN);
    const [overdue] = world.clientChecker.overdueCalls();
    if (overdue !== undefined) throw new Violation(23, "calls-end", overdue);
    world.history.search(world.coverage);
    if (plan.kinds.has("D3-bit-rot") && rng.fork("ruin").chance(RUINED_RATE)) {
      ruin(world, rng.fork("rot"));
    }
  } catch (error) {
    return result(...verdictOf(error, world));
  }
  return result(counts(world, faults, CORE_EVENTS_MIN) ? "passed" : "void", undefined);
}

function counts(world: World, faults: Faults, coreEventsMin: number): boolean {
  return (
    world.coreEvents >= coreEventsMin &&
    world.clientChecker.acknowledged >= ACKNOWLEDGED_MIN &&
    faults.total >= FAULTS_MIN
  );
}

function playSafety(world: World, faults: Faults, plan: Plan): void {
  const { time } = world;
  const isEnough = (): boolean =>
    (time.now >= plan.safetyMs || world.coreEvents >= SAFETY_EVENTS_ENOUGH) &&
    counts(world, faults, SAFETY_EVENTS_MIN);
  const mayGoOn = (): boolean => !isEnough() && world.coreEvents < SAFETY_EVENTS_MAX;
  while (mayGoOn() && time.step(SAFETY_MS_MAX));
}

function drawScripts(world: World, plan: Plan, rng: Rng): readonly (readonly ScriptStart[])[] {
  const sessions = rng.between(1, 2);
  // Who only reads stays with whoever answers.
  const onlyReads = rng.chance(0.2);
  return Array.from({ length: sessions }, (_, i) => {
    const own = rng.fork(`session ${i}`);
    if (onlyReads) return [fileScript(world, own.fork("read"), READS_ALONE)];
    const scripts = [
      fileScript(world, own.fork("file")),
      lockScript(world, own.fork("lock"), drawHabits(own.fork("habits"), plan)),
    ];
    if (own.chance(0.4)) scripts.push(fileScript(world, own.fork("file 2")));
    if (own.chance(0.3)) scripts.push(electionScript(world, own.fork("election"), LEADER_PATH));
    if (own.chance(0.3)) scripts.push(directoryScript(world, own.fork("directory"), "/ls/local/d"));
    if (own.chance(0.5)) scripts.push(ephemeralScript(world, own.fork("ephemeral")));
    if (own.chance(0.2)) scripts.push(hastyScript(world, own.fork("hasty"), "/ls/local/l0"));
    if (isNarrow(plan) && own.fork("busy").chance(BUSY_WAITER_RATE)) {
      const path = plan.convoy > 0 ? CONVOY_PATH : "/ls/local/l0";
      scripts.push(busyWaiterScript(world, own.fork("busy waiter"), path));
    }
    if (own.chance(0.15)) {
      const path = own.chance(0.7) ? "/ls/local/l0" : LEADER_PATH;
      scripts.push(recreateScript(world, own.fork("recreate"), path));
    }
    if (plan.kinds.has("U1-session-churn")) scripts.push(churnScript(world, own.fork("churn")));
    return scripts;
  });
}

/** U3: many sessions in one queue. */
function convoyScripts(world: World, plan: Plan, rng: Rng): readonly (readonly ScriptStart[])[] {
  return Array.from({ length: plan.convoy }, (_, i) => {
    const habits = {
      path: CONVOY_PATH,
      holdMs: 5,
      lockDelayMs: 100,
      sharedOfTen: 1,
      waitsOfTen: 10,
      givesUpOfTen: 1,
    };
    return [lockScript(world, rng.fork(`${i}`), habits)];
  });
}

function verdictOf(error: unknown, world: World): [Verdict, Finding] {
  const atMs = Math.round(world.time.now);
  if (error instanceof Violation) {
    const { verdict, invariant, rule, message: detail } = error;
    return [verdict, { invariant, rule, detail, atMs }];
  }
  const rule = error instanceof AssertionError ? "assertion" : "exception";
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return ["crash", { invariant: 0, rule, detail, atMs }];
}
