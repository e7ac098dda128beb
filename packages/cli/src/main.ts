import { Socket } from "node:net";
import type { Writable } from "node:stream";
import { ERROR_CODES } from "@cubby/protocol";
import type { Command } from "commander";
import { clientCells } from "./client-cells.ts";
import { processContext } from "./context.ts";
import { describeError } from "./exit.ts";
import { exitWithParent } from "./process/child.ts";
import { endProcess, endProcessNow } from "./process/end-process.ts";
import { loopTurn } from "./process/loop-turn.ts";
import { tellToEnd } from "./process/told-to-end.ts";
import { type OnExitCode, runCubby, spelledOut, wantsJson } from "./program.ts";
import { standardOutputFailure } from "./standard-output.ts";

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
const EXIT_NOT_WRITABLE = ERROR_CODES.file_not_writable.exitCode;
/** How long a replica that has ended waits for whoever should read why. */
const LAST_WORDS_MS = 1_000;

exitWithParent();
const args = spelledOut(process.argv.slice(2));
const [called = ""] = args;
/** The exit code for output that was lost. */
let lost: number | undefined;
/** It ended by itself, and how is known. */
let isOver = false;

function onLost(stream: NodeJS.WriteStream, error: NodeJS.ErrnoException): void {
  const isReaderGone = error.code === "EPIPE" || error.code === "ECONNRESET";
  if (lost === undefined && !isReaderGone && stream === process.stdout) {
    context.writeError(describeError(standardOutputFailure(error), wantsJson(args)));
  }
  lost ??= isReaderGone ? EXIT_PIPE : EXIT_NOT_WRITABLE;
}

/** Files are written at once. What has nothing to write is let be: even that fails where nobody reads. */
async function flush(stream: Writable): Promise<void> {
  if (!(stream instanceof Socket) || stream.writableLength === 0) return;
  await new Promise((resolve) => stream.write("", resolve));
}

function isLastWords(stream: NodeJS.WriteStream): boolean {
  return called === "serve" && stream === process.stderr;
}

const context = processContext(clientCells);
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error) => {
    if (isLastWords(stream)) return;
    onLost(stream, error);
    // A full disk below the messages is told by the status; the work itself can go on.
    if (stream === process.stderr && lost !== EXIT_PIPE) return;
    // Nobody reads it any more, and Node ignores the signal for that. What was lost may be its last words.
    setImmediate(() => {
      if (!isOver && !tellToEnd(lost ?? EXIT_PIPE)) process.exit(lost);
    });
  });
}
const exitCode = await runCubby(args, context, addRunners);
isOver = true;
// A replica that cannot go on must not live on because nobody reads its log.
if (called === "serve") setTimeout(() => endProcessNow(exitCode), LAST_WORDS_MS).unref();
// What was written is out first; then no timer or socket that lingers may keep a finished command.
await flush(process.stdout);
await flush(process.stderr);
// The event that tells of a write that failed comes after its callback.
await loopTurn();
// How a replica ended says its status always; why a command failed, more than that nobody could be told of it.
if (called === "serve") await endProcess(exitCode);
process.exit(exitCode === 0 ? (lost ?? 0) : exitCode);
