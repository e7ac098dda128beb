import { utf8Encode } from "@cubby/base";
import {
  CubbyError,
  LOCK_DELAY_MS_DEFAULT,
  LOCK_DELAY_MS_MAX,
  SESSION_LEASE_MS_DEFAULT,
} from "@cubby/protocol";
import type { Command } from "commander";
import type { CellSession, Hold } from "../cell-access.ts";
import { runGuardedCommand } from "../child-command.ts";
import type { Context } from "../context.ts";
import { parseDurationMs, TIMER_MS_MAX } from "../duration.ts";
import { describeError } from "../exit.ts";
import { HoldWatch, surelyClosedFor } from "../hold-watch.ts";
import {
  type CellOptions,
  printJson,
  withCellOptions,
  withExamples,
  withSession,
} from "../options.ts";
import { type ToldToEnd, whenToldToEnd } from "../process/told-to-end.ts";
import { lossOf } from "../when-held.ts";

type GuardOptions = CellOptions & {
  readonly killAfter: string;
  readonly grace?: string;
  readonly lockDelay?: string;
  readonly sessionLease?: string;
};
type LockOptions = GuardOptions & {
  readonly shared?: boolean;
  /** False for `--no-wait`. */
  readonly wait?: string | false;
};
type ElectOptions = GuardOptions & { readonly value?: string };

/** `lock` and `elect`. Both answer with the exit code of the command that they ran. */
export function addLockCommands(
  program: Command,
  context: Context,
  onExitCode: (code: number) => void,
): void {
  addLock(program, context, onExitCode);
  addElect(program, context, onExitCode);
}

function addLock(program: Command, context: Context, onExitCode: (code: number) => void): void {
  const command = program.command("lock").description("run a command while holding a lock");
  withGuardOptions(withCellOptions(command))
    .option("--shared", "in shared mode")
    .option(
      "-w, --wait <seconds>",
      "wait this long at most, then exit 80, or 82 if the cell is away (default: without end)",
    )
    .option("-n, --no-wait", "do not wait: exit 80 when another holds the lock")
    .action(async (path: string, words: readonly string[], options: LockOptions) => {
      const waitMs = waitMsOf(options);
      const request = { write: true, create: true, ...lockDelayMsOf(options) };
      const mode = options.shared === true ? "shared" : "exclusive";
      const code = await waitAndRun(context, options, async (session, waiting) => {
        const node = await session.open(path, { ...request, signal: waiting.signal });
        if (waitMs !== 0) sayWaiting(path, context, options);
        const lock = await node.acquire({ mode, waitMs, signal: waiting.signal });
        try {
          return await runUnder(session, lock, waiting, path, words, context, options);
        } finally {
          await lock.release();
        }
      });
      onExitCode(code);
    });
  withExamples(
    command,
    "cubby lock /ls/local/nightly -n -- node report.js",
    "cubby lock /ls/local/deploy -w 30 --lock-delay 5s -- ./deploy.sh",
  );
  command.addHelpText("after", EXIT_CODES);
}

function addElect(program: Command, context: Context, onExitCode: (code: number) => void): void {
  const command = program
    .command("elect")
    .description(
      "stand for election, however long that takes; when elected, write who leads and run a command",
    );
  withGuardOptions(withCellOptions(command))
    .option("--value <text>", "what the winner writes into the file, for others to find it")
    .action(async (path: string, words: readonly string[], options: ElectOptions) => {
      const value = utf8Encode(options.value ?? "");
      const lockDelay = lockDelayMsOf(options);
      const code = await waitAndRun(context, options, async (session, waiting) => {
        sayWaiting(path, context, options);
        const candidacy = { value, ...lockDelay, signal: waiting.signal };
        let ended: number | undefined;
        try {
          return await session.elect(path, candidacy, async (hold) => {
            ended = await runUnder(session, hold, waiting, path, words, context, options);
            return ended;
          });
        } catch (error) {
          // When the command ended nobody else could lead yet: `runUnder` has looked.
          if (ended !== undefined && isDoubt(error)) return ended;
          throw error;
        }
      });
      onExitCode(code);
    });
  withExamples(command, "cubby elect /ls/local/leader --value web1:8080 -- node jobs.js");
  command.addHelpText("after", EXIT_CODES);
}

/** The lock is not known to be lost. */
function isDoubt(error: unknown): boolean {
  const cause = error instanceof CubbyError ? error.cause : undefined;
  return cause instanceof CubbyError && cause.code === "session_jeopardy";
}

const EXIT_CODES = `
The command finds CUBBY_SEQUENCER, CUBBY_LOCK_PATH and CUBBY_LOCK_GENERATION in its environment. The
generation is a number that rises each time the free lock is taken: a database can refuse what comes
with a lower one than it has seen. The command's exit code is passed on, 128 + n when signal n ended
it. Other codes: 80 busy, 81 lost, 82 the cell cannot be reached.
`;

function withGuardOptions(command: Command): Command {
  return command
    .argument("<path>", "the file whose lock it is; made when missing, in a directory that exists")
    .argument("<command...>", "what to run, after --")
    .option(
      "--lock-delay <duration>",
      `how long the lock stays closed if this holder fails (default: ${LOCK_DELAY_MS_DEFAULT / 1_000}s)`,
    )
    .option(
      "--session-lease <duration>",
      `silence after which this holder counts as failed (default: the cell's, ${SESSION_LEASE_MS_DEFAULT / 1_000}s)`,
    )
    .option("--kill-after <duration>", "after a loss, between SIGTERM and SIGKILL", "5s")
    .option(
      "--grace <duration>",
      "how long to go on when the cell does not answer (default: while nobody else can get the lock)",
    );
}

/**
 * A signal that comes while we wait for the cell or the lock ends the wait and then the session, so
 * that nobody has to wait for a holder that was never there; afterwards signals are for the command.
 */
async function waitAndRun(
  context: Context,
  options: GuardOptions,
  use: (session: CellSession, waiting: ToldToEnd) => Promise<number>,
): Promise<number> {
  // What is wrong with them is said now, and not when the lock is lost.
  killAfterMsOf(options);
  graceMsOf(options);
  const waiting = whenToldToEnd();
  try {
    return await withSession(context, options, (session) => use(session, waiting), waiting.signal);
  } catch (error) {
    if (waiting.exitCode !== undefined) return waiting.exitCode;
    throw error;
  } finally {
    waiting.stopListening();
  }
}

/** To standard error, like all that is said here: standard output belongs to the command. */
function sayWaiting(path: string, context: Context, options: GuardOptions): void {
  if (options.json === true) context.writeError(`${JSON.stringify({ waiting: path })}\n`);
}

function sayCannotRun(problem: string, context: Context, options: GuardOptions): void {
  const error = new CubbyError("invalid_argument", `${problem}.`);
  context.writeError(options.json === true ? describeError(error, true) : `cubby: ${problem}\n`);
}

function sayOfGroup(
  group: number,
  what: "leftBehind" | "cannotEnd",
  context: Context,
  options: GuardOptions,
): void {
  const said = `cubby: ${OF_GROUP[what]} (process group ${group})`;
  context.writeError(`${options.json === true ? JSON.stringify({ [what]: group }) : said}\n`);
}

const OF_GROUP = {
  leftBehind: "the command has ended and left processes behind, for which the lock is kept",
  cannotEnd:
    "the lock is lost, and the command runs on: it is another user's and cannot be ended from here",
};

async function runUnder(
  session: CellSession,
  hold: Hold,
  waiting: ToldToEnd,
  path: string,
  command: readonly string[],
  context: Context,
  options: GuardOptions,
): Promise<number> {
  if (options.json === true) {
    const held = { held: path, sequencer: hold.sequencerText };
    context.writeError(`${JSON.stringify(held)}\n`);
  }
  const { sequencerText } = hold;
  const graceMs = graceMsOf(options);
  const killAfterDoubtMs = killAfterDoubtMsOf(options);
  const surelyClosedMs = surelyClosedMsOf(options);
  using watch = new HoldWatch(session, { path, sequencerText, graceMs, surelyClosedMs });
  const code = await runGuardedCommand({
    command,
    env: {
      ...context.env,
      CUBBY_SEQUENCER: sequencerText,
      CUBBY_LOCK_PATH: path,
      CUBBY_LOCK_GENERATION: String(hold.lockGeneration),
    },
    signal: AbortSignal.any([hold.signal, watch.signal]),
    waiting,
    assertHeld: () => hold.assertHeld(),
    killAfterMs: () => {
      if (!watch.isLostByDoubt) return killAfterMsOf(options);
      // The doubt may be older than its grace: what is left is counted from the lease's end, too.
      const leftMs = graceMs + killAfterDoubtMs - (session.jeopardyMs ?? 0);
      return Math.max(0, Math.min(killAfterDoubtMs, leftMs));
    },
    onCannotRun: (problem) => sayCannotRun(problem, context, options),
    onLeftBehind: (group) => sayOfGroup(group, "leftBehind", context, options),
    onCannotEnd: (group) => sayOfGroup(group, "cannotEnd", context, options),
  });
  await watch.assertHeldToTheEnd();
  // What was asked may have been answered with the end of the session.
  if (hold.signal.aborted) throw lossOf(hold.signal);
  return code;
}

function killAfterMsOf(options: GuardOptions): number {
  return Math.min(TIMER_MS_MAX, parseDurationMs(options.killAfter, "--kill-after"));
}

/**
 * A holder that is cut off cannot tell whether the cell is gone, and its session safe, or only out of
 * reach. Nobody else is granted the lock before its lock-delay is over: by then the command has ended.
 */
function graceMsOf(options: GuardOptions): number {
  if (options.grace !== undefined) {
    return Math.min(TIMER_MS_MAX, parseDurationMs(options.grace, "--grace"));
  }
  return surelyClosedMsOf(options) - killAfterDoubtMsOf(options);
}

function killAfterDoubtMsOf(options: GuardOptions): number {
  return Math.min(killAfterMsOf(options), surelyClosedMsOf(options));
}

function surelyClosedMsOf(options: GuardOptions): number {
  const { lockDelayMs = LOCK_DELAY_MS_DEFAULT } = lockDelayMsOf(options);
  return surelyClosedFor(lockDelayMs);
}

function lockDelayMsOf(options: GuardOptions): { lockDelayMs?: number } {
  if (options.lockDelay === undefined) return {};
  const lockDelayMs = parseDurationMs(options.lockDelay, "--lock-delay");
  if (lockDelayMs > LOCK_DELAY_MS_MAX) {
    throw new CubbyError("invalid_argument", "A lock-delay is 60s at most.");
  }
  return { lockDelayMs };
}

function waitMsOf(options: LockOptions): number | undefined {
  if (options.wait === false) return 0;
  return options.wait === undefined ? undefined : parseDurationMs(options.wait, "--wait");
}

/** `sequencer check`: is this token still that of the lock's holder? */
export function addSequencerCommands(
  program: Command,
  context: Context,
  onExitCode: (code: number) => void,
): void {
  const group = program.command("sequencer").description("sequencers: proofs of holding a lock");
  const check = group
    .command("check")
    .description("ask the master whether a sequencer is still valid; exit 83 when it is not");
  withCellOptions(check)
    .argument("<path>", "the lock that it must be for")
    .argument("<token>", "as found in CUBBY_SEQUENCER")
    .action(async (path: string, token: string, options: CellOptions) => {
      const { valid, reason } = await withSession(context, options, (session) =>
        session.checkSequencer(path, token),
      );
      if (options.json === true) printJson(context, { path, valid, reason });
      if (!valid) throw new CubbyError("sequencer_stale", reason);
      if (options.json !== true) context.writeOut("valid\n");
      onExitCode(0);
    });
  withExamples(check, 'cubby sequencer check /ls/local/nightly "$CUBBY_SEQUENCER"');
}
