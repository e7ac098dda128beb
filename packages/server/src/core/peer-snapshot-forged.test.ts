import { crc32c } from "@cubby/base";
import { decodeMessage, encodeMessage } from "@cubby/paxos";
import { describe, expect, it } from "vitest";
import { TestClient } from "./replica-client.test-support.ts";
import { World } from "./replica-world.test-support.ts";

describe("a peer's snapshot that this program cannot read", () => {
  it("ends the replica before it is on its disk, which starts again", () => {
    const world = new World({
      replicas: 3,
      seed: "forged",
      snapshotEverySlots: 20,
      engine: { retainSlots: 4 },
    }).startAll();
    const client = new TestClient(world).connect();
    const { handle } = client.open("file");
    const laggard = world.ids.find((id) => id !== world.master()) ?? 0;
    for (const id of world.ids) world.cut(id, laggard);
    for (let n = 0; n < 60; n += 1) client.set(handle, `meanwhile ${n}`);
    const real = world.input.bind(world);
    let forged = 0;
    world.input = (id, input) => {
      if (id === laggard && input.kind === "peerFrame") {
        const message = decodeMessage(input.bytes);
        if (message.kind === "snapshotPart") {
          const bytes = message.bytes.slice();
          // The version of the snapshot's format, as a newer master would have it.
          if (message.offset === 0) bytes[4] = 2;
          forged += 1;
          expect(bytes.length).toBe(message.sizeBytes);
          real(id, {
            ...input,
            bytes: encodeMessage({ ...message, bytes, checksum: crc32c(bytes) }),
          });
          return;
        }
      }
      real(id, input);
    };
    world.heal();
    for (let n = 0; n < 10; n += 1) client.set(handle, `after ${n}`);
    world.run(500);
    world.input = real;
    const host = world.host(laggard);
    expect(forged).toBeGreaterThan(0);
    expect(host.ended?.code).toBe("unsupported");
    if (host.replica !== undefined) world.crash(laggard);
    world.start(laggard);
    world.run(500);
    expect(host.replica).toBeDefined();
  });
});
