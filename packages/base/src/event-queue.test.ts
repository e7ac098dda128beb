import { describe, expect, it } from "vitest";
import { EventQueue } from "./event-queue.ts";
import { Rng } from "./rng.ts";

describe("an event queue", () => {
  it("gives events by time, and those of one time as they came", () => {
    const rng = new Rng("events");
    const queue = new EventQueue();
    const pushed = Array.from({ length: 500 }, (_, order) => ({ at: rng.below(20), order }));
    const ran: { at: number; order: number }[] = [];
    for (const event of pushed) queue.push(event.at, () => ran.push(event));
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) next.run();
    expect(ran).toEqual([...pushed].sort((a, b) => a.at - b.at || a.order - b.order));
    expect(queue.nextAt).toBe(Number.POSITIVE_INFINITY);
  });
});
