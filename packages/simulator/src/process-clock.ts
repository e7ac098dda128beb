import { type Instant, instant, NEVER, type Rng } from "@cubby/base";
import { drawClockRate, type Plan, pick } from "./plan.ts";
import type { VirtualTime } from "./virtual-time.ts";

const TURN_MS = 0.02;
/** Machines have been up for no time or for years; some pass what 31 or 32 bits hold in the run. */
const UPTIMES_MS = [0, 2 ** 31, 2 ** 32, 2 ** 40].map((ms) => Math.max(0, ms - 20_000));
const UPTIME_SPREAD_MS = 40_000;

/**
 * Time as one process has it: its monotonic clock, its event loop's turns and its one timer, and
 * when all of these stand still.
 */
export class ProcessClock {
  readonly #time: VirtualTime;
  readonly #rng: Rng;
  readonly #lateTimerMs: number;
  #offset: number;
  readonly #rate: number;
  #pausedSince = 0;
  #pausedUntil = 0;
  /** Since its last turn the machine stood still as well, and this clock with it. */
  isSuspended = false;
  #wakeAt: number = NEVER;
  /** What waits for the end of a pause. */
  readonly #waiting = new Set<() => void>();

  constructor(time: VirtualTime, rng: Rng, plan: Plan) {
    this.#time = time;
    this.#rng = rng;
    this.#lateTimerMs = plan.lateTimerMs;
    this.#offset = pick(rng, UPTIMES_MS) + rng.below(UPTIME_SPREAD_MS);
    this.#rate = drawClockRate(rng, plan.driftPerMille);
  }

  now(): Instant {
    return instant(Math.floor(this.#time.now * this.#rate + this.#offset));
  }

  /** The true time at which this clock will show `at`, unless it is made to stand still. */
  trueTimeOf(at: Instant): number {
    return (at - this.#offset) / this.#rate;
  }

  get isPaused(): boolean {
    return this.#pausedUntil > this.#time.now;
  }

  /** What comes meanwhile is handed in afterwards. */
  pause(ms: number): void {
    if (this.isPaused) return;
    this.#pausedSince = this.#time.now;
    this.#pausedUntil = this.#time.now + ms;
  }

  suspend(ms: number): void {
    if (this.isPaused) return;
    this.pause(ms);
    this.isSuspended = true;
  }

  /** Ends a pause before its time; true if there was one. */
  resume(): boolean {
    if (!this.isPaused) return false;
    this.#pausedUntil = this.#time.now;
    for (const again of this.#waiting) this.#time.after(2 * TURN_MS, again);
    return true;
  }

  /** How long, by this clock, it has stood still since it was last asked; a suspend is taken out. */
  takePause(): { readonly pausedMs: number; readonly wasSuspended: boolean } {
    const pausedMs = (this.#pausedUntil - this.#pausedSince) * this.#rate;
    const wasSuspended = this.isSuspended;
    this.#pausedSince = this.#pausedUntil;
    this.isSuspended = false;
    if (wasSuspended) this.#offset -= Math.floor(pausedMs);
    return { pausedMs, wasSuspended };
  }

  /** Of a process that starts: nothing of the last one's pauses and timers is left. */
  startOver(): void {
    this.#pausedSince = 0;
    this.#pausedUntil = 0;
    this.isSuspended = false;
    this.#wakeAt = NEVER;
  }

  /** In the next turn of the event loop, which waits for the end of a pause. */
  nextTurn(run: () => void): void {
    const turn = (): void => {
      if (this.isPaused) this.#time.at(this.#pausedUntil, turn);
      else run();
    };
    this.#time.at(Math.max(this.#time.now + TURN_MS, this.#pausedUntil), turn);
  }

  /** Now, or a little after the end of a pause: what a timer of an application does. */
  onceRunning(run: () => void): void {
    if (!this.isPaused) {
      run();
      return;
    }
    // The pause may end before its time, and then nobody waits for what its end would have been.
    const again = (): void => {
      if (this.#waiting.delete(again)) this.onceRunning(run);
    };
    this.#waiting.add(again);
    this.#time.at(this.#pausedUntil + 2 * TURN_MS, again);
  }

  /** Sets the one timer, unless it fires early enough already. It may be late (T3). */
  armWake(wakeAt: Instant, run: () => void): void {
    if (wakeAt === NEVER) return;
    const lateMs = this.#lateTimerMs === 0 ? 0 : this.#rng.below(this.#lateTimerMs);
    // Just behind the instant, since the clock shows whole milliseconds.
    const due = Math.max(this.trueTimeOf(wakeAt) + 0.001, this.#time.now);
    if (this.#wakeAt <= due) return;
    this.#wakeAt = due;
    this.#time.at(due + lateMs, () => {
      if (this.#wakeAt !== due) return;
      this.#wakeAt = NEVER;
      run();
    });
  }
}
