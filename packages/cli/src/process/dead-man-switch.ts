import { type ChildProcess, spawn } from "node:child_process";

type DeadManTarget = { readonly pid: number; readonly wholeGroup?: boolean };

/**
 * Kills a process, or a process group, if this process dies. A process under SIGSTOP cannot notice
 * by itself that its parent is gone, and a user's command never looks.
 *
 * A shell waits on a pipe that only we hold. One line arms it and says for whom, another disarms it,
 * and the end of the pipe (which our death is enough to cause) sets it off.
 */
export class DeadManSwitch implements Disposable {
  readonly #shell: ChildProcess;
  #isArmed = false;

  private constructor(shell: ChildProcess) {
    this.#shell = shell;
  }

  static arm(target: DeadManTarget): DeadManSwitch {
    const armed = DeadManSwitch.ready();
    armed.arm(target);
    return armed;
  }

  /** To be armed later: a process that is about to be started is not without it for long then. */
  static ready(): DeadManSwitch {
    const wait = 'read who && { read line || kill -s KILL -- "$who"; }';
    const shell = spawn("/bin/sh", ["-c", wait], {
      stdio: ["pipe", "ignore", "ignore"],
      // A Ctrl-C at the terminal must reach us alone.
      detached: true,
    });
    // A shell that could not be started, or went away, leaves us where we were without it.
    shell.on("error", () => undefined);
    shell.stdin?.on("error", () => undefined);
    shell.unref();
    return new DeadManSwitch(shell);
  }

  arm({ pid, wholeGroup }: DeadManTarget): void {
    this.#isArmed = true;
    this.#shell.stdin?.write(`${wholeGroup === true ? -pid : pid}\n`);
  }

  disarm(): void {
    this.#shell.stdin?.end(this.#isArmed ? "disarmed\n" : "");
  }

  [Symbol.dispose](): void {
    this.disarm();
  }
}
