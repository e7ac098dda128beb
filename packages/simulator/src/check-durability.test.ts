import { Rng } from "@cubby/base";
import { describe, expect, it } from "vitest";
import { DurabilityChecker } from "./check-durability.ts";
import { QUIET_PLAN } from "./plan.ts";
import { fileScript } from "./script.ts";
import { World } from "./world.ts";

/** A cell of three that has taken some writes, and how far all of it has got. */
function written() {
  const world = new World("durable", { ...QUIET_PLAN, replicas: 3 }, undefined);
  for (const replica of world.replicas) replica.start();
  world.addClient(new Rng("client"), [[fileScript(world, new Rng("script"))]]);
  world.time.runTo(3_000);
  const checker = new DurabilityChecker(world.replicas, world.log);
  const check = (): void => checker.check(world.log.newest, "a test looks");
  return { world, check };
}

describe("the checker of durability (2)", () => {
  it("finds what the disks of a quorum do not hold", () => {
    const { world, check } = written();
    check();
    const [first, second] = world.replicas;
    if (first === undefined || second === undefined) throw new Error("three replicas");
    const before = new World("durable", { ...QUIET_PLAN, replicas: 3 }, undefined).replicas[0];
    // As if their writes had never been made: formatted, and empty.
    if (before !== undefined) first.disk = second.disk = before.disk;
    expect(check).toThrow(/only 1 of 2 disks hold it/);
  });

  it("finds a quorum that could elect a log without what was acknowledged", () => {
    const { world, check } = written();
    check();
    // A short log in a greater ballot, as a crash between cutting a log and filling it up leaves it.
    const short = new World("others", { ...QUIET_PLAN, replicas: 3 }, undefined);
    for (const replica of short.replicas) replica.start();
    for (let ms = 2_000; ms < 20_000; ms += 2_000) {
      short.time.runTo(ms);
      short.master()?.input({ kind: "handOver" });
    }
    const [from] = short.replicas;
    const [to] = world.replicas;
    if (from === undefined || to === undefined) throw new Error("three replicas each");
    expect(short.log.newest).toBeLessThan(world.log.newest);
    to.disk = from.disk;
    expect(check).toThrow(/a quorum could elect a log of \d+ without it/);
  });

  it("takes a directory that was lost later for one that held it", () => {
    const { world, check } = written();
    for (const replica of world.replicas.slice(0, 2)) {
      replica.crash("power loss");
      replica.wipe();
    }
    check();
  });

  it("takes a directory that was lost before for one that did not hold it", () => {
    const { world, check } = written();
    const [lost, behind] = world.replicas.filter((each) => each !== world.master());
    if (lost === undefined || behind === undefined) throw new Error("three replicas");
    lost.crash("power loss");
    lost.wipe();
    check();
    const before = behind.disk.copy();
    world.time.runTo(6_000);
    check();
    behind.disk = before;
    expect(check).toThrow(/only 1 of 2 disks hold it/);
  });

  it("takes a damaged disk for one that holds what it has called durable, and no more", () => {
    const { world, check } = written();
    const [damaged, behind] = world.replicas.filter((each) => each !== world.master());
    if (damaged === undefined || behind === undefined) throw new Error("three replicas");
    for (const name of damaged.disk.names()) {
      if (name.startsWith("segment-")) damaged.disk.content(name).fill(7, 4_096, 8_192);
    }
    damaged.tampered.add("segment");
    check();
    damaged.crash("power loss");
    const before = behind.disk.copy();
    world.time.runTo(6_000);
    check();
    behind.disk = before;
    expect(check).toThrow(/only 1 of 2 disks hold it/);
  });

  it("finds a disk that would recover nothing and was not damaged (24)", () => {
    const { world, check } = written();
    const [replica] = world.replicas;
    if (replica === undefined) throw new Error("three replicas");
    for (const name of replica.disk.names()) {
      if (name.startsWith("segment-")) replica.disk.content(name).fill(7, 4_096, 8_192);
    }
    expect(check).toThrow(/would find damaged after a power loss, on a disk that was not damaged/);
    replica.tampered.add("segment");
    expect(check).not.toThrow();
  });
});
