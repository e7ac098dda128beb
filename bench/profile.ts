/**
 * Where the master's processor time goes under one kind of load: the functions of the greatest self
 * time, by V8's sampling profiler.
 */

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { connect } from "@cubby/client";
import { startCell } from "./bench-cell.ts";
import { closedLoop } from "./closed-loop.ts";
import { OPERATIONS, openFiles } from "./operations.ts";
import { inScope } from "./scope.ts";
import { count, fixed, textTable } from "./text-table.ts";

const SECONDS_MAX = 120;
const WARM_UP_MS = 2_000;
const PRELOAD = `--require ${JSON.stringify(
  fileURLToPath(new URL("record-profile.cjs", import.meta.url)),
)}`;

export type ProfileOptions = {
  readonly operation: string;
  readonly inFlight: number;
  readonly seconds: number;
  readonly lines: number;
};

export async function benchProfile(options: ProfileOptions): Promise<void> {
  const operation = OPERATIONS.find(({ word }) => word === options.operation);
  if (operation === undefined) throw new RangeError(`no operation ${options.operation}`);
  await inScope(SECONDS_MAX, async (scope) => {
    const directory = mkdtempSync(join(tmpdir(), "cubby-profile-"));
    scope.onEnd(() => rmSync(directory, { recursive: true, force: true }));
    process.env["BENCH_PROFILES"] = directory;
    const cell = await startCell(scope, join(directory, "cell"), PRELOAD);
    const pid = cell.pid(await cell.waitReady());
    if (pid === undefined) throw new Error("The master is not running.");
    {
      await using first = await connect(cell.url);
      await using second = await connect(cell.url);
      const files = await openFiles([first, second]);
      const { inFlight, seconds } = options;
      const busy = files.slice(0, inFlight);
      await closedLoop(busy, WARM_UP_MS, scope.signal, operation.run);
      process.kill(pid, "SIGUSR2");
      const latencies = await closedLoop(busy, seconds * 1_000, scope.signal, operation.run);
      process.kill(pid, "SIGUSR2");
      const perSecond = count(latencies.length / seconds);
      console.log(`${operation.name}, ${inFlight} in flight: ${perSecond} per second`);
    }
    const file = join(directory, `${pid}.cpuprofile`);
    // Renamed into place by the master when it is whole.
    while (!existsSync(file)) await delay(100, undefined, { signal: scope.signal });
    const text = readFileSync(file, "utf8");
    const profile = JSON.parse(text) as Profile;
    console.log(profileReport(profile, options.lines));
  });
}

/** What V8 writes, as far as it is read here. */
type Profile = {
  readonly nodes: readonly {
    readonly id: number;
    readonly children?: readonly number[];
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      readonly lineNumber: number;
    };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
};

function profileReport(profile: Profile, lines: number): string {
  const names = functionNames(profile);
  const micros = new Map<string, number>();
  let busyMicros = 0;
  profile.samples.forEach((id, i) => {
    const name = names.get(id) ?? "(unknown)";
    const delta = profile.timeDeltas[i] ?? 0;
    micros.set(name, (micros.get(name) ?? 0) + delta);
    if (name !== "(idle)") busyMicros += delta;
  });
  const rows = [...micros]
    .filter(([name]) => name !== "(idle)")
    .sort(([, a], [, b]) => b - a)
    .slice(0, lines)
    .map(([name, time]) => [name, count(time / 1_000), fixed((100 * time) / busyMicros, 1)]);
  const head = `busy ${count(busyMicros / 1_000)} ms, idle ${count((micros.get("(idle)") ?? 0) / 1_000)} ms`;
  return `${head}\n\n${textTable(["function", "self ms", "% of busy"], rows)}`;
}

/** What is not ours, such as a system call, is named together with the nearest function of ours. */
function functionNames(profile: Profile): Map<number, string> {
  const parents = new Map<number, number>();
  for (const { id, children = [] } of profile.nodes) {
    for (const child of children) parents.set(child, id);
  }
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
  const names = new Map<number, string>();
  for (const { id, callFrame } of profile.nodes) {
    const parts = [callFrame.functionName === "" ? "(anonymous)" : callFrame.functionName];
    let at: number | undefined = id;
    while (at !== undefined && !frames.get(at)?.url.startsWith("file:")) at = parents.get(at);
    const ours = at === undefined ? undefined : frames.get(at);
    if (ours !== undefined) {
      if (at !== id) parts.push("<", ours.functionName);
      const place = ours.url.replace(/^.*\/(packages|node_modules)\//, "");
      parts.push(`${place}:${ours.lineNumber + 1}`);
    }
    names.set(id, parts.join(" "));
  }
  return names;
}
