/** What happens when, in order of time and then of arrival. */

type Item = { readonly at: number; readonly order: number; readonly run: () => void };

export class VirtualTime {
  now = 0;
  readonly #heap: Item[] = [];
  #order = 0;

  /** Runs it at that time, or next if that has passed. */
  at(time: number, run: () => void): void {
    const item = { at: Math.max(time, this.now), order: this.#order, run };
    this.#order += 1;
    let hole = this.#heap.length;
    this.#heap.push(item);
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      const other = this.#heap[parent];
      if (other === undefined || !isBefore(item, other)) break;
      this.#heap[hole] = other;
      hole = parent;
    }
    this.#heap[hole] = item;
  }

  /** How long it took until the condition held; undefined if `maxMs` passed without. */
  runUntil(condition: () => boolean, maxMs: number): number | undefined {
    const start = this.now;
    const end = start + maxMs;
    while (!condition()) {
      const next = this.#heap[0];
      if (next === undefined || next.at > end) {
        this.now = end;
        return undefined;
      }
      this.#pop();
      this.now = next.at;
      next.run();
    }
    return this.now - start;
  }

  #pop(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    let hole = 0;
    for (;;) {
      let child = hole * 2 + 1;
      const left = this.#heap[child];
      if (left === undefined) break;
      const right = this.#heap[child + 1];
      const smaller = right !== undefined && isBefore(right, left) ? right : left;
      if (smaller === right) child += 1;
      if (!isBefore(smaller, last)) break;
      this.#heap[hole] = smaller;
      hole = child;
    }
    this.#heap[hole] = last;
  }
}

function isBefore(a: Item, b: Item): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
