/** Bytes per key of sorted strings. */

import { gzipSync } from "node:zlib";
import { decode, encode } from "@cubby/delta";
import { run } from "../fetched-packages.ts";
import { fixed, textTable } from "../text-table.ts";
import { DATA_FOLDER, programPath } from "./cache.ts";
import { BACKENDS, type Backend } from "./codec.ts";
import { loadKeys } from "./data.ts";
import { atMost, type Target } from "./target.ts";

/** Of front coding and zstd -19, measured elsewhere. */
const FRONT_CODED_ZSTD: ReadonlyMap<string, number> = new Map([
  ["words.txt", 1.636],
  ["unicode_names.txt", 2.277],
]);
const WORDS_TARGET = 1.65;

export type KeysRow = {
  readonly file: string;
  readonly keys: number;
  readonly sizes: Readonly<Record<Backend, number>>;
  readonly reference: number;
  readonly gzip: number;
  /** Undefined when the program is not installed. */
  readonly zstd: number | undefined;
  readonly xz: number | undefined;
};

export type KeysFigures = {
  readonly rows: readonly KeysRow[];
  readonly targets: readonly Target[];
};

export function measureKeys(): KeysFigures {
  const rows = [...FRONT_CODED_ZSTD].flatMap(([file, reference]) => {
    const keys = loadKeys(file);
    if (keys.length > 0) return [keysRow(file, keys, reference)];
    console.error(`SKIPPED ${file}: there is no data`);
    return [];
  });
  const words = rows.find(({ file }) => file === "words.txt");
  const best = Math.min(...Object.values(words?.sizes ?? {}));
  return { rows, targets: [atMost("sorted words, bytes per key", best, WORDS_TARGET)] };
}

function keysRow(file: string, keys: readonly string[], reference: number): KeysRow {
  const sizes = { small: 0, fast: 0, handoff: 0 };
  for (const backend of BACKENDS) {
    const bytes = encode([...keys], { backend });
    const back = decode(bytes) as readonly string[];
    if (back.length !== keys.length || keys.some((key, i) => key !== back[i])) {
      throw new Error(`${backend} does not give ${file} back exactly`);
    }
    sizes[backend] = bytes.length / keys.length;
  }
  const text = new TextEncoder().encode(`${keys.join("\n")}\n`);
  const packed = (program: string, args: readonly string[]): number | undefined =>
    programPath(program) === undefined
      ? undefined
      : run(program, args, DATA_FOLDER, { input: text }).length / keys.length;
  return {
    file,
    keys: keys.length,
    sizes,
    reference,
    gzip: gzipSync(text, { level: 9 }).length / keys.length,
    zstd: packed("zstd", ["-19", "-c", "-q"]),
    xz: packed("xz", ["-6", "-c"]),
  };
}

export function keysReport({ rows }: KeysFigures): string {
  const lines = rows.map(({ file, keys, sizes, reference, gzip, zstd, xz }) => [
    file,
    keys.toLocaleString("en-US"),
    ...[sizes.small, sizes.fast, sizes.handoff, reference, gzip].map((size) => fixed(size, 3)),
    ...[zstd, xz].map((size) => fixed(size ?? Number.NaN, 3)),
  ]);
  const head = ["bytes per key", "keys", "small", "fast", "handoff", "front coding + zstd"];
  return textTable([...head, "gzip -9", "zstd -19", "xz -6"], lines);
}
