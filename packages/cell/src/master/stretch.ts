import { assert, type Instant, NEVER } from "@cubby/base";
import { SESSION_LEASE_MS_MAX } from "@cubby/protocol";
import type { CellState } from "../state/cell-state.ts";
import { masterLeaseMs } from "./keep-alive.ts";
import type { MasterSession } from "./master-session.ts";
import type { SessionClock } from "./session-clock.ts";

/** 20,000 sessions at 7 s each are some 3,000 KeepAlives a second. */
const STRETCH_ABOVE_SESSIONS = 20_000;
/** Stretched leases end when the sessions are down to this part of what began them. */
const RELAX_PERCENT = 80;

/**
 * SES-5: under load every session is granted the longest lease there is, and sends a fifth of the
 * KeepAlives. A successor must wait for the longest lease that may have been granted, so the stretch
 * is replicated before it is first used, and lowered only when the last such lease has run out.
 */
export class Stretch {
  readonly #state: CellState;
  readonly #clock: SessionClock;
  readonly #above: number;
  #isWanted = false;
  /** The stretch that is on its way through the log. */
  #proposedMs: number | undefined;
  /** Session time at which no lease is left that was longer than its session asked for. */
  #runOutAt: number;

  constructor(state: CellState, clock: SessionClock, now: Instant, above?: number) {
    this.#state = state;
    this.#clock = clock;
    this.#above = above ?? STRETCH_ABOVE_SESSIONS;
    // FO-3 has just given the longest lease to everyone.
    this.#runOutAt = clock.read(now) + masterLeaseMs(state.stretchMs);
  }

  /** When `next` may have something to say that it has not now. */
  get wakeAt(): Instant {
    const isIdle = this.#proposedMs === undefined;
    const mayLower = !this.#isWanted && isIdle && this.#state.stretchMs > 0;
    return mayLower ? this.#clock.instantOf(this.#runOutAt) : NEVER;
  }

  /** The lease to grant now. */
  leaseMsFor(now: Instant, session: MasterSession): number {
    const askedMs = session.session.leaseMs;
    // A successor finds this one or the one proposed: nothing is granted beyond the lesser.
    const stretchMs = Math.min(this.#state.stretchMs, this.#proposedMs ?? SESSION_LEASE_MS_MAX);
    this.#count();
    if (!this.#isWanted || stretchMs <= askedMs) return askedMs;
    this.#runOutAt = this.#clock.read(now) + masterLeaseMs(stretchMs);
    return stretchMs;
  }

  /** The stretch to propose now, if it should change. */
  next(now: Instant): number | undefined {
    this.#count();
    if (this.#proposedMs !== undefined) return undefined;
    const stretchMs = this.#state.stretchMs;
    if (this.#isWanted)
      return stretchMs < SESSION_LEASE_MS_MAX ? this.#begin(SESSION_LEASE_MS_MAX) : undefined;
    const isOver = this.#clock.read(now) >= this.#runOutAt;
    return stretchMs > 0 && isOver ? this.#begin(0) : undefined;
  }

  /** What was proposed has been applied. What `next` says may have changed on the way. */
  onApplied(): void {
    assert(this.#proposedMs === this.#state.stretchMs, "a master applies the stretch it proposed");
    this.#proposedMs = undefined;
  }

  #count(): void {
    const sessions = this.#state.sessions.size;
    if (sessions > this.#above) this.#isWanted = true;
    else if (sessions * 100 <= this.#above * RELAX_PERCENT) this.#isWanted = false;
  }

  #begin(stretchMs: number): number {
    this.#proposedMs = stretchMs;
    return stretchMs;
  }
}
