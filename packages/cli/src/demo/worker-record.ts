import { unreachable } from "@cubby/base";
import { monotonicMs } from "../process/monotonic.ts";
import type { WebServerView } from "./drawing.ts";
import type { Reign } from "./timeline.ts";
import type { WorkerReport } from "./worker-report.ts";

/** What is known of one web server, across its restarts, from its reports and from what we did. */
export class WorkerRecord {
  readonly name: string;
  #state: WebServerView["state"] = "starting";
  #pid = 0;
  #job = 0;
  #generation = 0;
  #sequencer = "";
  #heldAtMs = 0;
  #url = "";
  readonly #reigns: Reign[] = [];
  /** Where the reign that is going on began; undefined while it does not lead. */
  #leadsSinceMs: number | undefined;
  /** Set while it is stopped: the state to go back to. */
  #stateBeforePause: WebServerView["state"] | undefined;

  constructor(name: string) {
    this.name = name;
  }

  get view(): WebServerView {
    return { name: this.name, state: this.#state, generation: this.#generation, job: this.#job };
  }

  get pid(): number {
    return this.#pid;
  }

  get url(): string {
    return this.#url;
  }

  get sequencer(): string {
    return this.#sequencer;
  }

  get generation(): number {
    return this.#generation;
  }

  /** When it last checked that it holds its lock, and found it so. */
  get heldAtMs(): number {
    return this.#heldAtMs;
  }

  /** It leads, and is in a position to act on it. */
  get leads(): boolean {
    return this.#leadsSinceMs !== undefined && this.#stateBeforePause === undefined;
  }

  /** Every reign so far, and the present one until now. */
  get reigns(): readonly Reign[] {
    if (this.#leadsSinceMs === undefined) return this.#reigns;
    // A stopped process acts on nothing.
    const untilMs = this.#stateBeforePause === undefined ? monotonicMs() : this.#heldAtMs;
    return [...this.#reigns, this.#reignUntil(untilMs)];
  }

  onStarted(pid: number): void {
    this.#pid = pid;
    this.#state = "starting";
  }

  onReport(report: WorkerReport): void {
    switch (report.kind) {
      case "started":
        this.#url = report.url;
        return;
      case "waiting":
        this.#become("waiting");
        return;
      case "leading":
        this.#generation = report.generation;
        this.#sequencer = report.sequencer;
        this.#heldAtMs = report.atMs;
        this.#leadsSinceMs = report.atMs;
        this.#become("leading");
        return;
      case "working":
        this.#job = report.job;
        this.#heldAtMs = report.atMs;
        return;
      case "stored":
      case "refused":
        return;
      case "steppedDown":
        // What it did after it last held its lock was not leading, but the reason why others check.
        this.#endReign(this.#heldAtMs);
        this.#become("waiting");
        return;
      case "jeopardy":
        this.#become("jeopardy");
        return;
      case "safe":
        this.#become(this.#leadsSinceMs === undefined ? "waiting" : "leading");
        return;
      case "expired":
        this.#become("waiting");
        return;
      default:
        unreachable(report);
    }
  }

  onPaused(): void {
    this.#stateBeforePause = this.#state;
    this.#state = "paused";
  }

  onResumed(): void {
    if (this.#stateBeforePause === undefined) return;
    this.#state = this.#stateBeforePause;
    this.#stateBeforePause = undefined;
  }

  onExited(atMs: number): void {
    this.#stateBeforePause = undefined;
    this.#state = "dead";
    this.#endReign(atMs);
  }

  #become(state: WebServerView["state"]): void {
    if (this.#state !== "dead") this.#state = state;
  }

  #endReign(atMs: number): void {
    if (this.#leadsSinceMs === undefined) return;
    this.#reigns.push(this.#reignUntil(atMs));
    this.#leadsSinceMs = undefined;
  }

  #reignUntil(untilMs: number): Reign {
    const { name, pid, generation } = this;
    return { worker: name, pid, generation, fromMs: this.#leadsSinceMs ?? untilMs, untilMs };
  }
}
