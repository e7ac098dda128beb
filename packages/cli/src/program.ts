import { Command } from "commander";
import { addFileCommands } from "./commands/files.ts";
import { addLockCommands, addSequencerCommands } from "./commands/lock.ts";
import { addStatusCommand } from "./commands/status.ts";
import type { Context } from "./context.ts";
import { describeError, exitCodeFor } from "./exit.ts";
import { VERSION } from "./version.ts";

/** For commands that end with another code than 0 without having failed. */
export type OnExitCode = (code: number) => void;

/** Runs one command line, without the program's own name, and answers its exit code. */
export async function runCubby(
  args: readonly string[],
  context: Context,
  addMore: (program: Command, onExitCode: OnExitCode) => Promise<void> = async () => undefined,
): Promise<number> {
  let exitCode = 0;
  const onExitCode: OnExitCode = (code) => {
    exitCode = code;
  };
  const json = wantsJson(args);
  const program = createProgram(context, json);
  addFileCommands(program, context);
  addLockCommands(program, context, onExitCode);
  addSequencerCommands(program, context, onExitCode);
  addStatusCommand(program, context);
  try {
    await addMore(program, onExitCode);
    const words = isKnown(program, args) ? args : args.filter((word) => !HELP_FLAGS.has(word));
    await program.parseAsync(words, { from: "user" });
    return exitCode;
  } catch (error) {
    context.writeError(describeError(error, json));
    return exitCodeFor(error);
  }
}

const HELP_FLAGS: ReadonlySet<string> = new Set(["-h", "--help"]);

/** Help is shown before a command is looked for: of a word that is none it is not to be asked. */
function isKnown(program: Command, args: readonly string[]): boolean {
  let at = program;
  for (const word of args) {
    if (at.commands.length === 0 || word.startsWith("-")) return true;
    const next = at.commands.find((command) => command.name() === word);
    if (next === undefined) return false;
    at = next;
  }
  return true;
}

/**
 * `help COMMAND` is `COMMAND --help`: which command is meant decides which code is read. For the same
 * reason `--` before a command is passed over.
 */
export function spelledOut(args: readonly string[]): readonly string[] {
  if (args[0] === "--") return spelledOut(args.slice(1));
  if (args[0] !== "help") return args;
  // Behind `--` it would be one more word of that command, which would run.
  return [...ownOf(args).slice(1), "--help"];
}

export function wantsJson(args: readonly string[]): boolean {
  return ownOf(args).includes("--json");
}

/** What stands after `--` is meant for the command that runs under the lock. */
function ownOf(args: readonly string[]): readonly string[] {
  const end = args.indexOf("--");
  return end === -1 ? args : args.slice(0, end);
}

/** Options are positional: --version behind a command would be shown with 0, and nothing be done. */
function createProgram(context: Context, json: boolean): Command {
  return new Command("cubby")
    .description("A distributed lock service: locks, leader election, and small reliable files.")
    .version(VERSION, "-V, --version", "show the version")
    .enablePositionalOptions()
    .helpCommand("help [command]", "show how a command is used")
    .showHelpAfterError(json ? false : "Run the command with --help to see how it is used.")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.writeOut(text),
      writeErr: (text) => context.writeError(text),
      // In JSON it is said like every other error.
      outputError: (text, write) => (json ? undefined : write(text)),
    })
    .addHelpText(
      "after",
      `
A cell is named by --cell or CUBBY_CELL, as cubby://host:port,host:port/name; without either it is
the one that \`cubby dev\` starts. \`cubby COMMAND --help\` shows examples.
`,
    );
}
