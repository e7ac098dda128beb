/**
 * Every schedule of three replicas of the log within a budget: `npx tsx proof/sim/exhaustive.ts` explores
 * the deep setups, which takes minutes; names of some of them, and `--bug NAME`, narrow that down.
 */

import { readFile } from "node:fs/promises";
import { relative, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import type { Plugin } from "esbuild";
import type {
  ExhaustiveSearch,
  Found,
  Setup,
} from "../../packages/paxos/src/test-support/exhaustive-search.ts";
import { bundleEntry } from "./bundle.ts";
import { editsOf, type PlantedBug, plant } from "./planted-bug.ts";
import { bugNamed } from "./planted-bugs.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SEARCH = `${ROOT}packages/paxos/src/test-support/exhaustive-search.ts`;

/** The first master's clock is slow, and those of the others are fast, as far as is allowed. */
const RATES = [0.9, 1.1, 1.1];

/** Where a setup has more, those that take the most steps are left out. */
const STATES_MAX = 1_500_000;

/** What CI explores, in seconds: all but the last to the end. */
export const QUICK_SETUPS = {
  "two elections of one replica, a command and a crash": {
    links: "in order",
    candidates: [1],
    budget: { stand: 2, propose: 1, crash: 1 },
  },
  "a leader, then an election, a command and a crash": {
    links: "in order",
    begin: ["stand"],
    candidates: [2],
    budget: { stand: 1, propose: 1, crash: 1 },
  },
  "a leader, then an election and two commands": {
    links: "in order",
    begin: ["stand"],
    candidates: [2],
    budget: { stand: 1, propose: 2 },
  },
  "a leader, then two commands, packets in any order": {
    links: "in any order",
    begin: ["stand"],
    candidates: [],
    budget: { propose: 2 },
  },
  "a master, then an election, within its lease": {
    links: "in order",
    begin: ["stand"],
    candidates: [2],
    rates: RATES,
    budget: { stand: 1, tick: 1, crash: 1 },
  },
  "a master, then an election, and time": {
    links: "in order",
    begin: ["stand"],
    candidates: [2],
    rates: RATES,
    budget: { stand: 1, tick: 1, time: 1 },
    stepsMax: 15,
  },
} as const satisfies Record<string, Setup>;

const DEEP_SETUPS: Record<string, Setup> = {
  ...QUICK_SETUPS,
  "two elections and a command": {
    links: "in order",
    candidates: [1, 2],
    budget: { stand: 2, propose: 1 },
  },
  "two elections and a crash, packets in any order": {
    links: "in any order",
    candidates: [1, 2],
    budget: { stand: 2, crash: 1 },
  },
  "a leader, then two elections and a command": {
    links: "in order",
    begin: ["stand"],
    candidates: [2, 3],
    budget: { stand: 2, propose: 1 },
  },
  "a leader, then an election, two commands, losses and repetitions": {
    links: "in order",
    begin: ["stand"],
    candidates: [2],
    budget: { stand: 1, propose: 2, drop: 1, tick: 1 },
    statesMax: STATES_MAX,
  },
  "a command, then an election, another command and two crashes": {
    links: "in order",
    begin: ["stand", "propose"],
    candidates: [3],
    budget: { stand: 1, propose: 1, crash: 2 },
  },
  "a leader, then two commands and a crash, packets twice and in any order": {
    links: "in any order",
    begin: ["stand"],
    candidates: [],
    budget: { propose: 2, copy: 1, crash: 1 },
  },
  "a master, then hand-over, an election, time and a crash": {
    links: "in order",
    begin: ["stand"],
    candidates: [2],
    rates: RATES,
    budget: { stand: 1, handOver: 1, tick: 1, time: 2, crash: 1 },
    statesMax: STATES_MAX,
  },
  "a master, then an election and time, packets in any order": {
    links: "in any order",
    begin: ["stand"],
    candidates: [2],
    rates: RATES,
    budget: { stand: 1, tick: 2, time: 2 },
    statesMax: STATES_MAX,
  },
};

type SearchModule = { readonly ExhaustiveSearch: typeof ExhaustiveSearch };

let withoutBug: Promise<SearchModule> | undefined;

/** Searches production classes, with a bug in them if one is asked for. */
export async function explore(setup: Setup, bug?: PlantedBug): Promise<Found> {
  withoutBug ??= load(undefined);
  const module = await (bug === undefined ? withoutBug : load(bug));
  return new module.ExhaustiveSearch(setup).run();
}

async function load(bug: PlantedBug | undefined): Promise<SearchModule> {
  const { file, remove } = await bundleEntry(SEARCH, [visible(bug)]);
  try {
    return await import(pathToFileURL(file).href);
  } finally {
    await remove();
  }
}

/** Private fields become visible ones, so that two replicas can be told to be in the same state. */
function visible(bug: PlantedBug | undefined): Plugin {
  const files = new Set(bug === undefined ? [] : editsOf(bug).map(({ file }) => file));
  return {
    name: "visible",
    setup({ onLoad }) {
      onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        const file = relative(ROOT, path).split(sep).join("/");
        const text = await readFile(path, "utf8");
        const planted = bug !== undefined && files.has(file) ? plant(bug, file, text) : text;
        return { contents: planted.replace(/#(?=[a-z])/g, "_"), loader: "ts" };
      });
    },
  };
}

export function reportOf({ seen, violation, ...counts }: Found): string {
  const lines = [JSON.stringify(counts), JSON.stringify(Object.fromEntries(seen))];
  return [...lines, ...(violation === undefined ? [] : [violation])].join("\n");
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { bug: { type: "string" } },
    allowPositionals: true,
  });
  const bug = values.bug === undefined ? undefined : bugNamed(values.bug);
  if (values.bug !== undefined && bug === undefined) throw new Error("there is no such bug");
  for (const [name, setup] of Object.entries(DEEP_SETUPS)) {
    if (positionals.length > 0 && !positionals.some((part) => name.includes(part))) continue;
    const found = await explore(setup, bug);
    console.log(`${name}\n${reportOf(found)}`);
    if (found.violation !== undefined) process.exitCode = 10;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await main();
