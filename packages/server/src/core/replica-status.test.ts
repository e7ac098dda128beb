import { describe, expect, it } from "vitest";
import { World } from "./replica-world.test-support.ts";

describe("the status of a replica", () => {
  it("calls a peer connected between two heartbeats, however far apart, until it is given up", () => {
    const engine = {
      roundMs: 2_000,
      electionTimeoutMs: 6_000,
      electionTimeoutMsMax: 6_000,
    };
    const world = new World({ replicas: 3, seed: "slow heartbeats", engine }).startAll();
    world.run(30_000);
    const one = world.host(1);
    const peers = () => one.replica?.facts(world.localNow(one)).peers ?? [];
    for (let i = 0; i < 20; i += 1) {
      world.run(250);
      expect(peers().map(({ connected }) => connected)).toEqual([true, true]);
    }
    expect(Math.max(...peers().map(({ lastHeardMs }) => lastHeardMs))).toBeLessThan(6_000);
    world.crash(3);
    world.run(9_000);
    expect(peers().map(({ connected }) => connected)).toEqual([true, false]);
  });
});
