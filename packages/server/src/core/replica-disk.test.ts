import { utf8Decode } from "@cubby/base";
import { describe, expect, it } from "vitest";
import { describeDamage } from "./journal-damage.ts";
import { recover } from "./journal-recovery.ts";
import { codeOf, TestClient } from "./replica-client.test-support.ts";
import { type Host, World } from "./replica-world.test-support.ts";
import { drive, type SimDisk } from "./simulated-disk.ts";

function served(replicas: number, seed: string, snapshotEverySlots?: number) {
  const options = snapshotEverySlots === undefined ? {} : { snapshotEverySlots };
  const world = new World({ replicas, seed, ...options }).startAll();
  const client = new TestClient(world).connect();
  const { handle } = client.open("file");
  for (let n = 0; n < 10; n += 1) client.set(handle, `${n} ${"x".repeat(500)}`);
  world.run(200);
  const id = world.master();
  if (id === undefined) throw new Error(world.report());
  return { world, client, handle, master: world.host(id) };
}

const LOSES_MASTERSHIP: ReadonlySet<string> = new Set(["diskStalled", "steppedDown"]);

function flipBit(host: Host, file: string, offset: number): void {
  const content = host.disk.content(file);
  content[offset] = (content[offset] ?? 0) ^ 0x10;
}

describe("a process that stands still", () => {
  it("does not take that for silence of its disk, and goes on as master", () => {
    const { world, client, handle, master } = served(3, "pause");
    // In the pause, and after what is heard first when it is over.
    master.diskMs = 250;
    const { length } = master.disk.waiting;
    const write = client.beginSet(handle, "under way");
    expect(world.runUntil(() => master.disk.waiting.length > length, 1_000)).toBeDefined();
    // All of them, as where each encodes a large snapshot at the same slot.
    for (const id of world.ids) world.pause(id, 400);
    world.run(2_000);
    expect(codeOf(write.result)).toBe("setContents");
    const lost = master.trace.filter(({ event }) => LOSES_MASTERSHIP.has(event.kind));
    expect(lost).toEqual([]);
    expect(world.master()).toBe(master.id);
  });
});

describe("a disk operation that fails", () => {
  it.each([
    ["EIO", "disk_failed"],
    ["ENOSPC", "disk_full"],
    ["EDQUOT", "disk_full"],
    ["ESHORT", "disk_failed"],
  ])("with %s ends the replica with %s, and nothing is acknowledged after it", (code, ended) => {
    const { world, client, handle } = served(1, `fails ${code}`);
    const host = world.host(1);
    const failed: string[] = [];
    host.disk.failWith((request) => {
      if (request.kind !== "write") return undefined;
      failed.push(`${request.file} at ${request.offset}`);
      return { code, message: "as the test says" };
    });
    const write = client.beginSet(handle, "never durable");
    world.run(1_000);
    expect(host.ended?.code).toBe(ended);
    expect(host.ended?.detail).toMatch(new RegExp(`^write of segment-\\d{8} failed: ${code} as`));
    expect(write.result).toBe(undefined);
    // Never tried again (rule 3).
    expect(new Set(failed).size).toBe(failed.length);
    expect(host.replica).toBe(undefined);
  });

  it("ends one replica of three, and the others go on without it", () => {
    const { world, client, handle, master } = served(3, "one of three");
    master.disk.failWith((request) =>
      request.kind === "write" ? { code: "EIO", message: "dead" } : undefined,
    );
    client.set(handle, "still answered");
    expect(master.ended?.code).toBe("disk_failed");
    expect(world.master()).not.toBe(master.id);
    expect(utf8Decode(client.get(handle).contents)).toBe("still answered");
  });

  it("ends the replica in a snapshot too, which the journal is not needed for", () => {
    const { world, client, handle } = served(1, "snapshot fails", 20);
    const host = world.host(1);
    host.disk.failWith((request) =>
      request.kind === "rename" ? { code: "EIO", message: "no rename" } : undefined,
    );
    for (let n = 0; n < 30; n += 1) client.beginSet(handle, `${n}`);
    world.run(1_000);
    expect(host.ended?.code).toBe("disk_failed");
    expect(host.ended?.detail).toMatch(/^rename of snapshot-\d{16}.partial failed: EIO/);
    const late = client.beginSet(handle, "late");
    world.run(1_000);
    expect(late.result).toBe(undefined);
  });
});

describe("a disk that does not answer", () => {
  it("makes the master step down, so that another leads (reliability §5 rule 18)", () => {
    const { world, client, handle, master } = served(5, "stalled");
    master.diskMs = 1_000_000;
    // The others make a quorum without it, so this one is acknowledged by it still.
    client.set(handle, "its last");
    const isReplaced = () => ![undefined, master.id].includes(world.master());
    // The stall is noticed after an election timeout; from then on as after any fault.
    expect(world.runUntil(isReplaced, 10_000)).toBeLessThan(300 + 600 + 4 * 300);
    client.set(handle, "elsewhere");
    expect(master.replica?.facts(world.localNow(master)).disk).toMatch(/^writing for \d+ ms$/);
    world.run(20_000);
    expect(world.master()).not.toBe(master.id);
  });
});

describe("a short pause of the process", () => {
  it("is not put down to the disk, and no session notices it", () => {
    const { world, client, handle, master } = served(3, "pause");
    master.diskMs = 350;
    client.beginSet(handle, "slow");
    world.run(150);
    world.input(master.id, { kind: "stalled", stalledMs: 100 });
    world.run(400);
    expect(world.master()).toBe(master.id);
    expect(world.traces("diskStalled")).toEqual([]);
    expect(world.traces("timeMoved")).toEqual([]);
    world.input(master.id, { kind: "stalled", stalledMs: 200 });
    world.run(1);
    expect(world.traces("timeMoved")).toHaveLength(1);
  });
});

describe("a journal's write that does not end", () => {
  it("makes the master step down, though a snapshot is being written beside it all the while", () => {
    const { world, client, handle, master } = served(3, "stuck beside a snapshot", 30);
    const isWriting = () => master.disk.names().some((file) => file.endsWith(".partial"));
    // Longer than any election takes, and each of its requests shorter than a stall.
    const text = "x".repeat(250_000);
    for (let n = 0; n < 4; n += 1) client.set(client.open(`large${n}`).handle, text);
    master.diskMs = (request) => {
      const file = "file" in request ? request.file : "";
      if (file.startsWith("snapshot-")) return 250;
      return file.startsWith("segment-") && isWriting() ? 1_000_000 : 0.2;
    };
    for (let n = 0; n < 30; n += 1) client.beginSet(handle, `${n}`);
    expect(world.runUntil(isWriting, 5_000)).toBeDefined();
    expect(world.master()).toBe(master.id);
    client.beginSet(handle, "its last");
    const isReplaced = () => ![undefined, master.id].includes(world.master());
    expect(world.runUntil(isReplaced, 10_000)).toBeDefined();
    expect(isWriting()).toBe(true);
  });
});

describe("disks of which each write takes long, at every replica", () => {
  it.each([140, 200, 280])("leave a master, with %i ms for each", (diskMs) => {
    const { world, master } = served(3, "slow");
    for (const host of world.hosts) host.diskMs = diskMs;
    world.crash(master.id);
    expect(world.runUntil(() => world.master() !== undefined, 30_000)).toBeLessThan(10_000);
  });
});

describe("damage in a directory", () => {
  it("in the middle of the journal is named, and the replica does not start", () => {
    const { world, master } = served(3, "flipped");
    world.crash(master.id, { outcomes: ["new"] });
    flipBit(master, "segment-00000001", 6_000);
    const result = world.start(master.id);
    if (result.kind !== "damaged") throw new Error(result.kind);
    const [first] = result.damages;
    expect(first && describeDamage(first)).toMatch(/^segment-00000001 at byte \d+, slot \d+: /);
    expect(first?.isTail).toBe(false);
    expect(master.replica).toBe(undefined);
  });

  it("that takes the last write is named, if a promise was in it, as soon as that has left", () => {
    const world = new World({ replicas: 3, seed: "promise lost" });
    const promised = new Map<number, SimDisk>();
    world.onLeave = ({ id, disk }, _to, { kind }) => {
      if (kind === "promise" && !promised.has(id)) promised.set(id, disk.copy());
    };
    world.startAll().run(2_000);
    expect(promised.size).toBeGreaterThan(0);
    for (const disk of promised.values()) {
      expect(drive(disk.copy(), recover({ expected: {} })).kind).toBe("recovered");
      const bytes = disk.content("segment-00000001");
      const last = bytes.findLastIndex((byte) => byte !== 0);
      bytes.fill(0, last - (last % 4_096), last + 1);
      const result = drive(disk, recover({ expected: {} }));
      expect(result.kind === "damaged" && result.damages.map(({ kind }) => kind)).toEqual([
        "lostVital",
      ]);
    }
  });

  it("that takes the last write is named, whatever was in it, once the replica was idle", () => {
    const world = new World({ replicas: 1, seed: "idle" }).startAll();
    const client = new TestClient(world).connect();
    client.set(client.open("file").handle, "the last one");
    world.run(200);
    const content = world.host(1).disk.content("segment-00000001");
    const at = Buffer.from(content).lastIndexOf("the last one");
    expect(at).toBeGreaterThan(0);
    content.fill(0, at - (at % 4_096), at - (at % 4_096) + 4_096);
    world.crash(1);
    expect(world.start(1).kind).toBe("damaged");
  });

  it("in the newest snapshot is named, and the journal behind the one before makes up for it", () => {
    const { world, client, handle } = served(1, "snapshot", 15);
    const host = world.host(1);
    for (let n = 0; n < 40; n += 1) client.set(handle, `${n}`);
    world.run(100);
    const before = host.cell?.stateHash();
    world.crash(1, { outcomes: ["new"] });
    const newest = host.disk
      .names()
      .filter((name) => name.startsWith("snapshot-"))
      .sort()
      .at(-1);
    if (newest === undefined) throw new Error("there is no snapshot");
    host.disk.replace(newest, host.disk.content(newest).slice(0, 100));
    const result = world.start(1);
    if (result.kind !== "recovered") throw new Error(result.kind);
    expect(result.notes).toContainEqual({
      kind: "snapshotDamaged",
      file: newest,
      problem: "truncated",
      offset: 100,
    });
    world.run(500);
    expect(utf8Decode(client.get(handle).contents)).toBe("39");
    // The new epoch is one more command.
    expect(host.cell?.stateHash()).not.toBe(before);
    for (let n = 0; n < 40; n += 1) client.set(handle, `again ${n}`);
    world.run(100);
    world.crash(1);
    expect(world.start(1)).toMatchObject({ kind: "recovered", notes: [] });
  });

  it("in both snapshots leaves a journal that does not reach back, which is named", () => {
    const { world, client, handle } = served(1, "both", 15);
    const host = world.host(1);
    for (let n = 0; n < 200; n += 1) client.set(handle, `${n} ${"x".repeat(2_000)}`);
    world.crash(1, { outcomes: ["new"] });
    const snapshots = host.disk.names().filter((name) => name.startsWith("snapshot-"));
    for (const name of snapshots) flipBit(host, name, 60);
    const result = world.start(1);
    if (result.kind !== "damaged") throw new Error(result.kind);
    expect(result.damages.map((damage) => damage.kind)).toContain("unreachable");
  });
});

describe("identity", () => {
  it("a wiped directory under an old id is refused, and says so", () => {
    const { world, client, handle, master } = served(3, "wiped");
    const victim = world.host(world.ids.find((id) => id !== master.id) ?? 0);
    world.crash(victim.id);
    world.wipe(victim.id);
    const sent: string[] = [];
    world.onLeave = (from, _to, message) => {
      if (from === victim) sent.push(message.kind);
    };
    expect(world.start(victim.id).kind).toBe("recovered");
    world.run(1_000);
    expect(victim.ended?.code).toBe("identity_refused");
    expect(victim.ended?.detail).toMatch(/^Replica \d refuses this directory: /);
    // It asks who is who, and takes no part in anything.
    const silent = ["genesisQuery", "genesisStatus"];
    expect(sent.filter((kind) => !silent.includes(kind))).toEqual([]);
    client.set(handle, "the other two go on");
  });

  it("two wiped directories of three do not make a quorum of the old id", () => {
    const { world, client, handle, master } = served(3, "two wiped");
    for (const id of world.ids) {
      if (id === master.id) continue;
      world.crash(id);
      world.wipe(id);
    }
    world.startAll();
    const write = client.beginSet(handle, "must wait");
    world.run(5_000);
    expect(write.result).toBe(undefined);
    expect(codeOf(write.result)).toBe("none");
    expect(world.master()).toBe(undefined);
  });

  it("a directory of another cell under the same name and id never takes part", () => {
    const { world, client, handle, master } = served(3, "foreign");
    const foreign = new World({ replicas: 3, seed: "another cell" }).startAll();
    new TestClient(foreign).connect();
    foreign.run(1_000);
    const victim = world.host(world.ids.find((id) => id !== master.id) ?? 0);
    world.crash(victim.id);
    const other = foreign.host(victim.id);
    foreign.crash(other.id, { outcomes: ["new"] });
    victim.disk = other.disk;
    victim.identity = { ...other.identity };
    const hashBefore = master.cell?.stateHash();
    expect(world.start(victim.id).kind).toBe("recovered");
    const sent: string[] = [];
    world.onLeave = (from, _to, message) => {
      if (from === victim) sent.push(message.kind);
    };
    world.run(3_000);
    expect(master.cell?.stateHash()).toBe(hashBefore);
    expect(sent).not.toContain("promise");
    expect(sent).not.toContain("accepted");
    expect(sent).not.toContain("leaseGrant");
    client.set(handle, "the other two go on");
    expect(victim.cell?.status(world.localNow(victim)).isMaster).toBe(false);
  });
});

describe("a follower whose disk is stuck", () => {
  it("keeps back no more the longer that lasts", () => {
    // A small window, so that it is full after a few writes.
    const engine = { windowEntriesMax: 8, batchEntriesMax: 8 };
    const world = new World({ replicas: 3, seed: "stuck", engine }).startAll();
    const client = new TestClient(world).connect();
    const { handle } = client.open("file");
    world.run(1_000);
    const follower = world.host(world.ids.find((id) => id !== world.master()) ?? 0);
    follower.diskMs = 120_000;
    for (let n = 0; n < 20; n += 1) client.set(handle, "the window to this follower is full");
    follower.diskMs = undefined;
    let most = 0;
    let frames = 0;
    world.onLeave = (from) => {
      if (from === follower) frames += 1;
    };
    world.onTurn = (host) => {
      if (host !== follower) return;
      most = Math.max(most, frames);
      frames = 0;
    };
    world.run(125_000);
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThan(100);
  });
});

describe("a disk that moves so many bytes a second, at every replica", () => {
  it("costs no master its place when a snapshot's checkpoint is long", () => {
    const journal = { segmentBytes: 160 * 4096, writeBytesMax: 3 * 4096, zeroChunkBytes: 4096 };
    const world = new World({
      replicas: 3,
      seed: "checkpoint",
      snapshotEverySlots: 620,
      journal: { ...journal, snapshotEveryBytes: 128 << 20, backlogBytesMax: 512 << 20 },
    }).startAll();
    const client = new TestClient(world).connect();
    const text = "x".repeat(2_000);
    const handles = Array.from({ length: 500 }, (_, n) => client.open(`file${n}`).handle);
    for (const handle of handles) client.beginSet(handle, text);
    world.run(3_000);
    const startedAt = world.time.now;
    world.diskBytesPerMs = 1_000;
    for (let n = 0; n < 1_200; n += 1) {
      const handle = handles[n % handles.length];
      if (handle !== undefined) client.beginSet(handle, text);
      world.run(10);
    }
    world.run(3_000);
    expect(world.traces("snapshotDurable").some(({ at }) => at > startedAt)).toBe(true);
    expect(world.traces("steppedDown").filter(({ at }) => at > startedAt)).toEqual([]);
  });
});
