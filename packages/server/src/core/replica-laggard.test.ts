import { expect, it } from "vitest";
import { TestClient } from "./replica-client.test-support.ts";
import { World } from "./replica-world.test-support.ts";

/**
 * All in proportion to production: the master takes a snapshot each 6 s, and keeps half of what comes in
 * meanwhile; the laggard takes 7.2 s to write one (8 operations of 900 ms; its journal is fast).
 */
it("a replica far behind is told of a peer's snapshot once that is durable, though newer ones come", () => {
  const world = new World({
    replicas: 3,
    seed: "lag",
    snapshotEverySlots: 300,
    journal: { snapshotEveryBytes: 1 << 30 },
    engine: {
      retainSlots: 150,
      windowEntriesMax: 20,
      batchEntriesMax: 4,
      learnBytes: 500,
      snapshotPartBytes: 500,
    },
  }).startAll();
  const client = new TestClient(world).connect();
  const { handle } = client.open("file");
  const master = world.master() ?? 0;
  const laggard = world.host(world.ids.find((id) => id !== master) ?? 0);
  const applied = (): number => laggard.cell?.status(world.localNow(laggard)).appliedIndex ?? 0;
  for (const id of world.ids) {
    world.cut(id, laggard.id);
    world.cut(laggard.id, id);
  }
  for (let n = 0; n < 360; n += 1) client.set(handle, `before ${n}`);
  laggard.diskMs = (request) => {
    const isSnapshots = "file" in request && request.file.startsWith("snapshot");
    return isSnapshots || request.kind === "rename" ? 900 : 0.2;
  };
  world.heal();
  const end = world.time.now + 60_000;
  while (world.time.now < end) {
    client.beginSet(handle, `load ${world.time.now}`);
    world.run(20);
  }
  const durable = laggard.disk
    .names()
    .filter((name) => /^snapshot-\d+$/.test(name))
    .map((name) => Number(name.slice(-16)));
  expect(durable.length).toBeGreaterThan(0);
  expect(applied()).toBeGreaterThanOrEqual(Math.max(...durable));
  // And so it says.
  expect(laggard.replica?.facts(world.localNow(laggard)).applied).toBe(applied());
});
