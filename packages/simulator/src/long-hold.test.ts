import { expect, it } from "vitest";
import { holdLock } from "./long-hold.ts";

it("holds one lock with one sequencer for some hours, across fail-overs", {
  timeout: 60_000,
}, () => {
  const report = holdLock("3", 0.5);
  expect(report.checks).toBeGreaterThan(20);
  expect(report.faults).toBe(6);
  expect(report.failOvers).toBeGreaterThan(0);
});
