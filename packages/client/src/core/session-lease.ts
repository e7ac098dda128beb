import { after, assert, type Instant } from "@cubby/base";
import { CLOCK_RATE_ERROR, SESSION_LEASE_MS_MAX } from "@cubby/protocol";

/**
 * SES-11: until when the client may rely on its session. Counted from when the request was *sent*,
 * which is before the master's clock can have started, and shortened by the clock-rate bound.
 */
export class SessionLease {
  #deadline = 0 as Instant;
  /** What was sent before this instant grants nothing. */
  #trustedFrom = 0 as Instant;

  get deadline(): Instant {
    return this.#deadline;
  }

  isLiveAt(now: Instant): boolean {
    return now < this.#deadline;
  }

  /**
   * An answer to a request sent at `sentAt` grants `leaseMs` from its leaving the master, which
   * had held the request for `heldMs` on its own clock. Never shortens the lease.
   */
  extend(now: Instant, sentAt: Instant, leaseMs: number, heldMs: number): void {
    assert(sentAt <= now, "a request is sent before it is answered");
    // What the master says is not taken beyond what can be true here.
    const held = Math.min(Math.max(0, heldMs), now - sentAt);
    const lease = Math.min(Math.max(0, leaseMs), SESSION_LEASE_MS_MAX);
    // One less, since the instant at which the master answered is its clock rounded down.
    const spanMs = Math.floor((held + lease) * (1 - CLOCK_RATE_ERROR)) - 1;
    const deadline = after(sentAt, spanMs);
    if (sentAt >= this.#trustedFrom && deadline > this.#deadline) this.#deadline = deadline;
  }

  /** There is a session from `now` on: what it waits for is counted from here, not from 0. */
  beginAt(now: Instant): void {
    if (this.#deadline < now) this.#deadline = now;
  }

  /** The clock is in doubt: nothing asked for so far counts from `now` on. */
  voidAt(now: Instant): void {
    this.#trustedFrom = now;
    if (this.#deadline > now) this.#deadline = now;
  }
}
