/** One entry for all benchmarks: `npm run bench -- <name> [options]`. */

import { parseArgs } from "node:util";
import { benchCell, CELL_PARTS } from "./cell.ts";
import { WORKERS_MAX } from "./closed-loop.ts";
import { benchDelta, DELTA_PARTS } from "./delta/delta.ts";
import { benchJournal } from "./journal.ts";
import { OPERATIONS } from "./operations.ts";
import { partOptions } from "./part-options.ts";
import { CONTENDERS } from "./peers/contenders.ts";
import { benchPeers } from "./peers/peers.ts";
import { benchProfile } from "./profile.ts";
import { benchSimulator } from "./simulator.ts";

const USAGE = `npm run bench -- cell [--quick] [--json] [--only PART]
    Five replica processes on this machine under one client: 100-byte writes, reads, lock pairs,
    fail-over, idle sessions. Under six minutes; --quick takes under one. Parts, of which --only
    names one and may be repeated: operations, fail-over, sessions.

npm run bench -- peers [--quick] [--json] [--only NAME]
    The same operations of etcd, ZooKeeper, antietcd and Redis beside Cubby's, in turns: eight
    minutes, --quick takes one. Names, of which --only may be repeated: cubby, etcd, zookeeper,
    antietcd, redis. Fetches what is not there; needs Debian's apt-get, and Java for ZooKeeper.

npm run bench -- profile [--operation write|read|lock] [--in-flight 128] [--seconds 5] [--lines 40]
    Where the master's processor time goes under one kind of load.

npm run bench -- journal [--quick] [--json]
    The journal alone, on this machine's disk.

npm run bench -- delta [--quick] [--json] [--only PART]
    Delta encoding on real series, which are fetched once, and made ones, next to npm peers and
    installed programs. Some ten minutes; --quick takes half. Parts: sizes, strings, diff, speed,
    peers, code.

npm run bench -- simulator [--quick] [--json]
    How many events and seeds a second the simulator does on one core.

Figures that two runs made must not be compared: see docs/benchmarks.md.
`;
const EXIT_USAGE = 64;

async function main(args: readonly string[]): Promise<void> {
  const [name, ...rest] = args;
  switch (name) {
    case "cell":
      await benchCell(partOptions(rest, CELL_PARTS));
      return;
    case "peers":
      await benchPeers(partOptions(rest, CONTENDERS));
      return;
    case "profile":
      await runProfile(rest);
      return;
    case "journal":
      await benchJournal(partOptions(rest, []));
      return;
    case "delta":
      await benchDelta(partOptions(rest, DELTA_PARTS));
      return;
    case "simulator":
      await benchSimulator(partOptions(rest, []));
      return;
    case "help":
    case "--help":
      process.stdout.write(USAGE);
      return;
    default:
      refuse(name === undefined ? "Name a benchmark." : `There is no benchmark "${name}".`);
  }
}

async function runProfile(args: readonly string[]): Promise<void> {
  const options = {
    operation: { type: "string", default: "write" },
    "in-flight": { type: "string", default: "128" },
    seconds: { type: "string", default: "5" },
    lines: { type: "string", default: "40" },
  } as const;
  const { values } = parseArgs({ args: [...args], options, strict: true });
  const { operation, seconds, lines } = values;
  if (!OPERATIONS.some(({ word }) => word === operation)) {
    throw new TypeError(`There is no operation "${operation}".`);
  }
  await benchProfile({
    operation,
    inFlight: wholeNumber("--in-flight", values["in-flight"], WORKERS_MAX),
    seconds: wholeNumber("--seconds", seconds, 60),
    lines: wholeNumber("--lines", lines, 1_000),
  });
}

function wholeNumber(what: string, text: string, most: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : 0;
  if (value >= 1 && value <= most) return value;
  throw new TypeError(`${what} is ${text}, but must be a whole number from 1 to ${most}.`);
}

function refuse(why: string): void {
  process.stderr.write(`${why}\n\n${USAGE}`);
  process.exitCode = EXIT_USAGE;
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  // What a wrong command line throws, here and in parseArgs.
  if (error instanceof TypeError) refuse(error.message);
  else throw error;
}
