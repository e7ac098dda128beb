/**
 * The rules of the house that neither the compiler nor Biome can hold: `npx tsx tools/check.ts`.
 * Prints one line for each finding, says what to do, and exits 1 if there are any.
 */

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { checkImports } from "./check-imports.ts";
import { checkProjects, checkReasons } from "./check-projects.ts";
import { checkComments, checkExports, checkLength, checkNames } from "./check-text.ts";
import { PACKAGES } from "./floors.ts";
import type { Finding, SourceFile } from "./source-file.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Nobody edits these by hand. */
const EXCLUDED = /^(packages\/(protocol|delta)\/src\/generated|tools\/fixtures)\//;

type Rule = {
  readonly name: string;
  readonly files: "sources" | "projects";
  readonly check: (files: readonly SourceFile[]) => Finding[];
};

export const RULES: readonly Rule[] = [
  { name: "imports", files: "sources", check: checkImports },
  { name: "length", files: "sources", check: checkLength },
  { name: "names", files: "sources", check: checkNames },
  { name: "exports", files: "sources", check: checkExports },
  { name: "comments", files: "sources", check: checkComments },
  { name: "projects", files: "projects", check: checkProjects },
  { name: "reasons", files: "projects", check: checkReasons },
];

/** What git knows or would add: files that an ignore rule names are nobody's source. */
function listFiles(): string[] {
  const args = ["ls-files", "--cached", "--others", "--exclude-standard"];
  const listing = spawnSync("git", args, { cwd: ROOT, encoding: "utf8", maxBuffer: 1 << 26 });
  if (listing.status !== 0) throw new Error(`git ls-files failed: ${listing.stderr}`);
  const paths = listing.stdout.split("\n").filter((path) => path !== "" && !EXCLUDED.test(path));
  // Deleted but not yet staged: still in git's list, no longer on disk.
  return paths.filter((path) => existsSync(join(ROOT, path)));
}

function read(path: string): SourceFile {
  return { path, text: readFileSync(join(ROOT, path), "utf8") };
}

/** Types of what no package's own project covers: tests, tools, and the pure cores of shells. */
function checkTypes(): string[] {
  const projects = ["tools/tsconfig.json"];
  for (const { directory, purity } of PACKAGES) {
    const hasCore = existsSync(join(ROOT, `packages/${directory}/src/core`));
    if (purity === "pure core" && hasCore)
      projects.push(`packages/${directory}/tsconfig.core.json`);
  }
  const failures: string[] = [];
  for (const project of projects) {
    const tsc = join(ROOT, "node_modules/.bin/tsc");
    const result = spawnSync(tsc, ["-p", project, "--pretty", "false"], {
      cwd: ROOT,
      encoding: "utf8",
    });
    if (result.status !== 0) failures.push(`${project}: does not compile.\n${result.stdout}`);
  }
  return failures;
}

function main(): void {
  const paths = listFiles();
  const sources = paths.filter((path) => /\.tsx?$/.test(path)).map(read);
  const projects = paths
    .filter((path) => /(^|\/)(package|tsconfig[.\w]*)\.json$|^docs\/dependencies\.md$/.test(path))
    .map(read);
  let count = 0;
  for (const rule of RULES) {
    for (const { path, line, message } of rule.check(
      rule.files === "sources" ? sources : projects,
    )) {
      console.error(`${path}:${line}: ${rule.name}: ${message}`);
      count += 1;
    }
  }
  for (const failure of checkTypes()) {
    console.error(failure);
    count += 1;
  }
  console.log(
    count === 0
      ? `${sources.length} files: the house is in order`
      : `${sources.length} files, ${count} findings`,
  );
  if (count > 0) process.exitCode = 1;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) main();
