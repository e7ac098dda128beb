import { utf8Decode } from "@cubby/base";
import type { ConnectionId } from "@cubby/cell";
import { Request } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import { codeOf, TestClient } from "./replica-client.test-support.ts";
import { type Host, World } from "./replica-world.test-support.ts";

const LEASE_MS = 600;
const GRANT_MS = LEASE_MS * 1.1;

function served(replicas: number, seed: string): { world: World; master: Host; file: Uint8Array } {
  const world = new World({ replicas, seed }).startAll();
  const client = new TestClient(world).connect();
  const file = client.open("file").handle;
  client.set(file, "old");
  world.run(500);
  const id = world.master();
  if (id === undefined) throw new Error(world.report());
  return { world, master: world.host(id), file };
}

/**
 * The master stands still for longer than its lease, another one takes a write, and then somebody
 * begins to read at the one that was paused, before that goes on. What it answers first.
 */
function readAfterPause(sabotage: Partial<World["sabotage"]>): string {
  const { world, master } = served(3, "pause");
  Object.assign(world.sabotage, sabotage);
  const reader = new TestClient(world).connect();
  const file = reader.open("file").handle;
  const writer = new TestClient(world).connect();
  const written = writer.open("file").handle;
  world.pause(master.id, 3_000);
  writer.set(written, "new");
  world.run(1_000);
  const { result } = reader.askOnce(master.id, file);
  return result?.$case === "getContentsAndStat"
    ? utf8Decode(result.value.contents)
    : codeOf(result);
}

describe("a master that stood still for longer than its lease", () => {
  it("answers nothing from before, though its input has been waiting", () => {
    expect(["not_master", "no_quorum"]).toContain(readAfterPause({}));
  });

  it("has its answer withdrawn, should the clock have been read before the input", () => {
    expect(readAfterPause({ readsClockBeforeInput: true })).toBe("no_quorum");
  });

  it("would answer what is stale, were it not for both guards", () => {
    const neither = { readsClockBeforeInput: true, ignoresValidUntil: true };
    expect(readAfterPause(neither)).toBe("old");
  });
});

describe("a master whose event loop stood still, for less than its lease", () => {
  it("takes the time off every session's clock (DESIGN §4)", () => {
    const { world, master } = served(1, "stall");
    const before = world.traces("timeMoved").length;
    world.pause(master.id, 400);
    world.run(500);
    expect(world.traces("leaseLapsed")).toEqual([]);
    const [moved] = world.traces("timeMoved").slice(before);
    expect(moved?.event).toEqual({ kind: "timeMoved", byMs: 350 });
  });
});

describe("a machine that was suspended", () => {
  it("answers nothing before its lease has been granted anew", () => {
    const { world, master, file } = served(3, "suspend");
    const reader = new TestClient(world).connect();
    const handle = reader.open("file").handle;
    expect(file).toBeDefined();
    for (const id of world.ids) {
      world.cut(master.id, id);
      world.cut(id, master.id);
    }
    world.run(1);
    world.input(master.id, { kind: "suspended" });
    world.run(1);
    expect(master.cell?.status(world.localNow(master)).isServing).toBe(false);
    expect(codeOf(reader.askOnce(master.id, handle).result)).not.toBe("getContentsAndStat");
  });
});

describe("a master that learns of a suspend in the turn in which a read comes in", () => {
  it("does not answer the read from the lease that it no longer has", () => {
    const { world, master, file } = served(3, "suspend in turn");
    const { replica } = master;
    const client = new TestClient(world).connect();
    const now = world.localNow(master);
    const request = {
      ...Request.create(),
      tag: 7,
      sessionId: client.sessionId,
      lowestUnanswered: 1,
      clientEpoch: client.epoch,
      call: { $case: "getContentsAndStat", value: { handle: client.open("file").handle } } as const,
    };
    expect(file).toBeDefined();
    const answers = (): string[] => {
      const input = { kind: "request", connection: 99 as ConnectionId, request } as const;
      replica?.step(now, input);
      const replies = replica?.take().replies ?? [];
      return replies.filter(({ to }) => to === 99).map(({ reply }) => codeOf(reply.result));
    };
    expect(answers()).toEqual(["getContentsAndStat"]);
    replica?.step(now, { kind: "suspended" });
    expect(answers()).toEqual([]);
  });
});

describe("a replica that starts again during a lease", () => {
  it("promises nobody before the longest grant it ever gave is over", () => {
    let earliestMs = Number.POSITIVE_INFINITY;
    for (let seed = 1; seed <= 5; seed += 1) {
      const { world, master } = served(3, `restart ${seed}`);
      const others = world.ids.filter((id) => id !== master.id);
      // The two restart and would elect one of them at once, while the master has its lease.
      const startedAt = new Map<number, number>();
      for (const id of others) {
        world.crash(id);
        world.cut(id, master.id);
        world.cut(master.id, id);
      }
      for (const id of others) {
        startedAt.set(id, world.time.now);
        world.start(id);
      }
      world.onLeave = (from, _to, message) => {
        if (message.kind !== "promise" && message.kind !== "prepare") return;
        const sinceMs = world.time.now - (startedAt.get(from.id) ?? 0);
        earliestMs = Math.min(earliestMs, sinceMs);
      };
      // `World.master` asserts that never two hold a lease.
      const tookMs = world.runUntil(() => {
        const id = world.master();
        return id !== undefined && id !== master.id;
      }, 5_000);
      expect(tookMs).toBeDefined();
    }
    expect(earliestMs).toBeGreaterThan(GRANT_MS);
    expect(earliestMs).toBeLessThan(GRANT_MS + 300);
  });
});

describe("a master that is told to hand over", () => {
  it("lets another serve long before its lease would have ended", () => {
    const { world, master } = served(5, "hand over");
    world.input(master.id, { kind: "handOver" });
    const tookMs = world.runUntil(() => ![undefined, master.id].includes(world.master()), 5_000);
    expect(tookMs).toBeLessThan(150);
  });
});

describe("a lease round that is lost, where leases are long", () => {
  const engine = { leaseMs: 60_000, leaseRenewMs: 13_500 };

  function cutFor30Ms(reads: "lease" | "quorum") {
    const world = new World({ replicas: 3, seed: "proof", reads, engine }).startAll();
    const client = new TestClient(world).connect();
    const { handle } = client.open("file");
    client.set(handle, "x");
    world.run(1_000);
    const master = world.master() ?? 0;
    for (const id of world.ids) if (id !== master) world.cut(master, id);
    const cutAt = world.time.now;
    world.time.at(cutAt + 30, () => world.heal());
    return { world, client, handle, master, cutAt };
  }

  it("keeps no read waiting until the next renewal", () => {
    const { world, client, handle, master, cutAt } = cutFor30Ms("quorum");
    client.askOnce(master, handle, 60_000);
    expect(world.time.now - cutAt).toBeLessThan(1_000);
  });

  it("is asked for again soon when a suspend has voided the lease", () => {
    const { world, master, cutAt } = cutFor30Ms("lease");
    world.input(master, { kind: "suspended" });
    world.run(50);
    world.runUntil(() => world.master() !== undefined, 120_000);
    expect(world.time.now - cutAt).toBeLessThan(1_000);
  });
});
