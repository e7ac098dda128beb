import { instant } from "@cubby/base";
import { describe, expect, test } from "vitest";
import { Watchdog } from "./watchdogs.ts";

function watched() {
  const clock = { monotonicMs: 1_000, uptimeMs: 90_000, wallMs: 5_000_000 };
  const events: unknown[] = [];
  const lags: number[] = [];
  const watchdog = new Watchdog({
    onStall: (stalledMs) => events.push({ stalledMs }),
    onSuspend: (unseenMs, source) => events.push({ unseenMs, source }),
    onLag: (lagMs) => lags.push(lagMs),
    clocks: {
      now: () => instant(clock.monotonicMs),
      uptimeMs: () => clock.uptimeMs,
      wallMs: () => clock.wallMs,
    },
    periodMs: 50,
    stallMs: 200,
    suspendMs: 50,
  });
  const pass = (ms: number): void => {
    clock.monotonicMs += ms;
    clock.uptimeMs += ms;
    clock.wallMs += ms;
  };
  return { clock, events, lags, watchdog, pass };
}

describe("a watchdog", () => {
  test("is silent while time passes as it should, with the jitter of a 10 ms uptime", () => {
    const { clock, events, lags, watchdog, pass } = watched();
    for (let i = 0; i < 1_000; i += 1) {
      pass(50 + (i % 7));
      clock.uptimeMs += i % 2 === 0 ? 9 : -9;
      watchdog.tick();
    }
    expect(events).toEqual([]);
    expect(Math.max(...lags)).toBe(6);
  });

  test("tells of a stall before the first input that follows it, once", () => {
    const { clock, events, lags, watchdog, pass } = watched();
    pass(1_050);
    watchdog.check(instant(clock.monotonicMs));
    expect(events).toEqual([{ stalledMs: 1_000 }]);
    watchdog.check(instant(clock.monotonicMs));
    watchdog.tick();
    expect(events).toHaveLength(1);
    // So late the timer was all the same.
    expect(lags).toEqual([1_000]);
  });

  test("tells of a short stall too, which would be put down to the disk", () => {
    const { clock, events } = watched();
    const watchdog = new Watchdog({
      onStall: (stalledMs) => events.push({ stalledMs }),
      onSuspend: () => undefined,
      clocks: { now: () => instant(clock.monotonicMs), uptimeMs: () => 0, wallMs: () => 0 },
    });
    for (const lateMs of [74, 80]) {
      watchdog.tick();
      clock.monotonicMs += lateMs;
      watchdog.check(instant(clock.monotonicMs));
    }
    expect(events).toEqual([{ stalledMs: 30 }]);
  });

  test("tells of a stall from its own timer when nothing else comes in", () => {
    const { events, lags, watchdog, pass } = watched();
    pass(250);
    watchdog.tick();
    expect(events).toEqual([{ stalledMs: 200 }]);
    expect(lags).toEqual([200]);
  });

  test("tells of a suspend by the uptime that the monotonic clock has not seen", () => {
    const { clock, events, watchdog, pass } = watched();
    pass(50);
    clock.uptimeMs += 3_600_000;
    clock.wallMs += 3_600_000;
    watchdog.tick();
    expect(events).toEqual([{ unseenMs: 3_600_000, source: "uptime" }]);
    pass(50);
    watchdog.tick();
    expect(events).toHaveLength(1);
  });

  test("adds up short suspends, each below the limit", () => {
    const { clock, events, watchdog, pass } = watched();
    for (let i = 0; i < 3; i += 1) {
      pass(50);
      clock.uptimeMs += 20;
      watchdog.tick();
    }
    expect(events).toEqual([{ unseenMs: 60, source: "uptime" }]);
  });

  test("heeds a wall clock that jumps ahead, not one that is slewed or set back", () => {
    const { clock, events, watchdog, pass } = watched();
    for (const jumpMs of [20, 20, 20, -5_000, 40]) {
      pass(50);
      clock.wallMs += jumpMs;
      watchdog.tick();
    }
    expect(events).toEqual([]);
    pass(50);
    clock.wallMs += 51;
    watchdog.tick();
    expect(events).toEqual([{ unseenMs: 51, source: "wall" }]);
  });

  test("does not take a stall for a suspend", () => {
    const { events, watchdog, pass } = watched();
    pass(10_000);
    watchdog.tick();
    expect(events).toEqual([{ stalledMs: 9_950 }]);
  });
});
