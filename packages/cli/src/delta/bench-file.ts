import { type Backend, decode, encode } from "@cubby/delta";
import { printJson } from "../options.ts";
import { monotonicMs } from "../process/monotonic.ts";
import { formatTable } from "../table.ts";
import { visible } from "../visible.ts";
import { decodeText, encodeText, READ_OPTIONS } from "./cdl-file.ts";
import { byteCodecs } from "./compressors.ts";
import { onFile } from "./delta-failure.ts";
import type { EncodeFileOptions, World } from "./encode-file.ts";
import { readInput } from "./input-file.ts";
import { count } from "./inspection-report.ts";
import { Progress } from "./progress.ts";
import { assertRawAlone, rawBytes, readRaw } from "./raw-values.ts";
import { readText, writeText } from "./text-source.ts";
import type { SeriesColumn, TextTable } from "./text-table.ts";

export type BenchFileOptions = Pick<
  EncodeFileOptions,
  "json" | "from" | "raw" | "delimiter" | "header" | "null"
> & { readonly thorough?: boolean };

const NOTHING = new Uint8Array(0);
const BACKENDS: readonly Backend[] = ["fast", "small", "handoff"];

/** The best of a few runs counts, and no more are made once they took this long. */
const RUNS_MAX = 5;
const RUNS_MS_MAX = 500;

type Row = {
  readonly codec: string;
  readonly bytes: number;
  /** Of the size before. */
  readonly ratio: number;
  readonly encodeMBps: number;
  readonly decodeMBps: number;
};

/** One comparison: everybody starts from the same bytes or values. */
type Section = { readonly of: string; readonly bytes: number; readonly rows: readonly Row[] };

type Encoded = readonly Uint8Array[];

type Contestant = {
  readonly name: string;
  /** One part, or one for each column. */
  readonly encode: () => Promise<Encoded> | Encoded;
  readonly decode: (encoded: Encoded) => unknown;
};

/** `cubby delta bench FILE`. */
export async function benchFile(
  { context, terminal }: World,
  path: string,
  options: BenchFileOptions,
): Promise<void> {
  assertRawAlone(options);
  const input = await readInput(context, path);
  const progress = new Progress(context, terminal);
  const contests: { of: string; bytes: number; contestants: Contestant[] }[] = [];
  if (options.raw === undefined) {
    const table = onFile(path, () => readBenchText(input, path, options));
    contests.push(textContest(input, table, path, options));
    contests.push(columnContest(table.columns, options));
  } else {
    const { raw } = options;
    const values = onFile(path, () => readRaw(input, raw));
    contests.push(
      columnContest([{ key: "value", type: raw as SeriesColumn["type"], values }], options),
    );
  }
  const total = contests.reduce((sum, { contestants }) => sum + contestants.length, 0);
  const sections: Section[] = [];
  let done = 0;
  for (const { of, bytes, contestants } of contests) {
    const rows: Row[] = [];
    for (const contestant of contestants) {
      progress.show(contestant.name, done / total);
      rows.push(await measure(contestant, bytes));
      done += 1;
    }
    sections.push({ of, bytes, rows });
  }
  progress.done();
  if (options.json === true) printJson(context, { input: path, sections });
  else context.writeOut(`${sections.map(sectionText).join("\n\n")}\n\n${FOOTNOTE}\n`);
}

const FOOTNOTE = `MB/s are of the size before, the best of up to ${RUNS_MAX} runs on this machine. Programs run
through pipes, and their start counts; --thorough adds the slow levels of the others.`;

function readBenchText(input: Uint8Array, path: string, options: BenchFileOptions): TextTable {
  return readText(input, {
    path,
    onProgress: () => undefined,
    ...(options.from === undefined ? {} : { source: options.from }),
    ...(options.delimiter === undefined ? {} : { delimiter: options.delimiter }),
    ...(options.header === undefined ? {} : { header: options.header }),
    ...(options.null === undefined ? {} : { nullText: options.null }),
  });
}

/** From text to bytes and back to text; reading and writing it is part of the work. */
function textContest(
  input: Uint8Array,
  table: TextTable,
  path: string,
  options: BenchFileOptions,
): { of: string; bytes: number; contestants: Contestant[] } {
  const ours = BACKENDS.map((backend) => ({
    name: `cubby delta ${backend}`,
    encode: () => [encodeText(readBenchText(input, path, options), backend)],
    decode: ([encoded = NOTHING]: Encoded) => {
      let chars = 0;
      const decoded = decodeText(encoded).table;
      for (const piece of writeText(decoded, table.layout.source)) chars += piece.length;
      return chars;
    },
  }));
  const of = `the text as it is: ${count(table.rows)} rows`;
  return { of, bytes: input.length, contestants: [...ours, ...others(input, options)] };
}

/** From columns in memory and back; the others get the columns' bytes, one column behind the other. */
function columnContest(
  columns: readonly SeriesColumn[],
  options: BenchFileOptions,
): { of: string; bytes: number; contestants: Contestant[] } {
  const plain = Buffer.concat(columns.map(plainBytes));
  const ours = BACKENDS.map((backend) => ({
    name: `cubby delta ${backend}`,
    encode: () => columns.map(({ values, type }) => encode(values, { backend, type })),
    decode: (encoded: Encoded) => encoded.map((part) => decode(part, READ_OPTIONS)),
  }));
  const of = `the columns in memory: ${columns.map(({ key, type }) => `${key} ${type}`).join(", ")}`;
  return { of, bytes: plain.length, contestants: [...ours, ...others(plain, options)] };
}

function others(bytes: Uint8Array, { thorough }: BenchFileOptions): Contestant[] {
  return byteCodecs(thorough === true).map((codec) => ({
    name: codec.name,
    encode: async () => [await codec.encode(bytes)],
    decode: ([encoded = NOTHING]) => codec.decode(encoded),
  }));
}

/** Numbers as they stand in memory; texts with a line feed behind each. */
function plainBytes({ values, type }: SeriesColumn): Uint8Array {
  if (type === "string") return Buffer.from(`${(values as readonly string[]).join("\n")}\n`);
  if (ArrayBuffer.isView(values)) return rawBytes(values, type);
  // A null takes a place like every other value.
  const filler = type === "bigint" ? 0n : type === "boolean" ? false : 0;
  const full = (values as readonly unknown[]).map((value) => value ?? filler);
  return rawBytes(full as unknown as SeriesColumn["values"], type === "date" ? "number" : type);
}

async function measure(contestant: Contestant, bytes: number): Promise<Row> {
  let encoded: Encoded = [];
  const encodeMs = await bestMs(async () => {
    encoded = await contestant.encode();
  });
  const decodeMs = await bestMs(async () => {
    await contestant.decode(encoded);
  });
  const size = encoded.reduce((sum, part) => sum + part.length, 0);
  return {
    codec: contestant.name,
    bytes: size,
    ratio: size / Math.max(1, bytes),
    encodeMBps: bytes / 1e3 / encodeMs,
    decodeMBps: bytes / 1e3 / decodeMs,
  };
}

async function bestMs(work: () => Promise<void>): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  let spent = 0;
  for (let run = 0; run < RUNS_MAX && spent < RUNS_MS_MAX; run += 1) {
    const start = monotonicMs();
    await work();
    const took = monotonicMs() - start;
    best = Math.min(best, took);
    spent += took;
  }
  return Math.max(best, 1e-3);
}

function sectionText({ of, bytes, rows }: Section): string {
  const lines = rows.map(({ codec, bytes: size, ratio, encodeMBps, decodeMBps }) => [
    codec,
    count(size),
    `${(ratio * 100).toFixed(2)} %`,
    encodeMBps.toFixed(encodeMBps < 10 ? 1 : 0),
    decodeMBps.toFixed(decodeMBps < 10 ? 1 : 0),
  ]);
  const header = ["codec", "bytes", "of before", "encode MB/s", "decode MB/s"];
  const table = formatTable(header, lines, { rightAligned: header.slice(1) });
  return `${visible(of)}, ${count(bytes)} bytes\n${table}`;
}
