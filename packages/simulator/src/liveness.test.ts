import { Rng } from "@cubby/base";
import { describe, expect, it, vi } from "vitest";
import { checkAllCaughtUp } from "./liveness.ts";
import { QUIET_PLAN } from "./plan.ts";
import { fileScript } from "./script.ts";
import { linksOf } from "./topology.ts";
import { World } from "./world.ts";

vi.setConfig({ testTimeout: 60_000 });

/** A cell of three that takes writes, and one of it that does not lead. */
function written() {
  const world = new World("alive", { ...QUIET_PLAN, replicas: 3 }, undefined);
  for (const replica of world.replicas) replica.start();
  world.addClient(new Rng("client"), [[fileScript(world, new Rng("script"))]]);
  world.time.runTo(2_000);
  const follower = world.replicas.find((each) => each !== world.master());
  if (follower === undefined) throw new Error("three replicas");
  return { world, follower };
}

describe("the last look at who keeps up", () => {
  it("finds one that is behind, though the master reaches and hears it (23)", () => {
    const { world, follower } = written();
    const heal = world.network.cutAll(linksOf(follower.id, 3));
    world.time.runTo(3_000);
    const { newest } = world.log;
    checkAllCaughtUp(world, newest);
    heal();
    expect(() => checkAllCaughtUp(world, newest)).toThrow(`replica ${follower.id} has applied`);
    world.time.runTo(6_000);
    checkAllCaughtUp(world, newest);
  });
});
