import { after, type Instant, utf8Encode } from "@cubby/base";
import { describe, expect, it } from "vitest";
import { type Ballot, replicaId, ZERO_BALLOT } from "./ballot.ts";
import { ADOPT_PATIENCE_MS, SNAPSHOT_PIN_MS } from "./limits.ts";
import { entrySize } from "./log-entry.ts";
import type { FetchMessage, PaxosMessage } from "./messages.ts";
import type { PaxosOutput, Send } from "./outbox.ts";
import { ballot, formed, LoneEngine } from "./test-support/lone-engine.ts";
import { TestingNetwork } from "./test-support/testing-network.ts";

const entries = ["a", "b", "c", "d", "e", "f"].map((text) => utf8Encode(text));
const fresher = { acceptedBallot: ballot(1, 2), length: entries.length, chosen: 0 };

/** Replica 1 stands, and 2 promises with the first of six parts of a fresher log. */
function adopting(): { lone: LoneEngine; own: Ballot } {
  const lone = new LoneEngine(1, formed(3));
  const own = lone.stand();
  lone.persist();
  hearPromise(lone, own, entries.slice(0, 1));
  expect(lone.engine.status().role).toBe("adopting");
  return { lone, own };
}

function hearPromise(lone: LoneEngine, own: Ballot, first: readonly Uint8Array[]): PaxosOutput {
  return lone.hear(2, { kind: "promise", ballot: own, ...fresher, firstSlot: 1, entries: first });
}

function partFor(own: Ballot, { from }: FetchMessage): PaxosMessage {
  const part = entries.slice(from - 1, from);
  return { kind: "logPart", ballot: own, ...fresher, firstSlot: from, entries: part };
}

/** Runs in steps of 10 ms, with heartbeats answered at once, and hands over what else is sent. */
function run(
  lone: LoneEngine,
  own: Ballot,
  ms: number,
  see: (send: Send) => void,
  answering: readonly number[] = [2],
): void {
  for (const end = after(lone.now, ms); lone.now < end; ) {
    let { sends } = lone.wake(10);
    while (sends.length > 0) {
      let next: readonly Send[] = [];
      for (const send of sends) {
        const { to, message } = send;
        if (message.kind !== "heartbeatRequest") see(send);
        else if (answering.includes(to)) {
          const follows = { ballot: ZERO_BALLOT, leader: own, happy: true };
          next = lone.hear(to, { kind: "heartbeatReply", round: message.round, ...follows }).sends;
        }
      }
      sends = next;
    }
    lone.persist();
  }
}

describe("a new leader behind a slow link", () => {
  it("adopts a log of which each part takes longer than an election timeout", () => {
    const { lone, own } = adopting();
    const coming: { at: Instant; message: PaxosMessage }[] = [];
    const see = ({ message }: Send): void => {
      if (message.kind !== "fetch") return;
      coming.push({ at: after(lone.now, 350), message: partFor(own, message) });
    };
    for (let i = 0; i < 1_000 && lone.engine.status().role === "adopting"; i += 1) {
      run(lone, own, 10, see);
      for (const part of coming.splice(0)) {
        if (part.at > lone.now) coming.push(part);
        else for (const send of lone.hear(2, part.message).sends) see(send);
      }
    }
    expect(lone.engine.status()).toMatchObject({ role: "leading", length: entries.length });
  });

  it("goes on asking the one source that a quorum cannot do without", () => {
    const { lone, own } = adopting();
    const asked: FetchMessage[] = [];
    run(lone, own, 4 * ADOPT_PATIENCE_MS, ({ message }) => {
      if (message.kind === "fetch") asked.push(message);
    });
    expect(lone.engine.status().role).toBe("adopting");
    // What came is kept, and copies of a fetch become rare: over such a link each has its answer.
    expect(new Set(asked.map(({ from }) => from))).toEqual(new Set([2]));
    expect(asked.length).toBeLessThan(20);
  });

  it("asks for the log when the promise that brought its start along was lost", () => {
    const lone = new LoneEngine(1, formed(3));
    const own = lone.stand();
    lone.persist();
    const { sends } = hearPromise(lone, own, []);
    expect(sends.map(({ message }) => message)).toMatchObject([{ kind: "fetch", from: 1 }]);
  });
});

describe("a leader of a follower behind a slow link", () => {
  it("offers its snapshot until the follower fetches it, and again when that ended", () => {
    const lone = new LoneEngine(1, formed(3), { retainSlots: 0, snapshotPartBytes: 4 });
    const own = lone.lead([2, 3]);
    lone.step({ kind: "propose", entries });
    lone.persist();
    lone.hear(2, { kind: "accepted", ballot: own, length: 7 });
    lone.step({ kind: "snapshotTaken", slot: 7, bytes: new Uint8Array(10) });
    const partsIn = (ms: number): number => {
      let parts = 0;
      const see = ({ message }: Send) => {
        if (message.kind === "snapshotPart") parts += 1;
      };
      run(lone, own, ms, see, [2, 3]);
      return parts;
    };
    expect(partsIn(1_000)).toBeGreaterThan(5);
    const fetch = { kind: "fetch", ballot: own, from: 2, synchronised: true } as const;
    const { sends } = lone.hear(3, { ...fetch, snapshotSlot: 7, snapshotOffset: 4 });
    expect(sends.map(({ message }) => message)).toMatchObject([
      { kind: "snapshotPart", offset: 4 },
    ]);
    expect(partsIn(SNAPSHOT_PIN_MS - 20)).toBe(0);
    expect(partsIn(1_000)).toBeGreaterThan(5);
  });

  it("keeps the log after the snapshot that the follower fetches, though it has a newer one", () => {
    const lone = new LoneEngine(1, formed(3), { retainSlots: 0, snapshotPartBytes: 4 });
    const own = lone.lead([2, 3]);
    const proposeAll = (length: number) => {
      lone.step({ kind: "propose", entries });
      lone.persist();
      lone.hear(2, { kind: "accepted", ballot: own, length });
      lone.step({ kind: "snapshotTaken", slot: length, bytes: new Uint8Array(10) });
    };
    proposeAll(7);
    const fetch = { kind: "fetch", ballot: own, from: 2, synchronised: true } as const;
    lone.hear(3, { ...fetch, snapshotSlot: 7, snapshotOffset: 4 });
    proposeAll(13);
    expect(lone.engine.status()).toMatchObject({ length: 13, firstRetained: 8 });
  });

  /** It holds a snapshot at slot 7; of the log, with replica 2, everything. */
  function withSnapshot(peers: readonly number[], retainSlots: number) {
    const lone = new LoneEngine(1, formed(3), { retainSlots, snapshotPartBytes: 4 });
    const own = lone.lead(peers);
    lone.step({ kind: "propose", entries });
    lone.persist();
    lone.hear(2, { kind: "accepted", ballot: own, length: 7 });
    lone.step({ kind: "snapshotTaken", slot: 7, bytes: new Uint8Array(10) });
    const sentIn = (ms: number): string[] => {
      const kinds: string[] = [];
      const see = ({ to, message }: Send) => {
        if (to === 3) kinds.push(message.kind);
      };
      run(lone, own, ms, see, [2, 3]);
      return kinds;
    };
    return { lone, own, sentIn };
  }

  it("goes on behind the snapshot that the follower took, and no earlier", () => {
    const { lone, own, sentIn } = withSnapshot([2, 3], 0);
    lone.step({ kind: "propose", entries: entries.slice(0, 1) });
    expect(sentIn(300)).toContain("snapshotPart");
    // What it says of what came before the snapshot was under way.
    expect(lone.hear(3, { kind: "accepted", ballot: own, length: 2 }).sends).toEqual([]);
    expect(lone.hear(3, { kind: "accepted", ballot: own, length: 7 }).sends).toMatchObject([
      { to: 3, message: { kind: "accept", firstSlot: 8 } },
    ]);
  });

  it("offers its snapshot to one without its log until that asks for the start of it", () => {
    const { lone, own, sentIn } = withSnapshot([2], 0);
    const none = { acceptedBallot: ZERO_BALLOT, length: 6, chosen: 6, firstSlot: 7, entries: [] };
    lone.hear(3, { kind: "promise", ballot: own, ...none });
    const offers = () => sentIn(1_000).filter((kind) => kind === "snapshotPart").length;
    expect(offers()).toBeGreaterThan(5);
    const fetch = { kind: "fetch", ballot: own, from: 7, synchronised: false } as const;
    lone.hear(3, { ...fetch, snapshotSlot: 0, snapshotOffset: 0 });
    expect(offers()).toBe(0);
  });

  it("gives of its log what it has of it, but to one in the middle of its snapshot of that", () => {
    const { lone, own } = withSnapshot([2], 3);
    const { firstRetained } = lone.engine.status();
    expect(firstRetained).toBe(5);
    const fetch = { kind: "fetch", ballot: own, from: 5, synchronised: false } as const;
    expect(lone.hear(3, { ...fetch, snapshotSlot: 0, snapshotOffset: 0 }).sends).toMatchObject([
      { to: 3, message: { kind: "logPart", firstSlot: 5 } },
    ]);
    // It began with another leader, who had less of the log.
    expect(lone.hear(3, { ...fetch, snapshotSlot: 7, snapshotOffset: 4 }).sends).toMatchObject([
      { to: 3, message: { kind: "snapshotPart", slot: 7, offset: 4 } },
    ]);
  });

  it("tells one that never got its log that there is something to ask for", () => {
    const lone = new LoneEngine(1, formed(3));
    const own = lone.lead([2]);
    const none = { acceptedBallot: ZERO_BALLOT, length: 0, chosen: 0, firstSlot: 1, entries: [] };
    lone.hear(3, { kind: "promise", ballot: own, ...none });
    const told: unknown[] = [];
    run(lone, own, 300, ({ to, message }) => {
      if (message.kind === "chosen") told.push(to);
    });
    expect(new Set(told)).toEqual(new Set([3]));
  });

  it("sends no more than a window of what is not acknowledged", () => {
    const windowBytesMax = 100;
    const lone = new LoneEngine(1, formed(3), { windowBytesMax, batchBytesMax: 60 });
    const own = lone.lead([2, 3]);
    const sent: number[] = [];
    const see = ({ sends }: PaxosOutput): void => {
      for (const { to, message } of sends) {
        if (to === 2 && message.kind === "accept") sent.push(...message.entries.map(entrySize));
      }
    };
    for (let n = 0; n < 10; n += 1) {
      see(lone.step({ kind: "propose", entries: [new Uint8Array(32)] }));
      see(lone.persist());
    }
    expect(sent).toEqual([40, 40]);
    see(lone.hear(2, { kind: "accepted", ballot: own, length: 2 }));
    expect(sent).toEqual([40, 40, 40]);
    see(lone.hear(2, { kind: "accepted", ballot: own, length: 4 }));
    expect(sent.length).toBe(5);
  });

  it("prepares it again when its promise does not come", () => {
    const lone = new LoneEngine(1, formed(3));
    const own = lone.lead([2]);
    const prepared: unknown[] = [];
    const see = ({ to, message }: Send) => {
      if (message.kind === "prepare") prepared.push(to);
    };
    run(lone, own, 300, see, [2, 3]);
    expect(new Set(prepared)).toEqual(new Set([3]));
  });

  it("goes above what a refusal says was promised, though no heartbeat tells of it", () => {
    const lone = new LoneEngine(1, formed(3));
    const own = lone.lead([2, 3]);
    const { round } = own;
    lone.hear(3, { kind: "nack", ballot: own, promised: ballot(round + 5, 2) });
    run(lone, own, 1_000, () => undefined, [2, 3]);
    expect(lone.engine.status().promised).toEqual(ballot(round + 6, 1));
  });

  it("offers nothing to one that has it all, writes it, and asks for what follows", () => {
    const lone = new LoneEngine(1, formed(3), { retainSlots: 0 });
    const own = lone.lead([2, 3]);
    lone.step({ kind: "propose", entries });
    lone.persist();
    lone.hear(2, { kind: "accepted", ballot: own, length: 7 });
    lone.step({ kind: "snapshotTaken", slot: 7, bytes: new Uint8Array(10) });
    lone.step({ kind: "propose", entries });
    lone.persist();
    const parts: PaxosMessage[] = [];
    const see = ({ to, message }: Send) => {
      if (to === 3 && message.kind === "snapshotPart") parts.push(message);
    };
    const asks = { kind: "fetch", ballot: own, from: 8, synchronised: true } as const;
    for (let n = 0; n < 20; n += 1) {
      for (const send of lone.hear(3, { ...asks, snapshotSlot: 0, snapshotOffset: 0 }).sends)
        see(send);
      run(lone, own, 100, see, [2, 3]);
    }
    expect(parts).toEqual([]);
  });

  it("offers its snapshot no more often for all that is proposed, and not at all while it is fetched", () => {
    const lone = new LoneEngine(1, formed(3), {
      retainSlots: 0,
      snapshotPartBytes: 4,
      windowEntriesMax: 6,
      batchEntriesMax: 6,
    });
    const own = lone.lead([2, 3]);
    let length = 7;
    lone.step({ kind: "propose", entries });
    lone.persist();
    lone.hear(2, { kind: "accepted", ballot: own, length });
    lone.step({ kind: "snapshotTaken", slot: length, bytes: new Uint8Array(10) });
    const partsIn = (ms: number): number => {
      let parts = 0;
      const see = ({ to, message }: Send) => {
        if (to === 3 && message.kind === "snapshotPart") parts += 1;
      };
      for (const end = after(lone.now, ms); lone.now < end; ) {
        for (const send of lone.step({ kind: "propose", entries: entries.slice(0, 1) }).sends)
          see(send);
        run(lone, own, 10, see, [2, 3]);
        length += 1;
        for (const send of lone.hear(2, { kind: "accepted", ballot: own, length }).sends) see(send);
      }
      return parts;
    };
    partsIn(1_000);
    // From here on all that follows what was sent to it is gone from the log.
    lone.step({ kind: "snapshotTaken", slot: length, bytes: new Uint8Array(10) });
    const fetched = length;
    const offered = partsIn(1_000);
    expect(offered).toBeGreaterThan(5);
    expect(offered).toBeLessThanOrEqual(11);
    const fetch = { kind: "fetch", ballot: own, from: 2, synchronised: true } as const;
    lone.hear(3, { ...fetch, snapshotSlot: fetched, snapshotOffset: 4 });
    expect(partsIn(SNAPSHOT_PIN_MS - 20)).toBe(0);
  });
});

describe("a cell on slow links", () => {
  const delayed = (ms: number) => {
    return { lossRate: 0, duplicateRate: 0, delayMsMin: ms, delayMsMax: ms + 1 };
  };
  const slow = { electionTimeoutMs: 3_000, electionTimeoutMsMax: 12_000, leaseMs: 6_000 };

  /** Starts it, and counts the slots that a follower is sent, each time anew. */
  function carriedToOne(network: TestingNetwork) {
    network.startAll();
    network.run(3_000);
    const master = network.master() ?? replicaId(1);
    const follower = network.ids.find((id) => id !== master);
    let carried = 0;
    network.filter = (_from, to, message) => {
      if (message.kind === "accept" && to === follower) carried += message.entries.length;
      return true;
    };
    return { master, carried: () => carried };
  }

  it.each([
    { ...slow, roundMs: 10 },
    { ...slow, leaseRenewMs: 10 },
  ])("has a master, however many rounds are under way: %j", (paxos) => {
    const network = new TestingNetwork({ replicas: 3, seed: "rounds", paxos });
    network.faults = delayed(360);
    network.startAll();
    network.run(60_000);
    for (let i = 0; i < 20; i += 1) {
      network.run(500);
      expect(network.master()).toBeDefined();
    }
  });

  it("sends each slot once where links lose nothing, though a window is full at each lease round", () => {
    const paxos = { batchEntriesMax: 16, windowEntriesMax: 64 };
    const network = new TestingNetwork({ replicas: 3, seed: "window", paxos });
    network.faults = { ...delayed(20), delayMsMax: 20 };
    const { master, carried } = carriedToOne(network);
    const { length } = network.engine(master).status();
    network.propose(master, ...Array.from({ length: 2_000 }, (_, i) => `c${i}`));
    const isChosen = () => network.engine(master).status().chosen >= length + 2_000;
    expect(network.runUntil(isChosen, 20_000)).toBeDefined();
    expect(carried()).toBe(2_000);
  });

  it("sends each slot once where an answer takes longer than the time to send again", () => {
    const network = new TestingNetwork({ replicas: 3, seed: "answer" });
    network.faults = delayed(80);
    const { master, carried } = carriedToOne(network);
    for (let n = 0; n < 10; n += 1) {
      network.propose(master, `c${n}`);
      network.run(250);
    }
    expect(carried()).toBe(10);
  });

  it("has its laggards catch up where snapshots come faster than parts of them are asked for", () => {
    const paxos = { ...slow, retainSlots: 65, snapshotPartBytes: 64 };
    const network = new TestingNetwork({ replicas: 3, seed: "pin", snapshotEvery: 100, paxos });
    network.faults = delayed(60);
    network.startAll();
    network.runUntil(() => network.master() !== undefined, 30_000);
    const master = network.master() ?? replicaId(1);
    const laggard = network.ids.find((id) => id !== master) ?? master;
    const load = (ms: number) => {
      for (let i = 0; i < ms; i += 1) {
        network.propose(master, `c${i}`);
        network.run(1);
      }
    };
    network.crash(laggard);
    load(1_000);
    network.start(laggard);
    load(15_000);
    const behind = network.engine(master).status().chosen - network.engine(laggard).status().chosen;
    expect(behind).toBeLessThan(1_000);
  });
});
