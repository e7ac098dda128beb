import { setTimeout as delay } from "node:timers/promises";
import { FAILED } from "./closed-loop.ts";

const WRITE_EVERY_MS = 2;

/** Writes until it is stopped, and tells of the first write begun after it is asked that succeeds. */
export class SteadyWriter {
  /** Rejects when a write rejects; settles in no other way. */
  readonly failed: Promise<never>;
  readonly #write: (text: string) => Promise<unknown>;
  readonly #running: Promise<void>;
  #stopped = false;
  #waiting: { readonly askedAt: number; readonly resolve: (at: number) => void } | undefined;

  constructor(write: (text: string) => Promise<unknown>) {
    this.#write = write;
    this.#running = this.#run();
    this.failed = new Promise((_resolve, reject) => {
      this.#running.catch(reject);
    });
    // A failure is reported where a trial waits for it.
    this.failed.catch(() => undefined);
  }

  /** When that write was over. */
  async nextSuccess(): Promise<number> {
    return new Promise((resolve) => {
      this.#waiting = { askedAt: performance.now(), resolve };
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running.catch(() => undefined);
  }

  async #run(): Promise<void> {
    for (let i = 0; !this.#stopped; i += 1) {
      const begunAt = performance.now();
      const answer = await this.#write(`write ${i}`);
      const waiting = this.#waiting;
      if (answer !== FAILED && waiting !== undefined && begunAt >= waiting.askedAt) {
        this.#waiting = undefined;
        waiting.resolve(performance.now());
      }
      await delay(WRITE_EVERY_MS);
    }
  }
}
