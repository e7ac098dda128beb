import { describe, expect, it } from "vitest";
import { TestClient } from "./replica-client.test-support.ts";
import { World } from "./replica-world.test-support.ts";

describe("a replica far behind, with a disk slower than the network", () => {
  it("catches up, and does not end of what it has not written yet", () => {
    const small = { windowBytesMax: 64 << 10, batchBytesMax: 32 << 10 };
    const engine = { learnBytes: 16 << 10, snapshotPartBytes: 16 << 10, ...small };
    const journal = { backlogBytesMax: 256 << 10, snapshotEveryBytes: 64 << 20 };
    const world = new World({ replicas: 3, seed: "backlog", engine, journal }).startAll();
    const client = new TestClient(world).connect();
    const { handle } = client.open("file");
    const laggard = world.host(world.ids.find((id) => id !== world.master()) ?? 0);
    world.crash(laggard.id);
    for (let n = 0; n < 100; n += 1) client.set(handle, `${n}`.padEnd(8 << 10, "."));
    // Under another leader it is synchronised anew, by parts of the log.
    world.input(world.master() ?? 0, { kind: "handOver" });
    world.run(1_000);
    world.start(laggard.id);
    laggard.diskMs = 50;
    world.run(8_000);
    laggard.diskMs = undefined;
    world.run(1_000);
    const hashes = world.hosts.map((host) => host.cell?.stateHash());
    expect(new Set(hashes).size).toBe(1);
  });
});
