import { Rng } from "@cubby/base";
import { describe, expect, it } from "vitest";
import { drawTopology, missingLinks, reach } from "./topology.ts";

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
