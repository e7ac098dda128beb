import type { Plan } from "./plan.ts";
import type { ReferenceCell } from "./reference-cell.ts";
import { Violation } from "./violation.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** The last KeepAlive is held, and then a full lease begins; by the slowest clock, each with its share. */
const LEASES_MAX = 2;
const SLACK_MS = 3_000;

/**
 * 18: once all is well, a session of which nothing is heard is soon over. What counts is what came in
 * and since when somebody serves without a break, and not what the master takes for its deadline.
 */
export class ExpiryChecker {
  readonly #time: VirtualTime;
  readonly #withinMs: number;
  readonly #heardAt = new Map<number, number>();
  #disturbedAt = 0;

  constructor(time: VirtualTime, plan: Plan) {
    this.#time = time;
    this.#withinMs = LEASES_MAX * plan.sessionLeaseMs + SLACK_MS;
  }

  /** A KeepAlive has come in somewhere. */
  onHeard(sessionId: number): void {
    this.#heardAt.set(sessionId, this.#time.now);
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
    const heardAt = this.#heardAt.get(expired) ?? now;
    this.#heardAt.delete(expired);
    const quietMs = now - Math.max(heardAt, this.#disturbedAt);
    if (quietMs <= this.#withinMs) return;
    const detail = `session ${expired} expires ${quietMs.toFixed(0)} ms after it was last heard of, ${this.#withinMs} are enough`;
    throw new Violation(18, "no-late-expiry", detail);
  }
}
