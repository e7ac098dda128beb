import { describe, expect, it } from "vitest";
import { SuspendDetector } from "./clock.ts";

describe("the suspend detector", () => {
  it("notices that uptime ran ahead of the clock, once per sleep", () => {
    let uptimeMs = 1_000_000;
    let clockMs = 5_000;
    const detector = new SuspendDetector(
      () => uptimeMs,
      () => clockMs,
    );
    uptimeMs += 60_000;
    clockMs += 60_000;
    expect(detector.hasSlept()).toBe(false);
    uptimeMs += 3_000;
    clockMs += 10;
    expect(detector.hasSlept()).toBe(true);
    expect(detector.hasSlept()).toBe(false);
  });

  it("is not deceived by a process that stands still between two of its readings", () => {
    let clockMs = 5_000;
    let pauseMs = 0;
    const detector = new SuspendDetector(
      () => {
        const uptimeMs = 1_000_000.5 + clockMs;
        clockMs += pauseMs;
        return uptimeMs;
      },
      () => clockMs,
    );
    for (pauseMs of [0, 80, 0, 80, 80, 0]) {
      clockMs += 1_000;
      expect(detector.hasSlept()).toBe(false);
    }
  });

  it("is not deceived by uptime's coarse steps", () => {
    let uptimeMs = 1_000_000;
    let clockMs = 5_000;
    const detector = new SuspendDetector(
      () => Math.floor(uptimeMs / 10) * 10,
      () => clockMs,
    );
    for (let i = 0; i < 1_000; i += 1) {
      uptimeMs += 7.3;
      clockMs += 7.3;
      expect(detector.hasSlept()).toBe(false);
    }
  });

  it("is not deceived where uptime is counted in whole seconds, as on macOS", () => {
    let uptimeMs = 1_000_300;
    let clockMs = 5_000;
    const detector = new SuspendDetector(
      () => Math.floor(uptimeMs / 1_000) * 1_000,
      () => clockMs,
    );
    for (let i = 0; i < 1_000; i += 1) {
      uptimeMs += 137.5;
      clockMs += 137.5;
      expect(detector.hasSlept()).toBe(false);
    }
    uptimeMs += 3_000;
    expect(detector.hasSlept()).toBe(true);
    expect(detector.hasSlept()).toBe(false);
  });

  it("is not deceived while no file can be opened, and uptime falls back to whole seconds", () => {
    let uptimeMs = 1_000_300;
    let clockMs = 5_000;
    let stepMs = 10;
    const detector = new SuspendDetector(
      () => Math.floor(uptimeMs / stepMs) * stepMs,
      () => clockMs,
    );
    const goOn = () => {
      for (let i = 0; i < 100; i += 1) {
        uptimeMs += 107.3;
        clockMs += 107.3;
        expect(detector.hasSlept()).toBe(false);
      }
    };
    goOn();
    stepMs = 1_000;
    goOn();
    stepMs = 10;
    goOn();
    stepMs = 1_000;
    uptimeMs += 3_000;
    expect(detector.hasSlept()).toBe(true);
    // Once: what the rounding hid of that sleep is no other one.
    goOn();
    stepMs = 10;
    goOn();
  });

  it("adds up many small sleeps", () => {
    let uptimeMs = 0;
    let clockMs = 0;
    const detector = new SuspendDetector(
      () => uptimeMs,
      () => clockMs,
    );
    const noticed: boolean[] = [];
    for (let i = 0; i < 6; i += 1) {
      uptimeMs += 110;
      clockMs += 100;
      noticed.push(detector.hasSlept());
    }
    expect(noticed).toEqual([false, false, false, false, false, true]);
  });
});
