import { instant, NEVER, utf8Decode } from "@cubby/base";
import { describe, expect, it } from "vitest";
import { ReadConfirmation } from "./read-confirmation.ts";
import { codeOf, TestClient } from "./replica-client.test-support.ts";
import { World } from "./replica-world.test-support.ts";

function served(seed: string): {
  world: World;
  master: number;
  file: Uint8Array;
  client: TestClient;
} {
  const world = new World({ replicas: 3, seed, reads: "quorum" }).startAll();
  const client = new TestClient(world).connect();
  const file = client.open("file").handle;
  client.set(file, "old");
  world.run(500);
  const master = world.master();
  if (master === undefined) throw new Error(world.report());
  return { world, master, file, client };
}

function confirming() {
  const asked: number[] = [];
  const confirmation = new ReadConfirmation((token) => asked.push(token));
  const read = (tag: number) => ({
    to: 1,
    reply: { tag, clientEpoch: 1, result: undefined },
    validUntil: instant(1_000),
  });
  return { asked, confirmation, read };
}

describe('reads: "quorum"', () => {
  it("answers what was written", () => {
    const { client, file } = served("answers");
    client.set(file, "new");
    expect(utf8Decode(client.get(file).contents)).toBe("new");
  });

  it("says nothing stale after a pause, though no clock and no lease is heeded", () => {
    const { world, master } = served("pause");
    Object.assign(world.sabotage, { readsClockBeforeInput: true, ignoresValidUntil: true });
    const reader = new TestClient(world).connect();
    const file = reader.open("file").handle;
    const writer = new TestClient(world).connect();
    const written = writer.open("file").handle;
    world.pause(master, 3_000);
    writer.set(written, "new");
    world.run(1_000);
    const { result } = reader.askOnce(master, file);
    // With reads: "lease" and both guards out this very schedule answers "old" (replica-lease.test).
    expect(["not_master", "no_quorum"]).toContain(codeOf(result));
  });

  it("answers no read while no quorum is in reach", () => {
    const { world, master, file } = served("alone");
    const reader = new TestClient(world).connect();
    const handle = reader.open("file").handle;
    expect(file).toBeDefined();
    for (const id of world.ids) {
      if (id === master) continue;
      world.cut(master, id);
      world.cut(id, master);
    }
    const { result } = reader.askOnce(master, handle);
    expect(result?.$case).not.toBe("getContentsAndStat");
  });

  it("has what comes during a round wait for the next one", () => {
    const { asked, confirmation, read } = confirming();
    const taken = () => confirmation.take().map(({ reply }) => reply.tag);
    confirmation.onMaster();
    confirmation.hold(read(1));
    expect(confirmation.pump()).toBe(true);
    confirmation.hold(read(2));
    expect(confirmation.pump()).toBe(false);
    confirmation.onConfirmed(1);
    expect(taken()).toEqual([1]);
    expect(confirmation.pump()).toBe(true);
    confirmation.onConfirmed(2);
    expect(taken()).toEqual([2]);
    expect(asked).toEqual([1, 2]);
  });

  it("refuses at once what was read in the turn in which mastership is lost", () => {
    const { asked, confirmation, read } = confirming();
    confirmation.onMaster();
    confirmation.hold(read(1));
    expect(confirmation.pump()).toBe(true);
    confirmation.hold(read(2));
    confirmation.onDeposed();
    // The engine is deposed first, and only then is the cell asked for its replies.
    confirmation.hold(read(3));
    expect(confirmation.take().map(({ reply }) => [reply.tag, codeOf(reply.result)])).toEqual(
      [1, 2, 3].map((tag) => [tag, "not_master"]),
    );
    expect(confirmation.pump()).toBe(false);
    // Master again: the next read asks for a proof of its own.
    confirmation.onMaster();
    confirmation.hold(read(4));
    expect(confirmation.pump()).toBe(true);
    confirmation.onConfirmed(1);
    expect(confirmation.take()).toEqual([]);
    confirmation.onConfirmed(2);
    expect(confirmation.take()).toEqual([{ ...read(4), validUntil: NEVER }]);
    expect(asked).toEqual([1, 2]);
  });
});
