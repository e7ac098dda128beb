import { uptime } from "node:os";
import { type Instant, msBetween } from "@cubby/base";
import { type Clock, monotonicNow } from "./clock.ts";

/** Clocks in milliseconds. Only their advance is compared, never their values. */
export type WatchedClocks = {
  readonly now: Clock;
  /** Goes on during suspend, as Node's monotonic clock does not (reliability §7). */
  readonly uptimeMs: () => number;
  readonly wallMs: () => number;
};

export type WatchdogOptions = {
  /** The event loop stood still for so long: nobody's session time ran. */
  readonly onStall: (stalledMs: number) => void;
  /** Time passed that the monotonic clock has not seen: leases are void until renewed. */
  readonly onSuspend: (unseenMs: number, clock: "uptime" | "wall") => void;
  /** How late the watchdog's own timer was, each time. */
  readonly onLag?: (lagMs: number) => void;
  readonly clocks?: WatchedClocks;
  readonly periodMs?: number;
  readonly stallMs?: number;
  readonly suspendMs?: number;
};

const PERIOD_MS = 50;
/** Timers of a busy process are that late. What is longer would be put down to the disk. */
const STALL_MS = 25;
const SUSPEND_MS = 50;

const SYSTEM_CLOCKS: WatchedClocks = {
  now: monotonicNow,
  uptimeMs: () => uptime() * 1_000,
  wallMs: () => Date.now(),
};

/**
 * Notices that time has passed without us: a stalled event loop, a stopped process, a suspended
 * machine. It may only take leases away: nothing here ever extends one.
 */
export class Watchdog {
  readonly #options: WatchdogOptions;
  readonly #clocks: WatchedClocks;
  readonly #periodMs: number;
  readonly #stallMs: number;
  readonly #suspendMs: number;
  #timer: NodeJS.Timeout | undefined;
  #seenAt: Instant;
  /** The last look of the timer's own; an input after it may have been the first to see a stall. */
  #tickedAt: Instant;
  /** How far the other clocks are ahead of the monotonic one. */
  #uptimeAheadMs: number;
  #wallAheadMs: number;

  constructor(options: WatchdogOptions) {
    this.#options = options;
    this.#clocks = options.clocks ?? SYSTEM_CLOCKS;
    this.#periodMs = options.periodMs ?? PERIOD_MS;
    this.#stallMs = options.stallMs ?? STALL_MS;
    this.#suspendMs = options.suspendMs ?? SUSPEND_MS;
    const { uptimeMs, wallMs, now } = this.#readClocks();
    this.#seenAt = now;
    this.#tickedAt = now;
    this.#uptimeAheadMs = uptimeMs - now;
    this.#wallAheadMs = wallMs - now;
  }

  start(): void {
    this.#timer ??= setInterval(() => this.tick(), this.#periodMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /**
   * The cheap half, to be called before each input: after a pause the loop delivers what has come
   * in before it runs a timer, and that input must not be judged as if no time had been lost.
   */
  check(now: Instant): void {
    const overdueMs = msBetween(this.#seenAt, now) - this.#periodMs;
    if (overdueMs < this.#stallMs) return;
    this.#seenAt = now;
    this.#options.onStall(overdueMs);
  }

  tick(): void {
    const { uptimeMs, wallMs, now } = this.#readClocks();
    this.#options.onLag?.(Math.max(0, msBetween(this.#tickedAt, now) - this.#periodMs));
    this.#tickedAt = now;
    this.check(now);
    this.#seenAt = now;
    const unseenMs = uptimeMs - now - this.#uptimeAheadMs;
    if (unseenMs > this.#suspendMs) {
      this.#uptimeAheadMs += unseenMs;
      this.#options.onSuspend(Math.round(unseenMs), "uptime");
    }
    const jumpedMs = wallMs - now - this.#wallAheadMs;
    // The wall clock is set, slewed and set back: only a jump ahead between two looks counts.
    this.#wallAheadMs = wallMs - now;
    if (jumpedMs > this.#suspendMs && unseenMs <= this.#suspendMs) {
      this.#options.onSuspend(Math.round(jumpedMs), "wall");
    }
  }

  /** The monotonic clock last: a pause between the readings must not look like a suspend. */
  #readClocks(): { uptimeMs: number; wallMs: number; now: Instant } {
    const uptimeMs = this.#clocks.uptimeMs();
    const wallMs = this.#clocks.wallMs();
    return { uptimeMs, wallMs, now: this.#clocks.now() };
  }
}
