export type QueuedEvent = { readonly at: number; readonly order: number; readonly run: () => void };

/** What happens when, in virtual time: a binary heap on (time, order of insertion). */
export class EventQueue {
  readonly #heap: QueuedEvent[] = [];
  #order = 0;

  get nextAt(): number {
    return this.#heap[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  push(at: number, run: () => void): void {
    const item = { at, order: this.#order, run };
    this.#order += 1;
    let hole = this.#heap.length;
    this.#heap.push(item);
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      const other = this.#heap[parent];
      if (other === undefined || !before(item, other)) break;
      this.#heap[hole] = other;
      hole = parent;
    }
    this.#heap[hole] = item;
  }

  pop(): QueuedEvent | undefined {
    const first = this.#heap[0];
    const last = this.#heap.pop();
    if (first === undefined || last === undefined || this.#heap.length === 0) return first;
    let hole = 0;
    for (;;) {
      let child = hole * 2 + 1;
      const left = this.#heap[child];
      if (left === undefined) break;
      const right = this.#heap[child + 1];
      const smaller = right !== undefined && before(right, left) ? right : left;
      if (smaller === right) child += 1;
      if (!before(smaller, last)) break;
      this.#heap[hole] = smaller;
      hole = child;
    }
    this.#heap[hole] = last;
    return first;
  }
}

function before(a: QueuedEvent, b: QueuedEvent): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
