import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { DeadManSwitch } from "./dead-man-switch.ts";
import { monotonicMs } from "./monotonic.ts";

/** The command itself; from `src` and from `dist` alike. */
const CUBBY = fileURLToPath(new URL("../../bin/cubby.js", import.meta.url));
/** Tells a process of ours to end when its parent does. */
const EXIT_WITH_PARENT = "CUBBY_EXIT_WITH_PARENT";
const LAST_LINES_MAX = 20;

export type ChildState = "running" | "paused" | "exited";
export type ChildExit = {
  readonly code: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
  readonly atMs: number;
};

/** As a shell has it: 128 + n where signal n ended a process. */
export function shellStatus(code: number | null | undefined, signal: ChildSignal): number {
  return code ?? 128 + (signal ? constants.signals[signal] : 0);
}

type ChildSignal = NodeJS.Signals | null | undefined;

export type ChildOptions = {
  /** Arguments of `cubby`. */
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Each line of its standard output and standard error. */
  readonly onLine?: (line: string, from: "stdout" | "stderr") => void;
  /** Called once, also for an end that was asked for. */
  readonly onExit?: (exit: ChildExit) => void;
};

/**
 * One `cubby` process that ends when we do: on request, by our own exit, and also when we are
 * killed, since the child ends when the channel to its parent closes.
 */
export class Child {
  readonly pid: number;
  readonly startedAtMs = monotonicMs();
  /** Settles when the process has ended and its output has been read. */
  readonly exited: Promise<ChildExit>;
  readonly #process: ChildProcess;
  readonly #lastLines: string[] = [];
  #exit: ChildExit | undefined;
  #switch: DeadManSwitch | undefined;

  private constructor(process: ChildProcess, pid: number, options: ChildOptions) {
    this.#process = process;
    this.pid = pid;
    for (const from of ["stdout", "stderr"] as const) {
      const stream = process[from];
      if (stream === null) continue;
      createInterface({ input: stream }).on("line", (line) => {
        this.#lastLines.push(line);
        if (this.#lastLines.length > LAST_LINES_MAX) this.#lastLines.shift();
        options.onLine?.(line, from);
      });
    }
    this.exited = new Promise((resolve) => {
      process.once("exit", (code, signal) => {
        this.#exit = { code: code ?? undefined, signal: signal ?? undefined, atMs: monotonicMs() };
        this.#switch?.disarm();
      });
      process.once("close", () => {
        const exit = this.#exit ?? { code: undefined, signal: undefined, atMs: monotonicMs() };
        options.onExit?.(exit);
        resolve(exit);
      });
    });
  }

  static async start(options: ChildOptions): Promise<Child> {
    const child = spawn(process.execPath, [CUBBY, ...options.args], {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      env: { ...withoutSettings(process.env), ...options.env, [EXIT_WITH_PARENT]: "1" },
      // A group of its own: a Ctrl-C at the terminal reaches us alone, and we stop the rest in order.
      detached: true,
    });
    const { pid } = child;
    if (pid === undefined) {
      return new Promise((_resolve, reject) => child.once("error", reject));
    }
    return new Child(child, pid, options);
  }

  get state(): ChildState {
    if (this.#exit !== undefined) return "exited";
    return this.#switch === undefined ? "running" : "paused";
  }

  get exit(): ChildExit | undefined {
    return this.#exit;
  }

  /** The end of its output, to explain an exit that nobody asked for. */
  get lastLines(): readonly string[] {
    return this.#lastLines;
  }

  /** SIGKILL: nothing is flushed, nobody is told. */
  async kill(): Promise<ChildExit> {
    this.#signal("SIGKILL");
    return this.exited;
  }

  /** SIGSTOP: alive, with everything it believes, but not running. */
  pause(): void {
    if (this.state !== "running") return;
    this.#switch = DeadManSwitch.arm({ pid: this.pid });
    this.#signal("SIGSTOP");
  }

  resume(): void {
    if (this.state !== "paused") return;
    this.#signal("SIGCONT");
    this.#switch?.disarm();
    this.#switch = undefined;
  }

  /** SIGTERM, and SIGKILL if that is not enough. */
  async stop(graceMs = 3_000): Promise<ChildExit> {
    if (this.state === "paused") return this.kill();
    this.#signal("SIGTERM");
    const timer = setTimeout(() => this.#signal("SIGKILL"), graceMs);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }

  #signal(signal: NodeJS.Signals): void {
    // Once the exit is known the pid may be another's; `kill` of the handle knows this too.
    if (this.#exit === undefined) this.#process.kill(signal);
  }
}

/** The arguments say all: a CUBBY_… variable of the user's must not change what we start. */
function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("CUBBY_")));
}

/** For the process that was started: end when the parent's end closes the channel to it. */
export function exitWithParent(): void {
  if (process.env[EXIT_WITH_PARENT] !== "1" || process.channel === undefined) return;
  // Not inherited by what this process starts in turn.
  delete process.env[EXIT_WITH_PARENT];
  process.once("disconnect", () => process.exit(0));
  process.channel?.unref();
}
