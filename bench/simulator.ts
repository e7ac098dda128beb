/**
 * How fast the simulator is on one core: a cell of five under some 50 calls a second, without faults,
 * and seeds with theirs. As one bundle, as `npm run sim` runs it.
 */

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { bundleEntry } from "../proof/sim/bundle.ts";
import type { SimulatorFigures } from "./simulator-program.ts";
import { count, fixed, textTable } from "./text-table.ts";

const PROGRAM = fileURLToPath(new URL("simulator-program.ts", import.meta.url));

export async function benchSimulator(options: { json: boolean; quick: boolean }): Promise<void> {
  const { json, quick } = options;
  const { file, remove } = await bundleEntry(PROGRAM);
  try {
    const args = quick ? ["200000", "20"] : ["1000000", "100"];
    const { stdout } = await promisify(execFile)(process.execPath, [file, ...args]);
    process.stdout.write(json ? stdout : `${tableOf(JSON.parse(stdout) as SimulatorFigures)}\n`);
  } finally {
    await remove();
  }
}

function tableOf({ steady, seeds }: SimulatorFigures): string {
  return textTable(
    ["one core", "core events/s", "times real time", "seeds/s"],
    [
      ["five replicas, 50 calls/s", count(steady.eventsPerSecond), count(steady.timesRealTime), ""],
      ["seeds with their faults", count(seeds.eventsPerSecond), "", fixed(seeds.perSecond, 2)],
    ],
  );
}
