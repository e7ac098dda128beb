import { Rng } from "@cubby/base";
import { describe, expect, it } from "vitest";
import { drawTopology, hubOf, missingLinks, reach } from "./topology.ts";

describe("partial connectivity (N4)", () => {
  it("leaves some replica that reaches a quorum, of three and of five", () => {
    for (const replicas of [3, 5]) {
      for (let i = 0; i < 60; i += 1) {
        const links = drawTopology(new Rng(`${i}`), replicas) ?? [];
        const reaches = Array.from({ length: replicas }, (_, id) => reach(links, id + 1) + 1);
        expect(Math.max(...reaches)).toBeGreaterThan(replicas / 2);
        expect(links.length).toBeLessThan((replicas * (replicas - 1)) / 2);
      }
    }
  });

  it("puts the leader half of the time where it reaches the fewest, and tells who reaches the most", () => {
    const drawn = Array.from({ length: 60 }, (_, i) => drawTopology(new Rng(`${i}`), 5, 3) ?? []);
    expect(drawn.filter((links) => reach(links, 3) <= 1).length).toBeGreaterThan(25);
    for (const links of drawn) {
      const hub = hubOf(links, 5);
      for (let id = 1; id <= 5; id += 1)
        expect(reach(links, id)).toBeLessThanOrEqual(reach(links, hub));
    }
  });

  it("cuts both directions of every pair that is not named, and no other", () => {
    const missing = missingLinks(3, [
      [1, 2],
      [3, 2],
    ]);
    expect(missing).toEqual([
      [1, 3],
      [3, 1],
    ]);
  });
});
