/**
 * How fast the simulator is on one core: a cell of five under some 50 calls a second, without faults,
 * and seeds with theirs. As one bundle, as `npm run sim` runs it; processor time, since cores are shared.
 */

import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

type Figures = {
  readonly steady: { readonly eventsPerSecond: number; readonly timesRealTime: number };
  readonly seeds: { readonly eventsPerSecond: number; readonly perSecond: number };
};

/** Runs in a process of its own, from the bundle. */
const PROGRAM = `
import { playSteadyLoad, runSeed } from "@cubby/simulator";
const seconds = (run) => {
  const before = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
};
const [simulatedMs, count] = process.argv.slice(2).map(Number);
playSteadyLoad("warm-up", simulatedMs / 2);
let report;
const steadySeconds = seconds(() => { report = playSteadyLoad("steady", simulatedMs); });
let events = 0;
const seedSeconds = seconds(() => {
  for (let seed = 1; seed <= count; seed += 1) events += runSeed({ seed: String(seed) }).coreEvents;
});
console.log(JSON.stringify({
  steady: {
    eventsPerSecond: report.coreEvents / steadySeconds,
    timesRealTime: simulatedMs / 1e3 / steadySeconds,
  },
  seeds: { eventsPerSecond: events / seedSeconds, perSecond: count / seedSeconds },
}));
`;

export async function benchSimulator(options: { json: boolean; quick: boolean }): Promise<void> {
  const { json, quick } = options;
  const directory = await mkdtemp(join(tmpdir(), "cubby-bench-"));
  try {
    const outfile = join(directory, "simulator.mjs");
    await build({
      stdin: { contents: PROGRAM, resolveDir: ROOT, loader: "ts" },
      bundle: true,
      platform: "node",
      format: "esm",
      conditions: ["@cubby/source"],
      outfile,
      logLevel: "error",
    });
    const args = quick ? ["200000", "20"] : ["1000000", "100"];
    const { stdout } = await promisify(execFile)(process.execPath, [outfile, ...args]);
    const { steady, seeds } = JSON.parse(stdout) as Figures;
    if (json) {
      process.stdout.write(`${JSON.stringify({ steady, seeds })}\n`);
      return;
    }
    const lines = [
      "one core                             core events a second   other",
      `a cell of five, 50 calls a second    ${thousands(steady.eventsPerSecond)}   ${steady.timesRealTime.toFixed(0)} times real time`,
      `seeds with their faults              ${thousands(seeds.eventsPerSecond)}   ${seeds.perSecond.toFixed(2)} seeds a second`,
    ];
    process.stdout.write(`${lines.join("\n")}\n`);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function thousands(value: number): string {
  return Math.round(value).toLocaleString("en-US").padStart(20);
}
