import { LockMode } from "@cubby/protocol";
import { Violation } from "./violation.ts";

/** A call that has no answer. */
export type Asked = {
  readonly path: string;
  /** Session and number of the request. */
  name(): string;
};

/** An acquire that is in its lock's queue. */
export type Waiter = Asked & {
  readonly mode: LockMode;
  readonly begunAt: number;
};

export type Queues = {
  /** Of the master: the next one's queues form anew. */
  readonly epoch: number;
  /** Those of the waiters who have been granted their lock or refused it, in the log. */
  readonly decided: readonly Asked[];
  /** Calls that stand in no queue, at a master that hears of them. */
  readonly asked: readonly Asked[];
  /** Those in the queue of a master that hears of them. */
  readonly waiters: readonly Waiter[];
  /** All that some master may have in one, also of clients that it cannot reach. */
  readonly queued: readonly Waiter[];
};

/** 23: what is free and waited for is granted at once; a moment is for repeats. */
const WAKE_UP_WITHIN_MS = 3_500;
/** What is decided, or asked, is answered at once; a connection that stood still may first have to be left. */
const ANSWER_WITHIN_MS = 5_000;
/** Beside others that share it; these let go of it in their turn, which would hide a lost wake-up. */
const SHARE_WITHIN_MS = 1_200;
/** Requests that come together may be taken in any order. */
const TOGETHER_MS = 1_000;
const OVERTAKEN_MAX = 4;

/**
 * The queues of locks, while no fault is under way: nobody is forgotten in one, and nobody is passed
 * by those who came later; and whoever stands in none is answered (reliability §3, 23).
 */
export class WaitChecker {
  /** Since when, and with the lock in which mode, a request could have been granted. */
  readonly #since = new Map<string, { readonly at: number; readonly held: LockMode | undefined }>();
  readonly #decidedSince = new Map<Asked, number>();
  readonly #askedSince = new Map<Asked, number>();
  /** Since when each stands in the present master's queue, and how often it was passed there. */
  readonly #places = new Map<Waiter, { readonly since: number; overtaken: number }>();
  #epoch = 0;

  /** `modeOf`: who holds the lock at this instant; undefined while a lock-delay keeps it. */
  look(now: number, queues: Queues, modeOf: (path: string) => LockMode | undefined): void {
    const { epoch, waiters, queued } = queues;
    if (epoch !== this.#epoch) this.pause();
    this.#epoch = epoch;
    this.#takePlaces(now, waiters);
    for (const { path, name } of overdue(now, queues.decided, this.#decidedSince)) {
      const detail = `what became of ${name()} at ${path} is decided, and not told`;
      throw new Violation(23, "answers-arrive", detail);
    }
    for (const { path, name } of overdue(now, queues.asked, this.#askedSince)) {
      const detail = `${name()} at ${path} has had no answer for ${ANSWER_WITHIN_MS} ms`;
      throw new Violation(23, "calls-answered", detail);
    }
    const waitedFor = new Set<string>();
    for (const waiter of waiters) {
      const { path, mode, begunAt } = waiter;
      const key = `${path} ${mode}`;
      waitedFor.add(key);
      const held = modeOf(path);
      if (!isGrantable(waiter, queued, held)) this.#since.delete(key);
      else if (this.#since.get(key)?.held !== held) this.#since.set(key, { at: now, held });
      const since = Math.max(this.#since.get(key)?.at ?? now, begunAt);
      const withinMs = held === LockMode.SHARED ? SHARE_WITHIN_MS : WAKE_UP_WITHIN_MS;
      if (now - since < withinMs) continue;
      const detail = `${path} could have been granted for ${(now - since).toFixed(0)} ms to ${waiter.name()}`;
      throw new Violation(23, "no-lost-wake-up", detail);
    }
    for (const key of this.#since.keys()) if (!waitedFor.has(key)) this.#since.delete(key);
  }

  /** Nobody serves: nothing can be granted, and queues are in no order of before. */
  pause(): void {
    this.#since.clear();
    this.#decidedSince.clear();
    this.#askedSince.clear();
    this.#places.clear();
  }

  #takePlaces(now: number, waiters: readonly Waiter[]): void {
    const present = new Set(waiters);
    for (const waiter of this.#places.keys()) if (!present.has(waiter)) this.#places.delete(waiter);
    for (const waiter of waiters) {
      if (!this.#places.has(waiter)) this.#places.set(waiter, { since: now, overtaken: 0 });
    }
  }

  /** One that asked at `begunAt` was granted the lock while these wait. */
  onGranted(path: string, mode: LockMode, begunAt: number, waiters: readonly Waiter[]): void {
    for (const waiter of waiters) {
      const place = this.#places.get(waiter);
      if (waiter.path !== path || place === undefined) continue;
      // Shared ones are granted together, and told in any order.
      if (mode === LockMode.SHARED && waiter.mode === LockMode.SHARED) continue;
      if (begunAt < Math.max(waiter.begunAt, place.since) + TOGETHER_MS) continue;
      place.overtaken += 1;
      if (place.overtaken <= OVERTAKEN_MAX) continue;
      const detail = `${place.overtaken} that came later were granted ${path} before ${waiter.name()}, which waits since ${waiter.begunAt.toFixed(0)}`;
      throw new Violation(23, "no-overtaking", detail);
    }
  }
}

/** Those that have been among the present ones for too long; `since` is kept of these alone. */
function* overdue(
  now: number,
  present: readonly Asked[],
  since: Map<Asked, number>,
): Iterable<Asked> {
  const stay = new Set(present);
  for (const each of since.keys()) if (!stay.has(each)) since.delete(each);
  for (const each of stay) {
    const at = since.get(each) ?? now;
    since.set(each, at);
    if (now - at >= ANSWER_WITHIN_MS) yield each;
  }
}

/** Shared ones may wait behind an exclusive one, which waits for them to be over. */
function isGrantable(
  waiter: Waiter,
  queued: readonly Waiter[],
  mode: LockMode | undefined,
): boolean {
  if (mode === LockMode.FREE) return true;
  if (mode !== LockMode.SHARED || waiter.mode !== LockMode.SHARED) return false;
  return !queued.some((each) => each.path === waiter.path && each.mode === LockMode.EXCLUSIVE);
}
