import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { DeadManSwitch } from "../../packages/cli/src/process/dead-man-switch.ts";

/** Of what one process may write into the artifacts. */
const LOG_BYTES_MAX = 16 * 1024 * 1024;
const LAST_LINES_MAX = 30;
const STOP_MS = 5_000;

export type ProgramExit = { readonly code: number | null; readonly signal: string | null };

/** A process that ended without being asked to. */
export type Crash = { readonly process: string; readonly exit: ProgramExit; readonly said: string };

export type ProgramOptions = {
  readonly command: readonly string[];
  /** What it writes goes there, at the end. */
  readonly logFile: string;
  readonly onLine?: (line: string) => void;
  readonly onMessage?: (message: unknown) => void;
};

/**
 * A process that is here to be ill-treated. It has a channel to us whose end tells it to end, and a
 * group of its own, so that a Ctrl-C at the terminal reaches us alone.
 */
export class Program {
  readonly pid: number;
  readonly exited: Promise<ProgramExit>;
  readonly lastLines: string[] = [];
  readonly #process: ChildProcess;
  #exit: ProgramExit | undefined;
  #switch: DeadManSwitch | undefined;

  private constructor(process: ChildProcess, pid: number, options: ProgramOptions) {
    this.#process = process;
    this.pid = pid;
    const log = openSync(options.logFile, "a");
    let logBytes = 0;
    for (const stream of [process.stdout, process.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on("line", (line) => {
        this.lastLines.push(line);
        if (this.lastLines.length > LAST_LINES_MAX) this.lastLines.shift();
        logBytes += line.length + 1;
        if (logBytes <= LOG_BYTES_MAX) writeSync(log, `${line}\n`);
        options.onLine?.(line);
      });
    }
    process.on("message", (message) => options.onMessage?.(message));
    // A signal may come to a process that has just ended.
    process.on("error", () => undefined);
    this.exited = new Promise((resolve) => {
      process.once("exit", (code, signal) => {
        this.#exit = { code, signal };
        this.#switch?.disarm();
      });
      process.once("close", () => {
        closeSync(log);
        resolve(this.#exit ?? { code: null, signal: null });
      });
    });
  }

  static start(options: ProgramOptions): Program {
    const [file = "", ...args] = options.command;
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("CUBBY_"));
    const child = spawn(file, args, {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      env: { ...Object.fromEntries(inherited), CUBBY_EXIT_WITH_PARENT: "1" },
      detached: true,
    });
    if (child.pid === undefined) throw new Error(`${file} cannot be started.`);
    return new Program(child, child.pid, options);
  }

  get hasExited(): boolean {
    return this.#exit !== undefined;
  }

  get isPaused(): boolean {
    return this.#switch !== undefined;
  }

  pause(): void {
    if (this.hasExited || this.isPaused) return;
    this.#switch = DeadManSwitch.arm({ pid: this.pid });
    this.#signal("SIGSTOP");
  }

  resume(): void {
    this.#signal("SIGCONT");
    this.#switch?.disarm();
    this.#switch = undefined;
  }

  kill(): Promise<ProgramExit> {
    this.#signal("SIGKILL");
    return this.exited;
  }

  /** SIGTERM, and SIGKILL if that is not enough. */
  async stop(): Promise<ProgramExit> {
    if (this.isPaused) return this.kill();
    this.#signal("SIGTERM");
    const timer = setTimeout(() => this.#signal("SIGKILL"), STOP_MS);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }

  #signal(signal: NodeJS.Signals): void {
    if (!this.hasExited) this.#process.kill(signal);
  }
}
