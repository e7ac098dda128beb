/** The simulator and the production cores in one file, with a planted bug if one is asked for. */

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";
import { editsOf, type PlantedBug, plant } from "./planted-bug.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const WORKER = fileURLToPath(new URL("worker.ts", import.meta.url));

export type Bundle = {
  readonly file: string;
  remove(): Promise<void>;
};

/** The worker, which runs seeds, with or without a bug. */
export function bundle(bug: PlantedBug | undefined): Promise<Bundle> {
  return bundleEntry(WORKER, bug === undefined ? [] : [planting(bug)]);
}

/** A program and all of the workspace that it needs, as one module. */
export async function bundleEntry(entry: string, plugins: readonly Plugin[] = []): Promise<Bundle> {
  const directory = await mkdtemp(join(tmpdir(), "cubby-sim-"));
  const file = join(directory, "bundle.mjs");
  const remove = (): Promise<void> => rm(directory, { recursive: true, force: true });
  try {
    await build({
      entryPoints: [entry],
      outfile: file,
      bundle: true,
      platform: "node",
      format: "esm",
      target: "node20",
      conditions: ["@cubby/source"],
      sourcemap: "inline",
      sourcesContent: false,
      logLevel: "silent",
      plugins: [...plugins],
    });
    return { file, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

function planting(bug: PlantedBug): Plugin {
  const files = new Set(editsOf(bug).map((edit) => edit.file));
  return {
    name: "planted-bug",
    setup({ onLoad, onEnd }) {
      const planted = new Set<string>();
      onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        const file = relative(ROOT, path).split(sep).join("/");
        if (!files.has(file)) return undefined;
        planted.add(file);
        return { contents: plant(bug, file, await readFile(path, "utf8")), loader: "ts" };
      });
      onEnd(() => {
        for (const file of files) {
          if (!planted.has(file)) throw new Error(`${bug.name}: ${file} is in no bundle`);
        }
      });
    },
  };
}
