import { after } from "@cubby/base";
import { describe, expect, it } from "vitest";
import { replicaId, ZERO_BALLOT } from "./ballot.ts";
import { emptyLog } from "./recovery.ts";
import { ballot, LoneEngine, members } from "./test-support/lone-engine.ts";
import { TestingNetwork } from "./test-support/testing-network.ts";

const ids = [1, 2, 3].map(replicaId);
const fresh = (self: number) => new LoneEngine(self, emptyLog(), { members: ids });
const other = [{ replica: replicaId(1), incarnation: "other" }, ...members(3).slice(1)];

describe("the first configuration", () => {
  it("is complete at once for one replica alone", () => {
    const lone = new LoneEngine(1, emptyLog(), { members: [replicaId(1)] });
    expect(lone.take().records).toEqual([{ kind: "genesis", members: members(1), complete: true }]);
    expect(lone.engine.status().genesisComplete).toBe(true);
  });

  it("is adopted by the coordinator when it knows every incarnation, and offered when durable", () => {
    const lone = fresh(1);
    const asked = lone.wake();
    expect(asked.sends).toEqual([2, 3].map((to) => ({ to, message: { kind: "genesisQuery" } })));
    lone.hear(2, { kind: "genesisStatus", members: [] });
    expect(lone.take().records).toEqual([]);
    const adopted = lone.hear(3, { kind: "genesisStatus", members: [] });
    expect(adopted.records).toEqual([{ kind: "genesis", members: members(3), complete: false }]);
    expect(adopted.sends).toEqual([]);
    expect(adopted.sendsAfterPersist).toEqual(
      [2, 3].map((to) => ({ to, message: { kind: "genesisOffer", members: members(3) } })),
    );
  });

  it("names nobody who was heard a while ago, and may have been formatted anew since", () => {
    const lone = fresh(1);
    lone.wake();
    lone.hear(3, { kind: "genesisStatus", members: [] }, "a directory that was given up");
    lone.now = after(lone.now, 30_000);
    expect(lone.hear(2, { kind: "genesisStatus", members: [] }).records).toEqual([]);
    lone.now = after(lone.now, 900);
    const adopted = lone.hear(3, { kind: "genesisStatus", members: [] });
    expect(adopted.records).toEqual([{ kind: "genesis", members: members(3), complete: false }]);
  });

  it("that was never completed is said to be so to whom it does not name", () => {
    const lone = fresh(1);
    lone.wake();
    for (const peer of [2, 3]) lone.hear(peer, { kind: "genesisStatus", members: [] });
    const [refusal] = lone.hear(3, { kind: "genesisQuery" }, "formatted anew").sends;
    expect(refusal?.message).toMatchObject({ kind: "refused", incarnation: "formatted anew" });
    expect(JSON.stringify(refusal)).toContain("format all directories anew");
  });

  it("is put together by the coordinator alone, or two of them could differ", () => {
    const lone = fresh(2);
    lone.wake();
    for (const peer of [1, 3]) {
      expect(lone.hear(peer, { kind: "genesisStatus", members: [] }).records).toEqual([]);
    }
  });

  it("is complete when all have adopted it, not before", () => {
    const lone = fresh(1);
    lone.wake();
    for (const peer of [2, 3]) lone.hear(peer, { kind: "genesisStatus", members: [] });
    lone.persist();
    expect(lone.hear(2, { kind: "genesisStatus", members: members(3) }).records).toEqual([]);
    expect(lone.hear(3, { kind: "genesisStatus", members: other }).records).toEqual([]);
    const output = lone.hear(3, { kind: "genesisStatus", members: members(3) });
    expect(output.records).toEqual([{ kind: "genesis", members: members(3), complete: true }]);
    expect(output.sendsAfterPersist).toEqual(
      [2, 3].map((to) => ({ to, message: { kind: "genesisComplete", members: members(3) } })),
    );
  });

  it("is complete for nobody by a status from before its adoption", () => {
    const lone = fresh(1);
    lone.wake();
    for (const peer of [2, 3]) lone.hear(peer, { kind: "genesisStatus", members: [] });
    lone.persist();
    const says = (peer: number, named: ReturnType<typeof members>) =>
      lone.hear(peer, { kind: "genesisStatus", members: named }).records;
    expect([...says(2, []), ...says(3, members(3))]).toEqual([]);
    expect(says(2, members(3))).toMatchObject([{ kind: "genesis", complete: true }]);
  });

  it("is waited for, and not in a circle of wake-ups", () => {
    const lone = fresh(2);
    expect(lone.wake().wakeAt).toBeGreaterThan(lone.now);
    expect(lone.wake(50).wakeAt).toBeGreaterThan(lone.now);
  });

  it("is adopted as offered by who holds none and is named in it, and told once durable", () => {
    const lone = fresh(2);
    lone.wake();
    const output = lone.hear(1, { kind: "genesisOffer", members: members(3) });
    expect(output.records).toEqual([{ kind: "genesis", members: members(3), complete: false }]);
    expect(output.sends).toEqual([]);
    expect(output.sendsAfterPersist).toEqual([
      { to: 1, message: { kind: "genesisStatus", members: members(3) } },
    ]);
  });

  it("is told each peer once while its record waits for the disk, however often they ask", () => {
    const lone = fresh(2);
    lone.wake();
    const offer = { kind: "genesisOffer", members: members(3) } as const;
    const offered = [1, 2, 3].flatMap(() => lone.hear(1, offer).sendsAfterPersist);
    const asked = [1, 2, 3].flatMap(() => lone.hear(3, { kind: "genesisQuery" }).sendsAfterPersist);
    expect([offered.length, asked.length]).toEqual([1, 1]);
    lone.persist();
    expect(lone.hear(3, { kind: "genesisQuery" }).sendsAfterPersist).toEqual([]);
    expect(lone.hear(3, { kind: "genesisQuery" }).sends).toHaveLength(1);
  });

  it("is not adopted by who is not named in it, nor by who holds another", () => {
    const wrong = members(3).map((member) => ({ ...member, incarnation: "wrong" }));
    const unnamed = fresh(2);
    expect(unnamed.hear(1, { kind: "genesisOffer", members: wrong }).records).toEqual([]);
    const shorter = fresh(2);
    const two = members(3).slice(0, 2);
    expect(shorter.hear(1, { kind: "genesisOffer", members: two }).records).toEqual([]);
    // The others were started with other peers than this one.
    for (const named of [
      [1, 2, 4],
      [1, 3, 4],
    ]) {
      const others = members(4).filter(({ replica }) => named.includes(replica));
      expect(fresh(2).hear(1, { kind: "genesisOffer", members: others }).records).toEqual([]);
    }
    const holding = fresh(2);
    holding.hear(1, { kind: "genesisOffer", members: members(3) });
    const second = holding.hear(3, { kind: "genesisOffer", members: other });
    expect(second.records).toEqual([]);
  });

  it("comes before anything else: without it nothing is promised, accepted or granted", () => {
    const lone = fresh(2);
    lone.wake();
    lone.hear(1, { kind: "genesisOffer", members: members(3) });
    lone.persist();
    const prepare = {
      kind: "prepare",
      ballot: ballot(1, 1),
      acceptedBallot: ZERO_BALLOT,
      length: 0,
      chosen: 0,
    } as const;
    const early = lone.hear(1, prepare);
    expect(early).toMatchObject({ sends: [], records: [], sendsAfterPersist: [] });
    lone.hear(1, { kind: "genesisComplete", members: members(3) });
    expect(lone.hear(1, prepare).records).toEqual([{ kind: "promised", ballot: ballot(1, 1) }]);
  });

  it("is passed on by anybody who knows it complete, so the coordinator may die", () => {
    const network = new TestingNetwork({ replicas: 3, seed: "coordinator-dies" });
    // 3 hears of the completion from nobody at first.
    network.filter = (_, to, { kind }) => to !== 3 || kind !== "genesisComplete";
    network.startAll();
    const complete = (id: number) => network.engine(replicaId(id)).status().genesisComplete;
    expect(network.runUntil(() => complete(1) && complete(2), 1000)).toBeDefined();
    network.crash(replicaId(1));
    network.filter = undefined;
    expect(complete(3)).toBe(false);
    expect(network.runUntil(() => complete(3), 1000)).toBeDefined();
    expect(network.runUntil(() => network.master() !== undefined, 3000)).toBeDefined();
  });

  it("comes about through loss, duplication, and the crash of anybody at any time", () => {
    for (let seed = 0; seed < 40; seed += 1) {
      const network = new TestingNetwork({
        replicas: 3,
        seed: `genesis-${seed}`,
        faults: { lossRate: 0.3, duplicateRate: 0.3, delayMsMin: 0.1, delayMsMax: 30 },
        diskMsMax: 20,
      });
      network.startAll();
      for (let i = 0; i < 6; i += 1) {
        network.run(10 + seed);
        const id = replicaId(1 + ((seed + i) % 3));
        network.crash(id);
        network.start(id);
      }
      const all = () => ids.every((id) => network.engine(id).status().genesisComplete);
      expect(network.runUntil(all, 20_000)).toBeDefined();
    }
  });

  it("makes every member refuse another incarnation, and drop what it says", () => {
    const lone = new LoneEngine(2, {
      ...emptyLog(),
      genesis: { members: members(3), complete: true },
    });
    lone.wake();
    const output = lone.hear(3, { kind: "heartbeatRequest", round: 1 }, "wiped");
    expect(output.sends).toEqual([
      {
        to: 3,
        message: {
          kind: "refused",
          incarnation: "wiped",
          reason: "replica 3 is on record with another incarnation",
        },
      },
    ]);
    expect(output.trace).toEqual([{ kind: "refusedPeer", replica: 3, incarnation: "wiped" }]);
  });

  it("lets a refusal end only the incarnation that it names", () => {
    const lone = fresh(2);
    lone.wake();
    const refused = { kind: "refused", reason: "no" } as const;
    expect(lone.hear(1, { ...refused, incarnation: "an earlier life" }).events).toEqual([]);
    expect(lone.hear(1, { ...refused, incarnation: "i2" }).events).toEqual([
      { kind: "refused", by: 1, reason: "no" },
    ]);
  });

  it("hears nobody who is no member", () => {
    const lone = fresh(2);
    lone.wake();
    const output = lone.hear(7, { kind: "genesisQuery" });
    expect(output.sends).toEqual([]);
    expect(output.trace).toEqual([
      { kind: "messageDropped", from: 7, reason: "not a member of this cell" },
    ]);
  });
});
