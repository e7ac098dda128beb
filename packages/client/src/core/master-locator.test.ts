import { describe, expect, it } from "vitest";
import { body, World, written } from "../test-support/world.ts";

const FIVE = ["h:1", "h:2", "h:3", "h:4", "h:5"] as const;
const [A, B, C] = FIVE;

describe("locating the master (CELL-7)", () => {
  it("asks several replicas at once and goes where they point", () => {
    const world = new World(FIVE);
    world.master = C;
    const session = world.session();
    expect(session.state).toBe("safe");
    expect(world.connections).toEqual([C]);
    expect(world.now).toBe(1_000);
  });

  it("goes to a master that is not in its list", () => {
    const world = new World([A]);
    world.up.add("h:9");
    world.master = "h:9";
    expect(world.session().state).toBe("safe");
    expect(world.connections).toEqual(["h:9"]);
  });

  it("goes to a replica that it has only been told of, though nobody names the master", () => {
    const world = new World([A]);
    world.up.add(B).add(C);
    world.replicas = [A, B, C];
    const session = world.session();
    world.kill(A);
    world.hints.set(B, "");
    world.elect(C);
    world.run(2_000);
    expect(world.connections).toEqual([C]);
    expect([session.state, session.epoch]).toEqual(["safe", 2]);
  });

  it("notices a new master within 50 ms, whenever within the first seconds it is elected", () => {
    for (let outageMs = 100; outageMs <= 2_900; outageMs += 140) {
      const world = new World(FIVE, `seed ${outageMs}`);
      const session = world.session();
      world.kill(A);
      world.master = undefined;
      world.run(outageMs);
      const write = world.call(session, body.write);
      world.elect(B);
      const electedAt = world.now;
      while (world.of("setContents").length === 0) world.run(1);
      expect(world.now - electedAt).toBeLessThanOrEqual(50);
      world.reply(world.last("setContents"), written);
      expect(write.result).toEqual(written);
    }
  });

  it("looks elsewhere when the master is known but cannot be reached", () => {
    const world = new World(FIVE);
    const session = world.session();
    world.kill(A);
    // The others do not know yet: they go on naming the dead one.
    world.hint = A;
    world.master = undefined;
    world.run(1_000);
    const attempts = world.connectAttempts.filter((a) => a.address === A && a.at > 1_000);
    expect(attempts.length).toBeLessThan(16);
    world.hint = undefined;
    world.elect(B);
    world.run(60);
    expect(session.epoch).toBe(2);
    expect(world.connections).toEqual([B]);
  });

  it("leaves a master that serves nothing, which no other replica hears of, for one that does", () => {
    const world = new World(FIVE);
    const session = world.session();
    world.elect(B);
    // A is cut off from the others, but not from us: it cannot know that it was deposed.
    world.deposed.add(A);
    const write = world.call(session, body.write);
    world.run(5_000);
    expect(world.connections).toEqual([B]);
    world.reply(world.last("setContents"), written);
    expect(write.result).toEqual(written);
  });

  it("does not ask one that says that it is master, and refuses all as none, again and again", () => {
    const world = new World(FIVE);
    const session = world.session();
    world.confused.add(A);
    world.call(session, body.write);
    world.run(1_000);
    // Once each time that the search for the master takes a step.
    expect(world.of("setContents").length).toBeLessThanOrEqual(60);
    world.confused.delete(A);
    world.run(50);
    expect(session.state).toBe("safe");
  });

  it("goes back at once to one whose connection broke, and ever later if it breaks again and again", () => {
    const world = new World([A]);
    const session = world.session();
    world.run(5_000);
    const attempts = (): number => world.connectAttempts.filter((a) => a.at > 6_000).length;
    world.cut(A);
    world.run(60);
    expect([attempts(), session.state]).toEqual([1, "safe"]);
    for (const end = world.now + 4_000; world.now < end; world.run(1)) world.cut(A);
    expect(attempts()).toBeGreaterThan(6);
    expect(attempts()).toBeLessThan(20);
    world.run(2_000);
    world.cut(A);
    const before = attempts();
    world.run(60);
    expect(attempts()).toBe(before + 1);
  });

  it("goes back at once when one that was away for long breaks off once", () => {
    const world = new World([A, B]);
    const session = world.session();
    world.kill(A);
    world.kill(B);
    world.run(9_000);
    world.up.add(A).add(B);
    world.run(1_100);
    expect(session.epoch).toBe(1);
    world.cut(A);
    world.run(60);
    expect(world.connections).toEqual([A]);
  });

  it("goes back at once to one that was away for a moment, though it was once away for long", () => {
    const world = new World([A]);
    world.session({ gracePeriodMs: 600_000 });
    world.kill(A);
    world.run(60_000);
    world.up.add(A);
    world.run(3_000);
    expect(world.connections).toEqual([A]);
    for (let i = 0; i < 3; i += 1) {
      world.run(5_000);
      world.answerKeepAlive(0);
    }
    world.kill(A);
    world.run(30);
    world.up.add(A);
    world.run(150);
    expect(world.connections).toEqual([A]);
  });

  it("passes over a master whose address cannot be read", () => {
    const world = new World([A, B]);
    world.master = undefined;
    world.hint = "no address";
    const session = world.session();
    world.run(100);
    world.hint = undefined;
    world.elect(B);
    world.run(100);
    expect(session.state).toBe("safe");
  });

  it("passes over a master beyond the addresses that it can keep", () => {
    const world = new World(Array.from({ length: 32 }, (_, i) => `h:${i + 1}`));
    world.master = undefined;
    world.hint = "h:99";
    world.session();
    world.run(1_000);
    expect(world.connectAttempts.some((a) => a.address === "h:99")).toBe(false);
  });

  it("does not go round between replicas that name each other", () => {
    const world = new World(FIVE);
    world.session();
    world.master = undefined;
    world.hints.set(A, B).set(B, C).set(C, A);
    const start = world.arrivals.length;
    world.kill(A);
    world.up.add(A);
    world.run(1_000);
    // Two in each step of the search, and where each of three points once in a step.
    expect(world.arrivals.length - start).toBeLessThanOrEqual(5 * (1_000 / 15) + 5);
    world.hints.clear();
    world.elect(B);
    world.run(50);
    expect(world.connections).toEqual([B]);
  });

  it("stays for a moment with a master whose lease has lapsed, and asks no other", () => {
    const world = new World([A, B]);
    const session = world.session();
    world.deposed.add(A);
    world.master = undefined;
    const connects = world.connectAttempts.length;
    const write = world.call(session, body.write);
    world.run(900);
    expect(world.connectAttempts).toHaveLength(connects);
    world.deposed.delete(A);
    world.master = A;
    world.run(500);
    world.reply(world.last("setContents"), written);
    expect(write.result).toEqual(written);
  });

  it("finds the master though a replica that was deposed is the first to answer", () => {
    const world = new World(FIVE);
    world.deposed.add(A);
    world.master = B;
    for (const address of FIVE) if (address !== A) world.up.delete(address);
    const session = world.session();
    world.run(3_000);
    expect(session.state).toBe("opening");
    for (const address of FIVE) world.up.add(address);
    world.run(5_000);
    expect(session.state).toBe("safe");
  });

  it("paces its questions: often at first, then ever more rarely", () => {
    const world = new World(FIVE);
    world.session({ openWithinMs: 600_000 });
    world.kill(A);
    world.master = undefined;
    const start = world.arrivals.length;
    world.run(3_000);
    const fast = world.arrivals.length - start;
    // Two per step of 15 to 40 ms, and five at first.
    expect(fast).toBeLessThanOrEqual(2 * (3_000 / 15) + 5);
    expect(fast).toBeGreaterThan(2 * (3_000 / 45));
    world.run(20_000);
    const settled = world.arrivals.length;
    world.run(60_000);
    expect(world.arrivals.length - settled).toBeLessThanOrEqual(2 * (60_000 / 500) + 2);
    const dead = world.connectAttempts.filter((a) => a.address === A && a.at > 25_000);
    expect(dead.length).toBeLessThanOrEqual(60_000 / 500);
  });

  it("does not march in step with other clients", () => {
    const times = ["x", "y"].map((seed) => {
      const world = new World(FIVE, seed);
      world.master = undefined;
      world.session({ openWithinMs: 600_000 });
      world.run(2_000);
      return world.arrivals.map((a) => a.at).join();
    });
    expect(times[0]).not.toBe(times[1]);
  });

  it("leaves a replica of another cell alone", () => {
    const world = new World([A], "seed", "elsewhere");
    const session = world.session({ openWithinMs: 2_000 });
    world.run(2_002);
    expect(session.ending?.code).toBe("handshake_failed");
    expect(session.ending?.detail).toContain('serves the cell "local", not "elsewhere"');
    expect(world.connectAttempts).toHaveLength(1);
  });

  it("says that there is no master when a replica of the cell says so, whatever other cells answer", () => {
    const world = new World([A, B]);
    world.master = undefined;
    world.cellNames.set(B, "elsewhere");
    const session = world.session({ openWithinMs: 3_000 });
    world.run(3_002);
    expect(session.ending?.code).toBe("no_quorum");
  });

  it("takes whichever cell answers when none is named, and then no other", () => {
    const world = new World([A], "seed", "");
    expect(world.session().state).toBe("safe");
    expect(world.core.cellName).toBe("local");
    world.cut(A);
    world.cellName = "elsewhere";
    world.run(2_000);
    expect(world.connections).toEqual([]);
    expect(world.core.cellName).toBe("local");
  });

  it("gives up a connection that is neither made nor refused, and tries again", () => {
    const address = "127.0.0.1:1";
    const world = new World([address]);
    world.hanging.add(address);
    const session = world.session({ openWithinMs: 6_000 });
    world.run(6_002);
    expect(world.connectAttempts).toHaveLength(3);
    expect(session.ending?.code).toBe("unreachable");
    expect(session.ending?.detail).toContain("not made in time");
  });

  it("does not go back to a master of a past epoch", () => {
    const world = new World([A, B]);
    const session = world.session();
    world.kill(A);
    world.elect(B);
    world.run(100);
    expect(session.epoch).toBe(2);
    // B dies; A comes back and believes that it is still the master of epoch 1.
    world.kill(B);
    world.up.add(A);
    world.master = A;
    world.epoch = 1;
    world.run(3_000);
    expect(world.arrivals.filter((a) => a.at > 1_200 && a.kind !== "locate")).toEqual([]);
    expect(session.epoch).toBe(2);
  });
});

describe("a cell that has begun anew, with its epochs", () => {
  const begunAnew = (world: World): void => {
    world.cut(A);
    world.epoch = 1;
    world.acknowledged.clear();
  };

  it("is found by the next session when there was none meanwhile", () => {
    const world = new World([A]);
    world.epoch = 5;
    world.close(world.session());
    begunAnew(world);
    const session = world.session();
    expect(session.state).toBe("safe");
    expect(session.epoch).toBe(1);
  });

  it("is found after a while by a client that has never been without a session", () => {
    const world = new World([A]);
    world.epoch = 5;
    const old = world.session();
    begunAnew(world);
    const session = world.session({ openWithinMs: 600_000 });
    world.run(59_000);
    expect(session.state).toBe("opening");
    expect(old.state).toBe("expired");
    world.run(3_000);
    expect(session.state).toBe("safe");
    expect(session.epoch).toBe(1);
  });

  it("is not called out of reach meanwhile: its replicas answer", () => {
    const world = new World([A]);
    world.epoch = 5;
    world.session();
    begunAnew(world);
    const session = world.session({ openWithinMs: 3_000 });
    world.run(3_002);
    expect(session.ending?.code).toBe("no_quorum");
  });

  it("is told from one whose master shows a past epoch once in a while", () => {
    const world = new World([A]);
    world.epoch = 5;
    const session = world.session();
    for (let i = 0; i < 4; i += 1) {
      world.cut(A);
      world.epoch = 4;
      world.run(20_000);
      world.epoch = 5;
      world.run(2_000);
      world.answerKeepAlive(0);
    }
    expect(session.state).toBe("safe");
    expect(world.of("keepAlive").every((a) => a.request.clientEpoch === 5)).toBe(true);
  });

  it("is told from one that showed a past epoch long ago, before a master that showed none", () => {
    const world = new World([A]);
    world.epoch = 6;
    const session = world.session();
    world.cut(A);
    world.epoch = 5;
    world.run(100);
    // For a moment the master has no lease, and shows no epoch.
    world.deposed.add(A);
    world.master = undefined;
    world.epoch = 6;
    world.run(100);
    world.deposed.delete(A);
    world.master = A;
    for (let i = 0; i < 20; i += 1) {
      world.run(6_000);
      world.answerKeepAlive(6_000);
    }
    world.cut(A);
    world.epoch = 5;
    const lostAt = world.now;
    world.run(3_000);
    expect(world.arrivals.filter((a) => a.at > lostAt && a.kind !== "locate")).toEqual([]);
    expect(session.state).toBe("safe");
  });

  it("takes a session that was asked for before it, and not made", () => {
    const world = new World([A]);
    world.epoch = 5;
    world.creates = "later";
    const session = world.session({ openWithinMs: 600_000 });
    begunAnew(world);
    world.creates = "atOnce";
    world.run(62_000);
    expect(session.state).toBe("safe");
    expect(session.epoch).toBe(1);
  });
});

describe("a master that falls silent", () => {
  it("is asked to answer, and left for another one long before the session is lost", () => {
    const world = new World([A, B]);
    const session = world.session();
    // Half-open: the connection stands and nothing comes of it.
    world.mute.add(A);
    world.elect(B);
    world.run(10_700);
    expect(session.state).toBe("safe");
    expect(world.connections).toEqual([B]);
    expect(session.epoch).toBe(2);
    expect(world.events.map((event) => event.split(":")[1])).toEqual(["opened", "failOver"]);
  });

  it("is not followed to where it points when the last session has ended by then", () => {
    for (const answersAs of ["located", "refused"] as const) {
      const world = new World([A, B]);
      const session = world.session();
      world.mute.add(A);
      world.run(7_700);
      const asked = world.last("locate");
      // The answer is the first thing that the process sees.
      world.stall(60_000);
      const connects = world.connectAttempts.length;
      if (answersAs === "refused") world.refuse(asked, "not_master", 0, B);
      else {
        const named = { replicaId: 1, masterId: 2, masterAddress: B, replicas: [] };
        world.reply(asked, { $case: "locate", value: { cellName: "local", ...named } }, 0);
      }
      expect(session.state).toBe("expired");
      world.run(10_000);
      expect(world.connectAttempts).toHaveLength(connects);
      expect(world.connections).toEqual([]);
    }
  });

  it("is left within two seconds when a call waits for it", () => {
    const world = new World([A, B]);
    const session = world.session();
    world.mute.add(A);
    world.call(session, body.write);
    world.elect(B);
    world.run(2_100);
    expect(world.last("setContents").address).toBe(B);
  });

  it("is kept when it answers Locate, however long a call takes", () => {
    const world = new World([A]);
    const session = world.session();
    world.call(session, body.write);
    world.run(6_000);
    expect(world.connectAttempts).toHaveLength(1);
    expect(session.state).toBe("safe");
    // One question per second of silence.
    expect(world.of("locate").length).toBeLessThanOrEqual(1 + 6);
  });
});

describe("a cell whose replicas move while the client runs (CELL-7)", () => {
  it("is followed, however many addresses they had before", () => {
    const world = new World([A, B, "h:3"]);
    const session = world.session();
    // As in a cluster that gives a pod another address whenever it starts anew; B stays where it is.
    for (let n = 10; n < 60; n += 1) {
      const before = world.master ?? "";
      world.up.add(`h:${n}`);
      world.elect(`h:${n}`);
      world.kill(before);
      world.run(5_000);
      world.answerKeepAlive(5_000);
      expect(world.connections).toEqual([`h:${n}`]);
    }
    expect(session.state).toBe("safe");
    // Where nobody answers any more is not tried for ever.
    world.kill(world.master ?? "");
    const lostAt = world.now;
    world.run(600_000);
    const tried = world.connectAttempts.filter((a) => a.at > lostAt).map((a) => a.address);
    expect(new Set(tried).size).toBeLessThanOrEqual(32);
  });

  it("is found under another name by who asked for none, once nobody has a session", () => {
    const world = new World([A], "renamed", "");
    const first = world.session();
    world.close(first);
    world.cellName = "other";
    expect(world.session().state).toBe("safe");
  });
});
