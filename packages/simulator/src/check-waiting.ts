import { LockMode } from "@cubby/protocol";
import { Violation } from "./violation.ts";

/** An acquire that is in its lock's queue. */
export type Waiter = {
  readonly path: string;
  /** Session and number of the request. */
  name(): string;
  readonly mode: LockMode;
  readonly begunAt: number;
};

export type Queues = {
  /** Of the master: the next one's queues form anew. */
  readonly epoch: number;
  /** Those of the waiters who have been granted their lock or refused it, in the log. */
  readonly decided: readonly Waiter[];
  /** Those in the queue of a master that hears of them. */
  readonly waiters: readonly Waiter[];
  /** All that some master may have in one, also of clients that it cannot reach. */
  readonly queued: readonly Waiter[];
};

/** 23: what is free and waited for is granted at once; a moment is for repeats. */
const WAKE_UP_WITHIN_MS = 3_500;
/** What is decided is told at once; a connection that stood still may first have to be left. */
const ANSWER_WITHIN_MS = 5_000;
/** Beside others that share it; these let go of it in their turn, which would hide a lost wake-up. */
const SHARE_WITHIN_MS = 1_200;
/** Requests that come together may be taken in any order. */
const TOGETHER_MS = 1_000;
const OVERTAKEN_MAX = 4;

/**
 * The queues of locks, while no fault is under way: nobody is forgotten in one, and nobody is passed
 * by those who came later (reliability §3, 23).
 */
export class WaitChecker {
  /** Since when, and with the lock in which mode, a request could have been granted. */
  readonly #since = new Map<string, { readonly at: number; readonly held: LockMode | undefined }>();
  readonly #decidedSince = new Map<Waiter, number>();
  /** Since when each stands in the present master's queue, and how often it was passed there. */
  readonly #places = new Map<Waiter, { readonly since: number; overtaken: number }>();
  #epoch = 0;

  /** `modeOf`: who holds the lock at this instant; undefined while a lock-delay keeps it. */
  look(now: number, queues: Queues, modeOf: (path: string) => LockMode | undefined): void {
    const { epoch, waiters, queued } = queues;
    if (epoch !== this.#epoch) this.pause();
    this.#epoch = epoch;
    this.#takePlaces(now, waiters);
    this.#lookForAnswers(now, queues.decided);
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
    this.#places.clear();
  }

  #takePlaces(now: number, waiters: readonly Waiter[]): void {
    const present = new Set(waiters);
    for (const waiter of this.#places.keys()) if (!present.has(waiter)) this.#places.delete(waiter);
    for (const waiter of waiters) {
      if (!this.#places.has(waiter)) this.#places.set(waiter, { since: now, overtaken: 0 });
    }
  }

  #lookForAnswers(now: number, decided: readonly Waiter[]): void {
    for (const waiter of this.#decidedSince.keys()) {
      if (!decided.includes(waiter)) this.#decidedSince.delete(waiter);
    }
    for (const waiter of decided) {
      const since = this.#decidedSince.get(waiter) ?? now;
      this.#decidedSince.set(waiter, since);
      if (now - since < ANSWER_WITHIN_MS) continue;
      const detail = `what became of ${waiter.name()} at ${waiter.path} is decided, and not told`;
      throw new Violation(23, "answers-arrive", detail);
    }
  }

  /** One that asked at `begunAt` was granted the lock while these wait. */
  onGranted(path: string, begunAt: number, waiters: readonly Waiter[]): void {
    for (const waiter of waiters) {
      const place = this.#places.get(waiter);
      if (waiter.path !== path || waiter.mode !== LockMode.EXCLUSIVE) continue;
      if (place === undefined) continue;
      if (begunAt < Math.max(waiter.begunAt, place.since) + TOGETHER_MS) continue;
      place.overtaken += 1;
      if (place.overtaken <= OVERTAKEN_MAX) continue;
      const detail = `${place.overtaken} that came later were granted ${path} before ${waiter.name()}, which waits since ${waiter.begunAt.toFixed(0)}`;
      throw new Violation(23, "no-overtaking", detail);
    }
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
