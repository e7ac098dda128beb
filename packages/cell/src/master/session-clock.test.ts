import { instant } from "@cubby/base";
import { describe, expect, it } from "vitest";
import { SessionClock } from "./session-clock.ts";

describe("SessionClock", () => {
  it("runs with the clock while the lease is live", () => {
    const clock = new SessionClock(instant(100), instant(700));
    expect(clock.read(instant(500)) - clock.read(instant(100))).toBe(400);
    clock.onLease(instant(600), instant(1_200));
    expect(clock.read(instant(1_100)) - clock.read(instant(100))).toBe(1_000);
  });

  it("stands still from the end of the lease until it is renewed", () => {
    const clock = new SessionClock(instant(0), instant(600));
    expect([clock.read(instant(600)), clock.read(instant(5_000))]).toEqual([600, 600]);
    expect(clock.onLease(instant(5_000), instant(5_600))).toBe(4_400);
    expect(clock.read(instant(5_000))).toBe(600);
    expect(clock.read(instant(5_100))).toBe(700);
    expect(clock.instantOf(700)).toBe(5_100);
  });

  it("takes a stall out, and no part of it twice when the lease lapsed as well", () => {
    const clock = new SessionClock(instant(0), instant(600));
    expect(clock.onStall(instant(5_000), 4_900)).toBe(4_900);
    expect(clock.onLease(instant(5_010), instant(5_600))).toBe(10);
    expect(clock.read(instant(5_010))).toBe(100);
    expect(clock.onStall(instant(5_020), 4_000)).toBe(10);
  });

  // Guard: a stall told in a lapse takes the lapse out as far as it has come (SessionClock.onStall).
  it("takes out a lapse with all the stalls that there were in it", () => {
    const clock = new SessionClock(instant(0), instant(100));
    expect(clock.onStall(instant(20_100), 60)).toBe(20_000);
    expect(clock.read(instant(20_100))).toBe(100);
    expect(clock.onStall(instant(20_300), 150)).toBe(200);
    expect(clock.read(instant(20_350))).toBe(100);
    expect(clock.onLease(instant(20_400), instant(20_800))).toBe(100);
    expect(clock.read(instant(20_450))).toBe(150);
  });

  it("takes out a stall that began before the lapse, and the lapse, once", () => {
    const clock = new SessionClock(instant(0), instant(100));
    expect(clock.onStall(instant(150), 80)).toBe(80);
    expect([clock.read(instant(150)), clock.read(instant(160))]).toEqual([70, 70]);
    expect(clock.onLease(instant(160), instant(800))).toBe(10);
    expect(clock.read(instant(170))).toBe(80);
  });

  it("takes out of a stall only what came after it was made, lease or no lease", () => {
    const clock = new SessionClock(instant(1_000), instant(1_000));
    expect(clock.onStall(instant(1_010), 500)).toBe(10);
    expect(clock.onLease(instant(1_020), instant(1_600))).toBe(10);
    expect(clock.read(instant(1_030))).toBe(1_010);
  });

  it("never goes backwards", () => {
    const clock = new SessionClock(instant(0), instant(600));
    let before = clock.read(instant(0));
    for (let now = 0; now < 10_000; now += 37) {
      if (now % 5 === 0) clock.onLease(instant(now), instant(now + 300));
      if (now % 7 === 0) clock.onStall(instant(now), 30);
      const read = clock.read(instant(now));
      expect(read).toBeGreaterThanOrEqual(before - 30);
      before = Math.max(before, read);
    }
  });
});
