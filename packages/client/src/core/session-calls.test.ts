import { LockMode } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import { answer, body, World, written } from "../test-support/world.ts";
import type { Call } from "./call.ts";
import type { SessionMachine } from "./session-machine.ts";

const A = "h:1";

function opened(windowMax = 256): { world: World; session: SessionMachine } {
  const world = new World([A]);
  world.windowMax = windowMax;
  return { world, session: world.session() };
}

describe("request numbers", () => {
  it("rise by one, with the lowest unanswered beside them", () => {
    const { world, session } = opened();
    for (let i = 0; i < 3; i += 1) world.call(session, body.write);
    const [first, second] = world.of("setContents");
    if (second !== undefined) world.reply(second, written);
    world.call(session, body.write);
    if (first !== undefined) world.reply(first, written);
    world.call(session, body.write);
    const pairs = world
      .of("setContents")
      .map(({ request }) => [request.requestNumber, request.lowestUnanswered]);
    expect(pairs).toEqual([
      [1, 1],
      [2, 1],
      [3, 1],
      [4, 1],
      [5, 3],
    ]);
  });

  it("span no more than the window, and queued calls follow as answers come", () => {
    const { world, session } = opened(16);
    const calls = Array.from({ length: 20 }, () => world.call(session, body.write));
    // A quarter of the window is kept for Cancels.
    expect(world.of("setContents")).toHaveLength(12);
    for (let i = 0; i < 20; i += 1) {
      const arrival = world.of("setContents")[i];
      if (arrival !== undefined) world.reply(arrival, written);
    }
    expect(calls.every((call) => call.result !== undefined)).toBe(true);
    const spans = world.arrivals
      .filter((a) => a.request.requestNumber > 0)
      .map((a) => a.request.requestNumber - a.request.lowestUnanswered);
    expect(Math.max(...spans)).toBeLessThan(16);
  });

  it("are not stopped by an acquire that waits for hours", () => {
    const { world, session } = opened(16);
    const acquire = world.call(session, body.acquire);
    for (let i = 0; i < 100; i += 1) {
      const write = world.call(session, body.write);
      for (const cancel of world.of("cancel").splice(0)) world.reply(cancel, answer.cancelled);
      world.reply(world.last("setContents"), written);
      expect(write.result).toEqual(written);
    }
    expect(acquire.isSettled).toBe(false);
    expect(world.of("acquire").length).toBeGreaterThan(1);
    world.reply(world.last("acquire"), answer.acquired);
    expect(acquire.result).toEqual(answer.acquired);
  });

  it("leave an acquire's late grant alone once its number has been cancelled", () => {
    const { world, session } = opened(16);
    const acquire = world.call(session, body.acquire);
    const first = world.last("acquire");
    for (let i = 0; i < 12; i += 1) {
      world.call(session, body.write);
      if (i < 11) world.reply(world.last("setContents"), written);
    }
    expect(world.of("cancel")).toHaveLength(1);
    // Granted before the Cancel came, and given back by it.
    world.reply(first, answer.acquired);
    expect(acquire.isSettled).toBe(false);
  });

  it("keep a place for the Cancel that makes room, when many acquires are given up", () => {
    const { world, session } = opened(16);
    const acquires = Array.from({ length: 8 }, () => world.call(session, body.acquire));
    for (let i = 0; i < 4; i += 1) world.call(session, body.write);
    for (const acquire of acquires.slice(1)) world.abort(acquire);
    if (acquires[0] !== undefined) world.abort(acquires[0]);
    for (let turns = 0; turns < 8; turns += 1) {
      for (const cancel of world.of("cancel")) world.reply(cancel, answer.cancelled);
    }
    for (const arrival of world.of("setContents")) world.reply(arrival, written);
    expect(session.inFlightCount).toBe(0);
  });

  it("limit how many locks a session waits for, so that the rest of it lives", () => {
    const { world, session } = opened(16);
    const waiting = Array.from({ length: 9 }, () => world.call(session, body.acquire));
    expect(waiting[8]?.failure?.code).toBe("too_many_requests");
    const write = world.call(session, body.write);
    expect(world.of("setContents")).toHaveLength(1);
    world.reply(world.last("setContents"), written);
    expect(write.result).toEqual(written);
  });

  it("limit neither how many locks a session gets, nor how many it tries to get", () => {
    const { world, session } = opened();
    for (let i = 0; i < 300; i += 1) {
      const acquire = world.call(session, body.acquire);
      world.reply(world.last("acquire"), answer.acquired);
      expect(acquire.result).toEqual(answer.acquired);
    }
    const tries = Array.from({ length: 150 }, () => world.call(session, body.tryAcquire));
    expect(tries.some((call) => call.isSettled)).toBe(false);
  });

  it("are not needed by reads, which pass when there is no room", () => {
    const { world, session } = opened(16);
    world.call(session, body.acquire);
    for (let i = 0; i < 11; i += 1) {
      world.call(session, body.write);
      world.reply(world.last("setContents"), written);
    }
    for (let i = 0; i < 40; i += 1) world.call(session, body.read);
    expect(world.of("getContentsAndStat")).toHaveLength(16);
  });

  it("are not carried by what is asked outside of the session", () => {
    const { world, session } = opened();
    world.call(session, body.write);
    world.call(session, body.checkSequencer);
    const outside = { sessionId: 0, requestNumber: 0, lowestUnanswered: 0 };
    expect(world.last("checkSequencer").request).toMatchObject(outside);
  });
});

describe("an acquire and a release of the same handle", () => {
  const numbersOf = (world: World, kind: string): number[] =>
    world.of(kind).map((a) => a.request.requestNumber);

  it("do not change places when the release is refused for the moment", () => {
    const { world, session } = opened();
    world.call(session, body.release);
    world.refuse(world.last("release"), "overloaded");
    // The handle holds its lock still: this would be granted at once, and then freed.
    const acquire = world.call(session, body.acquire);
    world.run(100);
    expect(numbersOf(world, "release")).toEqual([1, 1]);
    expect(world.of("acquire")).toHaveLength(0);
    world.reply(world.last("release"), answer.released);
    world.reply(world.last("acquire"), answer.acquired);
    expect(acquire.result).toEqual(answer.acquired);
  });

  it("follow each other at once when the release is refused for good", () => {
    const { world, session } = opened();
    world.call(session, body.release);
    world.call(session, body.acquire);
    world.refuse(world.last("release"), "lock_not_held");
    expect(numbersOf(world, "acquire")).toEqual([2]);
  });

  it("do not change places when the connection breaks", () => {
    const { world, session } = opened();
    world.call(session, body.release);
    world.call(session, body.acquire);
    world.cut(A);
    world.run(100);
    expect(numbersOf(world, "release")).toEqual([1, 1]);
    expect(world.of("acquire")).toHaveLength(0);
    world.reply(world.last("release"), answer.released);
    expect(numbersOf(world, "acquire")).toEqual([2]);
  });

  it("do not change places although nobody waits for the release any more", () => {
    const { world, session } = opened();
    const release = world.call(session, body.release, 2_000);
    world.run(2_010);
    expect(release.failure?.code).toBe("deadline_exceeded");
    const acquire = world.call(session, body.acquire, 3_000);
    world.run(3_010);
    expect(world.of("acquire")).toHaveLength(0);
    expect(acquire.failure).toMatchObject({ code: "deadline_exceeded", outcome: "not-applied" });
    world.reply(world.last("release"), answer.released);
    expect(session.inFlightCount + session.queuedCount).toBe(0);
  });

  it("leave other handles and other calls alone", () => {
    const { world, session } = opened();
    const handle = new Uint8Array([9]);
    const elsewhere = { $case: "acquire", value: { ...body.acquire.value, handle } } as const;
    world.call(session, elsewhere);
    world.call(session, body.release);
    world.call(session, body.acquire);
    world.call(session, elsewhere);
    world.call(session, body.write);
    expect(numbersOf(world, "acquire")).toEqual([1, 3]);
    expect(numbersOf(world, "setContents")).toEqual([4]);
    // It keeps its place in the queue of the other lock.
    expect(world.of("cancel")).toHaveLength(0);
  });

  it("go ahead of what was called for later, once the release is answered", () => {
    const { world, session } = opened(16);
    world.call(session, body.release);
    for (let i = 0; i < 11; i += 1) world.call(session, body.write);
    world.call(session, body.tryAcquire);
    // There is no room for it, so that what follows is not even looked at.
    world.call(session, body.write);
    world.call(session, body.close);
    world.reply(world.last("release"), answer.released);
    for (const arrival of world.of("setContents")) world.reply(arrival, written);
    expect(numbersOf(world, "acquire")).toEqual([13]);
    expect(numbersOf(world, "setContents").at(-1)).toBe(14);
    expect(numbersOf(world, "close")).toEqual([15]);
  });

  it("leave two acquires of the handle in their order", () => {
    const { world, session } = opened(16);
    world.call(session, body.release);
    for (let i = 0; i < 11; i += 1) world.call(session, body.write);
    const acquireIn = (mode: LockMode): void => {
      const value = { ...body.acquire.value, mode };
      world.call(session, { $case: "acquire", value });
    };
    acquireIn(LockMode.SHARED);
    world.call(session, body.write);
    acquireIn(LockMode.EXCLUSIVE);
    world.reply(world.last("release"), answer.released);
    for (const arrival of world.of("setContents")) world.reply(arrival, written);
    const modes = world.of("acquire").map(({ request }) => {
      return request.call?.$case === "acquire" ? request.call.value.mode : undefined;
    });
    expect(modes).toEqual([LockMode.SHARED, LockMode.EXCLUSIVE]);
  });

  for (const call of [body.acquire, body.tryAcquire]) {
    it(`ask anew behind the release for what was under way (wait: ${call.value.wait})`, () => {
      const { world, session } = opened();
      const acquire = world.call(session, call);
      const before = world.last("acquire");
      world.call(session, body.release);
      // It was granted what the handle held, which is then freed: it must not believe that.
      world.reply(before, answer.acquired);
      expect(acquire.isSettled).toBe(false);
      const cancel = world.last("cancel");
      expect(cancel.request.call?.value).toEqual({ requestNumber: 1 });
      world.reply(cancel, answer.cancelled);
      world.reply(world.last("release"), answer.released);
      expect(numbersOf(world, "acquire")).toEqual([1, 4]);
      expect(session.queuedCount).toBe(0);
      world.reply(world.last("acquire"), answer.acquired);
      expect(acquire.result).toEqual(answer.acquired);
    });
  }

  it("fail together when the session ends", () => {
    const { world, session } = opened();
    world.call(session, body.release);
    const acquire = world.call(session, body.acquire);
    world.refuse(world.last("keepAlive"), "session_expired");
    expect(acquire.failure).toMatchObject({ code: "session_expired", outcome: "not-applied" });
    expect(session.inFlightCount + session.queuedCount).toBe(0);
  });
});

describe("acquires that wait, with other calls between them", () => {
  /** Answers the newest Cancels and writes, as long as that brings another message. */
  function answerNewest(world: World): void {
    for (let turns = 0, last = -1; turns < 10_000 && world.arrivals.length > last; turns += 1) {
      last = world.arrivals.length;
      for (const cancel of world.of("cancel").slice(-128)) world.reply(cancel, answer.cancelled);
      for (const write of world.of("setContents").slice(-128)) world.reply(write, written);
    }
  }

  for (const windowMax of [33, 64, 256]) {
    it(`come to rest, as many as may wait, in a window of ${windowMax}`, () => {
      const { world, session } = opened(windowMax);
      const waiting: Call[] = [];
      // As an application does that opens a file and waits for its lock, file after file.
      for (let i = 0; i < windowMax / 2; i += 1) {
        const open = world.call(session, body.write);
        answerNewest(world);
        expect(open.isSettled).toBe(true);
        waiting.push(world.call(session, body.acquire));
      }
      answerNewest(world);
      // Each may have to be asked anew once or twice, and then there is room for all.
      expect(world.of("cancel").length).toBeLessThan(4 * windowMax);
      expect(session.inFlightCount).toBe(waiting.filter((call) => !call.isSettled).length);
    });
  }

  it("make room together, not one after the other: a write waits for one round trip", () => {
    const { world, session } = opened();
    for (let i = 0; i < 90; i += 1) world.call(session, body.acquire);
    for (let i = 0; i < 102; i += 1) {
      world.call(session, body.write);
      world.reply(world.last("setContents"), written);
    }
    const write = world.call(session, body.write);
    let roundTrips = 0;
    for (; !write.isSettled && roundTrips < 100; roundTrips += 1) {
      const cancels = world.of("cancel");
      const writes = world.of("setContents");
      for (const cancel of cancels) world.reply(cancel, answer.cancelled);
      for (const each of writes) world.reply(each, written);
    }
    expect(roundTrips).toBeLessThan(5);
  });

  it("are asked anew before they are cancelled, by which the master knows whose place they have", () => {
    const { world, session } = opened(16);
    world.call(session, body.acquire);
    for (let i = 0; i < 12; i += 1) {
      world.call(session, body.write);
      world.reply(world.last("setContents"), written);
    }
    const asked = world.of("acquire").map(({ request }) => request.requestNumber);
    expect(asked).toEqual([1, 13]);
    expect(world.last("cancel").request).toMatchObject({
      requestNumber: 14,
      call: { value: { requestNumber: 1 } },
    });
  });

  for (const count of [29, 48]) {
    it(`are asked anew before they are cancelled, ${count} of them too`, () => {
      const { world, session } = opened();
      for (let i = 0; i < count; i += 1) world.call(session, body.acquire);
      for (let i = 0; i < 256 && world.of("cancel").length === 0; i += 1) {
        world.call(session, body.write);
        world.reply(world.last("setContents"), written);
      }
      const asked = world.of("acquire").map(({ request }) => request.requestNumber);
      expect(asked).toHaveLength(2 * count);
      const cancel = world.of("cancel")[0]?.request.requestNumber ?? 0;
      expect(cancel).toBeGreaterThan(asked.at(-1) ?? 0);
    });
  }

  for (const windowMax of [2, 3]) {
    it(`stop no other call in a window of ${windowMax}`, () => {
      const { world, session } = opened(windowMax);
      world.call(session, body.acquire);
      const writes = Array.from({ length: 5 }, () => world.call(session, body.write));
      answerNewest(world);
      expect(writes.every((call) => call.isSettled)).toBe(true);
    });
  }

  it("cannot be given up in a window of 1, so no session is opened", () => {
    const { session } = opened(1);
    expect(session.ending).toMatchObject({ code: "unsupported", outcome: "not-applied" });
  });
});

describe("the queue", () => {
  it("is bounded: beyond it calls are refused, and were not applied", () => {
    const world = new World([A]);
    world.master = undefined;
    const session = world.session();
    for (let i = 0; i < 4_096; i += 1) world.call(session, body.write);
    const refused = world.call(session, body.write);
    expect(refused.failure).toMatchObject({ code: "too_many_requests", outcome: "not-applied" });
    expect(world.call(session, body.close).isSettled).toBe(false);
  });
});

describe("giving up", () => {
  it("takes a call that was not sent out of the queue: it was not applied", () => {
    const world = new World([A]);
    const session = world.session();
    world.kill(A);
    const write = world.call(session, body.write, 500);
    const other = world.call(session, body.write);
    world.abort(other);
    expect(other.failure).toMatchObject({ code: "cancelled", outcome: "not-applied" });
    world.run(510);
    expect(write.failure).toMatchObject({ code: "deadline_exceeded", outcome: "not-applied" });
    world.up.add(A);
    world.run(1_100);
    expect(session.state).toBe("safe");
    expect(world.of("setContents")).toHaveLength(0);
  });

  it("takes a call that was not sent out of the queue behind a release as well", () => {
    const { world, session } = opened();
    world.call(session, body.release);
    world.kill(A);
    const write = world.call(session, body.write);
    world.abort(write);
    expect(write.failure).toMatchObject({ code: "cancelled", outcome: "not-applied" });
  });

  it("cancels an acquire at the master, and keeps its number until that is answered", () => {
    const { world, session } = opened();
    const acquire = world.call(session, body.acquire, 1_000);
    world.run(1_010);
    expect(acquire.failure).toMatchObject({ code: "deadline_exceeded", outcome: "unknown" });
    const cancel = world.last("cancel");
    expect(cancel.request.call?.value).toEqual({ requestNumber: 1 });
    expect(cancel.request).toMatchObject({ requestNumber: 2, lowestUnanswered: 1 });
    // The grant was on its way: nobody takes it, and the Cancel releases it.
    world.reply(world.last("acquire"), answer.acquired);
    expect(acquire.result).toBeUndefined();
    world.reply(cancel, answer.cancelled);
    world.call(session, body.write);
    expect(world.last("setContents").request).toMatchObject({
      requestNumber: 3,
      lowestUnanswered: 3,
    });
  });

  it("cancels a try before a close that came after it, though the window is full", () => {
    const { world, session } = opened(16);
    const attempt = world.call(session, body.tryAcquire);
    for (let i = 0; i < 11; i += 1) world.call(session, body.write);
    world.abort(attempt);
    world.call(session, body.close);
    expect(world.last("cancel").request.requestNumber).toBe(13);
    expect(world.of("close")).toHaveLength(0);
    world.reply(world.last("cancel"), answer.cancelled);
    for (const arrival of world.of("setContents")) world.reply(arrival, written);
    expect(world.last("close").request.requestNumber).toBe(14);
  });

  it("repeats the Cancel at a new master, and not the acquire", () => {
    const world = new World([A, "h:2"]);
    const session = world.session();
    const acquire = world.call(session, body.acquire);
    world.abort(acquire);
    world.kill(A);
    world.elect("h:2");
    world.run(100);
    expect(world.of("cancel").map((a) => a.request.requestNumber)).toEqual([2, 2]);
    expect(world.of("acquire")).toHaveLength(1);
  });

  it("repeats the Cancel when it is not answered", () => {
    for (const by of ["abort", "deadline"] as const) {
      const { world, session } = opened();
      const acquire = world.call(session, body.acquire, by === "deadline" ? 100 : undefined);
      if (by === "abort") world.abort(acquire);
      world.run(3_250);
      expect(world.of("cancel").map((a) => a.request.requestNumber)).toEqual([2, 2]);
    }
  });

  it("leaves room for others to wait, when what is given up was not sent yet", () => {
    const { world, session } = opened();
    world.kill(A);
    for (let i = 0; i < 300; i += 1) world.abort(world.call(session, body.acquire));
    expect(world.call(session, body.acquire).isSettled).toBe(false);
  });

  it("still sees a release and a close through", () => {
    const world = new World([A, "h:2"]);
    const session = world.session();
    const release = world.call(session, body.release, 1_000);
    world.run(1_010);
    expect(release.failure?.code).toBe("deadline_exceeded");
    expect(world.of("cancel")).toHaveLength(0);
    world.kill(A);
    world.elect("h:2");
    world.run(100);
    expect(world.last("release")).toMatchObject({ address: "h:2", request: { requestNumber: 1 } });
    world.reply(world.last("release"), answer.released);
    expect(session.inFlightCount).toBe(0);
    expect(world.settled).toEqual([release]);
    expect(release.failure?.code).toBe("deadline_exceeded");
  });

  it("does not call a release that was not sent yet not applied: it will be", () => {
    const world = new World([A, "h:2"]);
    const session = world.session();
    world.kill(A);
    const release = world.call(session, body.release, 1_000);
    world.run(1_010);
    expect(world.of("release")).toHaveLength(0);
    expect(release.failure).toMatchObject({ code: "deadline_exceeded", outcome: "unknown" });
    world.elect("h:2");
    world.run(2_000);
    expect(world.last("release")).toMatchObject({ address: "h:2" });
  });

  it("cancels an Open that was refused: its answer may have been withdrawn, and its handle not", () => {
    const { world, session } = opened();
    const open = world.call(session, body.open);
    world.refuse(world.last("open"), "no_quorum");
    world.abort(open);
    expect(open.failure).toMatchObject({ code: "cancelled", outcome: "not-applied" });
    expect(world.of("cancel")).toHaveLength(1);
    const write = world.call(session, body.write);
    world.refuse(world.last("setContents"), "no_quorum");
    world.abort(write);
    expect(world.of("cancel")).toHaveLength(1);
  });

  it("sends nothing again that was refused for the moment", () => {
    const { world, session } = opened();
    const write = world.call(session, body.write);
    world.refuse(world.last("setContents"), "no_quorum");
    world.abort(write);
    expect(session.inFlightCount).toBe(0);
    world.run(1_000);
    expect(world.of("setContents")).toHaveLength(1);
  });

  it("sends no Cancel for a read", () => {
    const { world, session } = opened();
    const read = world.call(session, body.read);
    world.abort(read);
    expect(read.failure).toMatchObject({ code: "cancelled", outcome: "not-applied" });
    expect(world.of("cancel")).toHaveLength(0);
    expect(session.inFlightCount).toBe(0);
  });

  it("settles a call once, whatever comes afterwards", () => {
    const { world, session } = opened();
    const write = world.call(session, body.write);
    world.abort(write);
    world.abort(write);
    world.reply(world.last("setContents"), written);
    expect(world.settled.filter((call) => call === write)).toHaveLength(1);
    expect(write.failure?.code).toBe("cancelled");
  });
});

describe("what a failed call says of its outcome", () => {
  const cases = [
    { what: "write", call: body.write, outcome: "unknown" },
    { what: "acquire", call: body.acquire, outcome: "unknown" },
    { what: "try", call: body.tryAcquire, outcome: "unknown" },
    { what: "read", call: body.read, outcome: "not-applied" },
  ] as const;

  for (const { what, call, outcome } of cases) {
    it(`sent, unanswered, deadline: ${what} is ${outcome}`, () => {
      const { world, session } = opened();
      const made = world.call(session, call, 1_000);
      world.run(1_010);
      expect(made.failure).toMatchObject({ code: "deadline_exceeded", outcome });
    });

    it(`sent, unanswered, session expired: ${what} is ${outcome}`, () => {
      const { world, session } = opened();
      const made = world.call(session, call);
      world.refuse(world.last("keepAlive"), "session_expired");
      expect(made.failure).toMatchObject({ code: "session_expired", outcome });
    });

    it(`sent and refused for the moment every time: ${what} is not-applied`, () => {
      const { world, session } = opened();
      const made = world.call(session, call, 2_000);
      for (let i = 0; i < 500; i += 1) {
        const arrival = world.arrivals.findLast((a) => a.request.requestNumber === 1);
        if (arrival !== undefined) world.refuse(arrival, "overloaded");
        world.run(5);
      }
      expect(made.failure?.code).toBe("deadline_exceeded");
      expect(made.failure?.outcome).toBe("not-applied");
    });

    it(`sent on a connection that broke, then refused: ${what} is ${outcome}`, () => {
      const { world, session } = opened();
      const made = world.call(session, call, 2_000);
      world.cut(A);
      world.run(50);
      const arrival = world.arrivals.findLast((a) => a.request.requestNumber === 1);
      if (arrival !== undefined) world.refuse(arrival, "no_quorum");
      world.abort(made);
      expect(made.failure).toMatchObject({ code: "cancelled", outcome });
    });

    it(`never sent: ${what} is not-applied`, () => {
      const world = new World([A]);
      const session = world.session();
      world.kill(A);
      const made = world.call(session, call, 1_000);
      world.run(1_010);
      expect(made.failure).toMatchObject({
        code: "deadline_exceeded",
        outcome: "not-applied",
      });
    });

    it(`never sent, session expired: ${what} is not-applied`, () => {
      const { world, session } = opened();
      world.kill(A);
      const made = world.call(session, call);
      world.run(60_000);
      expect(made.failure).toMatchObject({ code: "session_expired", outcome: "not-applied" });
    });
  }

  it("is the table's for a definite refusal", () => {
    const { world, session } = opened();
    const made = world.call(session, body.write);
    world.refuse(world.last("setContents"), "generation_mismatch");
    expect(made.failure).toMatchObject({ code: "generation_mismatch", outcome: "not-applied" });
  });

  it("is unknown when the master does not know the number any more", () => {
    const { world, session } = opened();
    const made = world.call(session, body.write);
    world.refuse(world.last("setContents"), "request_forgotten");
    expect(made.failure).toMatchObject({ code: "request_forgotten", outcome: "unknown" });
  });
});

describe("HND-4: only a suffix of a session's operations is lost", () => {
  it("fails everything from the first session_expired on, in the order of the calls", () => {
    const { world, session } = opened();
    const calls = Array.from({ length: 30 }, () => world.call(session, body.write));
    for (const arrival of world.of("setContents").slice(0, 11)) world.reply(arrival, written);
    world.refuse(world.of("setContents")[11] ?? world.last("setContents"), "session_expired");
    calls.push(world.call(session, body.write), world.call(session, body.read));
    const firstLost = calls.findIndex((call) => call.failure !== undefined);
    expect(firstLost).toBe(11);
    for (const call of calls.slice(firstLost)) expect(call.failure?.code).toBe("session_expired");
    // Answers that were on their way change nothing any more.
    for (const arrival of world.of("setContents")) world.reply(arrival, written);
    for (const call of calls.slice(firstLost)) expect(call.failure?.code).toBe("session_expired");
  });
});

describe("a call that is refused for the moment", () => {
  it("goes out again within milliseconds, though nothing else happens", () => {
    const { world, session } = opened();
    const write = world.call(session, body.write);
    world.refuse(world.last("setContents"), "overloaded");
    world.run(50);
    expect(world.of("setContents").map((a) => a.request.requestNumber)).toEqual([1, 1]);
    world.reply(world.last("setContents"), written);
    expect(write.result).toEqual(written);
  });
});

describe("an answer", () => {
  it("leaves nothing to be done at the deadline of the call", () => {
    const { world, session } = opened();
    world.call(session, body.write, 500);
    world.reply(world.last("setContents"), written);
    expect(world.core.take().wakeAt).toBeGreaterThan(world.now + 600);
  });

  it("that comes twice is taken once, so that a master that falls silent then is left", () => {
    const { world, session } = opened();
    const write = world.call(session, body.write);
    const arrival = world.last("setContents");
    world.reply(arrival, written);
    world.reply(arrival, written);
    expect(write.result).toEqual(written);
    world.mute.add(A);
    world.call(session, body.read);
    world.run(2_100);
    expect(world.connectAttempts).toHaveLength(2);
  });
});

describe("an answer that never comes", () => {
  it("makes the call go out again under its number, ever more rarely", () => {
    const { world, session } = opened();
    const write = world.call(session, body.write);
    for (let i = 0; i < 20; i += 1) {
      world.run(1_000);
      if (i % 7 === 6) world.answerKeepAlive(7_000);
    }
    const sends = world.of("setContents");
    expect(sends.map((a) => a.request.requestNumber)).toEqual([1, 1, 1]);
    expect(sends.map((a) => a.at - 1_000)).toEqual([0, 3_000, 9_000]);
    world.reply(world.last("setContents"), written);
    expect(write.result).toEqual(written);
  });

  it("is missed by a try", () => {
    const { world, session } = opened();
    world.call(session, body.tryAcquire);
    world.run(3_100);
    expect(world.of("acquire").map((a) => a.request.requestNumber)).toEqual([1, 1]);
  });

  it("is missed 3 s after its own call was sent, whatever else is under way", () => {
    const { world, session } = opened();
    world.call(session, body.read);
    world.run(2_000);
    world.reply(world.last("getContentsAndStat"), answer.read);
    world.call(session, body.write);
    world.run(2_900);
    expect(world.of("setContents")).toHaveLength(1);
    world.run(200);
    expect(world.of("setContents")).toHaveLength(2);
  });

  it("is not missed when the call was given up", () => {
    const { world, session } = opened();
    world.abort(world.call(session, body.read));
    world.run(6_000);
    expect(world.of("locate")).toHaveLength(1);
  });

  it("is not missed as soon as a call follows a quiet time", () => {
    const { world, session } = opened();
    world.run(5_000);
    world.call(session, body.read);
    world.run(500);
    expect(world.of("locate")).toHaveLength(1);
  });

  it("is not missed by an acquire that waits", () => {
    const { world, session } = opened();
    world.call(session, body.acquire);
    for (let i = 0; i < 10; i += 1) {
      world.run(7_000);
      world.answerKeepAlive(7_000);
    }
    expect(world.of("acquire")).toHaveLength(1);
    expect(world.of("locate")).toHaveLength(1);
  });
});
