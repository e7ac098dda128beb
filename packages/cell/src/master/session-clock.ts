import { after, earliest, type Instant, instant } from "@cubby/base";

/**
 * Session time: the master's clock, less all the time in which it could not have answered. Session
 * deadlines are in it, so a lapse of the master lease or a stalled event loop moves every deadline
 * by its length, in one step (FO-0: without a master the session timer is stopped).
 */
export class SessionClock {
  #leaseUntil: Instant;
  #movedMs = 0;
  /** Up to here, time that did not count has been taken out: no interval is taken out twice. */
  #accountedUntil: Instant;

  constructor(now: Instant, leaseUntil: Instant) {
    this.#accountedUntil = now;
    this.#leaseUntil = leaseUntil;
  }

  get leaseUntil(): Instant {
    return this.#leaseUntil;
  }

  /** What rests on the lease may be said now. */
  isLeaseLive(now: Instant): boolean {
    return now < this.#leaseUntil;
  }

  /** Session time stands still while the lease is not live. */
  read(now: Instant): number {
    const running = Math.min(now, Math.max(this.#leaseUntil, this.#accountedUntil));
    return running - this.#movedMs;
  }

  /** When session time will be `at`, if the lease stays live. */
  instantOf(at: number): Instant {
    return after(instant(at), this.#movedMs);
  }

  /** How far deadlines moved because the lease had lapsed. */
  onLease(now: Instant, leaseUntil: Instant): number {
    const movedMs = now > this.#leaseUntil ? this.#takeOut(this.#leaseUntil, now) : 0;
    this.#leaseUntil = leaseUntil;
    return movedMs;
  }

  /** The loop stood still for `stalledMs` up to now. How far deadlines moved. */
  onStall(now: Instant, stalledMs: number): number {
    // In a lapse all of it goes, or what came before the stall would never be taken out.
    return this.#takeOut(earliest(after(now, -stalledMs), this.#leaseUntil), now);
  }

  #takeOut(from: Instant, until: Instant): number {
    const lostMs = Math.max(0, until - Math.max(from, this.#accountedUntil));
    this.#movedMs += lostMs;
    if (until > this.#accountedUntil) this.#accountedUntil = until;
    return lostMs;
  }
}
