/**
 * Runs the shell blocks of README.md that are marked for it, one after the other, each in a shell of
 * its own in the root of the repository: what the first page tells people to type must work. A mark
 * is a line of its own right above the fence:
 *
 *     <!-- ci: run -->
 *     ```sh
 *     npx cubby --help
 *     ```
 */

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const BLOCK_MS_MAX = 90_000;

const MARKED_BLOCK = /^<!-- ci: run -->\n+```(\w*)\n(.*?)^```$/gms;
const MARK = /<!-- ci: run -->/g;

export type Block = { readonly line: number; readonly script: string };

/** The marked blocks, in order. Throws for a mark without a shell block below it. */
export function markedBlocks(markdown: string): Block[] {
  const blocks: Block[] = [];
  for (const match of markdown.matchAll(MARKED_BLOCK)) {
    const [, language = "", script = ""] = match;
    if (!["sh", "bash", "console"].includes(language)) {
      throw new Error(
        `README.md: a marked block is in "${language}": only sh, bash and console blocks are run.`,
      );
    }
    blocks.push({ line: markdown.slice(0, match.index).split("\n").length, script });
  }
  const marks = [...markdown.matchAll(MARK)].length;
  if (marks !== blocks.length) {
    throw new Error(`README.md: ${marks} marks, ${blocks.length} blocks: put each above a fence.`);
  }
  if (marks === 0) {
    throw new Error("README.md marks no block: put <!-- ci: run --> above the commands that work.");
  }
  return blocks;
}

/** A group of its own, so that what a block leaves behind ends with it. */
async function runBlock({ script }: Block): Promise<boolean> {
  const child = spawn("bash", ["-euo", "pipefail", "-c", script], {
    cwd: ROOT,
    detached: true,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, PATH: `${join(ROOT, "node_modules/.bin")}:${process.env["PATH"]}` },
  });
  const timer = setTimeout(() => endGroup(child.pid), BLOCK_MS_MAX);
  const stop = (): void => {
    endGroup(child.pid);
    process.exit(1);
  };
  process.once("SIGTERM", stop);
  const status = await new Promise<number | null>((resolve) => {
    child.once("exit", resolve);
    child.once("error", () => resolve(null));
  });
  clearTimeout(timer);
  process.off("SIGTERM", stop);
  endGroup(child.pid);
  return status === 0;
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGTERM");
  } catch (error) {
    // ESRCH: all of the group has ended already, which is what we want.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

async function main(): Promise<void> {
  const blocks = markedBlocks(readFileSync(join(ROOT, "README.md"), "utf8"));
  for (const block of blocks) {
    console.log(`README.md:${block.line}`);
    if (await runBlock(block)) continue;
    throw new Error(`README.md:${block.line}: this block fails:\n${block.script}`);
  }
  console.log(`README.md: ${blocks.length} blocks ran`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  try {
    await main();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
