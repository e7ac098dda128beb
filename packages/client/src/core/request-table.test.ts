import { describe, expect, it } from "vitest";
import { ALONE, answer, body, opened, written } from "../test-support/world.ts";
import { Call } from "./call.ts";
import { RequestTable } from "./request-table.ts";

describe("a request table", () => {
  it("keeps nothing of calls that have been answered", () => {
    const { session } = opened();
    const table = new RequestTable(256);
    for (let i = 0; i < 100; i += 1) {
      const calls = [body.largeWrite, body.read, body.write].map((b) => new Call(session, b));
      for (const call of calls) table.enqueue(call);
      for (let call = table.admit(); call !== undefined; call = table.admit())
        table.onAnswered(call);
    }
    expect([table.inFlightCount, table.queuedCount, table.keptCount]).toEqual([0, 0, 0]);
  });

  it("keeps little of them while others wait all the time", () => {
    const { session } = opened();
    const table = new RequestTable(256);
    table.enqueue(new Call(session, body.write));
    for (let i = 0; i < 10_000; i += 1) {
      table.enqueue(new Call(session, body.write));
      const call = table.admit();
      if (call !== undefined) table.onAnswered(call);
    }
    expect(table.queuedCount).toBe(1);
    expect(table.keptCount).toBeLessThan(1_100);
  });
});

describe("contents in flight", () => {
  it("are those of one large file at most, in order, so that a KeepAlive is not late behind them", () => {
    const { world, session } = opened();
    const calls = Array.from({ length: 40 }, () => world.call(session, body.largeWrite));
    expect(world.of("setContents")).toHaveLength(1);
    // Over a new connection no more of them are repeated.
    world.cut(ALONE);
    world.run(100);
    expect(world.of("setContents").map((a) => a.request.requestNumber)).toEqual([1, 1]);
    for (let i = 1; i < 41; i += 1) {
      const arrival = world.of("setContents")[i];
      if (arrival !== undefined) world.reply(arrival, written);
    }
    expect(calls.every((call) => call.result !== undefined)).toBe(true);
  });

  it("count until the Cancel is answered when they are given up: they may lie in the socket", () => {
    const { world, session } = opened();
    const first = world.call(session, body.largeWrite);
    world.call(session, body.largeWrite);
    world.abort(first);
    expect(world.of("setContents")).toHaveLength(1);
    world.reply(world.last("cancel"), answer.cancelled);
    expect(world.of("setContents")).toHaveLength(2);
  });

  it("that must wait do not cost an Acquire its place in the queue of a lock", () => {
    const { world, session } = opened();
    world.call(session, body.acquire);
    for (let i = 0; i < 4; i += 1) world.call(session, body.largeWrite);
    expect(world.of("setContents")).toHaveLength(1);
    expect(world.of("cancel")).toHaveLength(0);
  });

  it("that are small go together", () => {
    const { world, session } = opened();
    for (let i = 0; i < 150; i += 1) world.call(session, body.write);
    expect(world.of("setContents")).toHaveLength(150);
  });
});
