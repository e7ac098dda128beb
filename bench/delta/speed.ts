/** Values per second of packing and unpacking, next to a plain copy and to every peer. */

import type { Scope } from "../scope.ts";
import { fixed, textTable } from "../text-table.ts";
import { COPY, Contender, CUBBY, contenderNames, RESIDENT, type Work } from "./contender.ts";
import { loadSeries } from "./data.ts";
import { atLeast, type Target } from "./target.ts";
import { type Timing, type TimingPlan, timeInTurns } from "./timing.ts";

/** Peers that run in the same engine. */
const RIVALS = ["meshoptimizer", "hyparquet", "parquet-wasm", "numcodecs", "fastintcompression"];

export type SpeedTable = {
  readonly series: string;
  readonly work: Work;
  readonly timings: readonly Timing[];
};

export type SpeedFigures = {
  readonly tables: readonly SpeedTable[];
  readonly targets: readonly Target[];
};

/** Rows of the targets: million values a second, `best` of JavaScript and WASM where either will do. */
const WANTED = [
  ["walk", "decode", "fast, JavaScript", 600],
  ["walk", "decode", "fast, WASM", 1_000],
  ["walk", "decode", RESIDENT, 2_500],
  ["walk", "encode", "fast, JavaScript", 120],
  ["walk", "encode", "fast, WASM", 350],
  ["walk", "decode", "small, JavaScript", 170],
  ["walk", "decode", "small, WASM", 300],
  ["walk_prices", "decode", "fast, best", 300],
  ["walk_prices", "decode", "small, best", 150],
  ["timestamps", "decode", "fast, best", 500],
] as const;

const SERIES = ["walk", "ticks", "walk_prices", "timestamps"] as const;
const REAL_SERIES = ["alsa_speech_48k", "cities_lat", "geoip4_start", "prism_elev"] as const;

export type SpeedPlan = TimingPlan & { readonly withReal: boolean };

export async function measureSpeed(scope: Scope, plan: SpeedPlan): Promise<SpeedFigures> {
  const names = await contenderNames();
  const tables: SpeedTable[] = [];
  for (const series of plan.withReal ? [...SERIES, ...REAL_SERIES] : SERIES) {
    const values = loadSeries(series)?.values.length;
    if (values === undefined) continue;
    console.error(`measuring: speed on ${series}`);
    const contenders: Contender[] = [];
    for (const name of names) contenders.push(await Contender.start(scope, name, series));
    for (const work of ["decode", "encode"] as const) {
      const jobs = contenders
        .filter(({ works }) => works.includes(work))
        .map((each) => ({ name: each.name, values, run: () => each.run(work) }));
      tables.push({ series, work, timings: await timeInTurns(jobs, plan) });
    }
    for (const each of contenders) each.close();
  }
  return { tables, targets: speedTargets(tables) };
}

function speedTargets(tables: readonly SpeedTable[]): Target[] {
  const best = (series: string, work: string, name: string): number => {
    const table = tables.find((each) => each.series === series && each.work === work);
    const [backend, how] = name.split(", ");
    const names = how === "best" ? CUBBY.filter((each) => each.startsWith(`${backend},`)) : [name];
    const timings =
      table?.timings.filter((timing) => names.some((each) => each === timing.name)) ?? [];
    return timings.length === 0 ? Number.NaN : Math.max(...timings.map((timing) => timing.best));
  };
  const listed = WANTED.map(([series, work, name, wanted]) =>
    atLeast(`${work} ${series}, ${name}, million/s`, best(series, work, name), wanted),
  );
  const decoded = tables.filter(({ work }) => work === "decode");
  const against = decoded.map(({ series }) => {
    const speeds = RIVALS.map((name) => best(series, "decode", name));
    const fastest = Math.max(...speeds.filter((speed) => !Number.isNaN(speed)));
    const ratio = best(series, "decode", "fast, best") / fastest;
    return atLeast(`decode ${series}, fast, to the fastest JavaScript or WASM peer`, ratio, 1);
  });
  return [...listed, ...against];
}

export function speedReport({ tables }: SpeedFigures): string {
  return tables
    .map(({ series, work, timings }) => {
      const find = (name: string): number =>
        timings.find((timing) => timing.name === name)?.best ?? Number.NaN;
      const lines = timings.map(({ name, best, median }) => [
        name,
        fixed(best, 1),
        fixed(median, 1),
        fixed(best / find(COPY), 3),
        fixed(best / find("meshoptimizer"), 2),
      ]);
      const head = [`${work} ${series}, million/s`, "best", "median", "to set", "to meshoptimizer"];
      return textTable(head, lines);
    })
    .join("\n\n");
}
