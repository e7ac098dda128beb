/**
 * What else packs numbers: npm packages, Node's own compressors, and programs where they are
 * installed. The packages are no dependencies of the workspace: pinned versions go into the folder
 * of the data on first use.
 */

import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import {
  brotliCompressSync,
  brotliDecompressSync,
  constants,
  gunzipSync,
  gzipSync,
} from "node:zlib";
import { installedPackage } from "../fetched-packages.ts";
import { DATA_FOLDER, programPath } from "./cache.ts";
import { bytesOf, type Codec, valuesOf } from "./codec.ts";
import type { Series } from "./data.ts";
import {
  hyparquet,
  type Module,
  meshoptimizer,
  numcodecs,
  parquetWasm,
  varints,
} from "./npm-peers.ts";

export type Peer = {
  readonly name: string;
  readonly runtime: "JavaScript" | "WASM" | "native" | "program";
  /** Its settings that suit the series, none when it does not take the type. */
  readonly codecs: (series: Series) => readonly Codec[];
};

export type PeerEffort = { readonly gzip: number; readonly brotli: number };

const VERSIONS = {
  meshoptimizer: "1.3.0",
  hyparquet: "1.31.5",
  "hyparquet-writer": "0.17.0",
  "parquet-wasm": "0.8.0",
  "apache-arrow": "21.2.0",
  numcodecs: "0.3.2",
  fastintcompression: "0.1.0",
} as const;

type Maker = {
  readonly name: string;
  readonly runtime: Peer["runtime"];
  /** Files to load, each in a package of `VERSIONS`. */
  readonly files: readonly string[];
  readonly make: (modules: readonly Module[]) => Promise<Peer["codecs"]>;
};

const MAKERS: readonly Maker[] = [
  {
    name: "meshoptimizer",
    runtime: "WASM",
    files: ["meshoptimizer/index.js"],
    make: meshoptimizer,
  },
  {
    name: "hyparquet",
    runtime: "JavaScript",
    files: ["hyparquet-writer/src/index.js", "hyparquet/src/index.js"],
    make: hyparquet,
  },
  {
    name: "parquet-wasm",
    runtime: "WASM",
    files: ["parquet-wasm/node/parquet_wasm.js", "apache-arrow/Arrow.node.mjs"],
    make: parquetWasm,
  },
  { name: "numcodecs", runtime: "WASM", files: ["numcodecs/dist/blosc.js"], make: numcodecs },
  {
    name: "fastintcompression",
    runtime: "JavaScript",
    files: ["fastintcompression/FastIntegerCompression.js"],
    make: varints,
  },
];

/** Every peer that can be had, or the one that is named; what cannot be had is said. */
export async function loadPeers(effort: PeerEffort, only?: string): Promise<Peer[]> {
  const folder = join(DATA_FOLDER, "peers");
  for (const [name, version] of Object.entries(VERSIONS)) {
    install(folder, name, version);
  }
  const peers: Peer[] = [];
  for (const { name, runtime, files, make } of MAKERS) {
    if (only !== undefined && only !== name) continue;
    try {
      const urls = files.map((file) => pathToFileURL(join(folder, "node_modules", file)).href);
      const modules = await Promise.all(urls.map((url) => import(url) as Promise<Module>));
      peers.push({ name, runtime, codecs: await make(modules) });
    } catch (error) {
      skip(name, error);
    }
  }
  const others = [...builtIn(effort), ...programs()];
  return [...peers, ...others.filter(({ name }) => only === undefined || only === name)];
}

function install(folder: string, name: string, version: string): void {
  try {
    installedPackage(folder, name, version);
  } catch (error) {
    skip(`${name}@${version}`, error);
  }
}

function skip(what: string, why: unknown): void {
  const reason = why instanceof Error ? why.message.split("\n")[0] : String(why);
  console.error(`SKIPPED ${what}: ${reason}`);
}

function builtIn({ gzip, brotli }: PeerEffort): Peer[] {
  const general = (
    name: string,
    pack: (bytes: Uint8Array) => Uint8Array,
    unpack: (bytes: Uint8Array) => Uint8Array,
  ): Peer => ({
    name,
    runtime: "native",
    codecs: ({ values }) => [
      {
        label: name,
        encode: () => pack(bytesOf(values)),
        decode: (bytes) => valuesOf(values, unpack(bytes)),
      },
    ],
  });
  const params = { [constants.BROTLI_PARAM_QUALITY]: brotli };
  return [
    general(`gzip -${gzip}`, (bytes) => gzipSync(bytes, { level: gzip }), gunzipSync),
    general(
      `brotli q${brotli}`,
      (bytes) => brotliCompressSync(bytes, { params }),
      brotliDecompressSync,
    ),
  ];
}

/** Command lines that read standard input and write standard output. */
function programs(): Peer[] {
  const delta = (size: number): string[] => ["-c", `--delta=dist=${size}`, "--lzma2=preset=6"];
  const found = [
    program("zstd -19", "zstd", () => [["-19", "-c", "-q"]]),
    program("xz -6", "xz", () => [["-6", "-c"]]),
    program("xz -6 delta", "xz", (size) => [delta(size)]),
  ];
  return found.filter((peer) => peer !== undefined);
}

function program(
  name: string,
  command: string,
  lines: (bytesPerValue: number) => readonly (readonly string[])[],
): Peer | undefined {
  const path = programPath(command);
  if (path === undefined) {
    skip(name, `the program ${command} is not installed`);
    return undefined;
  }
  const filter = (args: readonly string[], input: Uint8Array): Uint8Array =>
    execFileSync(path, args, { input, maxBuffer: 1 << 30, stdio: ["pipe", "pipe", "inherit"] });
  return {
    name,
    runtime: "program",
    codecs: ({ values }) =>
      lines(values.BYTES_PER_ELEMENT).map((args) => ({
        label: name,
        encode: () => filter(args, bytesOf(values)),
        decode: (bytes) => valuesOf(values, filter(["-d", "-c"], bytes)),
      })),
  };
}
