import { describe, expect, it } from "vitest";
import { TestClient } from "./replica-client.test-support.ts";
import { World } from "./replica-world.test-support.ts";

describe("snapshots of a replica", () => {
  it("goes on when a peer's snapshot arrives while one of its own is being written", () => {
    const engine = { retainSlots: 4 };
    const world = new World({
      replicas: 3,
      seed: "two",
      snapshotEverySlots: 20,
      engine,
    }).startAll();
    const client = new TestClient(world).connect();
    const { handle } = client.open("file");
    const master = world.master();
    const laggard = world.host(world.ids.find((id) => id !== master) ?? 0);
    const snapshotOf = () => laggard.replica?.facts(world.localNow(laggard)).snapshotSlot ?? 0;
    // The write of its own snapshot begins, and takes long.
    const isWriting = () => laggard.disk.names().some((name) => name.endsWith(".partial"));
    for (let n = 0; !isWriting(); n += 1) client.set(handle, `before ${n}`);
    expect(snapshotOf()).toBe(0);
    laggard.diskMs = 120;
    for (const id of world.ids) world.cut(id, laggard.id);
    for (let n = 0; n < 60; n += 1) client.set(handle, `meanwhile ${n}`);
    world.heal();
    client.set(handle, "after");
    world.run(3_000);
    laggard.diskMs = undefined;
    world.run(1_000);
    expect(laggard.trace.some(({ event }) => event.kind === "snapshotInstalled")).toBe(true);
    const hashes = world.hosts.map((host) => host.cell?.stateHash());
    expect(new Set(hashes).size).toBe(1);
    world.crash(laggard.id);
    world.start(laggard.id);
    world.run(1_000);
    expect(laggard.cell?.stateHash()).toBe(hashes[0]);
  });
});
