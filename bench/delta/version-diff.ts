/** Sizes and times of deltas between two versions of a file. */

import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { diff, patch } from "@cubby/delta";
import { run } from "../fetched-packages.ts";
import { count, fixed, textTable } from "../text-table.ts";
import { programPath } from "./cache.ts";
import { loadPair } from "./data.ts";
import { atMost, type Target } from "./target.ts";
import { VERSION_PAIRS, type VersionPair } from "./version-pairs.ts";

const RATIO_MAX = 1.1;
const ROUNDS = 3;

export type DiffRow = {
  readonly name: string;
  readonly kind: VersionPair["kind"];
  readonly bytes: number;
  readonly cubby: number;
  readonly zstd: number;
  readonly bsdiff: number;
  /** Whether the sizes of the programs are of this run, and not listed ones. */
  readonly isMeasured: { readonly zstd: boolean; readonly bsdiff: boolean };
  readonly diffMs: number;
  readonly patchMs: number;
};

export type DiffFigures = {
  readonly rows: readonly DiffRow[];
  readonly targets: readonly Target[];
};

export function measureDiffs(): DiffFigures {
  const folder = mkdtempSync(join(tmpdir(), "cubby-diff-"));
  try {
    const rows = VERSION_PAIRS.flatMap((pair) => diffRow(pair, folder) ?? []);
    const targets = rows.map(({ name, kind, cubby, zstd, bsdiff }) =>
      kind === "text"
        ? atMost(`diff of ${name} to zstd -19 --patch-from`, cubby / zstd, RATIO_MAX)
        : atMost(`diff of ${name} to bsdiff`, cubby / bsdiff, RATIO_MAX),
    );
    return { rows, targets };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function diffRow(pair: VersionPair, folder: string): DiffRow | undefined {
  const versions = loadPair(pair.name);
  if (versions === undefined) {
    console.error(`SKIPPED ${pair.name}: there is no data`);
    return undefined;
  }
  const { from, to } = versions;
  const delta = diff(from, to);
  if (Buffer.compare(patch(from, delta), to) !== 0) {
    throw new Error(`the delta of ${pair.name} does not give the new version back`);
  }
  writeFileSync(join(folder, "old"), from);
  writeFileSync(join(folder, "new"), to);
  const made = (program: string, args: readonly string[]): number | undefined => {
    const path = programPath(program);
    if (path === undefined) return undefined;
    run(path, args, folder);
    return statSync(join(folder, "delta")).size;
  };
  const zstd = made("zstd", ["-19", "-q", "-f", "--patch-from=old", "new", "-o", "delta"]);
  const bsdiff = made("bsdiff", ["old", "new", "delta"]);
  return {
    name: pair.name,
    kind: pair.kind,
    bytes: to.length,
    cubby: delta.length,
    zstd: zstd ?? pair.zstd19Patch,
    bsdiff: bsdiff ?? pair.bsdiff,
    isMeasured: { zstd: zstd !== undefined, bsdiff: bsdiff !== undefined },
    diffMs: bestMs(() => diff(from, to)),
    patchMs: bestMs(() => patch(from, delta)),
  };
}

function bestMs(work: () => unknown): number {
  const times = Array.from({ length: ROUNDS }, () => {
    const start = performance.now();
    work();
    return performance.now() - start;
  });
  return Math.min(...times);
}

export function diffReport({ rows }: DiffFigures): string {
  const mark = (size: number, isMeasured: boolean): string =>
    `${count(size)}${isMeasured ? "" : "†"}`;
  const lines = rows.map((row) => [
    row.name,
    count(row.bytes),
    count(row.cubby),
    mark(row.zstd, row.isMeasured.zstd),
    mark(row.bsdiff, row.isMeasured.bsdiff),
    fixed(row.cubby / row.zstd, 2),
    fixed(row.cubby / row.bsdiff, 2),
    fixed(row.diffMs, 1),
    fixed(row.patchMs, 1),
  ]);
  const head = ["delta, bytes", "new file", "cubby", "zstd -19", "bsdiff", "to zstd", "to bsdiff"];
  const isListed = rows.some(({ isMeasured }) => !isMeasured.zstd || !isMeasured.bsdiff);
  const note = isListed ? "\n† listed, since the program is not installed" : "";
  return `${textTable([...head, "diff ms", "patch ms"], lines)}${note}`;
}
