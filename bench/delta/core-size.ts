/** What the library adds to a program: bundled, minified and compressed. */

import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { count, textTable } from "../text-table.ts";
import { atMost, type Target } from "./target.ts";

const SOURCE = fileURLToPath(new URL("../../packages/delta/src/", import.meta.url));
const CORE_BYTES_MAX = 25_000;
const CORE = "core: encode, decode, Series";

/** What a program imports, and from which entry. */
const PROGRAMS: readonly (readonly [name: string, imports: string, entry: string])[] = [
  ["encode, decode, Series", "encode, decode, Series", "index.ts"],
  ["decode", "decode", "index.ts"],
  [CORE, "encode, decode, Series", "core.ts"],
  ["core: decode", "decode", "core.ts"],
  ["deltas, undelta", "deltas, undelta", "index.ts"],
  ["diff, patch", "diff, patch", "index.ts"],
];

type CodeRow = { readonly name: string; readonly minified: number; readonly gzipped: number };

export type CodeFigures = {
  readonly rows: readonly CodeRow[];
  readonly targets: readonly Target[];
};

export async function measureCode(): Promise<CodeFigures> {
  const rows: CodeRow[] = [];
  for (const [name, imports, entry] of PROGRAMS) {
    const contents = `export { ${imports} } from "./${entry}";`;
    const { outputFiles } = await build({
      stdin: { contents, resolveDir: SOURCE },
      bundle: true,
      minify: true,
      format: "esm",
      write: false,
    });
    const code = outputFiles[0]?.contents ?? new Uint8Array(0);
    rows.push({ name, minified: code.length, gzipped: gzipSync(code, { level: 9 }).length });
  }
  const core = rows.find(({ name }) => name === CORE)?.gzipped ?? Number.NaN;
  return { rows, targets: [atMost("core, bytes gzipped", core, CORE_BYTES_MAX)] };
}

export function codeReport({ rows }: CodeFigures): string {
  const lines = rows.map(({ name, minified, gzipped }) => [name, count(minified), count(gzipped)]);
  return textTable(["bytes of code", "minified", "gzip -9"], lines);
}
