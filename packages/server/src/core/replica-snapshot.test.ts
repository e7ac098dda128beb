import { instant } from "@cubby/base";
import { Cell, type CellOptions, type ReplicatedLog } from "@cubby/cell";
import { replicaId } from "@cubby/paxos";
import { Request } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import { SMALL } from "./journal.test-support.ts";
import { recover } from "./journal-recovery.ts";
import { TestClient } from "./replica-client.test-support.ts";
import { recoveredLog, startReplica } from "./replica-start.ts";
import { type ClientEnd, World } from "./replica-world.test-support.ts";
import { drive, KILLED } from "./simulated-disk.ts";
import { snapshotFile } from "./snapshot-file.ts";

const CELL: CellOptions = {
  cellName: "local",
  replicaId: 1,
  replicas: [],
  keyMaterial: new Uint8Array(16),
};

/** A master that nobody hears accepts these by itself; they are never asked of another one. */
function proposeInVain(
  world: World,
  replica: number,
  client: TestClient,
  handle: Uint8Array,
  count: number,
): void {
  const end: ClientEnd = { onReply: () => undefined, onClosed: () => undefined };
  const { sessionId, epoch: clientEpoch } = client;
  const value = { handle, contents: new Uint8Array(9), hasIfGeneration: false, ifGeneration: 0 };
  const call = { $case: "setContents", value } as const;
  for (let n = 0; n < count; n += 1) {
    const numbers = { tag: n + 1, requestNumber: 1_000 + n, lowestUnanswered: 1_000 };
    world.request(end, replica, { ...Request.create(), ...numbers, sessionId, clientEpoch, call });
  }
}

/** A cell of which one replica is cut off, behind a snapshot at slot 40 of some megabytes. */
function farBehind(replicas: number, seed: string) {
  const world = new World({
    replicas,
    seed,
    snapshotEverySlots: 20,
    engine: { retainSlots: 1 },
    journal: { snapshotEveryBytes: 64 << 20, backlogBytesMax: 64 << 20 },
  }).startAll();
  const client = new TestClient(world).connect();
  const handles = Array.from({ length: 20 }, (_, n) => client.open(`file${n}`).handle);
  const master = world.master() ?? 0;
  const [laggard, ...others] = world.hosts.filter(({ id }) => id !== master);
  if (laggard === undefined) throw new Error("there are several");
  for (const id of world.ids) {
    world.cut(id, laggard.id);
    world.cut(laggard.id, id);
  }
  for (const handle of handles) client.set(handle, "x".repeat(200 << 10));
  world.run(1_000);
  const hasTraced = (kind: string) => laggard.trace.some(({ event }) => event.kind === kind);
  return { world, master, laggard, others, hasTraced };
}

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

  it("are no silence while a peer's is being written: its master may have nobody else", () => {
    const { world, laggard, others, hasTraced } = farBehind(3, "installing");
    for (const { id } of others) world.crash(id);
    world.heal();
    laggard.diskMs = 80;
    expect(world.runUntil(() => hasTraced("snapshotInstalled"), 20_000)).toBeDefined();
    const installedAt = world.time.now;
    const isWritten = () => laggard.disk.names().includes(snapshotFile(40));
    expect(world.runUntil(isWritten, 20_000)).toBeGreaterThan(1_000);
    const silent = world.traces("diskStalled").filter(({ at }) => at > installedAt);
    expect(silent).toEqual([]);
  });

  it("of its peers keeps no new leader in place: others have the log already", () => {
    const { world, master, laggard, others, hasTraced } = farBehind(5, "adopting");
    world.crash(master);
    // Nobody else reaches a quorum.
    world.onlyLinks(others.map(({ id }) => [id, laggard.id] as const));
    expect(world.runUntil(() => hasTraced("snapshotStarted"), 20_000)).toBeDefined();
    laggard.diskMs = 250;
    expect(world.runUntil(() => hasTraced("snapshotInstalled"), 20_000)).toBeDefined();
    world.heal();
    expect(world.runUntil(() => world.master() !== undefined, 20_000)).toBeLessThan(2_500);
    expect(laggard.disk.names()).not.toContain(snapshotFile(40));
  });

  it.each(["damaged", "gone"])(
    "goes on from an older one if the newest is %s, and from the next one after that",
    (how) => {
      const journal = { snapshotEveryBytes: 1 << 20 };
      const options = { replicas: 3, seed: "older", snapshotEverySlots: 20, journal };
      const world = new World(options).startAll();
      const client = new TestClient(world).connect();
      const { handle } = client.open("file");
      const master = world.master() ?? 0;
      const other = world.host(world.ids.find((id) => id !== master) ?? 0);
      const applied = () => other.cell?.status(world.localNow(other)).appliedIndex ?? 0;
      while (applied() < 40) client.set(handle, "before");
      world.run(100);
      const snapshot = "snapshot-0000000000000040";
      world.crash(other.id, KILLED);
      const bytes = other.disk.content(snapshot);
      bytes[100] = (bytes[100] ?? 0) ^ 1;
      if (how === "gone") other.disk.replace(snapshot, undefined);
      world.start(other.id);
      world.crash(master, KILLED);
      const isWriting = () => other.disk.names().some((name) => name.endsWith(".partial"));
      expect(world.runUntil(isWriting, 5_000)).toBeDefined();
      expect(world.runUntil(() => !isWriting(), 5_000)).toBeDefined();
      world.crash(other.id, KILLED);
      world.start(other.id);
      expect(other.recovery).toBe("recovered");
      world.start(master);
      world.run(3_000);
      expect(new Set(world.hosts.map((host) => host.cell?.stateHash())).size).toBe(1);
    },
  );

  for (const accepted of ["nothing", "what was never chosen"]) {
    it(`refuses, and names the snapshot, if it is damaged and the records say ${accepted} of its slots`, () => {
      const engine = { retainSlots: 4 };
      const journal = { snapshotEveryBytes: 256 << 10 };
      const options = { replicas: 3, seed: "torn away", snapshotEverySlots: 40, engine, journal };
      const world = new World(options).startAll();
      const client = new TestClient(world).connect();
      const { handle } = client.open("file");
      client.set(handle, "before");
      const another = new TestClient(world).connect();
      const { handle: own } = another.open("file");
      const master = world.master();
      const isMaster = accepted !== "nothing";
      const laggard = world.host(world.ids.find((id) => (id === master) === isMaster) ?? 0);
      for (const id of world.ids) {
        world.cut(id, laggard.id);
        world.cut(laggard.id, id);
      }
      if (isMaster) proposeInVain(world, laggard.id, another, own, 100);
      for (let n = 0; n < 60; n += 1) client.set(handle, `meanwhile ${n}`);
      const snapshots = () => laggard.disk.names().filter((name) => name.startsWith("snapshot-"));
      expect(snapshots()).toEqual([]);
      world.heal();
      // The file is there for good, and the record that names it is not.
      const isFileDurable = () =>
        snapshots().some((name) => !name.endsWith(".partial")) &&
        laggard.disk.waiting.some(
          (request) => request.kind === "write" && request.file.startsWith("segment-"),
        );
      expect(world.runUntil(isFileDurable, 5_000)).toBeDefined();
      world.crash(laggard.id, { outcomes: ["old"] });
      const [snapshot = ""] = snapshots();
      const begun = world.start(laggard.id);
      if (begun.kind !== "recovered") throw new Error(begun.kind);
      const { reachesSnapshot, entries } = recoveredLog(begun);
      expect([reachesSnapshot, entries.length > 0]).toEqual([false, isMaster]);
      client.set(handle, "after");
      world.run(1_000);
      expect(new Set(world.hosts.map((host) => host.cell?.stateHash())).size).toBe(1);
      world.crash(laggard.id, KILLED);
      expect(snapshots()).toEqual([snapshot]);
      const bytes = laggard.disk.content(snapshot);
      bytes[100] = (bytes[100] ?? 0) ^ 1;
      const result = world.start(laggard.id);
      const named =
        result.kind === "damaged" ? result.damages.map(({ file }) => file) : result.kind;
      expect(named).toEqual([expect.stringMatching(/^segment-/), snapshot]);
    });
  }

  it("starts from one that was taken before anything was accepted, of slots learned from others", () => {
    const world = new World({ replicas: 1, seed: "learned", snapshotEverySlots: 5 }).startAll();
    const client = new TestClient(world).connect();
    const { handle } = client.open("file");
    for (let n = 0; n < 20; n += 1) client.set(handle, `${n}`);
    const host = world.host(1);
    world.crash(1, { outcomes: ["new"] });
    const result = drive(host.disk, recover({ expected: {} }));
    if (result.kind !== "recovered" || result.snapshot === undefined) throw new Error(result.kind);
    const ballot = { round: 0, priority: 0, replica: 0 };
    const recovered = { ...result, snapshot: { ...result.snapshot, ballot } };
    const settings = {
      engine: { members: [replicaId(1)], seed: "learned" },
      journal: SMALL,
      createCell: (log: ReplicatedLog) => new Cell(CELL, log),
      snapshotEverySlots: 5,
      reads: "lease",
      version: "test",
      processId: 1,
    } as const;
    expect(startReplica(recovered, settings, instant(0)).kind).toBe("started");
  });
});

describe("snapshots that are due by the journal's bytes", () => {
  const EVERY_BYTES = 256 * 1024;

  it.each([1 / 4, 1, 4])("come one at a time, with segments of %s times as much", (ratio) => {
    const journal = { segmentBytes: ratio * EVERY_BYTES, snapshotEveryBytes: EVERY_BYTES };
    const world = new World({ replicas: 1, seed: "due", journal }).startAll();
    const client = new TestClient(world).connect();
    const { handle } = client.open("file");
    for (let n = 0; n < 300; n += 1) client.set(handle, `${n}`.padEnd(8_000, "x"));
    world.run(100);
    const slots = world
      .traces("snapshotDurable")
      .map(({ event }) => ("slot" in event ? Number(event.slot) : 0));
    expect(slots.length).toBeGreaterThan(5);
    const inARow = slots.filter((slot, at) => at > 0 && slot - (slots[at - 1] ?? 0) <= 4);
    expect(inARow).toEqual([]);
  });
});
