import { Rng } from "@cubby/base";
import { describe, expect, it } from "vitest";
import { type Timed, TimerHeap } from "./timer-heap.ts";

describe("TimerHeap", () => {
  it.each(["a", "b", "c"])(
    "gives the earliest entry, whatever is added and removed (%s)",
    (seed) => {
      const rng = new Rng(seed);
      const heap = new TimerHeap<Timed>();
      let entries: Timed[] = [];
      for (let step = 0; step < 3_000; step += 1) {
        if (rng.chance(0.6) || entries.length === 0) {
          const entry = { dueAt: 0, heapIndex: -1 };
          heap.add(entry, rng.below(500));
          entries.push(entry);
        } else {
          const entry = rng.chance(0.5) ? heap.peek() : entries[rng.below(entries.length)];
          if (entry === undefined) throw new Error("the heap has entries");
          heap.remove(entry);
          expect(entry.heapIndex).toBe(-1);
          entries = entries.filter((other) => other !== entry);
        }
        expect(heap.size).toBe(entries.length);
        const earliest = Math.min(...entries.map(({ dueAt }) => dueAt));
        expect(heap.peek()?.dueAt ?? Number.POSITIVE_INFINITY).toBe(earliest);
      }
    },
  );

  it("refuses an entry that is in it already", () => {
    const heap = new TimerHeap<Timed>();
    const entry = { dueAt: 0, heapIndex: -1 };
    heap.add(entry, 1);
    expect(() => heap.add(entry, 2)).toThrow("once");
  });
});
