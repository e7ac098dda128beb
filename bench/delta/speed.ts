/** Values per second of packing and unpacking, next to a plain copy and to every peer. */

import {
  decodePacked32Resident,
  encodePacked32,
  type PackedOptions,
} from "../../packages/delta/src/packed.ts";
import { fixed, textTable } from "../text-table.ts";
import { type Backend, type Codec, cubbyCodec, packed } from "./codec.ts";
import { loadSeries, type Series } from "./data.ts";
import type { Peer } from "./peers.ts";
import { atLeast, type Target } from "./target.ts";
import { type Job, type Timing, type TimingPlan, timeInTurns } from "./timing.ts";

const COPY = "TypedArray.set";
const FRESH_COPY = "TypedArray.slice";
const RESIDENT = "fast, left in WASM";
const RESIDENT_CHUNK = 65_536;

export type SpeedTable = {
  readonly series: string;
  readonly work: "encode" | "decode";
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

export async function measureSpeed(peers: readonly Peer[], plan: SpeedPlan): Promise<SpeedFigures> {
  const tables: SpeedTable[] = [];
  for (const name of plan.withReal ? [...SERIES, ...REAL_SERIES] : SERIES) {
    const series = loadSeries(name);
    if (series === undefined) continue;
    console.error(`measuring: speed on ${name}`);
    const codecs = await codecsOf(series, peers);
    const { decodes, encodes } = await jobsOf(series, codecs);
    tables.push({ series: name, work: "decode", timings: await timeInTurns(decodes, plan) });
    tables.push({ series: name, work: "encode", timings: await timeInTurns(encodes, plan) });
  }
  return { tables, targets: speedTargets(tables, peers) };
}

type NamedCodec = { readonly name: string; readonly codec: Codec; readonly bytes: Uint8Array };

async function codecsOf(series: Series, peers: readonly Peer[]): Promise<NamedCodec[]> {
  const codecs: NamedCodec[] = [];
  for (const backend of ["fast", "small"] satisfies Backend[]) {
    for (const wasm of [false, true]) {
      const codec = cubbyCodec(series, backend, wasm);
      const name = `${backend}, ${wasm ? "WASM" : "JavaScript"}`;
      codecs.push({ name, codec, bytes: await packed(series, codec) });
    }
  }
  for (const peer of peers) {
    // Starting a process is no part of a codec.
    if (peer.runtime === "program") continue;
    const choices: NamedCodec[] = [];
    for (const codec of peer.codecs(series)) {
      try {
        choices.push({ name: peer.name, codec, bytes: await packed(series, codec) });
      } catch (error) {
        console.error(`SKIPPED ${peer.name}: ${error instanceof Error ? error.message : error}`);
      }
    }
    const [best] = choices.sort((a, b) => a.bytes.length - b.bytes.length);
    if (best !== undefined) codecs.push(best);
  }
  return codecs;
}

async function jobsOf(
  { values }: Series,
  codecs: readonly NamedCodec[],
): Promise<{ decodes: Job[]; encodes: Job[] }> {
  const target = values.slice() as Float64Array;
  const copy = (): void => target.set(values as Float64Array);
  const job = (name: string, run: () => unknown): Job => ({ name, values: values.length, run });
  const copies = [job(COPY, copy), job(FRESH_COPY, () => values.slice())];
  const resident = values instanceof Int32Array ? [job(RESIDENT, residentDecode(values))] : [];
  return {
    decodes: [
      ...copies,
      ...resident,
      ...codecs.map(({ name, codec, bytes }) => job(name, () => codec.decode(bytes))),
    ],
    encodes: [...copies, ...codecs.map(({ name, codec }) => job(name, () => codec.encode()))],
  };
}

/** What the kernels alone do: no file around the chunks, and nothing is taken out of their memory. */
function residentDecode(values: Int32Array): () => void {
  const options: PackedOptions = { wasm: "now" };
  const chunks = Array.from({ length: Math.ceil(values.length / RESIDENT_CHUNK) }, (_, i) => {
    const chunk = values.slice(i * RESIDENT_CHUNK, (i + 1) * RESIDENT_CHUNK);
    return { count: chunk.length, payload: encodePacked32(chunk, 1, options) };
  });
  return () => {
    for (const { payload, count } of chunks) decodePacked32Resident(payload, 1, count, options);
  };
}

function speedTargets(tables: readonly SpeedTable[], peers: readonly Peer[]): Target[] {
  const best = (series: string, work: string, name: string): number => {
    const table = tables.find((each) => each.series === series && each.work === work);
    const [backend, how] = name.split(", ");
    const names = how === "best" ? [`${backend}, JavaScript`, `${backend}, WASM`] : [name];
    const timings = table?.timings.filter((timing) => names.includes(timing.name)) ?? [];
    return timings.length === 0 ? Number.NaN : Math.max(...timings.map((timing) => timing.best));
  };
  const listed = WANTED.map(([series, work, name, wanted]) =>
    atLeast(`${work} ${series}, ${name}, million/s`, best(series, work, name), wanted),
  );
  const rivals = peers.filter(({ runtime }) => runtime === "JavaScript" || runtime === "WASM");
  const decoded = tables.filter(({ work }) => work === "decode");
  const against = decoded.map(({ series }) => {
    const speeds = rivals.map(({ name }) => best(series, "decode", name));
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
