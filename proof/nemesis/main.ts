/** Real replicas and real clients under real faults, and a verdict on what the clients saw. */

import { randomBytes } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { whenToldToEnd } from "../../packages/cli/src/process/told-to-end.ts";
import { EXIT_STATUSES, formatReport } from "./report.ts";
import { type Progress, type RunOptions, runNemesis } from "./run.ts";

const USAGE_STATUS = 2;
const SECONDS_MIN = 10;
const SECONDS_MAX = 3_600;
const SAY_EVERY_MS = 10_000;
const ARTIFACTS = fileURLToPath(new URL("../../.cubby/nemesis/", import.meta.url));

const USAGE = `npm run nemesis -- [--minutes N | --seconds N] [--seed TEXT] [--json] [--keep]
                   [--network auto|namespaces|proxies]

Exit status: 0 passed, 1 violation, 2 usage, 3 invalid (too little happened to say anything),
4 a replica ended that should not have. Logs and histories stay under .cubby/nemesis/ unless the run
passed without --keep.`;

type Arguments = {
  readonly seconds: number;
  readonly seed: string;
  readonly network: RunOptions["network"];
  readonly json: boolean;
  readonly keep: boolean;
};

/** A string is what is wrong. */
function readArguments(args: readonly string[]): Arguments | string {
  const options = {
    minutes: { type: "string" },
    seconds: { type: "string" },
    seed: { type: "string" },
    network: { type: "string", default: "auto" },
    json: { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
  } as const;
  try {
    const { values } = parseArgs({ args: [...args], options, strict: true });
    const { minutes, network, json, keep } = values;
    const seconds = minutes === undefined ? Number(values.seconds ?? 60) : 60 * Number(minutes);
    if (!(seconds >= SECONDS_MIN && seconds <= SECONDS_MAX)) {
      return `A run takes ${SECONDS_MIN} seconds to ${SECONDS_MAX / 60} minutes.`;
    }
    if (network !== "auto" && network !== "namespaces" && network !== "proxies") {
      return "--network is auto, namespaces, or proxies.";
    }
    return { seconds, network, json, keep, seed: values.seed ?? randomBytes(4).toString("hex") };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

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
