import { Rng, utf8Encode } from "@cubby/base";
import { pick, QUIET_PLAN } from "./plan.ts";
import type { ReplicaProcess } from "./replica-process.ts";
import { ask, open, type ScriptStart } from "./script.ts";
import { drawTopology, linksOf, missingLinks } from "./topology.ts";
import { Violation } from "./violation.ts";
import { World } from "./world.ts";

/** A year of a cell's life: what goes wrong how often, and for how long nobody can write then. */
export type FaultClass = {
  readonly name: string;
  /** For a cell of five; stated, not measured: `docs/availability.md` gives the reasons. */
  readonly perYear: number;
  /** How long the fault itself lasts. */
  readonly lastsMs: number;
  inject(scene: Scene): void;
};

export type ClassReport = {
  readonly name: string;
  readonly perYear: number;
  readonly meanGapMs: number;
  readonly worstGapMs: number;
  readonly minutesPerYear: number;
};

export type AvailabilityReport = {
  readonly classes: readonly ClassReport[];
  readonly unavailableMinutes: number;
  /** Of a year, in which a write succeeds. */
  readonly share: number;
  readonly windows: number;
  readonly simulatedMs: number;
};

/** When a fault is to begin. */
type Scene = { readonly world: World; readonly master: ReplicaProcess; readonly rng: Rng };

const YEAR_MINUTES = 365 * 24 * 60;
const SETTLE_MS = 3_000;
/** The window is over when writes have gone well for so long after the fault. */
const CALM_MS = 5_000;
const PROBE_EVERY_MS = 15;
/** A write takes some ms; what is longer between two that succeed is a gap. */
const NORMAL_MS = 60;
const MINUTE_MS = 60_000;
const WINDOW_MS_MAX = 15 * MINUTE_MS;

export const FAULT_CLASSES: readonly FaultClass[] = [
  {
    name: "the master's process dies and is restarted",
    perYear: 24,
    lastsMs: 2_000,
    inject: ({ world, master }) => restartAfter(world, master, 2_000),
  },
  {
    name: "another replica's process dies and is restarted",
    perYear: 96,
    lastsMs: 2_000,
    inject: ({ world, master, rng }) => restartAfter(world, other(world, master, rng), 2_000),
  },
  {
    name: "the master's machine loses power",
    perYear: 4,
    lastsMs: 20_000,
    inject: ({ world, master }) => losePower(world, master, 20_000),
  },
  {
    name: "a rolling upgrade: all five, one after the other",
    perYear: 24,
    lastsMs: 36_000,
    inject: ({ world }) => roll(world, 0),
  },
  {
    name: "the master is cut off from the others for a minute",
    perYear: 12,
    lastsMs: MINUTE_MS,
    inject: ({ world, master }) => isolate(world, master, MINUTE_MS),
  },
  {
    name: "links are lost in part, in one of the four known shapes",
    perYear: 12,
    lastsMs: 20_000,
    inject: ({ world, rng }) => {
      const { length } = world.replicas;
      const links = missingLinks(length, drawTopology(rng, length) ?? []);
      world.time.after(20_000, world.network.cutAll(links));
    },
  },
  {
    name: "the network between all replicas is down for ten seconds",
    perYear: 6,
    lastsMs: 10_000,
    inject: ({ world }) => {
      for (const replica of world.replicas) isolate(world, replica, 10_000);
    },
  },
  {
    name: "the master stands still for two seconds",
    perYear: 365,
    lastsMs: 2_000,
    inject: ({ master }) => master.clock.pause(2_000),
  },
  {
    name: "the master's machine is suspended or moved, ten seconds",
    perYear: 12,
    lastsMs: 10_000,
    inject: ({ master }) => master.clock.suspend(10_000),
  },
  {
    name: "the master's disk stalls for five seconds",
    perYear: 52,
    lastsMs: 5_000,
    inject: ({ world, master }) => {
      master.diskMs = 5_000;
      world.time.after(5_000, () => {
        master.diskMs = undefined;
      });
    },
  },
  {
    name: "the master's disk refuses a write",
    perYear: 1,
    lastsMs: 3_000,
    inject: ({ world, master }) => {
      master.failsNext = { kind: "write", code: "EIO" };
      world.supervise = (ended) => world.time.after(3_000, () => ended.start());
    },
  },
  {
    name: "three of five are down for five minutes",
    perYear: 2,
    lastsMs: 300_000,
    inject: ({ world }) => {
      for (const replica of world.replicas.slice(0, 3)) losePower(world, replica, 5 * MINUTE_MS);
    },
  },
];

/** Plays each fault of a year once, in a window of its own. `share` of them, to try it out. */
export function playYear(
  seed: string,
  options: {
    readonly share?: number;
    readonly onWindow?: (done: number, all: number) => void;
  } = {},
): AvailabilityReport {
  const { share = 1, onWindow } = options;
  const countOf = ({ perYear }: FaultClass): number => Math.max(1, Math.round(perYear * share));
  const all = FAULT_CLASSES.reduce((sum, each) => sum + countOf(each), 0);
  let windows = 0;
  let simulatedMs = 0;
  const classes = FAULT_CLASSES.map((each): ClassReport => {
    const gaps: number[] = [];
    for (let i = 0; i < countOf(each); i += 1) {
      const window = playWindow(`${seed}/${each.name}/${i}`, each);
      gaps.push(window.gapMs);
      simulatedMs += window.simulatedMs;
      windows += 1;
      onWindow?.(windows, all);
    }
    const meanGapMs = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
    return {
      name: each.name,
      perYear: each.perYear,
      meanGapMs,
      worstGapMs: Math.max(...gaps),
      minutesPerYear: (meanGapMs * each.perYear) / MINUTE_MS,
    };
  });
  const unavailableMinutes = classes.reduce((sum, each) => sum + each.minutesPerYear, 0);
  const available = 1 - unavailableMinutes / YEAR_MINUTES;
  return { classes, unavailableMinutes, share: available, windows, simulatedMs };
}

/** How long writes did not succeed because of one fault. */
export function playWindow(
  seed: string,
  fault: FaultClass,
): { gapMs: number; simulatedMs: number } {
  const rng = new Rng(seed);
  const world = new World(seed, QUIET_PLAN, undefined);
  const { time } = world;
  const acknowledged: number[] = [];
  for (const replica of world.replicas) replica.start();
  world.addClient(rng.fork("probe"), [[probe(() => acknowledged.push(time.now))]]);
  time.runTo(SETTLE_MS);
  const master = world.master();
  if (master === undefined) throw new Error(`no master within ${SETTLE_MS} ms: seed ${seed}`);
  const begun = time.now;
  fault.inject({ world, master, rng: rng.fork("fault") });
  time.runTo(begun + fault.lastsMs + CALM_MS);
  // Whoever cannot write yet is waited for.
  while (
    time.now - (acknowledged.at(-1) ?? begun) > NORMAL_MS &&
    time.now < begun + WINDOW_MS_MAX
  ) {
    time.runTo(time.now + CALM_MS);
  }
  if (time.now - (acknowledged.at(-1) ?? begun) > NORMAL_MS) {
    const detail = `nobody can write ${WINDOW_MS_MAX / MINUTE_MS} minutes after ${fault.name}: seed ${seed}`;
    throw new Violation(22, "writes-again", detail);
  }
  return { gapMs: gapSince(acknowledged, begun, time.now), simulatedMs: time.now };
}

function gapSince(acknowledged: readonly number[], begun: number, end: number): number {
  let gapMs = 0;
  let before = begun;
  for (const at of [...acknowledged.filter((each) => each > begun), end]) {
    const between = at - before;
    if (between > NORMAL_MS) gapMs += between;
    before = at;
  }
  return gapMs;
}

/** Writes as often as makes a gap visible. */
function probe(onWritten: () => void): ScriptStart {
  return function* () {
    for (let i = 0; ; i += 1) {
      const file = yield* open("/ls/local/probe", {});
      if (file === undefined) continue;
      for (;;) {
        const contents = utf8Encode(`${i}`);
        const value = { handle: file.handle, contents, hasIfGeneration: false, ifGeneration: 0 };
        const call = yield ask({ $case: "setContents", value }, file.about);
        if (call?.result === undefined) break;
        onWritten();
        yield { kind: "sleep", ms: PROBE_EVERY_MS };
      }
    }
  };
}

function other(world: World, master: ReplicaProcess, rng: Rng): ReplicaProcess {
  return pick(
    rng,
    world.replicas.filter((each) => each !== master),
  );
}

function restartAfter(world: World, replica: ReplicaProcess, ms: number): void {
  world.crash(replica, "killed");
  world.time.after(ms, () => replica.start());
}

/** The machine goes with the process: nobody is left to refuse what its clients send. */
function losePower(world: World, replica: ReplicaProcess, ms: number): void {
  replica.crash("power loss");
  const links = world.clients.flatMap(({ id }) => [
    [-id, replica.id] as const,
    [replica.id, -id] as const,
  ]);
  world.time.after(ms, world.network.cutAll(links));
  world.time.after(ms, () => replica.start());
}

/** As an operator does it: a master hands over first, and the next one waits for the last. */
function roll(world: World, at: number): void {
  const replica = world.replicas[at];
  if (replica === undefined) return;
  replica.input({ kind: "handOver" });
  world.time.after(500, () => {
    restartAfter(world, replica, 1_000);
    world.time.after(6_000, () => roll(world, at + 1));
  });
}

function isolate(world: World, replica: ReplicaProcess, ms: number): void {
  const links = linksOf(replica.id, world.replicas.length);
  world.time.after(ms, world.network.cutAll(links));
}
