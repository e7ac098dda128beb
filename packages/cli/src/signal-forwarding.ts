import { signalGroup } from "./process/signal-group.ts";
import { whenHeld } from "./when-held.ts";

/** Passed on to the command, which decides what they mean to it. */
const FORWARDED = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;

type Guard = {
  /** Throws while the lock may not be relied on. */
  readonly assertHeld: () => void;
  readonly onLost: (error: unknown) => void;
};

/** Hands the signals that come to us on to a process group, once it is known. */
export class SignalForwarding implements Disposable {
  readonly #handlers: (readonly [NodeJS.Signals, () => void])[];
  readonly #end = new AbortController();
  /** What came before there was a command to hand it to. */
  readonly #early = new Set<NodeJS.Signals>();
  readonly #guard: Guard;
  #pid: number | undefined;
  #isStopped = false;

  constructor(guard: Guard) {
    this.#guard = guard;
    this.#handlers = [
      ...FORWARDED.map((signal) => [signal, () => this.#forward(signal)] as const),
      ["SIGTSTP", () => this.#stopWithUs()],
      ["SIGCONT", () => void this.#goOn()],
    ];
    for (const [signal, handler] of this.#handlers) process.on(signal, handler);
  }

  /** By Ctrl-Z, and since then nobody has found that it may go on. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  to(pid: number): void {
    this.#pid = pid;
    for (const signal of this.#early) this.#send(signal);
  }

  [Symbol.dispose](): void {
    this.#end.abort();
    for (const [signal, handler] of this.#handlers) process.off(signal, handler);
  }

  /** The command must not run on while nobody renews the session. */
  #stopWithUs(): void {
    this.#isStopped = this.#pid !== undefined;
    this.#send("SIGSTOP");
    process.kill(process.pid, "SIGSTOP");
  }

  /** While we were stopped another may have been granted the lock. */
  async #goOn(): Promise<void> {
    try {
      await whenHeld(this.#guard.assertHeld, this.#end.signal);
      this.#isStopped = false;
      this.#send("SIGCONT");
    } catch (error) {
      if (this.#end.signal.aborted) return;
      // A loss that was known before the stop has its end under way, which nothing carries out now.
      if (this.#isStopped) this.#send("SIGKILL");
      this.#guard.onLost(error);
    }
  }

  #forward(signal: NodeJS.Signals): void {
    if (this.#pid === undefined) this.#early.add(signal);
    else this.#send(signal);
  }

  #send(signal: NodeJS.Signals): void {
    if (this.#pid !== undefined) signalGroup(this.#pid, signal);
  }
}
