import { after, crc32c, instant, NEVER, utf8Encode } from "@cubby/base";
import { describe, expect, it } from "vitest";
import { Acceptor } from "./acceptor.ts";
import { replicaId, ZERO_BALLOT } from "./ballot.ts";
import { CatchUp, type CatchUpPlan } from "./catch-up.ts";
import { FETCH_WAIT_MS_MAX } from "./limits.ts";
import type { SnapshotPartMessage } from "./messages.ts";
import { Outbox } from "./outbox.ts";
import { emptyLog, type RecoveredLog } from "./recovery.ts";
import { SnapshotStore } from "./snapshot-store.ts";
import { ballot } from "./test-support/lone-engine.ts";
import { TestingNetwork } from "./test-support/testing-network.ts";

const leader = ballot(3, 1);
const commands = (...texts: string[]) => texts.map((text) => utf8Encode(text));
const now = instant(1000);

function catchUp(
  plan: Partial<CatchUpPlan> = {},
  learnBytes = 1 << 20,
  recovered: Partial<RecoveredLog> = {},
) {
  const outbox = new Outbox();
  const acceptor = new Acceptor(outbox, { ...emptyLog(), promised: leader, ...recovered });
  const snapshots = new SnapshotStore(4);
  const full = {
    purpose: "follow",
    ballot: leader,
    source: replicaId(1),
    expected: undefined,
    ...plan,
  } as const;
  const settings = { retransmitMs: 100, learnBytes };
  const catching = new CatchUp(full, acceptor, snapshots, outbox, now, settings);
  const take = () => outbox.take(now);
  const asked = () => take().sends.map(({ message }) => message);
  return { catching, acceptor, outbox, take, asked };
}

function part(firstSlot: number, entries: Uint8Array[], length: number, chosen = 0) {
  return {
    kind: "logPart",
    ballot: leader,
    acceptedBallot: leader,
    firstSlot,
    entries,
    chosen,
    length,
  } as const;
}

/** The parts of 4 bytes of a snapshot of 10. */
function snapshotParts(slot: number, fill: number): SnapshotPartMessage[] {
  const bytes = new Uint8Array(10).fill(fill);
  return [0, 4, 8].map((offset) => ({
    kind: "snapshotPart",
    ballot: leader,
    slot,
    sizeBytes: bytes.length,
    checksum: crc32c(bytes),
    leaseMs: 600,
    offset,
    bytes: bytes.subarray(offset, offset + 4),
  }));
}

function feed(catching: CatchUp, ...parts: (SnapshotPartMessage | undefined)[]): void {
  for (const one of parts) if (one !== undefined) catching.onSnapshotPart(now, one);
}

describe("catching up by log", () => {
  it("asks for one part after the other until it has what was there when it began", () => {
    const { catching, asked } = catchUp();
    catching.onLogPart(now, part(1, commands("a", "b"), 4));
    expect(asked()).toMatchObject([{ kind: "fetch", from: 3, synchronised: false }]);
    // The leader's log grows meanwhile; the rest of it comes by accepts.
    catching.onLogPart(now, part(3, commands("c", "d", "e"), 9));
    expect(catching.complete).toBe(true);
    expect(catching.entries).toEqual(commands("a", "b", "c", "d"));
    expect(asked()).toEqual([]);
  });

  it("takes parts that come twice or overlap once, and leaves those beyond a gap", () => {
    const { catching, asked } = catchUp();
    catching.onLogPart(now, part(1, commands("a", "b"), 6));
    expect(asked()).toHaveLength(1);
    catching.onLogPart(now, part(1, commands("a", "b"), 6));
    catching.onLogPart(now, part(5, commands("e", "f"), 6));
    expect(asked(), "what brings nothing new is no reason to ask").toEqual([]);
    catching.onLogPart(now, part(2, commands("b", "c"), 6));
    expect(catching.entries).toEqual(commands("a", "b", "c"));
  });

  it("asks again when no answer comes", () => {
    const { catching, asked } = catchUp();
    catching.ask(now);
    asked();
    catching.advance(instant(1099));
    expect(asked()).toEqual([]);
    catching.advance(instant(1100));
    expect(asked()).toMatchObject([{ kind: "fetch", from: 1 }]);
  });

  // Guard: `CatchUp.#askAgain` and `#progressed`. A source answers every copy with a whole part, and over a
  // slow link those of one part kept the next, and heartbeats, waiting for ever.
  it("asks ever less often, and gives what was slow to come twice its time from then on", () => {
    const { catching, asked } = catchUp();
    const askedUntil = (end: number): number[] => {
      const times: number[] = [];
      while (catching.wakeAt <= end) {
        const at = catching.wakeAt;
        catching.advance(at);
        if (asked().length > 0) times.push(at);
      }
      return times;
    };
    expect(askedUntil(9_000)).toEqual([1100, 1300, 1700, 2500, 4100, 6100, 8100]);
    catching.onLogPart(instant(8_500), part(1, commands("a"), 4));
    expect(asked()).toMatchObject([{ kind: "fetch", from: 2 }]);
    // An answer just behind a copy may be that to an earlier one: it was slow, not quick.
    expect(askedUntil(20_000)).toEqual([13_000, 17_500]);
    catching.onLogPart(instant(20_000), part(2, commands("b"), 4));
    catching.onLogPart(instant(20_010), part(3, commands("c"), 4));
    expect(catching.wakeAt, "what comes at once is soon missed").toBe(20_110);
  });

  it("makes what is known to be chosen durable on the way, and no more", () => {
    const { catching, acceptor, take } = catchUp({}, 20);
    catching.onLogPart(now, part(1, commands("a", "b", "c"), 5, 2));
    expect(take().records).toEqual([
      { kind: "learned", firstSlot: 1, entries: commands("a", "b") },
    ]);
    expect(acceptor.chosen).toBe(2);
    expect(acceptor.acceptedBallot).toEqual(ZERO_BALLOT);
    expect(catching.first).toBe(3);
    expect(catching.entries).toEqual(commands("c"));
  });

  it("keeps what waits, whatever less than is chosen here its source knows to be chosen", () => {
    const known = catchUp({}, 8, { chosen: 3, entries: commands("x", "y", "z") });
    known.catching.onLogPart(now, part(4, commands("a", "b", "c"), 9, 1));
    expect(known.catching.entries).toEqual(commands("a", "b", "c"));
    expect(known.take().records).toEqual([]);
    const unknown = catchUp({}, 8);
    unknown.catching.onLogPart(now, part(1, commands("a", "b", "c"), 9));
    expect(unknown.take().records).toEqual([]);
  });

  it("takes for a new leader only the log that was promised", () => {
    const expected = { acceptedBallot: ballot(2, 2), length: 2 };
    const { catching } = catchUp({ purpose: "adopt", expected });
    const promised = { ...part(1, commands("a", "b"), 2), acceptedBallot: ballot(2, 2) };
    catching.onLogPart(now, { ...promised, acceptedBallot: ballot(1, 1) });
    catching.onLogPart(now, { ...promised, length: 3 });
    expect(catching.complete).toBe(false);
    catching.onLogPart(now, promised);
    expect(catching.complete).toBe(true);
  });

  // Guard: `CatchUp` asks for no more while what it learned before is not durable. Without it a disk
  // slower than the network fills the journal's backlog, which ends the process, start after start.
  it("learns no faster than the disk writes", () => {
    const { catching, acceptor, outbox, asked } = catchUp({}, 8);
    const feedOne = (at: number) => {
      const { first } = catching;
      catching.onLogPart(after(now, at), part(first, commands("a"), 1_000, 1_000));
      return asked();
    };
    expect(feedOne(0)).toMatchObject([{ kind: "fetch", from: 2 }]);
    expect(feedOne(1)).toEqual([]);
    expect(catching.wakeAt).toBe(NEVER);
    catching.advance(after(now, 5_000));
    expect(asked()).toEqual([]);
    outbox.durability.persistedThrough(after(now, 5_000), acceptor.logIndex);
    catching.advance(after(now, 5_001));
    expect(asked()).toMatchObject([{ kind: "fetch", from: 3 }]);
    expect(catching.wakeAt).toBe(after(now, 5_101));
  });
});

describe("catching up by snapshot", () => {
  it("puts the parts together in order, and goes on with the log after it", () => {
    const { catching, acceptor, take } = catchUp();
    const parts = snapshotParts(7, 1);
    feed(catching, parts[0], parts[2], parts[0], parts[1]);
    expect(acceptor.chosen).toBe(0);
    expect(take().sends.at(-1)?.message).toMatchObject({ snapshotSlot: 7, snapshotOffset: 8 });
    feed(catching, parts[2]);
    expect(acceptor).toMatchObject({ chosen: 7, length: 7, leaseMs: 600 });
    const output = take();
    expect(output.records).toMatchObject([
      { kind: "restored", slot: 7, sizeBytes: 10, bytes: new Uint8Array(10).fill(1) },
    ]);
    expect(output.sends).toMatchObject([{ message: { kind: "fetch", from: 8, snapshotSlot: 0 } }]);
  });

  it("puts a snapshot in the place of what it took of the log before, and installs it once", () => {
    const { catching, take } = catchUp();
    catching.onLogPart(now, part(1, commands("a", "b"), 9));
    feed(catching, ...snapshotParts(7, 1));
    expect(catching).toMatchObject({ first: 8, entries: [], complete: false });
    take();
    feed(catching, ...snapshotParts(7, 1));
    expect(take()).toMatchObject({ records: [], sends: [] });
  });

  // Guard: `CatchUp.onSnapshotPart` compares with what is staged. By then the source may have dropped the
  // slots that it would ask for beside this snapshot: nothing it could be answered with.
  it("takes up no snapshot that ends within what it has of the log", () => {
    const { catching, asked } = catchUp();
    catching.onLogPart(now, part(1, commands("a", "b", "c"), 9));
    asked();
    for (const slot of [2, 3]) feed(catching, snapshotParts(slot, 1)[0]);
    expect(asked()).toEqual([]);
    feed(catching, snapshotParts(4, 1)[0]);
    expect(asked()).toMatchObject([{ kind: "fetch", from: 4, snapshotSlot: 4 }]);
  });

  it("is not kept from a snapshot whose parts come by the offer of another, nor from slow ones by haste", () => {
    const { catching, acceptor } = catchUp();
    const parts = snapshotParts(7, 1);
    const [newer] = snapshotParts(9, 2);
    const hear = (at: number, one: SnapshotPartMessage | undefined) => {
      if (one !== undefined) catching.onSnapshotPart(instant(at), one);
    };
    catching.ask(now);
    hear(1150, parts[0]);
    hear(1200, newer);
    hear(4150, parts[1]);
    expect(catching.progressAt).toBe(4150);
    expect(catching.wakeAt).toBe(4150 + FETCH_WAIT_MS_MAX);
    hear(4200, parts[2]);
    expect(acceptor.chosen).toBe(7);
  });

  it("never mixes two snapshots, even of one slot and size (P10, P11)", () => {
    const { catching, acceptor, take } = catchUp();
    const old = snapshotParts(7, 1);
    const other = snapshotParts(7, 2);
    feed(catching, old[0], other[1], old[1], other[2]);
    expect(acceptor.chosen).toBe(0);
    feed(catching, old[2]);
    expect(take().records).toMatchObject([{ bytes: new Uint8Array(10).fill(1) }]);
  });

  it("starts over when the source has a newer one and the old no longer comes (P13)", () => {
    const { catching, acceptor, take } = catchUp();
    const [first] = snapshotParts(7, 1);
    const newer = snapshotParts(9, 2);
    feed(catching, first, newer[0]);
    catching.advance(instant(1100));
    expect(take().sends.at(-1)?.message).toMatchObject({ snapshotSlot: 7, snapshotOffset: 4 });
    for (const one of newer) catching.onSnapshotPart(instant(1100), one);
    expect(acceptor.chosen).toBe(9);
  });

  it("installs nothing whose checksum is wrong, and begins again", () => {
    const { catching, acceptor, take } = catchUp();
    const parts = snapshotParts(7, 1).map((one) => ({ ...one, checksum: 12345 }));
    feed(catching, ...parts);
    expect(acceptor.chosen).toBe(0);
    const output = take();
    expect(output.records).toEqual([]);
    expect(output.trace).toContainEqual({ kind: "snapshotDamaged", slot: 7 });
    feed(catching, ...snapshotParts(7, 1));
    expect(acceptor.chosen).toBe(7);
  });

  it("keeps what was accepted beyond the snapshot, for it may be what makes it chosen (P10)", () => {
    const outbox = new Outbox();
    const entries = commands("a", "b", "c", "d");
    const own = { promised: leader, acceptedBallot: ballot(2, 2), entries };
    const acceptor = new Acceptor(outbox, { ...emptyLog(), ...own });
    const identity = { slot: 2, sizeBytes: 5, checksum: 0, leaseMs: 600 };
    acceptor.restore(now, leader, identity, utf8Encode("state"));
    expect(acceptor).toMatchObject({ chosen: 2, length: 4, acceptedBallot: ballot(2, 2) });
    expect(acceptor.log.slice(3, 4)).toEqual(commands("c", "d"));
    acceptor.learn(now, 3, commands("x"));
    expect(acceptor).toMatchObject({ chosen: 3, length: 4, acceptedBallot: ballot(2, 2) });
    expect(acceptor.log.slice(3, 4)).toEqual(commands("x", "d"));
  });

  it("tells of the restored state only once its record is durable", () => {
    const { catching, acceptor, outbox, take } = catchUp();
    const before = outbox.record(now, { kind: "grantMax", leaseMs: 600 });
    feed(catching, ...snapshotParts(7, 1));
    catching.onLogPart(now, part(8, commands("h"), 8, 8));
    acceptor.synchronise(now, leader, catching.first, catching.entries);
    acceptor.choose(8);
    const persisted = (through: number) => {
      outbox.durability.persistedThrough(now, through);
      acceptor.onPersisted();
      acceptor.deliver();
      return take().events;
    };
    expect(persisted(0)).toEqual([]);
    expect(persisted(before)).toEqual([]);
    expect(persisted(acceptor.logIndex)).toMatchObject([
      { kind: "restored", slot: 7 },
      { kind: "chosen", slot: 8 },
    ]);
  });
});

describe("the store of snapshots", () => {
  it("goes on serving the old one to who is in the middle of it, and the new one to others", () => {
    const store = new SnapshotStore(4);
    store.put(now, 7, 600, new Uint8Array(10).fill(1));
    expect(store.part(now, leader, 0, 0)).toMatchObject({ slot: 7, offset: 0 });
    expect(store.servedSlot(now), "an offer is not yet a fetch").toBeUndefined();
    expect(store.part(now, leader, 7, 4)).toMatchObject({ slot: 7, offset: 4 });
    store.put(instant(1100), 9, 600, new Uint8Array(10).fill(2));
    expect(store.part(instant(1200), leader, 7, 4)).toMatchObject({ slot: 7, offset: 4 });
    expect(store.part(instant(1200), leader, 0, 0)).toMatchObject({ slot: 9, offset: 0 });
    expect(store.servedSlot(instant(1300))).toBe(7);
    // Nobody asked for long: it goes, and who comes back starts over.
    expect(store.part(instant(9000), leader, 7, 8)).toMatchObject({ slot: 9, offset: 0 });
  });

  it("serves the old one for as long as it is asked for, however slow the link (P13)", () => {
    const store = new SnapshotStore(4);
    store.put(now, 7, 600, new Uint8Array(10).fill(1));
    store.part(now, leader, 7, 4);
    store.put(instant(1100), 9, 600, new Uint8Array(10).fill(2));
    for (const at of [5_000, 9_000, 13_000]) {
      expect(store.part(instant(at), leader, 7, 4)).toMatchObject({ slot: 7, offset: 4 });
    }
    expect(store.part(instant(18_000), leader, 7, 4)).toMatchObject({ slot: 9, offset: 0 });
  });

  it("keeps the one that is fetched longest when a newer one is fetched too (P13)", () => {
    const store = new SnapshotStore(4);
    const put = (at: number, slot: number) => store.put(instant(at), slot, 600, new Uint8Array(10));
    put(1_000, 7);
    store.part(instant(1_000), leader, 7, 4);
    put(1_100, 9);
    store.part(instant(1_100), leader, 9, 4);
    put(1_200, 11);
    expect(store.part(instant(1_200), leader, 7, 8)).toMatchObject({ slot: 7, offset: 8 });
  });
});

describe("a replica that was away", () => {
  const options = { retainSlots: 5, snapshotPartBytes: 64 };

  it("is brought back by snapshot and log, over a network that loses and reorders", () => {
    for (let seed = 0; seed < 20; seed += 1) {
      const network = new TestingNetwork({
        replicas: 3,
        seed: `away-${seed}`,
        snapshotEvery: 10,
        paxos: options,
        faults: { lossRate: 0.1, duplicateRate: 0.2, delayMsMin: 0.1, delayMsMax: 20 },
      });
      network.startAll();
      network.runUntil(() => network.master() !== undefined, 5000);
      const away = network.ids.find((id) => id !== network.master()) ?? replicaId(1);
      network.crash(away);
      for (let i = 0; i < 60; i += 1) {
        const master = network.master();
        if (master !== undefined) network.propose(master, `c${i}`);
        network.run(20);
      }
      network.start(away);
      const caughtUp = () =>
        network.engine(away).status().delivered >= network.checkers.lastChosen &&
        network.checkers.lastChosen > 20;
      expect(network.runUntil(caughtUp, 10_000)).toBeDefined();
      network.run(50);
      const restored = network.events(away).some(({ kind }) => kind === "restored");
      expect(restored, network.report()).toBe(true);
    }
  });

  it("costs the others nothing: they choose as fast as without it, and keep a bounded log", () => {
    const network = new TestingNetwork({
      replicas: 3,
      seed: "dead",
      snapshotEvery: 10,
      paxos: options,
    });
    network.startAll();
    network.runUntil(() => network.master() !== undefined, 5000);
    const master = network.master() ?? replicaId(1);
    network.crash(network.ids.find((id) => id !== master) ?? replicaId(2));
    for (let i = 0; i < 200; i += 1) {
      const before = network.checkers.lastChosen;
      network.propose(master, `c${i}`);
      expect(network.runUntil(() => network.checkers.lastChosen > before, 50)).toBeLessThan(3);
      const { length, firstRetained } = network.engine(master).status();
      expect(length - firstRetained).toBeLessThanOrEqual(10 + 5 + 3);
    }
  });
});
