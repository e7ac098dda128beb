import { Rng } from "@cubby/base";
import {
  compareBallots,
  encodeMessage,
  type PaxosMessage,
  type RecoveredLog,
  recoverLog,
  replicaId,
} from "@cubby/paxos";
import { describe, expect, it, vi } from "vitest";
import { fromJournal } from "./engine-record.ts";
import { recover } from "./journal-recovery.ts";
import { TestClient } from "./replica-client.test-support.ts";
import { type Host, World } from "./replica-world.test-support.ts";
import { drive } from "./simulated-disk.ts";

vi.setConfig({ testTimeout: 60_000 });

const NOTHING_UNDER_WAY_COUNTS = { outcomes: ["old"] } as const;

/** What this replica would remember, were the power to fail now. */
function remembered(host: Host): RecoveredLog {
  const disk = host.disk.crash(new Rng("power"), NOTHING_UNDER_WAY_COUNTS);
  const result = drive(disk, recover({ expected: {} }));
  if (result.kind !== "recovered") throw new Error(result.kind);
  const { snapshot, records } = result;
  const found = snapshot && {
    slot: snapshot.slot,
    ballot: recoverLog(undefined, []).promised,
    bytes: snapshot.state,
  };
  return recoverLog(found, records.map(fromJournal));
}

/** Why a message claims more than the disk holds; undefined if it does not. */
function overclaim(message: PaxosMessage, disk: RecoveredLog): string | undefined {
  const length = disk.firstSlot - 1 + disk.entries.length;
  switch (message.kind) {
    case "prepare":
    case "nack": {
      const ballot = message.kind === "nack" ? message.promised : message.ballot;
      return compareBallots(disk.promised, ballot) < 0 ? "the promise" : undefined;
    }
    case "promise":
      if (compareBallots(disk.promised, message.ballot) < 0) return "the promise";
      if (compareBallots(disk.acceptedBallot, message.acceptedBallot) < 0) return "the ballot";
      return length < message.length ? "the log" : undefined;
    case "accepted":
      if (compareBallots(disk.acceptedBallot, message.ballot) !== 0) return "the ballot";
      return length < message.length ? "the log" : undefined;
    case "leaseGrant":
      if (compareBallots(disk.promised, message.ballot) < 0) return "the promise";
      return disk.grantMaxMs < 600 ? "the longest grant" : undefined;
    case "genesisStatus":
      return message.members.length > 0 && disk.genesis === undefined ? "genesis" : undefined;
    case "genesisComplete":
      return disk.genesis?.complete ? undefined : "genesis";
    default:
      return undefined;
  }
}

describe("persist before send (reliability §5 rule 1)", () => {
  it.each(["1", "2"])("a message leaves after what it vouches for, seed %s", (seed) => {
    const world = new World({
      replicas: 3,
      seed: `persist ${seed}`,
      snapshotEverySlots: 15,
      engine: { retainSlots: 4, snapshotPartBytes: 256 },
    });
    const checked = new Map<string, number>();
    world.onLeave = (from, to, message) => {
      const { kind } = message;
      // A lease is renewed ten times a second by the same two facts: now and then is enough.
      if (kind.startsWith("heartbeat") || (kind === "leaseGrant" && world.rng.chance(0.9))) return;
      const missing = overclaim(message, remembered(from));
      if (missing !== undefined) {
        throw new Error(`${from.id} sends ${kind} to ${to} before ${missing} is durable`);
      }
      checked.set(kind, (checked.get(kind) ?? 0) + 1);
    };
    world.startAll();
    const client = new TestClient(world).connect();
    const { handle } = client.open("file");
    for (let round = 0; round < 4; round += 1) {
      const id = round % 2 === 0 ? world.master() : world.ids[world.rng.below(3)];
      for (let n = 0; n < 10; n += 1) client.set(handle, `${round} ${n}`);
      const write = client.beginSet(handle, "under way");
      world.run(world.rng.below(2));
      world.crash(id ?? 1);
      world.runUntil(() => write.result !== undefined, 10_000);
      for (let n = 0; n < 20; n += 1) client.set(handle, `${round} ${n}`);
      world.startAll();
      world.run(1_000);
    }
    for (const kind of ["prepare", "promise", "accepted", "leaseGrant", "genesisComplete"]) {
      expect(checked.get(kind) ?? 0, kind).toBeGreaterThan(0);
    }
  });

  it("a message leaves in the turn in which it is made up and what it vouches for is durable", () => {
    const world = new World({ replicas: 3, seed: "one turn" }).startAll();
    world.run(1_000);
    const [host] = world.hosts;
    if (host === undefined) throw new Error("a replica");
    world.onlyLinks([]);
    world.run(3_000);
    const hear = (from: number, round: number) => {
      const { incarnation } = world.host(from).identity;
      const ballot = { round, priority: 0, replica: replicaId(from) };
      const log = { acceptedBallot: { ...ballot, round: 1 }, length: 0, chosen: 0 };
      const bytes = encodeMessage({ kind: "prepare", ballot, ...log });
      world.input(host.id, { kind: "peerFrame", from: replicaId(from), incarnation, bytes });
    };
    const left: string[] = [];
    world.onLeave = ({ id }, to, { kind }) => {
      if (id === host.id && !kind.startsWith("heartbeat")) left.push(`${kind} to ${to}`);
    };
    host.diskMs = 20;
    hear(2, 1_000);
    const isLast = () =>
      host.disk.waiting.some((each) => each.kind === "write" && each.file === "witness-b");
    expect(world.runUntil(isLast, 1_000)).toBeDefined();
    // What it refuses is made up while the promise is not durable, in the turn in which it comes to be.
    world.pause(host.id, 40);
    hear(3, 999);
    world.run(39);
    expect(host.inbox.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(["peerFrame", "disk"]),
    );
    expect(left).toEqual([]);
    world.run(1.1);
    expect(left).toEqual(["promise to 2", "nack to 3"]);
  });

  it("an acknowledged write is on the disks of a quorum when its reply leaves", () => {
    const world = new World({ replicas: 5, seed: "quorum" }).startAll();
    const client = new TestClient(world).connect();
    const { handle } = client.open("file");
    // Only the master and one more have a disk that answers within this time.
    const master = world.master();
    const slow = world.ids.filter((id) => id !== master).slice(1);
    for (const id of slow) world.host(id).diskMs = 100;
    const write = client.beginSet(handle, "two of five");
    world.run(95);
    expect(write.result).toBe(undefined);
    world.run(20);
    expect(write.result?.$case).toBe("setContents");
  });

  it("the master does not count itself before its own disk has answered (rule 2)", () => {
    const world = new World({ replicas: 1, seed: "alone" }).startAll();
    const client = new TestClient(world).connect();
    const { handle } = client.open("file");
    world.host(1).diskMs = 100;
    const write = client.beginSet(handle, "alone");
    world.run(95);
    expect(write.result).toBe(undefined);
    world.run(20);
    expect(write.result?.$case).toBe("setContents");
  });
});
