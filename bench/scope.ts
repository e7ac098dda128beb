import { constants } from "node:os";

type Ending = () => void | Promise<void>;

/**
 * What a run must put away however it ends: by itself, by an error, by Ctrl-C, or because it takes
 * too long. Endings run in reverse order, each even if another fails.
 */
export class Scope {
  readonly #endings: Ending[] = [];
  readonly #stop = new AbortController();
  #closing: Promise<void> | undefined;

  /** Aborts when the run is to end early. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** What can be put away before the rest, and is at the latest with it. Either stops with the other. */
  part(): Scope {
    const part = new Scope();
    this.onEnd(() => part.close());
    this.signal.addEventListener("abort", () => part.#stop.abort(this.signal.reason));
    part.signal.addEventListener("abort", () => this.#stop.abort(part.signal.reason));
    return part;
  }

  onEnd(ending: Ending): void {
    this.#endings.push(ending);
  }

  stop(why: string): void {
    this.#stop.abort(new Error(why));
  }

  async close(): Promise<void> {
    this.#closing ??= this.#close();
    await this.#closing;
  }

  async #close(): Promise<void> {
    for (let end = this.#endings.pop(); end !== undefined; end = this.#endings.pop()) {
      try {
        await end();
      } catch (error) {
        console.error(error instanceof Error ? error.message : error);
        process.exitCode = 1;
      }
    }
  }
}

/** Runs `work`, and puts everything away before it returns or the process ends. */
export async function inScope(
  secondsMax: number,
  work: (scope: Scope) => Promise<void>,
): Promise<void> {
  const scope = new Scope();
  const onSignal = (name: NodeJS.Signals): void => {
    process.exitCode = 128 + constants.signals[name];
    scope.stop(`stopped by ${name}`);
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal).on("SIGHUP", onSignal);
  const timer = setTimeout(
    () => scope.stop(`took longer than ${secondsMax} s`),
    secondsMax * 1_000,
  );
  const stopped = new Promise<never>((_resolve, reject) => {
    scope.signal.addEventListener("abort", () => reject(scope.signal.reason));
  });
  try {
    await Promise.race([work(scope), stopped]);
  } catch (error) {
    const isStop = error === scope.signal.reason;
    console.error(error instanceof Error && isStop ? error.message : error);
    process.exitCode ||= 1;
  } finally {
    clearTimeout(timer);
    await scope.close();
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal).off("SIGHUP", onSignal);
  }
  // Work that was cut short may still wait for something that never comes.
  if (scope.signal.aborted) process.exit();
}
