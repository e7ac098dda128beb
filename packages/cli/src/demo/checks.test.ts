import { describe, expect, it } from "vitest";
import { type Check, Checks, checkAsJson, checkAsText } from "./checks.ts";

describe("the checks of a run", () => {
  it("have held only if there were any and none is broken", () => {
    const said: Check[] = [];
    const checks = new Checks((check) => said.push(check));
    expect(checks.allHeld).toBe(false);
    checks.add("first", true, 1, "1");
    expect(checks.allHeld).toBe(true);
    checks.add("second", false, 2, "1");
    expect(checks.allHeld).toBe(false);
    expect(checks.broken.map(({ check }) => check)).toEqual(["second"]);
    expect(said.map(({ check }) => check)).toEqual(["first", "second"]);
  });

  it("are one line of JSON each, the evidence beside value and bound", () => {
    const checks = new Checks(() => undefined);
    checks.add("lock-delay", true, 2_001.23456, ">= 2000 ms", { processIds: { web1: 41 } });
    expect(checks.made.map(checkAsJson)).toEqual([
      '{"check":"lock-delay","ok":true,"value":2001.235,"bound":">= 2000 ms","processIds":{"web1":41}}',
    ]);
    expect(checks.made.map(checkAsText)).toEqual([
      "ok      lock-delay: 2001.235  [bound: >= 2000 ms]",
    ]);
  });
});
