/** The process of a contender: packs or unpacks one series whenever it is told to. */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import {
  decodePacked32Resident,
  encodePacked32,
  type PackedOptions,
} from "../../packages/delta/src/packed.ts";
import "../../packages/delta/src/complete.ts";
import { type Codec, cubbyCodec, packed } from "./codec.ts";
import {
  COPY,
  type ContenderMessage,
  FRESH_COPY,
  RESIDENT,
  SPEED_EFFORT,
  type Work,
} from "./contender.ts";
import { loadSeries, type Series } from "./data.ts";
import { loadPeers } from "./peers.ts";

const RESIDENT_CHUNK = 65_536;

type Works = Readonly<Partial<Record<Work, () => unknown>>>;

async function serve(name: string, seriesName: string): Promise<void> {
  const series = loadSeries(seriesName);
  const works: Works = series === undefined ? {} : await worksOf(name, series);
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as (options: { type: "minor" }) => void;
  const say = (message: ContenderMessage): void => {
    process.send?.(message);
  };
  process.on("message", async (work: Work) => {
    // What the run before left behind is not collected at this one's expense. A major collection
    // would go on beside the run, and give back memory that the run then has to ask for.
    collectGarbage({ type: "minor" });
    const start = performance.now();
    await works[work]?.();
    say({ ms: performance.now() - start });
  });
  say({ works: Object.keys(works) as Work[] });
}

async function worksOf(name: string, series: Series): Promise<Works> {
  const { values } = series;
  switch (name) {
    case COPY: {
      const target = values.slice() as Float64Array;
      const copy = (): void => target.set(values as Float64Array);
      return { encode: copy, decode: copy };
    }
    case FRESH_COPY:
      return { encode: () => values.slice(), decode: () => values.slice() };
    case RESIDENT:
      return values instanceof Int32Array ? { decode: residentDecode(values) } : {};
    default:
      return await codecWorks(name, series);
  }
}

async function codecWorks(name: string, series: Series): Promise<Works> {
  const [backend, engine] = name.split(", ");
  const codecs =
    backend === "fast" || backend === "small"
      ? [cubbyCodec(series, backend, engine === "WASM")]
      : (await loadPeers(SPEED_EFFORT, name)).flatMap((peer) => peer.codecs(series));
  let best: { readonly codec: Codec; readonly bytes: Uint8Array } | undefined;
  for (const codec of codecs) {
    try {
      const bytes = await packed(series, codec);
      if (best === undefined || bytes.length < best.bytes.length) best = { codec, bytes };
    } catch (error) {
      console.error(`SKIPPED ${name}: ${error instanceof Error ? error.message : error}`);
    }
  }
  if (best === undefined) return {};
  const { codec, bytes } = best;
  return { encode: () => codec.encode(), decode: () => codec.decode(bytes) };
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

const [name = "", series = ""] = process.argv.slice(2);
await serve(name, series);
