import { describe, expect, it } from "vitest";
import { answer, body, World, written } from "../test-support/world.ts";

const A = "h:1";
const B = "h:2";
const C = "h:3";

describe("a session's life", () => {
  it("opens at the master and keeps one KeepAlive there", () => {
    const world = new World([A, B, C]);
    const session = world.session();
    expect(session.state).toBe("safe");
    expect(session.leaseDeadline).toBe(1_000 + 10_799);
    expect(world.of("keepAlive")).toHaveLength(1);
    world.run(7_000);
    world.answerKeepAlive(7_000);
    expect(world.of("keepAlive")).toHaveLength(2);
    expect(session.leaseDeadline).toBe(1_000 + Math.floor(19_000 * 0.9) - 1);
    expect(world.events).toEqual(["1000:opened"]);
  });

  it("asks for a lease at once where its creation granted none, or a part only", () => {
    const isAsked = (world: World) => {
      const { call } = world.last("keepAlive").request;
      return call?.$case === "keepAlive" && call.value.answerNow;
    };
    const slept = new World([A]);
    slept.creates = "later";
    const session = slept.session({ gracePeriodMs: 900 });
    slept.suspend();
    slept.answerCreate();
    expect(session.state).toBe("jeopardy");
    expect(isAsked(slept)).toBe(true);
    slept.answerKeepAlive(0);
    expect(session.state).toBe("safe");
    for (const [ms, expected] of [
      [1_900, true],
      [90, true],
      [80, false],
    ] as const) {
      const world = new World([A]);
      world.creates = "later";
      world.leaseMs = 2_000;
      world.session({ leaseMs: 2_000 });
      world.run(ms);
      world.answerCreate();
      expect(isAsked(world), `after ${ms} ms`).toBe(expected);
    }
  });

  it("asks for a lease at once after a sleep, though a KeepAlive was about to go out", () => {
    const world = new World([A]);
    world.session();
    for (let i = 0; i < 20; i += 1) world.answerKeepAlive(0);
    world.suspend();
    world.run(100);
    const { call } = world.last("keepAlive").request;
    expect(call?.$case === "keepAlive" && call.value.answerNow).toBe(true);
  });

  it("keeps one connection, to the master", () => {
    const world = new World([A, B, C]);
    world.session();
    world.session();
    expect(world.connections).toEqual([A]);
  });

  it("shows no jeopardy in an idle hour", () => {
    const world = new World([A]);
    const session = world.session();
    for (let i = 0; i < 514; i += 1) {
      world.run(7_000);
      world.answerKeepAlive(7_000);
    }
    expect(session.state).toBe("safe");
    expect(world.events).toEqual(["1000:opened"]);
    expect(world.of("locate")).toHaveLength(1);
  });

  it("is in jeopardy at its own deadline, waits out the grace period, and then is expired", () => {
    const world = new World([A]);
    const session = world.session();
    world.kill(A);
    world.run(10_799);
    expect(session.state).toBe("safe");
    world.run(3);
    expect(session.state).toBe("jeopardy");
    world.run(44_995);
    expect(session.state).toBe("jeopardy");
    world.run(5);
    expect(session.state).toBe("expired");
    const kinds = world.events.map((event) => event.split(":")[1]);
    expect(kinds).toEqual(["opened", "jeopardy", "expired"]);
  });

  it("is safe again when a KeepAlive is answered within the grace period", () => {
    const world = new World([A, B]);
    const session = world.session();
    world.kill(A);
    world.master = undefined;
    world.run(30_000);
    expect(session.state).toBe("jeopardy");
    world.elect(B);
    world.run(1_100);
    expect(session.state).toBe("safe");
    const kinds = world.events.map((event) => event.split(":")[1]);
    expect(kinds).toEqual(["opened", "jeopardy", "safe", "failOver"]);
  });

  it("asks again within seconds when what it asks first after an outage is lost", () => {
    const world = new World([A]);
    const session = world.session();
    world.kill(A);
    world.run(20_000);
    expect(session.state).toBe("jeopardy");
    world.up.add(A);
    world.run(1_100);
    expect(world.connections).toEqual([A]);
    const before = world.of("keepAlive").length;
    world.run(3_500);
    expect(world.of("keepAlive").length).toBeGreaterThan(before + 1);
  });

  it("asks a master that answers at once not so often, but goes on", () => {
    const world = new World([A]);
    const session = world.session();
    for (let i = 0; i < 4; i += 1) world.answerKeepAlive(0);
    const sent = world.of("keepAlive").length;
    world.answerKeepAlive(0);
    world.run(40);
    expect(world.of("keepAlive")).toHaveLength(sent);
    world.run(20);
    expect(world.of("keepAlive")).toHaveLength(sent + 1);
    expect(session.state).toBe("safe");
  });

  it("takes the answer of a KeepAlive that another has overtaken for what it says of the lease", () => {
    const world = new World([A]);
    const session = world.session();
    const first = world.last("keepAlive");
    world.run(8_000);
    expect(world.of("keepAlive")).toHaveLength(2);
    const value = { leaseMs: 12_000, heldMs: 7_000, failOverEpoch: 0 };
    world.reply(first, { $case: "keepAlive", value });
    expect(session.leaseDeadline).toBe(1_000 + Math.floor(19_000 * 0.9) - 1);
    // The other is still what the next one follows, and the master has just been heard of.
    world.run(5_000);
    expect(world.of("keepAlive")).toHaveLength(2);
    expect(world.events).toEqual(["1000:opened"]);
  });

  it("sends what jeopardy held back when such an answer ends it", () => {
    const world = new World([A]);
    const session = world.session();
    const first = world.last("keepAlive");
    world.run(11_000);
    expect(session.state).toBe("jeopardy");
    const handle = new Uint8Array([1]);
    world.call(session, { $case: "getStat", value: { handle } });
    expect(world.of("getStat")).toHaveLength(0);
    const value = { leaseMs: 12_000, heldMs: 10_000, failOverEpoch: 0 };
    world.reply(first, { $case: "keepAlive", value });
    expect(session.state).toBe("safe");
    expect(world.of("getStat")).toHaveLength(1);
  });

  it("believes no such answer once the machine has slept", () => {
    // Asleep, the clock stands still: it may fall asleep in the instant in which it has asked.
    for (const awakeMs of [8_000, 0]) {
      const world = new World([A]);
      const session = world.session();
      const first = world.last("keepAlive");
      world.run(awakeMs);
      world.suspend();
      const value = { leaseMs: 12_000, heldMs: 7_000, failOverEpoch: 0 };
      world.reply(first, { $case: "keepAlive", value });
      expect(session.state).toBe("jeopardy");
    }
  });

  it("sees the deadline before the input that comes after it", () => {
    const world = new World([A]);
    const session = world.session();
    const keepAlive = world.last("keepAlive");
    world.stall(20_000);
    // The first thing that happens after the stall is not a wake.
    const value = { leaseMs: 12_000, heldMs: 7_000, failOverEpoch: 0 };
    world.reply(keepAlive, { $case: "keepAlive", value });
    expect(session.state).toBe("jeopardy");
    expect(world.events).toEqual(["1000:opened", "21000:jeopardy"]);
  });

  it("asks for nothing more when its end is noticed as the master is found", () => {
    const world = new World([A]);
    const session = world.session();
    world.kill(A);
    world.run(30_000);
    world.up.add(A);
    world.mute.add(A);
    world.run(1_100);
    const sent = world.of("keepAlive").length;
    world.stall(60_000);
    // The first thing that happens after the stall.
    const named = { replicaId: 1, masterId: 1, masterAddress: A, replicas: [] };
    world.reply(world.last("locate"), {
      $case: "locate",
      value: { cellName: "local", ...named },
    });
    expect([session.state, session.isOver]).toEqual(["expired", true]);
    expect(world.of("keepAlive")).toHaveLength(sent);
    expect(world.connections).toEqual([]);
  });

  it("has expired when it is closed as the first thing after a long stall", () => {
    const world = new World([A]);
    const session = world.session();
    const write = world.call(session, body.write);
    world.stall(100_000);
    world.close(session);
    const kinds = world.events.map((event) => event.split(":")[1]);
    expect(kinds).toEqual(["opened", "jeopardy", "expired", "closed"]);
    expect(write.failure?.code).toBe("session_expired");
  });

  it("is expired at once when the master says so, and for ever", () => {
    const world = new World([A]);
    const session = world.session();
    const read = world.call(session, body.read);
    world.refuse(world.last("keepAlive"), "session_expired");
    expect([session.state, session.isOver]).toEqual(["expired", true]);
    expect(read.failure).toMatchObject({ code: "session_expired", outcome: "not-applied" });
    const later = world.call(session, body.write);
    expect(later.failure).toMatchObject({ code: "session_expired", outcome: "not-applied" });
    world.close(session);
    expect(world.call(session, body.write).failure?.code).toBe("session_expired");
  });

  it("ends at the master when it is closed, and leaves no connection and no wish to wake", () => {
    const world = new World([A]);
    const session = world.session();
    const write = world.call(session, body.write);
    world.close(session);
    expect(session.state).toBe("closed");
    expect(write.failure).toMatchObject({ code: "client_closed", outcome: "unknown" });
    const end = world.last("endSession").request;
    expect(end.lowestUnanswered).toBe(end.requestNumber);
    expect(world.connections).toEqual([]);
    world.run(60_000);
    expect(world.core.take().wakeAt).toBe(Number.MAX_SAFE_INTEGER);
  });

  it("is closed once", () => {
    const world = new World([A]);
    const session = world.session();
    world.close(session);
    world.close(session);
    world.run(5_000);
    expect(session.state).toBe("closed");
    expect(world.events).toEqual(["1000:opened", "1000:closed"]);
  });

  it("is closed at once while it is being opened, and leaves no connection", () => {
    const world = new World([A]);
    world.creates = "later";
    const session = world.session();
    world.close(session);
    expect(session.state).toBe("closed");
    expect(world.events).toEqual(["1000:closed"]);
    expect(world.connections).toEqual([]);
  });

  it("closes in bounded time when there is no master", () => {
    const world = new World([A]);
    const session = world.session();
    world.kill(A);
    world.close(session, 2_000);
    expect(session.state).toBe("closing");
    world.run(2_002);
    expect(session.state).toBe("closed");
  });

  it("closes in bounded time when the process wakes late, with a repeat due as well", () => {
    const world = new World([A]);
    const session = world.session();
    world.deposed.add(A);
    world.close(session, 500);
    world.run(490);
    expect(session.state).toBe("closing");
    world.stall(500);
    world.run(0);
    expect(session.state).toBe("closed");
  });

  it("closes at a master that it has never acknowledged", () => {
    const world = new World([A, B]);
    const session = world.session();
    world.kill(A);
    world.close(session, 2_000);
    world.elect(B);
    world.run(500);
    expect(session.state).toBe("closed");
    expect(world.last("endSession").address).toBe(B);
  });

  it("closes at a master that has lost what acknowledged it", () => {
    const world = new World([A, B]);
    const session = world.session();
    world.kill(A);
    world.elect(B);
    world.run(100);
    // It never came there.
    world.acknowledged.clear();
    world.cut(B);
    world.close(session, 2_000);
    world.run(500);
    expect(session.state).toBe("closed");
  });

  it("says why it could not be opened", () => {
    const world = new World([A, B]);
    world.kill(A);
    world.kill(B);
    const session = world.session({ openWithinMs: 3_000 });
    const write = world.call(session, body.write);
    world.run(3_002);
    expect(session.state).toBe("closed");
    expect(session.ending).toMatchObject({ code: "unreachable", outcome: "not-applied" });
    expect(write.failure).toMatchObject({ code: "unreachable", outcome: "not-applied" });
    expect(session.ending?.detail).toContain("h:2: refused");
  });

  it("is not asked for again when the cell refuses it for good", () => {
    for (const code of ["invalid_argument", "quota_exceeded", "unsupported"] as const) {
      const world = new World([A]);
      world.creates = "later";
      const session = world.session();
      world.refuse(world.last("createSession"), code);
      expect(session.state).toBe("closed");
      expect(session.ending).toMatchObject({ code, outcome: "not-applied" });
    }
  });

  it("does not name a replica as down that has answered since", () => {
    const world = new World([A, B]);
    world.kill(A);
    world.kill(B);
    world.master = undefined;
    const session = world.session({ openWithinMs: 6_000 });
    world.run(2_000);
    world.up.add(A);
    world.run(4_002);
    expect(session.ending).toMatchObject({ code: "no_quorum" });
    expect(session.ending?.detail).toContain("h:2: refused");
    expect(session.ending?.detail).not.toContain("h:1");
  });

  it("tells replicas without a master from replicas that cannot be reached", () => {
    const world = new World([A, B]);
    world.master = undefined;
    const session = world.session({ openWithinMs: 3_000 });
    world.run(3_002);
    expect(session.ending?.code).toBe("no_quorum");
  });
});

describe("a suspended machine", () => {
  it("puts the lease in doubt until a KeepAlive that was sent afterwards is answered", () => {
    const world = new World([A]);
    const session = world.session();
    const before = world.last("keepAlive");
    world.run(1_000);
    world.suspend();
    expect(session.state).toBe("jeopardy");
    const value = { leaseMs: 12_000, heldMs: 1_000, failOverEpoch: 0 };
    world.reply(before, { $case: "keepAlive", value });
    expect(session.state).toBe("jeopardy");
    expect(world.last("keepAlive")).not.toBe(before);
    world.answerKeepAlive(0);
    expect(session.state).toBe("safe");
  });

  it("puts the lease in doubt too while there is no master to ask", () => {
    const world = new World([A]);
    const session = world.session();
    world.kill(A);
    world.suspend();
    expect(session.state).toBe("jeopardy");
    world.up.add(A);
    world.run(1_100);
    world.answerKeepAlive(0);
    expect(session.state).toBe("safe");
  });

  it("leaves nobody to know for how long the lease has been over, until there is another", () => {
    const world = new World([A]);
    const session = world.session();
    world.run(12_000);
    expect([session.state, session.hasSleptSinceLease]).toEqual(["jeopardy", false]);
    world.suspend();
    expect(session.hasSleptSinceLease).toBe(true);
    world.answerKeepAlive(0);
    expect(session.hasSleptSinceLease).toBe(false);
    world.run(12_000);
    expect([session.state, session.hasSleptSinceLease]).toEqual(["jeopardy", false]);
    world.answerKeepAlive(0);
    world.suspend();
    expect([session.state, session.hasSleptSinceLease]).toEqual(["jeopardy", true]);
  });
});

describe("a machine that is suspended while a session is opened", () => {
  it("leaves the session in jeopardy until its first KeepAlive, for the whole grace period", () => {
    // Asleep, the clock stands still: it may show the same instant before and after.
    for (const [sleepMs, isAnswered] of [
      [0, true],
      [0, false],
      [1, true],
      [1, false],
    ] as const) {
      const world = new World([A]);
      // Longer up than the grace period lasts.
      world.stall(1_000_000);
      world.creates = "later";
      const session = world.session();
      world.stall(sleepMs);
      world.suspend();
      world.answerCreate();
      const openedAt = world.now;
      expect(session.state).toBe("jeopardy");
      world.run(44_000);
      expect(session.state).toBe("jeopardy");
      if (isAnswered) world.answerKeepAlive(0);
      else world.run(1_005);
      expect(session.state).toBe(isAnswered ? "safe" : "expired");
      expect(world.events.slice(0, 2)).toEqual([`${openedAt}:opened`, `${openedAt}:jeopardy`]);
    }
  });
});

describe("a change of master", () => {
  it("repeats what is unanswered under the same numbers and in order, after acknowledging", () => {
    const world = new World([A, B, C]);
    const session = world.session();
    const calls = [body.write, body.acquire, body.read].map((b) => world.call(session, b));
    const before = world.arrivals.length;
    world.kill(A);
    world.elect(B);
    world.run(100);
    const after = world.arrivals.slice(before).filter((a) => a.kind !== "locate");
    expect(after.map((a) => a.kind)).toEqual([
      "keepAlive",
      "keepAlive",
      "setContents",
      "acquire",
      "getContentsAndStat",
    ]);
    expect(after.slice(2).map((a) => a.request.requestNumber)).toEqual([1, 2, 0]);
    expect(after.every((a) => a.request.clientEpoch === 2)).toBe(true);
    const acknowledgements = after.slice(0, 2).map((a) => a.request.call?.value);
    expect(acknowledgements).toEqual([
      { acknowledgedEpoch: 0, answerNow: true },
      { acknowledgedEpoch: 2, answerNow: false },
    ]);
    world.reply(world.last("setContents"), written);
    expect(calls[0]?.result).toEqual(written);
    expect(world.events.at(-1)).toMatch(/failOver$/);
  });

  it("is none for a session that the new master has made", () => {
    const world = new World([A]);
    world.creates = "later";
    const session = world.session();
    world.elect(A);
    world.answerCreate();
    world.call(session, body.write);
    expect(session.epoch).toBe(2);
    expect(world.of("setContents")).toHaveLength(1);
    expect(world.events).toEqual(["1000:opened"]);
  });

  it("is acknowledged too when the epoch is learned from a refusal", () => {
    const world = new World([A]);
    const session = world.session();
    // The same replica is elected anew; the connection stays.
    world.elect(A);
    const write = world.call(session, body.write);
    expect(world.of("setContents")).toHaveLength(2);
    world.reply(world.last("setContents"), written);
    expect(write.result).toEqual(written);
    expect(world.events.at(-1)).toMatch(/failOver$/);
    expect(session.epoch).toBe(2);
  });

  it("is learned by an idle session too, when its KeepAlive is refused", () => {
    const world = new World([A]);
    const session = world.session();
    const held = world.last("keepAlive");
    world.run(7_000);
    // Deposed with its answer under way, and elected anew; the connection stays.
    world.elect(A);
    const value = { leaseMs: 12_000, heldMs: 7_000, failOverEpoch: 0 };
    world.reply(held, { $case: "keepAlive", value }, 1);
    expect([session.epoch, session.state]).toEqual([2, "safe"]);
    expect(world.events.at(-1)).toMatch(/failOver$/);
  });

  it("lets calls pass at once where the master says that there is nothing to acknowledge", () => {
    const world = new World([A]);
    const session = world.session();
    world.cut(A);
    world.elect(A);
    world.acknowledged.add(session.sessionId);
    world.run(100);
    const write = world.call(session, body.write);
    expect(world.of("setContents")).toHaveLength(0);
    world.answerKeepAlive(0);
    world.reply(world.last("setContents"), written);
    expect(write.result).toEqual(written);
    expect(world.events.at(-1)).toMatch(/failOver$/);
  });

  it("sends an Acquire that waits once more, since the new master knows of no waiter", () => {
    const world = new World([A]);
    const session = world.session();
    const waiting = world.call(session, body.acquire);
    // The same replica is elected anew, and forgets who waits; the connection stays.
    world.elect(A);
    const write = world.call(session, body.write);
    world.reply(world.last("setContents"), written);
    expect(write.result).toEqual(written);
    const sends = world.of("acquire").map((a) => a.request);
    expect(sends.map((request) => request.requestNumber)).toEqual([1, 1]);
    expect(sends.at(-1)?.clientEpoch).toBe(2);
    expect(waiting.isSettled).toBe(false);
  });

  it("needs no acknowledgement when only the connection was lost", () => {
    const world = new World([A]);
    const session = world.session();
    const write = world.call(session, body.write);
    world.cut(A);
    world.run(50);
    expect(world.of("setContents").map((a) => a.request.requestNumber)).toEqual([1, 1]);
    world.reply(world.last("setContents"), written);
    expect(write.result).toEqual(written);
    expect(world.events).toEqual(["1000:opened"]);
    expect(session.state).toBe("safe");
  });

  it("holds calls back while the session is in jeopardy", () => {
    const world = new World([A]);
    const session = world.session();
    world.run(10_802);
    expect(session.state).toBe("jeopardy");
    const write = world.call(session, body.write);
    expect(world.of("setContents")).toHaveLength(0);
    world.answerKeepAlive(0);
    expect(world.of("setContents")).toHaveLength(1);
    world.reply(world.last("setContents"), written);
    expect(write.result).toEqual(written);
  });

  it("sends no Cancel when a call is given up after the lease has run out unnoticed", () => {
    const world = new World([A]);
    const session = world.session();
    const acquire = world.call(session, body.acquire);
    world.stall(20_000);
    world.abort(acquire);
    expect(session.state).toBe("jeopardy");
    expect(world.of("cancel")).toHaveLength(0);
    world.answerKeepAlive(15_000);
    expect(world.of("cancel")).toHaveLength(1);
  });

  it("repeats a request whose master was deposed with it under way", () => {
    const world = new World([A, B]);
    const session = world.session();
    const write = world.call(session, body.write);
    world.elect(B);
    world.refuse(world.last("setContents"), "connection_lost", 0);
    world.refuse(world.last("keepAlive"), "not_master", 0, B);
    world.run(600);
    expect(world.last("setContents")).toMatchObject({ address: B, request: { requestNumber: 1 } });
    world.abort(write);
    expect(write.failure?.outcome).toBe("unknown");
  });

  it("is followed where the old master points", () => {
    const world = new World([A, B, C]);
    const session = world.session();
    const read = world.call(session, body.read);
    world.elect(C);
    const before = world.now;
    world.refuse(world.last("getContentsAndStat"), "not_master", 0, C);
    expect(world.now).toBe(before);
    expect(world.last("getContentsAndStat").address).toBe(C);
    world.reply(world.last("getContentsAndStat"), answer.read);
    expect(read.result).toEqual(answer.read);
    expect(world.connections).toEqual([C]);
  });
});
