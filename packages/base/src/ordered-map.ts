import { assert } from "./assert.ts";

/** Below this many, removed keys are not worth a sweep. */
const REMOVED_KEYS_MIN = 32;
/** Up to so many new keys are put in their places one by one. */
const INSERTED_KEYS_MAX = 64;

/**
 * A map that iterates in ascending key order (numbers by value, strings by UTF-16 code unit), so
 * that replicas with equal contents behave alike however they came by them.
 *
 * Lookups cost what a Map costs. Keys set in ascending order are appended; any other new key makes
 * the next iteration sort. Iteration sees the keys present when it began, less those deleted since.
 */
export class OrderedMap<K extends string | number, V> {
  readonly #values = new Map<K, V>();
  /** Invariant: holds every key of `#values`; what it holds beyond them is skipped. */
  #keys: K[] = [];
  #isSorted = true;
  /** How many of `#keys`, from the start, are sorted while not all of them are. */
  #sortedCount = 0;

  constructor(entries: Iterable<readonly [K, V]> = []) {
    for (const [key, value] of entries) this.set(key, value);
  }

  get size(): number {
    return this.#values.size;
  }

  get(key: K): V | undefined {
    return this.#values.get(key);
  }

  has(key: K): boolean {
    return this.#values.has(key);
  }

  set(key: K, value: V): this {
    const sizeBefore = this.#values.size;
    this.#values.set(key, value);
    if (this.#values.size !== sizeBefore) this.#append(key);
    return this;
  }

  delete(key: K): boolean {
    if (!this.#values.delete(key)) return false;
    const removed = this.#keys.length - this.#values.size;
    if (this.#values.size === 0) this.clear();
    else if (removed > REMOVED_KEYS_MIN && removed > this.#values.size) this.#sweep();
    return true;
  }

  clear(): void {
    this.#values.clear();
    this.#keys = [];
    this.#isSorted = true;
  }

  *keys(): IterableIterator<K> {
    const keys = this.#sorted();
    const end = keys.length;
    for (let i = 0; i < end; i += 1) {
      const key = keys[i];
      if (key !== undefined && this.#values.has(key)) yield key;
    }
  }

  *values(): IterableIterator<V> {
    for (const key of this.keys()) yield this.#values.get(key) as V;
  }

  *entries(): IterableIterator<[K, V]> {
    for (const key of this.keys()) yield [key, this.#values.get(key) as V];
  }

  /** From the first key after `key` on, at no cost for those before it. */
  *entriesAfter(key: K): IterableIterator<[K, V]> {
    const keys = this.#sorted();
    const end = keys.length;
    for (let at = firstAbove(keys, key); at < end; at += 1) {
      const next = keys[at];
      if (next !== undefined && this.#values.has(next)) yield [next, this.#values.get(next) as V];
    }
  }

  [Symbol.iterator](): IterableIterator<[K, V]> {
    return this.entries();
  }

  #append(key: K): void {
    assert(!Number.isNaN(key), "a key can be compared");
    const last = this.#keys[this.#keys.length - 1];
    if (this.#isSorted && last !== undefined && !(key > last)) {
      this.#isSorted = false;
      this.#sortedCount = this.#keys.length;
    }
    this.#keys.push(key);
  }

  /** Iterations under way hold the old array, so a new order is always a new array. */
  #sorted(): readonly K[] {
    if (this.#isSorted) return this.#keys;
    const added = this.#keys.slice(this.#sortedCount);
    if (added.length > INSERTED_KEYS_MAX) {
      this.#sweep();
      return this.#keys;
    }
    // A few among many: what is in order already is not looked at again.
    const keys = this.#keys.slice(0, this.#sortedCount);
    for (const key of added) {
      const at = firstAbove(keys, key);
      if (keys[at - 1] !== key) keys.splice(at, 0, key);
    }
    this.#keep(keys);
    return this.#keys;
  }

  #sweep(): void {
    if (this.#isSorted) this.#keep(this.#keys.filter((key) => this.#values.has(key)));
    else this.#keep([...this.#values.keys()].sort(compareKeys));
  }

  #keep(keys: K[]): void {
    this.#keys = keys;
    this.#isSorted = true;
  }
}

/** The place of the first key above `key`, among sorted ones. */
function firstAbove<K extends string | number>(keys: readonly K[], key: K): number {
  let at = 0;
  for (let end = keys.length; at < end; ) {
    const middle = (at + end) >> 1;
    if ((keys[middle] as K) <= key) at = middle + 1;
    else end = middle;
  }
  return at;
}

function compareKeys<K extends string | number>(a: K, b: K): number {
  if (a < b) return -1;
  return a > b ? 1 : 0;
}
