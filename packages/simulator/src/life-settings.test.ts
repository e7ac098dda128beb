import { Rng } from "@cubby/base";
import { describe, expect, it } from "vitest";
import { settingsOf } from "./life-settings.ts";
import { QUIET_PLAN } from "./plan.ts";
import { World } from "./world.ts";

const OWN = { ...QUIET_PLAN, hasOwnSettings: true };

function drawn(plan = OWN) {
  return Array.from({ length: 200 }, (_, i) => settingsOf(plan, new Rng(`${i}`)));
}

describe("the settings of a life", () => {
  it("are the same for all, or differ in what an operator may change", () => {
    const distinct = (of: (settings: ReturnType<typeof settingsOf>) => unknown, plan = OWN) =>
      new Set(drawn(plan).map((each) => JSON.stringify(of(each)))).size;
    expect(distinct((each) => each, QUIET_PLAN)).toBe(1);
    expect(distinct(({ timers }) => timers.leaseMs ?? 600)).toBe(4);
    expect(distinct(({ timers }) => timers.electionTimeoutMs ?? 300)).toBe(2);
    expect(distinct(({ reads }) => reads)).toBe(2);
    expect(distinct(({ segmentBytes }) => segmentBytes)).toBe(3);
    expect(distinct(({ snapshotEverySlots }) => snapshotEverySlots)).toBe(3);
    expect(distinct(({ quotas }) => quotas)).toBe(4);
  });

  it("are drawn anew for each, and a cell of such replicas is led", () => {
    const world = new World("own settings", OWN, undefined);
    for (const replica of world.replicas) replica.start();
    world.time.runTo(15_000);
    expect(world.master()).toBeDefined();
    const [first] = world.replicas;
    if (first === undefined) throw new Error("a replica");
    const seen = new Set<unknown>();
    for (let i = 0; i < 20; i += 1) {
      first.crash("killed");
      first.start();
      seen.add(JSON.stringify(first.settings));
    }
    expect(seen.size).toBeGreaterThan(5);
  });
});
