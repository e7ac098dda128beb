/** One entry for all benchmarks: `npm run bench -- <name> [options]`. */

import { parseArgs } from "node:util";
import { benchCell, isPart } from "./cell.ts";

const USAGE = `npm run bench -- cell [--quick] [--json] [--only PART]
    Five replica processes on this machine under one client: 100-byte writes, reads, lock pairs,
    fail-over, idle sessions. Under six minutes; --quick takes under one. Parts, of which --only
    names one and may be repeated: operations, fail-over, sessions.

npm run bench -- journal
    The journal alone, on this machine's disk.

Figures that two runs made must not be compared: see docs/benchmarks.md.
`;
const EXIT_USAGE = 64;

async function main(args: readonly string[]): Promise<void> {
  const [name, ...rest] = args;
  switch (name) {
    case "cell":
      await runCell(rest);
      return;
    case "journal":
      await runJournal();
      return;
    case "help":
    case "--help":
      process.stdout.write(USAGE);
      return;
    default:
      refuse(name === undefined ? "Name a benchmark." : `There is no benchmark "${name}".`);
  }
}

async function runCell(args: readonly string[]): Promise<void> {
  let values: { json?: boolean; quick?: boolean; only?: string[] };
  try {
    const options = {
      json: { type: "boolean" },
      quick: { type: "boolean" },
      only: { type: "string", multiple: true },
    } as const;
    values = parseArgs({ args: [...args], options, strict: true }).values;
  } catch (error) {
    refuse(error instanceof Error ? error.message : String(error));
    return;
  }
  const only = values.only ?? [];
  const wrong = only.find((part) => !isPart(part));
  if (wrong !== undefined) refuse(`There is no part "${wrong}".`);
  else await benchCell({ json: values.json ?? false, quick: values.quick ?? false, only });
}

async function runJournal(): Promise<void> {
  // A program of its own, which runs when it is loaded.
  const journal = "./journal.ts";
  await import(journal);
}

function refuse(why: string): void {
  process.stderr.write(`${why}\n\n${USAGE}`);
  process.exitCode = EXIT_USAGE;
}

await main(process.argv.slice(2));
