import { instant, NEVER, Rng } from "@cubby/base";
import { Request } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import type { ConnectionId } from "../options.ts";
import { HELD_BYTES_MAX, HeldRequests } from "./held-requests.ts";

const at = (id: number): ConnectionId => id as ConnectionId;

function write(sizeBytes: number): Request {
  const value = {
    handle: new Uint8Array(0),
    contents: new Uint8Array(sizeBytes),
    hasIfGeneration: false,
    ifGeneration: 0,
  };
  return Request.create({ call: { $case: "setContents", value } });
}

describe("held requests", () => {
  it("are bounded in bytes, and have room again once they are taken", () => {
    const held = new HeldRequests();
    const big = write(HELD_BYTES_MAX);
    expect([held.add(at(1), big), held.add(at(2), write(1))]).toEqual([true, false]);
    expect(held.takeAll().map(({ from }) => from)).toEqual([1]);
    expect(held.add(at(2), big)).toBe(true);
    held.dropFrom(at(2));
    expect([held.size, held.add(at(3), big)]).toEqual([0, true]);
  });

  it("are given back when their time is over, the oldest first", () => {
    const held = new HeldRequests();
    held.add(at(1), write(1), instant(10));
    held.add(at(2), write(1), instant(20));
    expect(held.firstUntil).toBe(10);
    expect(held.takeDue(instant(9))).toBeUndefined();
    expect(held.takeDue(instant(15))?.from).toBe(1);
    expect(held.takeDue(instant(15))).toBeUndefined();
  });

  it("keep their order when others go, whoever goes and however many", () => {
    const rng = new Rng("held-requests");
    const held = new HeldRequests();
    let model: { from: number; until: number }[] = [];
    for (let now = 1; now <= 20_000; now += 1) {
      const roll = rng.below(100);
      const from = rng.between(1, 300);
      if (roll < 70) {
        held.add(at(from), write(from % 3), instant(now + 500));
        model.push({ from, until: now + 500 });
      } else if (roll < 90) {
        held.dropFrom(at(from));
        model = model.filter((each) => each.from !== from);
      } else if (roll < 99) {
        const due = model[0] !== undefined && model[0].until <= now ? model.shift() : undefined;
        const taken = held.takeDue(instant(now));
        expect(taken?.from).toBe(due?.from);
        expect(taken?.until).toBe(due?.until);
      } else if (rng.chance(0.1)) {
        expect(held.takeAll().map((each) => each.from)).toEqual(model.map((each) => each.from));
        model = [];
      }
      expect(held.size).toBe(model.length);
      expect(held.firstUntil).toBe(model[0]?.until ?? NEVER);
    }
  });

  // Each one that left cost a look at all the others: seconds, in the middle of a fail-over.
  it("let their connections go one by one, as many as there may be", () => {
    const held = new HeldRequests();
    let count = 0;
    while (held.add(at(count), write(1))) count += 1;
    for (let id = count + 50_000; id > 0; id -= 1) held.dropFrom(at(id));
    expect(held.takeAll().map(({ from }) => from)).toEqual([0]);
  });
});
