import { CubbyError } from "@cubby/protocol";
import { QUEUED_CALLS_MAX } from "./core/limits.ts";
import { onceAborted } from "./pending-call.ts";
import { TIMER_MS_MAX } from "./transport.ts";

/** Lets so many in at a time; the others wait their turn. Whoever was let in must `leave`. */
export class Turnstile {
  #free: number;
  /** In the order of their coming. */
  readonly #waiting = new Set<() => void>();

  constructor(places: number) {
    this.#free = places;
  }

  /** True if there was room. */
  tryEnter(): boolean {
    if (this.#free === 0) return false;
    this.#free -= 1;
    return true;
  }

  /** False if it did not come to it in time, or before the abort. Throws `CubbyError` too_many_requests. */
  wait(timeoutMs: number | undefined, signal: AbortSignal | undefined): Promise<boolean> {
    if (this.#waiting.size >= QUEUED_CALLS_MAX) {
      const detail = `${QUEUED_CALLS_MAX} calls wait in this session already. Await some of them first.`;
      throw new CubbyError("too_many_requests", detail);
    }
    return new Promise((resolve) => {
      const end = (isIn: boolean): void => {
        clearTimeout(timer);
        stopListening?.();
        this.#waiting.delete(enter);
        resolve(isIn);
      };
      const enter = (): void => end(true);
      const giveUp = (): void => end(false);
      const limitMs = Math.min(timeoutMs ?? TIMER_MS_MAX, TIMER_MS_MAX);
      const timer = setTimeout(giveUp, limitMs);
      const stopListening = signal === undefined ? undefined : onceAborted(signal, giveUp);
      this.#waiting.add(enter);
      if (signal?.aborted) giveUp();
    });
  }

  leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#free += 1;
    else next();
  }
}
