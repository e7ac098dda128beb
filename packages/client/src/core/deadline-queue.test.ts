import { instant, NEVER, Rng } from "@cubby/base";
import { describe, expect, it } from "vitest";
import { DeadlineQueue } from "./deadline-queue.ts";

describe("the deadline queue", () => {
  it("behaves like a sorted list, rounded up to its buckets", () => {
    const rng = new Rng("deadlines");
    const queue = new DeadlineQueue<number>(8);
    const model = new Map<number, number>();
    const bucketOf = (at: number): number => Math.ceil(at / 8) * 8;
    let now = 0;
    for (let i = 0; i < 20_000; i += 1) {
      if (rng.chance(0.6)) {
        const at = now + rng.below(500);
        queue.add(instant(at), i);
        model.set(i, at);
      } else if (rng.chance(0.7)) {
        const key = [...model.keys()][rng.below(Math.max(1, model.size))];
        if (key === undefined) continue;
        queue.remove(instant(model.get(key) ?? 0), key);
        model.delete(key);
      } else {
        now += rng.below(60);
        const due = queue.takeDue(instant(now)).sort((a, b) => a - b);
        const expected = [...model].filter(([, at]) => bucketOf(at) <= now).map(([key]) => key);
        expect(due).toEqual(expected.sort((a, b) => a - b));
        for (const key of due) model.delete(key);
      }
      if (i % 100 === 0) {
        const earliest = Math.min(NEVER, ...[...model.values()].map(bucketOf));
        expect(queue.nextAt()).toBe(earliest);
      }
    }
  });

  it("keeps few empty buckets, though the first deadline stays", () => {
    const queue = new DeadlineQueue<number>(8);
    queue.add(instant(1_000), 0);
    for (let i = 1; i <= 10_000; i += 1) {
      queue.add(instant(2_000 + 8 * i), i);
      queue.remove(instant(2_000 + 8 * i), i);
    }
    expect(queue.bucketCount).toBeLessThan(100);
    expect(queue.nextAt()).toBe(1_000);
  });

  it("is never due for what has no deadline", () => {
    const queue = new DeadlineQueue<string>(8);
    queue.add(NEVER, "x");
    expect(queue.nextAt()).toBe(NEVER);
    queue.remove(NEVER, "x");
  });
});
