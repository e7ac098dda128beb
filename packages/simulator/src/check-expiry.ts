import type { Plan } from "./plan.ts";
import type { ReferenceCell } from "./reference-cell.ts";
import { Violation } from "./violation.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** The last KeepAlive is held, and then a full lease begins; by the slowest clock, each with its share. */
const LEASES_MAX = 2;
const SLACK_MS = 3_000;
/** Of a lease, at the least: its clock may be fast, and short stalls and the ends of lapses count as time. */
const LEASE_SHARE_MIN = 0.6;

/**
 * 18: once all is well, a session of which nothing is heard is soon over; and none is over before a
 * master has served for as long as its last lease (FO-0: without one its time stands still). What counts
 * is what came in, what was answered and when somebody served, and not what a master takes for its
 * deadline.
 */
export class ExpiryChecker {
  readonly #time: VirtualTime;
  readonly #withinMs: number;
  readonly #heardAt = new Map<number, number>();
  #disturbedAt = 0;
  /** For how long anybody has served in all, as far as the last look. */
  #servedMs = 0;
  #lookedAt = 0;
  #lastMaster: number | undefined;
  readonly #granted = new Map<number, { readonly leaseMs: number; readonly servedMs: number }>();

  constructor(time: VirtualTime, plan: Plan) {
    this.#time = time;
    this.#withinMs = LEASES_MAX * plan.sessionLeaseMs + SLACK_MS;
  }

  /** A KeepAlive has come in somewhere. */
  onHeard(sessionId: number): void {
    this.#heardAt.set(sessionId, this.#time.now);
  }

  /** Somebody looks, every few milliseconds while anything happens, who serves. */
  onLook(master: number | undefined): void {
    const { now } = this.#time;
    if (master !== undefined && master === this.#lastMaster) this.#servedMs += now - this.#lookedAt;
    this.#lastMaster = master;
    this.#lookedAt = now;
  }

  /** A lease of this length begins now. */
  onGranted(sessionId: number, leaseMs: number): void {
    this.#granted.set(sessionId, { leaseMs, servedMs: this.#servedMs });
  }

  /** A master has begun, or has moved all deadlines. */
  onDisturbed(): void {
    this.#disturbedAt = this.#time.now;
  }

  onCommand({ began, expired }: ReferenceCell, isWell: boolean): void {
    if (began > 0) this.onHeard(began);
    if (!isWell) this.onDisturbed();
    if (expired === 0) return;
    const { now } = this.#time;
    this.#checkNeedless(expired);
    const heardAt = this.#heardAt.get(expired) ?? now;
    this.#heardAt.delete(expired);
    const quietMs = now - Math.max(heardAt, this.#disturbedAt);
    if (quietMs <= this.#withinMs) return;
    const detail = `session ${expired} expires ${quietMs.toFixed(0)} ms after it was last heard of, ${this.#withinMs} are enough`;
    throw new Violation(18, "no-late-expiry", detail);
  }

  #checkNeedless(expired: number): void {
    const granted = this.#granted.get(expired);
    this.#granted.delete(expired);
    if (granted === undefined) return;
    const { leaseMs } = granted;
    const servedMs = this.#servedMs - granted.servedMs;
    if (servedMs >= leaseMs * LEASE_SHARE_MIN) return;
    const detail = `session ${expired} expires though masters have served for ${servedMs.toFixed(0)} ms of its lease of ${leaseMs}`;
    throw new Violation(18, "no-needless-expiry", detail);
  }
}
