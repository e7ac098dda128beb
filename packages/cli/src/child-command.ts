import { type ChildProcess, spawn } from "node:child_process";
import { shellStatus } from "./process/child.ts";
import { DeadManSwitch } from "./process/dead-man-switch.ts";
import { loopTurn } from "./process/loop-turn.ts";
import { monotonicMs } from "./process/monotonic.ts";
import { GroupWatch, signalGroup } from "./process/signal-group.ts";
import { sleep } from "./process/sleep.ts";
import type { ToldToEnd } from "./process/told-to-end.ts";
import { SignalForwarding } from "./signal-forwarding.ts";
import { lossOf, whenHeld } from "./when-held.ts";

/** As shells have it: a command that cannot be found. */
const EXIT_NOT_FOUND = 127;
const LOOK_EVERY_MS = 50;
/** What a command left behind is waited for so long before anything is said of it. */
const SAY_AFTER_MS = 1_000;

export type GuardedCommand = {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborts when the lock is lost. */
  readonly signal: AbortSignal;
  /** The wait for the lock, which a signal ends until the command is started, and never after. */
  readonly waiting: ToldToEnd;
  /** Throws while the lock may not be relied on. */
  readonly assertHeld: () => void;
  /** Between SIGTERM and SIGKILL; asked for when the lock is lost. */
  readonly killAfterMs: () => number;
  readonly onCannotRun: (problem: string) => void;
  /** It has ended, and others of its process group have not: the lock is kept for them. */
  readonly onLeftBehind: (group: number) => void;
  /** The lock is lost, and the command, which is another user's, cannot be ended. */
  readonly onCannotEnd: (group: number) => void;
};

/**
 * Runs a command that must not outlive a lock. Returns its exit code, 128 + n when signal n ended
 * it, once all of its process group has ended: a shell that a signal ends leaves behind what it has
 * started, and that works on. When the lock is lost the command's whole process group is told to end,
 * then made to, and the answer is the error lock_lost. While the lock is in doubt it is neither
 * started nor, after a Ctrl-Z, continued. If this process is killed the group is killed too.
 */
export async function runGuardedCommand(guarded: GuardedCommand): Promise<number> {
  const [program = "", ...args] = guarded.command;
  const { waiting } = guarded;
  const found = new AbortController();
  const signal = AbortSignal.any([guarded.signal, found.signal]);
  const assertHeld = (): void => {
    if (signal.aborted) throw lossOf(signal);
    guarded.assertHeld();
  };
  // Before the wait ignores them: a signal that comes in between would be dropped.
  using forwarding = new SignalForwarding({ assertHeld, onLost: (error) => found.abort(error) });
  // Before the command, which outlives us if we are killed before the line that arms it.
  using deadMan = DeadManSwitch.ready();
  await loopTurn();
  // We may have been stopped since the grant was sent: by now it may be another's.
  await whenHeld(assertHeld, AbortSignal.any([signal, waiting.signal]));
  // What is sent to us from now on is for the command. One that comes when it has ended may not end
  // us: there is an exit code to pass on, and a lock to give back.
  waiting.ignore();
  const cannotRun = (error: Error): number => {
    guarded.onCannotRun(`cannot run ${program}: ${error.message}`);
    return EXIT_NOT_FOUND;
  };
  const child = start(program, args, guarded.env);
  if (child instanceof Error) return cannotRun(child);
  const ended = exitCodeOf(child, cannotRun);
  const { pid } = child;
  if (pid === undefined) return await ended;
  deadMan.arm({ pid, wholeGroup: true });
  forwarding.to(pid);
  let killTimer: NodeJS.Timeout | undefined;
  const killed = new AbortController();
  const kill = (): void => {
    signalGroup(pid, "SIGKILL");
    killed.abort();
  };
  const onLoss = (): void => {
    if (forwarding.isStopped) {
      // Continued, to end by itself, it would run while another holds the lock.
      kill();
      return;
    }
    if (!signalGroup(pid, "SIGTERM")) guarded.onCannotEnd(pid);
    // A process that somebody else stopped takes its SIGTERM only once it runs.
    signalGroup(pid, "SIGCONT");
    killTimer = setTimeout(kill, guarded.killAfterMs());
  };
  signal.addEventListener("abort", onLoss, { once: true });
  if (signal.aborted) onLoss();
  try {
    const code = await ended;
    // Of those who are told to end the first to do so need not be the one that has something to clean up.
    await groupEnded(pid, killed.signal, () => {
      if (!signal.aborted) guarded.onLeftBehind(pid);
    });
    if (signal.aborted) throw lossOf(signal);
    return code;
  } finally {
    signal.removeEventListener("abort", onLoss);
    clearTimeout(killTimer);
    // What the command left behind in its group goes with the lock that it was started under.
    if (signal.aborted) signalGroup(pid, "SIGKILL");
  }
}

/** Or until it was killed. */
async function groupEnded(pid: number, killed: AbortSignal, say: () => void): Promise<void> {
  const sayAt = monotonicMs() + SAY_AFTER_MS;
  const group = new GroupWatch(pid);
  for (let isSaid = false; !killed.aborted && group.isRunning(); ) {
    if (!isSaid && monotonicMs() >= sayAt) {
      isSaid = true;
      say();
    }
    await sleep(LOOK_EVERY_MS, killed).catch(() => undefined);
  }
}

/** What is wrong with some programs is said by an event, and with others at once. */
function start(
  program: string,
  args: readonly string[],
  env: GuardedCommand["env"],
): ChildProcess | Error {
  try {
    return spawn(program, args, { stdio: "inherit", env, detached: true });
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
}

function exitCodeOf(child: ChildProcess, cannotRun: (error: Error) => number): Promise<number> {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(cannotRun(error)));
    child.once("exit", (code, signal) => resolve(shellStatus(code, signal)));
  });
}
