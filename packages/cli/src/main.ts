import type { Command } from "commander";
import { clientCells } from "./client-cells.ts";
import { processContext } from "./context.ts";
import { exitWithParent } from "./process/child.ts";
import { tellToEnd } from "./process/told-to-end.ts";
import { type OnExitCode, runCubby } from "./program.ts";

/*
 * `cubby lock` in a script should start fast. The commands that run replicas bring the whole server
 * along, and `delta` its codecs, so their code is read only when one of them is called; the others
 * see their names.
 */
const RUNNERS: readonly {
  readonly commands: Readonly<Record<string, string>>;
  readonly hidden?: boolean;
  readonly add: (program: Command, onExitCode: OnExitCode) => Promise<void>;
}[] = [
  {
    commands: {
      init: "format a directory for one replica of a cell",
      serve: "run one replica; without --peers it is a cell of its own",
    },
    add: async (program) => {
      const { addReplicaCommands } = await import("./commands/replica.ts");
      addReplicaCommands(program, context);
    },
  },
  {
    commands: { dev: "run a cell on this machine, for development" },
    add: async (program, onExitCode) => {
      const { addDevCommand } = await import("./commands/dev.ts");
      addDevCommand(program, context, onExitCode);
    },
  },
  {
    commands: { demo: "five replicas, three web servers, one leader, and keys to break it all" },
    add: async (program, onExitCode) => {
      const { addDemoCommand } = await import("./commands/demo.ts");
      addDemoCommand(program, context, clientCells, onExitCode);
    },
  },
  {
    commands: { delta: "columns of numbers, and versions of files, as exact differences" },
    add: async (program, onExitCode) => {
      const { addDeltaCommands } = await import("./commands/delta.ts");
      addDeltaCommands(program, context, onExitCode);
    },
  },
  {
    commands: { "demo-job-store": "", "demo-web-server": "" },
    hidden: true,
    add: async (program) => {
      const { addDemoProcesses } = await import("./commands/demo-processes.ts");
      addDemoProcesses(program, context);
    },
  },
];

async function addRunners(program: Command, onExitCode: OnExitCode): Promise<void> {
  for (const { commands, hidden, add } of RUNNERS) {
    if (Object.hasOwn(commands, called)) await add(program, onExitCode);
    else if (hidden !== true) {
      for (const [name, does] of Object.entries(commands)) program.command(name).description(does);
    }
  }
}

/** 128 + SIGPIPE, with which `head` ends other programs. */
const EXIT_PIPE = 141;
/** How long a replica that has ended waits for whoever should read why. */
const LAST_WORDS_MS = 1_000;

exitWithParent();
const args = process.argv.slice(2);
const [called = ""] = args;
for (const stream of [process.stdout, process.stderr]) {
  // What a replica says there is why it ends, which its own status says too.
  const isLastWords = called === "serve" && stream === process.stderr;
  // Nobody reads it any more, and Node ignores the signal for that.
  stream.on("error", () => isLastWords || tellToEnd(EXIT_PIPE) || process.exit(EXIT_PIPE));
}
const context = processContext(clientCells);
const exitCode = await runCubby(args, context, addRunners);
// A replica that cannot go on must not live on because nobody reads its log: its lanes are still open.
if (called === "serve") setTimeout(() => process.exit(exitCode), LAST_WORDS_MS).unref();
// What was written is out first; then no timer or socket that lingers may keep a finished command.
process.stdout.write("", () => process.stderr.write("", () => process.exit(exitCode)));
