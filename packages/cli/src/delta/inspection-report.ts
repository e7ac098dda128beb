import type { ChunkReport, Values } from "@cubby/delta";
import { formatTable } from "../table.ts";
import { visible } from "../visible.ts";
import { barLine, brief, signedPlot } from "./block-plot.ts";

/** What the report says of one series. */
export type SeriesReport = {
  readonly name: string;
  readonly type: string;
  readonly values: number;
  readonly bytes: number;
  /** How it was written as text, in words; undefined where that is not known. */
  readonly writtenAs: string | undefined;
  readonly chunks: readonly ChunkReport[];
  /** The differences between neighbors; undefined where values have none. */
  readonly deltas: Float64Array | undefined;
};

const WIDTH = 80;
/** Room for the scale beside it. */
const PLOT_WIDTH = 68;
const CHUNKS_SHOWN = 12;
const ALTERNATIVES_SHOWN = 3;

/** One line for each column of a table; what may be long stands last. */
export function columnTable(reports: readonly SeriesReport[]): string {
  const rows = reports.map(({ name, type, values, bytes, chunks }) => [
    name,
    type,
    count(sum(chunks, ({ nulls }) => nulls)),
    count(bytes),
    bitsPerValue(bytes, values),
    usual(chunks, ({ backend }) => backend),
    usual(chunks, ({ predictor }) => predictor),
    usual(chunks, ({ mode }) => mode),
  ]);
  const header = ["column", "type", "nulls", "bytes", "bits", "back end", "predictor", "mode"];
  return formatTable(header, rows, { rightAligned: ["nulls", "bytes", "bits"] });
}

/** All of one series: its chunks, why they are as they are, and what its deltas look like. */
export function seriesText(report: SeriesReport): string {
  const { name, type, writtenAs, chunks, deltas } = report;
  const words = writtenAs === undefined ? "" : `, ${writtenAs}`;
  const title = `── ${visible(`${name}: ${type}${words}`)} `;
  const parts = [title.padEnd(WIDTH, "─"), chunkTable(chunks), ...weighed(chunks)];
  const plot = deltas === undefined || deltas.length === 0 ? [] : signedPlot(deltas, PLOT_WIDTH);
  if (plot.length > 0) parts.push("", "deltas", ...plot);
  const bits = chunks.flatMap(({ blocks }) => blocks.map((block) => block.bits));
  // Below each delta its bits.
  const indent = (plot[0]?.search(/[┤│]/) ?? -1) + 1;
  parts.push(...bitsLines(bits, chunks, " ".repeat(indent)));
  return parts.join("\n");
}

function chunkTable(chunks: readonly ChunkReport[]): string {
  const rows = chunks
    .slice(0, CHUNKS_SHOWN)
    .map((chunk, index) => [
      String(index),
      count(chunk.firstValue),
      count(chunk.values),
      count(chunk.exceptions),
      count(chunk.bytes),
      chunk.bitsPerValue.toFixed(2),
      chunk.backend,
      chunk.predictor,
      chunk.mode,
    ]);
  const numbers = ["#", "from", "values", "exc.", "bytes", "bits"];
  const header = [...numbers, "back end", "predictor", "mode"];
  const table = formatTable(header, rows, { rightAligned: numbers });
  const more = chunks.length - CHUNKS_SHOWN;
  return more > 0 ? `${table}\n… and ${count(more)} more chunks` : table;
}

/** What the first chunk's encoder weighed, the best of each question. */
function weighed(chunks: readonly ChunkReport[]): string[] {
  const why = chunks[0]?.why ?? [];
  const rows = [...new Set(why.map(({ question }) => question))].flatMap((question) =>
    why
      .filter(
        (each, index) =>
          each.question === question &&
          // Two ways to the same numbers are one to the reader.
          why.findIndex(({ candidate }) => candidate === each.candidate) === index,
      )
      .slice(0, ALTERNATIVES_SHOWN)
      .map(({ candidate, bytes }, index) => [index === 0 ? question : "", count(bytes), candidate]),
  );
  if (rows.length === 0) return [];
  const header = ["why this", "bytes, about", "candidate"];
  return ["", formatTable(header, rows, { rightAligned: ["bytes, about"] })];
}

function bitsLines(
  bits: readonly number[],
  chunks: readonly ChunkReport[],
  indent: string,
): string[] {
  const perChunk = chunks.map((chunk) => chunk.bitsPerValue);
  const [values, of] = bits.length > 0 ? [bits, "blocks of 128"] : [perChunk, "chunks"];
  if (values.length < 2) return [];
  // One after the other: there may be more than a call can have arguments.
  const least = values.reduce((a, b) => Math.min(a, b));
  const most = values.reduce((a, b) => Math.max(a, b));
  return [
    "",
    `bits per value, ${count(values.length)} ${of}, from ${brief(least)} to ${brief(most)}`,
    indent + barLine(values, PLOT_WIDTH, most),
  ];
}

/** The differences between values that are there; undefined for what has no differences. */
export function plotDeltas(values: Values): Float64Array | undefined {
  const found = new Float64Array(Math.max(0, values.length - 1));
  let length = 0;
  let last: number | bigint | undefined;
  for (const value of values as Iterable<unknown>) {
    const next = value instanceof Date ? value.getTime() : value;
    if (typeof next === "string" || typeof next === "boolean") return undefined;
    if (typeof next !== "bigint" && (typeof next !== "number" || !Number.isFinite(next))) continue;
    if (last !== undefined) {
      found[length] =
        typeof next === "bigint" && typeof last === "bigint"
          ? Number(next - last)
          : Number(next) - Number(last);
      length += 1;
    }
    last = next;
  }
  return found.subarray(0, length);
}

/** What most chunks say, and that others say something else. */
function usual(chunks: readonly ChunkReport[], of: (chunk: ChunkReport) => string): string {
  const counts = new Map<string, number>();
  for (const chunk of chunks) counts.set(of(chunk), (counts.get(of(chunk)) ?? 0) + 1);
  const [first] = [...counts].sort(([, a], [, b]) => b - a);
  if (first === undefined) return "-";
  return counts.size > 1 ? `${first[0]} +${counts.size - 1}` : first[0];
}

function bitsPerValue(bytes: number, values: number): string {
  return values === 0 ? "-" : ((bytes * 8) / values).toFixed(2);
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}

export function count(value: number): string {
  return value.toLocaleString("en-US");
}
