import { utf8Decode } from "@cubby/base";
import { KeepAlive, type Reply, Request } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import { codeOf, TestClient } from "./replica-client.test-support.ts";
import { World } from "./replica-world.test-support.ts";

describe("a request that is repeated at a new master", () => {
  it.each([0, 0.15, 0.3, 0.5, 0.7, 0.9, 1.2, 1.6, 2, 3])(
    "takes effect once, though the master dies %d ms after it was sent",
    (dieAfterMs) => {
      const world = new World({ replicas: 3, seed: `once ${dieAfterMs}` }).startAll();
      const client = new TestClient(world).connect();
      const { handle } = client.open("file");
      const { contentGeneration } = client.set(handle, "first");
      world.run(300);
      const master = world.master() ?? 0;
      // Twice carried out, the second one would fail, for it asks for the generation before it.
      const write = client.beginSet(handle, "second", contentGeneration);
      world.run(dieAfterMs);
      world.crash(master);
      world.runUntil(() => write.result !== undefined, 10_000);
      expect(codeOf(write.result)).toBe("setContents");
      const read = client.get(handle);
      expect(utf8Decode(read.contents)).toBe("second");
      expect(read.stat?.contentGeneration).toBe(contentGeneration + 1);
    },
  );

  it("gets the first result again, from a replica that came to it by a snapshot", () => {
    const world = new World({ replicas: 3, seed: "again", snapshotEverySlots: 5 }).startAll();
    const client = new TestClient(world).connect();
    const { handle } = client.open("file");
    const value = { handle, contents: new Uint8Array(1), hasIfGeneration: false, ifGeneration: 0 };
    const write = client.begin({ $case: "setContents", value });
    world.runUntil(() => write.result !== undefined, 1_000);
    const other = new TestClient(world).connect();
    const file = other.open("file").handle;
    for (let n = 0; n < 20; n += 1) other.set(file, `${n}`);
    world.run(200);
    const master = world.master() ?? 0;
    for (const id of world.ids) world.crash(id);
    for (const id of world.ids) if (id !== master) world.start(id);
    // A client that never heard of the answer would send the very same once more.
    const again = client.repeat(write);
    world.runUntil(() => again.result !== undefined, 10_000);
    expect(again.result).toEqual(write.result);
    expect(utf8Decode(other.get(file).contents)).toBe("19");
  });
});

describe("a session", () => {
  it("lasts no longer than its lease from when the connection of its KeepAlive broke", () => {
    const world = new World({ replicas: 3, seed: "disconnected" }).startAll();
    new TestClient(world).connect();
    const master = world.master() ?? 0;
    let epoch = 0;
    let sessionId = 0;
    const client = {
      onReply: (_: number, { clientEpoch, result }: Reply) => {
        if (result?.$case !== "createSession") return;
        [epoch, { sessionId }] = [clientEpoch, result.value];
      },
      onClosed: () => undefined,
    };
    const leaseMs = 6_000;
    const terms = { leaseMs, caches: false, clientName: "" };
    const create: Request["call"] = { $case: "createSession", value: terms };
    world.request(client, master, { ...Request.create(), tag: 1, call: create });
    world.runUntil(() => sessionId > 0, 1_000);
    const value = KeepAlive.create({ acknowledgedEpoch: epoch });
    const keepAlive: Request["call"] = { $case: "keepAlive", value };
    const from = { sessionId, clientEpoch: epoch };
    world.request(client, master, { ...Request.create(), ...from, tag: 2, call: keepAlive });
    world.run(100);
    world.disconnect(client, master);
    const isOver = () => world.traces("expiryDecided").length > 0;
    expect(world.runUntil(isOver, 2 * leaseMs)).toBeLessThan(1.1 * leaseMs);
  });
});

describe("requests to a replica", () => {
  it("that is not master are sent on to the one that is", () => {
    const world = new World({ replicas: 3, seed: "redirect" }).startAll();
    const client = new TestClient(world).connect();
    const { handle } = client.open("file");
    world.run(500);
    const master = world.master() ?? 0;
    for (const id of world.ids) {
      if (id === master) continue;
      const { result } = client.askOnce(id, handle);
      expect(result).toMatchObject({
        $case: "error",
        value: { masterId: master, masterAddress: `127.0.0.1:${7000 + master}` },
      });
      expect(codeOf(result)).toBe("not_master");
    }
  });

  it("are answered with no_quorum, not-applied, when the master stays alone", () => {
    const world = new World({ replicas: 3, seed: "alone" }).startAll();
    const client = new TestClient(world).connect();
    const { handle } = client.open("file");
    world.run(500);
    const master = world.master() ?? 0;
    for (const id of world.ids) if (id !== master) world.crash(id);
    world.run(700);
    const { result } = client.askOnce(master, handle, 10_000);
    expect(["no_quorum", "not_master"]).toContain(codeOf(result));
  });

  it("about its status are answered by every replica, from what it knows itself", () => {
    const world = new World({ replicas: 3, seed: "status" }).startAll();
    new TestClient(world).connect().open("file");
    world.run(500);
    const master = world.master() ?? 0;
    for (const host of world.hosts) {
      let status: unknown;
      const end = {
        onReply: (_: number, reply: { result: unknown }) => {
          status = reply.result;
        },
        onClosed: () => undefined,
      };
      const call = { $case: "getStatus", value: {} } as const;
      world.request(end, host.id, { ...Request.create(), tag: 7, call });
      world.run(2);
      expect(status).toMatchObject({
        $case: "getStatus",
        value: {
          replicaId: host.id,
          incarnation: host.identity.incarnation,
          role: host.id === master ? "master" : "replica",
          masterId: master,
          disk: "ok",
          sessions: 1,
        },
      });
    }
  });
});
