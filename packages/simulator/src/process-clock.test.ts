import { after, Rng } from "@cubby/base";
import { describe, expect, it } from "vitest";
import { QUIET_PLAN } from "./plan.ts";
import { ProcessClock } from "./process-clock.ts";
import { VirtualTime } from "./virtual-time.ts";

function clockOf() {
  const time = new VirtualTime();
  const plan = { ...QUIET_PLAN, driftPerMille: 0 };
  return { time, clock: new ProcessClock(time, new Rng("clock"), plan) };
}

describe("the clock of a process", () => {
  it("goes on through a pause, which is told of once, and runs nothing meanwhile", () => {
    const { time, clock } = clockOf();
    const began = clock.now();
    const turns: number[] = [];
    clock.pause(500);
    clock.nextTurn(() => turns.push(time.now));
    clock.onceRunning(() => turns.push(time.now));
    time.runTo(1_000);
    expect(turns).toEqual([500, 500.04]);
    expect(clock.now() - began).toBe(1_000);
    expect(clock.takePause()).toEqual({ pausedMs: 500, wasSuspended: false });
    expect(clock.takePause()).toEqual({ pausedMs: 0, wasSuspended: false });
  });

  it("lets what waits run once, and at once, when a pause ends before its time", () => {
    const { time, clock } = clockOf();
    const runs: number[] = [];
    clock.pause(90_000);
    clock.onceRunning(() => runs.push(time.now));
    time.runTo(100);
    clock.resume();
    time.runTo(200_000);
    expect(runs).toEqual([100.04]);
  });

  it("stands still in a suspend, and never goes back (T2)", () => {
    const { time, clock } = clockOf();
    time.runTo(100);
    const began = clock.now();
    clock.suspend(700);
    time.runTo(800);
    expect(clock.takePause().wasSuspended).toBe(true);
    expect(clock.now()).toBe(began);
  });

  it("fires its one timer when the clock shows the instant, and not for a later one", () => {
    const { time, clock } = clockOf();
    const woken: number[] = [];
    clock.armWake(after(clock.now(), 50), () => woken.push(time.now));
    clock.armWake(after(clock.now(), 90), () => woken.push(time.now));
    time.runTo(200);
    expect(woken.map(Math.floor)).toEqual([50]);
  });
});
