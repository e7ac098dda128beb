import { type ChildProcess, spawn } from "node:child_process";

/**
 * Kills a process, or a process group, if this process dies. A process under SIGSTOP cannot notice
 * by itself that its parent is gone, and a user's command never looks.
 *
 * A shell waits for a line on a pipe that only we hold: the line disarms it, the end of the pipe
 * (which our death is enough to cause) sets it off.
 */
export class DeadManSwitch {
  readonly #shell: ChildProcess;

  private constructor(shell: ChildProcess) {
    this.#shell = shell;
  }

  static arm(target: { readonly pid: number; readonly wholeGroup?: boolean }): DeadManSwitch {
    const who = target.wholeGroup === true ? `-${target.pid}` : String(target.pid);
    const shell = spawn("/bin/sh", ["-c", 'read line || kill -s KILL -- "$0"', who], {
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

  disarm(): void {
    this.#shell.stdin?.end("disarmed\n");
  }
}
