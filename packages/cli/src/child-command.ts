import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import { DeadManSwitch } from "./process/dead-man-switch.ts";
import { lossOf, whenHeld } from "./when-held.ts";

/** Passed on to the command, which decides what they mean to it. */
const FORWARDED = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;
/** As shells have it: a command that cannot be found. */
const EXIT_NOT_FOUND = 127;

export type GuardedCommand = {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborts when the lock is lost. */
  readonly signal: AbortSignal;
  /** Throws while the lock may not be relied on. */
  readonly assertHeld: () => void;
  /** Between SIGTERM and SIGKILL after a loss. */
  readonly graceMs: number;
};

/**
 * Runs a command that must not outlive a lock. Returns its exit code, 128 + n when signal n ended
 * it. When the lock is lost the command's whole process group is told to end, then made to, and
 * the answer is the error lock_lost. It is not started while the lock is in doubt. If this process is killed the group is killed too.
 */
export async function runGuardedCommand(guarded: GuardedCommand): Promise<number> {
  const [program = "", ...args] = guarded.command;
  // We may have been stopped since the grant was sent: by now it may be another's.
  await whenHeld(guarded.assertHeld, guarded.signal);
  // Before the command runs: what is sent to us from now on is for it.
  const forwarding = new SignalForwarding();
  const child = spawn(program, args, { stdio: "inherit", env: guarded.env, detached: true });
  const ended = exitCodeOf(child, program);
  const { pid } = child;
  if (pid === undefined) {
    forwarding.stop();
    return ended;
  }
  forwarding.to(pid);
  const deadMan = DeadManSwitch.arm({ pid, wholeGroup: true });
  let killTimer: NodeJS.Timeout | undefined;
  const onLoss = (): void => {
    signalGroup(pid, "SIGTERM");
    // A stopped process takes its SIGTERM only once it runs.
    signalGroup(pid, "SIGCONT");
    killTimer = setTimeout(() => signalGroup(pid, "SIGKILL"), guarded.graceMs);
  };
  guarded.signal.addEventListener("abort", onLoss, { once: true });
  if (guarded.signal.aborted) onLoss();
  try {
    const code = await ended;
    if (guarded.signal.aborted) throw lossOf(guarded.signal);
    return code;
  } finally {
    guarded.signal.removeEventListener("abort", onLoss);
    clearTimeout(killTimer);
    forwarding.stop();
    // What the command left behind in its group goes with the lock that it was started under.
    if (guarded.signal.aborted) signalGroup(pid, "SIGKILL");
    deadMan.disarm();
  }
}

function exitCodeOf(child: ChildProcess, program: string): Promise<number> {
  return new Promise((resolve) => {
    child.once("error", (error) => {
      process.stderr.write(`cubby: cannot run ${program}: ${error.message}\n`);
      resolve(EXIT_NOT_FOUND);
    });
    child.once("exit", (code, signal) => {
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}

/** Hands signals on to a process group, once it is known. */
class SignalForwarding {
  readonly #handlers: (readonly [NodeJS.Signals, () => void])[];
  #pid: number | undefined;

  constructor() {
    this.#handlers = [
      ...FORWARDED.map((signal) => [signal, () => this.#send(signal)] as const),
      // Ctrl-Z stops the command with us: it must not run on while nobody renews the session.
      [
        "SIGTSTP",
        () => {
          this.#send("SIGSTOP");
          process.kill(process.pid, "SIGSTOP");
        },
      ],
      ["SIGCONT", () => this.#send("SIGCONT")],
    ];
    for (const [signal, handler] of this.#handlers) process.on(signal, handler);
  }

  to(pid: number): void {
    this.#pid = pid;
  }

  stop(): void {
    for (const [signal, handler] of this.#handlers) process.off(signal, handler);
  }

  #send(signal: NodeJS.Signals): void {
    if (this.#pid !== undefined) signalGroup(this.#pid, signal);
  }
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // The group has ended: there is nobody to tell.
  }
}
