import type { Instant } from "@cubby/base";
import type { ConnectionId } from "../options.ts";
import type { Result } from "../state/result.ts";
import type { Session } from "../state/session.ts";
import type { Call } from "./call.ts";
import type { OpenHandle } from "./open-handles.ts";

/** What the master alone knows of a session. There may be 100,000: what is not used is not made. */
export class MasterSession {
  readonly session: Session;
  /** FO-6: it has taken this epoch's fail-over event, or was created in this epoch. */
  hasAcknowledged: boolean;
  /** The master has decided on its expiry: nothing of it is honored any more. */
  isCondemned = false;

  /** The KeepAlive in hand: at most one. */
  keepAliveFrom: ConnectionId | undefined;
  keepAliveTag = 0;
  keepAliveAt: Instant;
  /** SES-3: the lease last granted, and when. */
  leaseMs: number;
  repliedAt: Instant;
  /** In session time: not before this is the session expired. A KeepAlive in hand suspends it. */
  deadline = 0;
  /** FO-10: the first KeepAlive to a new master is answered at once, so that the client is safe. */
  isFirstReplyPending: boolean;
  /** Its last KeepAlive came late and was answered at once. */
  wasHurried = false;
  /** TimerHeap: a due reply while a KeepAlive is in hand, the deadline (session time) otherwise. */
  dueAt = 0;
  heapIndex = -1;

  /** Highest `lowest_unanswered` seen in this epoch, proposed or not. */
  lowestSeen = 1;
  /** Proposed, waiting for a lock, or both. */
  calls: Map<number, Call> | undefined;
  /** Answers given from state to calls that might do something if they came once more. */
  answered: Map<number, Result> | undefined;
  handles: Map<number, OpenHandle> | undefined;
  /** HND-5: handles of earlier epochs that were closed in this one. */
  closedHandles: Set<number> | undefined;

  constructor(session: Session, now: Instant, hasAcknowledged: boolean, leaseMs: number) {
    this.session = session;
    this.hasAcknowledged = hasAcknowledged;
    this.isFirstReplyPending = !hasAcknowledged;
    this.keepAliveAt = now;
    this.leaseMs = leaseMs;
    this.repliedAt = now;
  }

  get id(): number {
    return this.session.id;
  }

  raiseLowestSeen(lowest: number): void {
    if (lowest <= this.lowestSeen) return;
    this.lowestSeen = lowest;
    const answered = this.answered;
    if (answered === undefined) return;
    for (const number of answered.keys()) if (number < lowest) answered.delete(number);
    if (answered.size === 0) this.answered = undefined;
  }
}
