/** Real replicas and real clients under real faults, and a verdict on what the clients saw. */

import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { whenToldToEnd } from "../../packages/cli/src/process/told-to-end.ts";
import { readArguments, USAGE } from "./arguments.ts";
import { EXIT_STATUSES, formatReport } from "./report.ts";
import { type Progress, runNemesis } from "./run.ts";

const USAGE_STATUS = 2;
const SAY_EVERY_MS = 10_000;
const ARTIFACTS = fileURLToPath(new URL("../../.cubby/nemesis/", import.meta.url));

function progressLine({ leftMs, succeeded, faults, current }: Progress): string {
  const left = `${Math.ceil(leftMs / 1_000)} s left`;
  return `${left}, ${succeeded} succeeded, ${faults} faults, now: ${current.join(", ") || "none"}`;
}

/** Over one line on a terminal, now and then a line elsewhere. */
function createProgress(): (progress: Progress) => void {
  let saidAt = 0;
  return (progress) => {
    const line = progressLine(progress);
    if (process.stderr.isTTY) {
      process.stderr.write(`\r\u001b[K${line.slice(0, process.stderr.columns - 1)}`);
      if (progress.leftMs === 0) process.stderr.write("\n");
    } else if (Date.now() - saidAt >= SAY_EVERY_MS) {
      saidAt = Date.now();
      process.stderr.write(`${line}\n`);
    }
  };
}

async function main(): Promise<number> {
  const args = readArguments(process.argv.slice(2));
  if (typeof args === "string") {
    process.stderr.write(`${args}\n\n${USAGE}\n`);
    return USAGE_STATUS;
  }
  if (args.isHelp) {
    process.stdout.write(`${USAGE}\n`);
    return EXIT_STATUSES.passed;
  }
  const end = whenToldToEnd();
  const name = new Date().toISOString().replaceAll(":", "-").slice(0, 19);
  const directory = join(ARTIFACTS, name);
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  say(`seed ${args.seed}: the faults and their order; what they meet is up to the machine`);
  let keep = true;
  try {
    const { seed, seconds, network } = args;
    const report = await runNemesis({
      ...{ seed, seconds, network, directory, say },
      signal: end.signal,
      onProgress: createProgress(),
    });
    const text = args.json ? JSON.stringify(report) : formatReport(report);
    writeFileSync(join(directory, "report.json"), `${JSON.stringify(report, undefined, 2)}\n`);
    process.stdout.write(`${text}\n`);
    keep = args.keep || report.verdict !== "passed";
    if (keep) say(`logs and histories: ${directory}`);
    return EXIT_STATUSES[report.verdict];
  } catch (error) {
    keep = args.keep || !end.signal.aborted;
    if (end.signal.aborted) return end.exitCode ?? EXIT_STATUSES.invalid;
    say(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return EXIT_STATUSES.invalid;
  } finally {
    end.stopListening();
    if (!keep) rmSync(directory, { recursive: true, force: true });
  }
}

process.exitCode = await main();
