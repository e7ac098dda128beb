import { utf8Encode } from "@cubby/base";
import { describe, expect, it } from "vitest";
import { type ReplicaId, replicaId } from "./ballot.ts";
import type { LeaseGrantMessage, PrepareMessage } from "./messages.ts";
import { TestingNetwork } from "./test-support/testing-network.ts";

const r1 = replicaId(1);
const r2 = replicaId(2);
const r3 = replicaId(3);

/** Three replicas, led by `leader`, on a network that does as it is told. */
function cellLedBy(leader: ReplicaId, seed: string, diskMs = 0.3): TestingNetwork {
  const network = new TestingNetwork({
    replicas: 3,
    seed,
    diskMsMin: diskMs,
    diskMsMax: diskMs,
    // Ties go to the one with the highest priority, so that the leader is known beforehand.
    paxos: { electionTimeoutMsMax: 300 },
  });
  for (const id of network.ids) if (id !== leader) network.slowDisk(id, 0.5);
  network.startAll();
  for (let tries = 0; network.master() !== leader; tries += 1) {
    expect(tries).toBeLessThan(60);
    network.run(300);
    const master = network.master();
    if (master === undefined || master === leader) continue;
    for (const id of network.ids) if (id !== leader && id !== master) network.cutBoth(id, master);
    network.run(1);
    network.input(master, { kind: "handOver" });
    network.run(5);
    network.heal();
  }
  network.run(1000);
  expect(network.master()).toBe(leader);
  return network;
}

function isolate(network: TestingNetwork, id: ReplicaId): void {
  for (const other of network.ids) if (other !== id) network.cutBoth(id, other);
}

describe("a crash in the middle of log synchronisation", () => {
  // Guards: `Acceptor.synchronise` writes truncation, suffix and accepted ballot as ONE record.
  // Taken out (accepted ballot first, entries by a record of their own), keeping 1 record loses x.
  for (const keeps of [0, 1, 2, 3]) {
    it(`never loses what is chosen, when the disk kept ${keeps} of the records`, () => {
      const network = cellLedBy(r1, `sync-crash-${keeps}`);
      isolate(network, r3);
      network.propose(r1, "x", "y", "z");
      network.run(20);
      const chosen = network.checkers.chosen.size;
      expect(chosen).toBe(3);

      // r1 is gone; r3, whose log lacks all three, is the one to lead, and adopts r2's log.
      network.crash(r1);
      network.heal();
      // Its own part comes back to r2 in no form, so that r2 knows of the older ballot only.
      const toR2: readonly string[] = ["heartbeatReply", "logPart", "accept"];
      network.filter = (_, to, message) => to !== r2 || !toR2.includes(message.kind);
      network.slowDisk(r3, 2);
      const synchronising = () =>
        network.isUp(r3) && network.disk(r3).writing.some(({ kind }) => kind === "synchronised");
      expect(network.runUntil(synchronising, 3000)).toBeDefined();
      network.crash(r3, keeps);
      network.run(5);
      network.filter = undefined;
      network.slowDisk(r3, undefined);
      network.start(r3);

      // r2 and r3 are a quorum: whoever of them leads now has x, y and z, or a checker objects.
      expect(network.runUntil(() => network.master() !== undefined, 5000)).toBeDefined();
      const master = network.master() ?? r2;
      network.propose(master, "after");
      network.run(50);
      expect([...network.checkers.chosen.values()].slice(0, 4)).toEqual(
        ["x", "y", "z", "after"].map(utf8Encode),
      );
      expect(network.engine(master).status().chosen).toBeGreaterThanOrEqual(chosen + 1);
    });
  }
});

describe("a late answer to an old lease round", () => {
  // Guard: `MasterLease.onGrant` counts an answer for the round that it names alone. Taken out (any
  // answer counts for the last round), r1 believes in a lease that r2 has promised against.
  it("never extends the lease", () => {
    const network = cellLedBy(r1, "late-grant");
    const kept: LeaseGrantMessage[] = [];
    network.filter = (_, to, message) => {
      if (to !== r1 || message.kind !== "leaseGrant") return true;
      kept.push(message);
      return false;
    };
    network.run(150);
    expect(kept.length).toBeGreaterThanOrEqual(2);
    isolate(network, r1);
    // r1 begins rounds until it notices; nobody answers them.
    expect(
      network.runUntil(() => network.master() === r2 || network.master() === r3, 3000),
    ).toBeDefined();
    const events = network.events(r1).length;
    for (const grant of kept) {
      network.replay(r2, r1, grant);
      network.replay(r3, r1, grant);
    }
    network.run(5);
    const told = network.events(r1).slice(events);
    expect(told.filter(({ kind }) => kind === "leading")).toEqual([]);
  });

  // Guard: the acceptor refuses a round that a release has named already. Taken out, the request
  // binds it again to a leader that will never serve, and the heir waits for a whole lease.
  it("nor does a late request revive a grant that was released", () => {
    const network = cellLedBy(r1, "late-request");
    let late: Parameters<TestingNetwork["replay"]>[2] | undefined;
    network.filter = (_, to, message) => {
      if (to === r2 && message.kind === "leaseRequest" && late === undefined) {
        late = message;
        return false;
      }
      // The invitation is lost: nobody prepares at once.
      return message.kind !== "invite";
    };
    network.run(250);
    expect(late).toBeDefined();
    network.input(r1, { kind: "handOver" });
    network.run(2);
    const before = network.engine(r2).status().grantUntil;
    if (late !== undefined) network.replay(r1, r2, late);
    expect(network.engine(r2).status().grantUntil).toBe(before);
  });
});

describe("a restart during a lease", () => {
  // Guard: `LeaseGrantor` promises nothing before the longest grant on record has passed since the
  // start. Taken out, r2 and r3 forget what they granted, elect one of them, and two lead at once.
  it("leaves the acceptor bound by what its earlier life granted", () => {
    const network = cellLedBy(r1, "restart-in-lease");
    // The last round is fresh, and r1 goes on alone with it.
    network.runUntil(() => network.events(r1).at(-1)?.kind === "leading", 200);
    const granted = network.now;
    isolate(network, r1);
    for (const id of [r2, r3]) {
      network.crash(id);
      network.start(id);
    }
    const took = network.runUntil(() => [r2, r3].some((id) => network.leads(id)), 5000);
    expect(took).toBeDefined();
    // 600 ms and a tenth, from the start of the new life.
    expect(network.now - granted).toBeGreaterThanOrEqual(660);
  });

  // Guard: the record of the longest grant is durable before the first grant of that length leaves
  // (`vouch` with the record's index). Taken out, the crash loses it and no wait is made.
  it("even if the crash came right after the first grant left", () => {
    const network = new TestingNetwork({
      replicas: 3,
      seed: "first-grant",
      diskMsMin: 1,
      diskMsMax: 1,
    });
    network.startAll();
    const master = () => network.master();
    expect(network.runUntil(() => master() !== undefined, 3000)).toBeDefined();
    const leader = master() ?? r1;
    const granted = network.now;
    isolate(network, leader);
    for (const id of network.ids) {
      if (id === leader) continue;
      network.crash(id, 0);
      network.start(id);
    }
    network.runUntil(() => network.ids.some((id) => id !== leader && network.leads(id)), 5000);
    expect(network.now - granted).toBeGreaterThanOrEqual(600);
  });
});

describe("a wiped directory under an old id", () => {
  // x is chosen by r1 and r3; r3's directory is wiped and formatted anew; r1 dies. If r3 took part,
  // it and r2 would be a quorum without x.
  function wipedCell(incarnation: string): TestingNetwork {
    const network = cellLedBy(r1, `wiped-${incarnation}`);
    isolate(network, r2);
    network.propose(r1, "x");
    network.run(20);
    expect(network.checkers.chosen.size).toBe(1);
    network.crash(r3);
    network.crash(r1);
    network.wipe(r3, incarnation);
    network.heal();
    network.start(r3);
    network.run(3000);
    return network;
  }

  // Guard: `PaxosReplica.#onMessage` compares the incarnation with the recorded one.
  it("is refused, says so, and takes no part", () => {
    const network = wipedCell("another");
    const refusals = network.events(r3).filter(({ kind }) => kind === "refused");
    expect(refusals[0]).toEqual({
      kind: "refused",
      by: r2,
      reason: "replica 3 is on record with another incarnation",
    });
    expect(network.engine(r3).status().genesisComplete).toBe(false);
    expect(network.master()).toBeUndefined();
    // The cell waits for r1, which has x.
    network.start(r1);
    expect(network.runUntil(() => network.master() !== undefined, 3000)).toBeDefined();
    network.run(50);
    expect(network.checkers.chosen.size).toBe(1);
    expect(network.engine(network.master() ?? r1).status().chosen).toBeGreaterThan(1);
  });

  // Guard: `GenesisAgreement.#onComplete` adopts no configuration that this directory has lost.
  it("is found out even if it kept its incarnation and lost its journal only", () => {
    const network = wipedCell("i3");
    const refusals = network.events(r3).filter(({ kind }) => kind === "refused");
    expect(refusals[0]).toEqual({
      kind: "refused",
      by: r2,
      reason: "the cell has this incarnation on record, but its journal is lost",
    });
    expect(network.master()).toBeUndefined();
  });
});

describe("a snapshot that is durable before the promise under which its slots were learned", () => {
  // Guard: `#onLogMessage` learns nothing before the promise is durable. Without it the old leader is
  // told that its own log is chosen so far.
  it.each(["s1", "s2", "s3", "s4"])("never makes an old leader's log chosen (%s)", (seed) => {
    const network = new TestingNetwork({ replicas: 5, seed, snapshotEvery: 4 });
    const late = network.ids[4] ?? r1;
    const others = network.ids.filter((id) => id !== late);
    // It promises, and is never synchronised, since nobody hears it.
    const silenced = new Set(["promise", "accepted", "fetch"]);
    network.filter = (from, _, { kind }) => from !== late || !silenced.has(kind);
    network.startAll();
    network.run(3_000);
    const old = network.master() ?? late;
    expect(old).not.toBe(late);
    network.propose(old, "one", "two");
    network.run(200);
    isolate(network, old);
    network.propose(old, "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8");
    network.run(20);
    isolate(network, late);
    network.run(4_000);
    const next = network.master() ?? old;
    expect(next).not.toBe(old);
    network.propose(next, "x1", "x2", "x3", "x4", "x5");
    network.run(200);
    // Its journal hangs; what it hears of the new leader would be in memory, and in a snapshot, alone.
    network.slowDisk(late, 100_000);
    network.filter = undefined;
    network.heal();
    isolate(network, old);
    network.run(400);
    network.crash(late, 0);
    network.slowDisk(late, undefined);
    network.heal();
    for (const id of others) {
      if (id === old) continue;
      network.cutBoth(id, old);
      network.cutBoth(id, late);
    }
    network.start(late);
    network.run(3_000);
    network.heal();
    network.run(3_000);
    const delivered = network.ids.map((id) => network.engine(id).status().delivered);
    expect(new Set(delivered).size).toBe(1);
  });
});

describe("a follower that has the snapshot, and lost the rest of the synchronisation", () => {
  it.each(["a", "b", "c", "d", "e", "f"])(
    "is brought to the log though the leader offers the snapshot again (%s)",
    (seed) => {
      const network = new TestingNetwork({ replicas: 3, seed, paxos: { retainSlots: 0 } });
      network.startAll();
      network.run(2_000);
      const leader = network.master() ?? r1;
      const [follower = r1, third = r1] = network.ids.filter((id) => id !== leader);
      isolate(network, follower);
      network.propose(leader, "a", "b", "c", "d", "e", "f");
      network.run(300);
      // They end when their first snapshot is durable and its checkpoint is not: the lease's length is gone.
      for (const id of [leader, third]) {
        const { delivered: slot, acceptedBallot } = network.engine(id).status();
        const bytes = utf8Encode("state".padEnd(100, "."));
        network.disk(id).putSnapshot({ slot, ballot: acceptedBallot, bytes });
        network.crash(id, 0);
      }
      network.crash(follower, 0);
      network.heal();
      network.start(leader);
      network.start(follower);
      network.filter = (from, to, message) => {
        if (message.kind === "fetch") return message.from <= 2;
        return from !== leader || to !== follower || message.kind !== "logPart";
      };
      const isInstalled = () =>
        network.disk(follower).idle &&
        network.traces.some(
          ({ replica, event }) => replica === follower && event.kind === "snapshotInstalled",
        );
      network.runUntil(isInstalled, 8_000);
      network.run(5);
      network.crash(follower);
      network.filter = undefined;
      network.start(follower);
      expect(network.runUntil(() => network.master() !== undefined, 10_000)).toBeDefined();
    },
  );
});

describe("a follower whose acceptance was lost, and that answers a late copy of the prepare", () => {
  // Guard: `Replication.onPromise` streams to a follower that has the log already. Without it nothing
  // goes out before the first lease, which needs the slot that is not sent.
  it("is sent the rest of the log, though no lease was ever chosen", () => {
    const network = new TestingNetwork({ replicas: 3, seed: "late-prepare" });
    const prepares: PrepareMessage[] = [];
    network.filter = (_, to, message) => {
      if (message.kind === "prepare" && to === r2) prepares.push(message);
      return message.kind !== "accepted";
    };
    for (const id of network.ids) network.slowDisk(id, 0.5);
    network.startAll();
    const isSynchronised = () =>
      prepares.some(({ ballot }) => ballot.round === network.disk(r2).acceptedBallot.round);
    expect(network.runUntil(isSynchronised, 3_000)).toBeDefined();
    const [prepare] = prepares;
    expect(prepare).toBeDefined();
    if (prepare === undefined) return;
    const leader = prepare.ballot.replica;
    for (const id of network.ids) if (id !== leader && id !== r2) network.crash(id);
    network.run(5);
    network.replay(leader, r2, prepare);
    network.run(5);
    network.filter = undefined;
    expect(network.runUntil(() => network.master() !== undefined, 10_000)).toBeDefined();
  });
});
