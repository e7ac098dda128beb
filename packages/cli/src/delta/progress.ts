import type { Context } from "../context.ts";
import { monotonicMs } from "../process/monotonic.ts";
import type { Terminal } from "./terminal.ts";

/** Short work needs no bar. */
const SHOW_AFTER_MS = 500;
const REDRAW_MS = 100;
const BAR_CHARS = 30;
const CLEAR_LINE = "\r\u001b[K";

/** A bar on standard error for work that takes long, where a person sees it. */
export class Progress {
  readonly #context: Context;
  readonly #isSeen: boolean;
  readonly #startMs: number;
  readonly #nowMs: () => number;
  #drawnMs = Number.NEGATIVE_INFINITY;

  constructor(context: Context, terminal: Terminal, nowMs: () => number = monotonicMs) {
    this.#context = context;
    this.#isSeen = terminal.isError;
    this.#nowMs = nowMs;
    this.#startMs = nowMs();
  }

  /** `fraction` of `what` is done. */
  show(what: string, fraction: number): void {
    if (!this.#isSeen) return;
    const now = this.#nowMs();
    if (now - this.#startMs < SHOW_AFTER_MS || now - this.#drawnMs < REDRAW_MS) return;
    this.#drawnMs = now;
    const full = Math.round(Math.min(1, fraction) * BAR_CHARS);
    const bar = "█".repeat(full) + "░".repeat(BAR_CHARS - full);
    const percent = `${Math.floor(Math.min(1, fraction) * 100)} %`.padStart(5);
    this.#context.writeError(`${CLEAR_LINE}${bar} ${percent}  ${what}`);
  }

  /** Takes the bar away. */
  done(): void {
    if (this.#drawnMs !== Number.NEGATIVE_INFINITY) this.#context.writeError(CLEAR_LINE);
    this.#drawnMs = Number.NEGATIVE_INFINITY;
  }
}
