/** Bytes per value of each back end on every series, against pco at level 8 and TurboPFor. */

import { fixed, textTable } from "../text-table.ts";
import { BACKENDS, type Backend, cubbyCodec, packed } from "./codec.ts";
import { heldOutNames, loadSeries, type Series } from "./data.ts";
import { SERIES_REFERENCES } from "./reference.ts";
import { SYNTHETIC_SERIES } from "./synthetic.ts";
import { atMost, type Target } from "./target.ts";

/** What a file may cost that is not the values' own. */
const FILE_BYTES = 64;
/** The reference of a series as small as this has one digit: no ratio to it is better than this. */
const TINY = { bytes: 100, ratioMin: 0.5 } as const;
/** Of the synthetic series, measured elsewhere on ones of the same kind. */
const SYNTHETIC_PCO8: ReadonlyMap<string, number> = new Map([
  ["walk", 0.6419],
  ["ticks", 0.2099],
  ["walk_prices", 0.7135],
  ["ticks_prices", 0.2785],
]);

export type SizeRow = {
  readonly series: string;
  readonly group: "listed" | "synthetic" | "held out";
  readonly values: number;
  /** Bytes per value. */
  readonly sizes: Readonly<Record<Backend, number>>;
  readonly pco8: number | undefined;
  /** `small` to pco, without what a file may cost. */
  readonly ratio: number | undefined;
};

export type SizeFigures = {
  readonly rows: readonly SizeRow[];
  readonly targets: readonly Target[];
};

export async function measureSizes(): Promise<SizeFigures> {
  const rows: SizeRow[] = [];
  for (const { name, pco8 } of SERIES_REFERENCES) await add(rows, name, "listed", pco8);
  for (const name of SYNTHETIC_SERIES) await add(rows, name, "synthetic", SYNTHETIC_PCO8.get(name));
  for (const name of heldOutNames()) await add(rows, name, "held out", undefined);
  return { rows, targets: sizeTargets(rows) };
}

async function add(
  rows: SizeRow[],
  name: string,
  group: SizeRow["group"],
  pco8: number | undefined,
): Promise<void> {
  const series = loadSeries(name);
  if (series === undefined) console.error(`SKIPPED ${name}: there is no data`);
  else rows.push(await sizeRow(series, group, pco8));
}

async function sizeRow(
  series: Series,
  group: SizeRow["group"],
  pco8: number | undefined,
): Promise<SizeRow> {
  const { length } = series.values;
  const sizes = { small: 0, fast: 0, handoff: 0 };
  for (const backend of BACKENDS) {
    sizes[backend] = (await packed(series, cubbyCodec(series, backend))).length / length;
  }
  return { series: series.name, group, values: length, sizes, pco8, ratio: ratioOf() };

  function ratioOf(): number | undefined {
    if (pco8 === undefined) return undefined;
    const ratio = Math.max(0, sizes.small - FILE_BYTES / length) / pco8;
    return pco8 * length < TINY.bytes ? Math.max(TINY.ratioMin, ratio) : ratio;
  }
}

function sizeTargets(rows: readonly SizeRow[]): Target[] {
  const listed = rows.filter(({ group }) => group === "listed");
  const ratios = listed.map(({ ratio }) => ratio ?? Number.NaN);
  const [worst] = [...listed].sort((a, b) => (b.ratio ?? 0) - (a.ratio ?? 0));
  const fast = (series: string): number =>
    rows.find((row) => row.series === series)?.sizes.fast ?? Number.NaN;
  return [
    atMost("small to pco 8, geometric mean", geometricMean(ratios), 0.9),
    atMost(`small to pco 8, worst series (${worst?.series})`, worst?.ratio ?? Number.NaN, 1.05),
    atMost("fast on walk, bytes per value", fast("walk"), 0.77),
    atMost("fast on ticks, bytes per value", fast("ticks"), 0.39),
  ];
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

export function sizeReport({ rows }: SizeFigures): string {
  const lines = rows.map(({ series, values, sizes, pco8, ratio }) => [
    series,
    values.toLocaleString("en-US"),
    fixed(sizes.small, 4),
    fixed(sizes.fast, 4),
    fixed(sizes.handoff, 4),
    fixed(pco8 ?? Number.NaN, 4),
    fixed(ratio ?? Number.NaN, 3),
  ]);
  const head = ["bytes per value", "values", "small", "fast", "handoff", "pco 8", "small/pco"];
  return textTable(head, lines);
}
