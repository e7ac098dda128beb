import { after, assert, earliest, type Instant, NEVER } from "@cubby/base";
import { CLOCK_RATE_ERROR, KEEP_ALIVE_LATE_PARTS, type KeepAlive } from "@cubby/protocol";
import type { ConnectionId } from "../options.ts";
import { failure, type Result } from "../state/result.ts";
import type { MasterSession } from "./master-session.ts";
import type { Outbox } from "./outbox.ts";
import type { SessionClock } from "./session-clock.ts";
import { TimerHeap } from "./timer-heap.ts";

/** SES-6, SES-7: a KeepAlive is answered when this part of the lease is over: 7 s of 12 s. */
const HELD_TWELFTHS = 7;

/** How long a KeepAlive is held, and said to have been, under a lease of `leaseMs`. */
function heldMsMax(leaseMs: number): number {
  return Math.floor((leaseMs * HELD_TWELFTHS) / 12);
}

/**
 * How long the master keeps a session whose lease it granted for `leaseMs`, with word of `heldMs`.
 * The client counts both from its sending; the master's clock, by which it was held, may be the
 * fast one, so less true time had passed than the client was told.
 */
export function masterLeaseMs(leaseMs: number, heldMs = heldMsMax(leaseMs)): number {
  return leaseMs + Math.ceil((leaseMs + heldMs) * CLOCK_RATE_ERROR);
}

/** The longest lease that the master has no longer than `leftMs` to keep, with word of `heldMs`. */
function leaseMsWithin(leftMs: number, heldMs: number): number {
  const leaseMs = (leftMs - 1 - heldMs * CLOCK_RATE_ERROR) / (1 + CLOCK_RATE_ERROR);
  return Math.max(0, Math.floor(leaseMs));
}

/** Who says how long a lease to grant. */
export type Leases = { leaseMsFor(now: Instant, session: MasterSession): number };

/**
 * Held KeepAlives and session deadlines. A session has one timer: the reply that is due while a
 * KeepAlive is in hand, and otherwise the deadline, which runs in session time.
 */
export class KeepAlives {
  readonly #clock: SessionClock;
  readonly #outbox: Outbox;
  readonly #clientEpoch: number;
  readonly #held = new TimerHeap<MasterSession>();
  readonly #deadlines = new TimerHeap<MasterSession>();
  /** Sessions with a KeepAlive in hand, by where it came from. */
  readonly #byConnection = new Map<ConnectionId, MasterSession | Set<MasterSession>>();

  constructor(clock: SessionClock, outbox: Outbox, clientEpoch: number) {
    this.#clock = clock;
    this.#outbox = outbox;
    this.#clientEpoch = clientEpoch;
  }

  get wakeAt(): Instant {
    const reply = (this.#held.peek()?.dueAt as Instant | undefined) ?? NEVER;
    const deadline = this.#deadlines.peek();
    if (deadline === undefined) return reply;
    return earliest(reply, this.#clock.instantOf(deadline.dueAt));
  }

  /** SES-4: its lease begins now, by creation. */
  begin(now: Instant, session: MasterSession): void {
    this.#startLease(now, session, 0);
  }

  /** FO-3: its lease begins anew, whatever the last master told its client. */
  takeOver(now: Instant, session: MasterSession): void {
    this.#startLease(now, session, heldMsMax(session.leaseMs));
  }

  /** No timer and no KeepAlive of it is left. The one in hand is answered with `result`. */
  end(session: MasterSession, result: Result): void {
    if (session.keepAliveFrom !== undefined) {
      this.#outbox.reply(session.keepAliveFrom, session.keepAliveTag, this.#clientEpoch, result);
      this.#letGo(session);
    } else if (session.heapIndex !== -1) this.#deadlines.remove(session);
  }

  /**
   * Takes a KeepAlive in hand. A session has one at a time: an older one is answered with an error,
   * at once, so that a client that has given it up is not made to send yet another.
   */
  onKeepAlive(
    now: Instant,
    session: MasterSession,
    from: ConnectionId,
    tag: number,
    answerNow: boolean,
  ): void {
    if (session.keepAliveFrom !== undefined) {
      const replaced = failure("cancelled", "A newer KeepAlive of the session has arrived.");
      this.#outbox.reply(session.keepAliveFrom, session.keepAliveTag, this.#clientEpoch, replaced);
      this.#letGo(session);
    } else this.#deadlines.remove(session);
    session.keepAliveFrom = from;
    session.keepAliveTag = tag;
    session.keepAliveAt = now;
    this.#remember(from, session);
    this.#held.add(session, answerNow ? now : replyDueAt(now, session));
  }

  /** A KeepAlive on a connection that is gone keeps nothing alive. */
  onDisconnected(connection: ConnectionId): void {
    const found = this.#byConnection.get(connection);
    if (found === undefined) return;
    const sessions = found instanceof Set ? [...found] : [found];
    for (const session of sessions) {
      this.#letGo(session);
      this.#deadlines.add(session, session.deadline);
    }
  }

  /** SES-6: answers every KeepAlive that is due. Needs a live lease, as reads do. */
  replyDue(now: Instant, leases: Leases): void {
    assert(this.#clock.isLeaseLive(now), "a session lease is granted under a live master lease");
    for (;;) {
      const session = this.#held.peek();
      if (session === undefined || session.dueAt > now) return;
      this.#reply(now, session, leases.leaseMsFor(now, session));
    }
  }

  /** When its time is over, if the master lease stays live; NEVER while a KeepAlive is in hand. */
  endOf(session: MasterSession): Instant {
    return session.keepAliveFrom === undefined ? this.#clock.instantOf(session.deadline) : NEVER;
  }

  /** The next session whose time is over, taken out of the timers. */
  takeExpired(now: Instant): MasterSession | undefined {
    const session = this.#deadlines.peek();
    if (session === undefined || session.dueAt > this.#clock.read(now)) return undefined;
    this.#deadlines.remove(session);
    return session;
  }

  /** All KeepAlives in hand, in the order of their sessions' creation. */
  takeHeld(): { to: ConnectionId; tag: number }[] {
    const held: { id: number; to: ConnectionId; tag: number }[] = [];
    for (let next = this.#held.peek(); next !== undefined; next = this.#held.peek()) {
      assert(next.keepAliveFrom !== undefined, "a held KeepAlive came from somewhere");
      held.push({ id: next.id, to: next.keepAliveFrom, tag: next.keepAliveTag });
      this.#letGo(next);
    }
    return held.sort((a, b) => a.id - b.id);
  }

  #reply(now: Instant, session: MasterSession, leaseMsMax: number): void {
    assert(session.keepAliveFrom !== undefined, "a due reply has a KeepAlive to answer");
    const heldMs = Math.min(now - session.keepAliveAt, heldMsMax(session.leaseMs));
    const leftMs = mustAcknowledge(session) ? session.deadline - this.#clock.read(now) : undefined;
    const leaseMs =
      leftMs === undefined ? leaseMsMax : Math.min(leaseMsMax, leaseMsWithin(leftMs, heldMs));
    const value = {
      leaseMs,
      heldMs,
      failOverEpoch: session.hasAcknowledged ? 0 : this.#clientEpoch,
    };
    this.#outbox.reply(
      session.keepAliveFrom,
      session.keepAliveTag,
      this.#clientEpoch,
      { $case: "keepAlive", value },
      this.#clock.leaseUntil,
    );
    this.#letGo(session);
    session.isFirstReplyPending = false;
    session.leaseMs = leaseMs;
    this.#startLease(now, session, heldMs);
  }

  /**
   * SES-10: the master is bound by a lease before the client can hear of it, and stays bound by an
   * earlier one that ends later: the client relies on whichever is the longest.
   */
  #startLease(now: Instant, session: MasterSession, heldMs: number): void {
    session.repliedAt = now;
    const end = this.#clock.read(now) + masterLeaseMs(session.leaseMs, heldMs);
    session.deadline = Math.max(session.deadline, end);
    this.#deadlines.add(session, session.deadline);
  }

  #letGo(session: MasterSession): void {
    const from = session.keepAliveFrom;
    assert(from !== undefined, "only a KeepAlive in hand is let go");
    this.#held.remove(session);
    session.keepAliveFrom = undefined;
    const found = this.#byConnection.get(from);
    if (found instanceof Set) {
      found.delete(session);
      if (found.size === 0) this.#byConnection.delete(from);
    } else this.#byConnection.delete(from);
  }

  #remember(from: ConnectionId, session: MasterSession): void {
    const found = this.#byConnection.get(from);
    if (found === undefined) this.#byConnection.set(from, session);
    else if (found instanceof Set) found.add(session);
    else this.#byConnection.set(from, new Set([found, session]));
  }
}

/**
 * When to answer a KeepAlive that arrives now. At once when an event is pending (SES-8, FO-5), and
 * when it comes long after the last answer: that one was lost or late, and the client's own lease,
 * which is conservative, may be nearly over.
 */
function replyDueAt(now: Instant, session: MasterSession): Instant {
  if (!session.hasAcknowledged || session.isFirstReplyPending) return now;
  // Not twice in a row: over a long round trip, or behind many others, each one would be late for ever.
  const lateMs = now - session.repliedAt;
  const isLate = lateMs * KEEP_ALIVE_LATE_PARTS > session.leaseMs;
  session.wasHurried = isLate && !session.wasHurried;
  if (session.wasHurried) return now;
  // So long a round trip is taken from the client's lease twice: by the last answer's way, and by this one's.
  const heldMs = heldMsMax(session.leaseMs) - (isLate ? lateMs : 0);
  return after(session.repliedAt, Math.max(lateMs, heldMs));
}

/**
 * FO-6: everybody's writes wait for a session that caches until it acknowledges the fail-over. Told of
 * it once, it has what is left of its lease to do so; it is told again, and granted nothing beyond.
 */
function mustAcknowledge({
  session,
  hasAcknowledged,
  isFirstReplyPending,
}: MasterSession): boolean {
  return session.caches && !hasAcknowledged && !isFirstReplyPending;
}

/** FO-5, FO-10: true when the KeepAlive tells that its session has taken this epoch's event. */
export function acknowledges(keepAlive: KeepAlive, clientEpoch: number): boolean {
  return keepAlive.acknowledgedEpoch === clientEpoch;
}
