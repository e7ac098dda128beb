import type { Request } from "@cubby/protocol";
import type { ReadMode } from "@cubby/server/core";
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
  /** The same for each KeepAlive as it came in. */
  readonly #servedMsAt = new WeakMap<Request, number>();

  constructor(time: VirtualTime, plan: Plan) {
    this.#time = time;
    this.#withinMs = LEASES_MAX * plan.sessionLeaseMs + SLACK_MS;
  }

  /** A KeepAlive has come in somewhere. */
  onKeepAlive(request: Request): void {
    this.#heardAt.set(request.sessionId, this.#time.now);
    this.#servedMsAt.set(request, this.#servedMs);
  }

  /** Somebody looks, every few milliseconds while anything happens, who serves. */
  onLook(master: number | undefined): void {
    const { now } = this.#time;
    if (master !== undefined && master === this.#lastMaster) this.#servedMs += now - this.#lookedAt;
    this.#lastMaster = master;
    this.#lookedAt = now;
  }

  /**
   * A lease of this length is told of. It began now, or, where an answer waits for a quorum, as long as
   * that takes, at some time since the KeepAlive came in.
   */
  onGranted(request: Request, leaseMs: number, reads: ReadMode): void {
    const cameInMs = reads === "quorum" ? this.#servedMsAt.get(request) : undefined;
    this.#granted.set(request.sessionId, { leaseMs, servedMs: cameInMs ?? this.#servedMs });
  }

  /** A master has begun, or has moved all deadlines. */
  onDisturbed(): void {
    this.#disturbedAt = this.#time.now;
  }

  onCommand({ began, expired }: ReferenceCell, isWell: boolean): void {
    if (began > 0) this.#heardAt.set(began, this.#time.now);
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
