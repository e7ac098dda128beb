import { assert, type Instant, instant, NEVER } from "@cubby/base";

/** So many empty buckets may stand behind one that is not, before they are dropped. */
const EMPTY_MAX = 64;

/**
 * Items by the instant at which they are due, rounded up to a bucket. Adding and removing cost one
 * Set operation whatever the number of items: nearly every call is answered before its deadline.
 */
export class DeadlineQueue<T> {
  readonly #bucketMs: number;
  readonly #buckets = new Map<number, Set<T>>();
  /** A binary heap of the buckets' instants; each bucket is in it once, empty ones included. */
  #heap: number[] = [];
  #emptyCount = 0;

  constructor(bucketMs: number) {
    assert(bucketMs >= 1, "a bucket spans at least a millisecond");
    this.#bucketMs = bucketMs;
  }

  add(at: Instant, item: T): void {
    if (at === NEVER) return;
    const key = this.#keyOf(at);
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      bucket = new Set();
      this.#buckets.set(key, bucket);
      this.#push(key);
    } else if (bucket.size === 0) this.#emptyCount -= 1;
    bucket.add(item);
  }

  remove(at: Instant, item: T): void {
    if (at === NEVER) return;
    const bucket = this.#buckets.get(this.#keyOf(at));
    if (bucket === undefined || !bucket.delete(item) || bucket.size > 0) return;
    this.#emptyCount += 1;
    if (this.#emptyCount > EMPTY_MAX && this.#emptyCount > this.#heap.length / 2) this.#dropEmpty();
  }

  /** How many buckets it keeps, empty ones included. */
  get bucketCount(): number {
    return this.#buckets.size;
  }

  /** When the first item is due, or earlier; NEVER when there is none. */
  nextAt(): Instant {
    for (;;) {
      const key = this.#heap[0];
      if (key === undefined) return NEVER;
      if ((this.#buckets.get(key)?.size ?? 0) > 0) return instant(key);
      this.#pop();
    }
  }

  /** Takes out what is due at `now`, in order of bucket and then of arrival. */
  takeDue(now: Instant): T[] {
    const due: T[] = [];
    for (;;) {
      const key = this.#heap[0];
      if (key === undefined || key > now) return due;
      for (const item of this.#buckets.get(key) ?? []) due.push(item);
      this.#pop();
    }
  }

  #keyOf(at: Instant): number {
    return Math.ceil(at / this.#bucketMs) * this.#bucketMs;
  }

  /** Those at the top go by themselves; behind a near deadline that stays, all others would be kept. */
  #dropEmpty(): void {
    for (const [key, bucket] of this.#buckets) if (bucket.size === 0) this.#buckets.delete(key);
    // Sorted, it is a heap.
    this.#heap = [...this.#buckets.keys()].sort((a, b) => a - b);
    this.#emptyCount = 0;
  }

  #push(key: number): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(key);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] ?? 0;
      if (above <= key) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = key;
  }

  #pop(): void {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    assert(first !== undefined && last !== undefined, "there is a bucket to drop");
    if (this.#buckets.get(first)?.size === 0) this.#emptyCount -= 1;
    this.#buckets.delete(first);
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right !== undefined && right < (heap[child] ?? 0)) child += 1;
      const below = heap[child] ?? 0;
      if (below >= last) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
  }
}
