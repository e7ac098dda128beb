import { replicaId } from "@cubby/paxos";
import { ERROR_CODES, Opened, Reply, Request } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import { QuorumReadChecker, restsOnMaster } from "./check-quorum-reads.ts";

const ballot = { round: 1, priority: 0, replica: replicaId(1) };

/** Replica 1 of five leads. */
function led() {
  const checker = new QuorumReadChecker(5);
  const request = Request.create();
  const lease = { leaseMs: 600, chosen: 0, length: 0 };
  const begin = (leaseRound: number) =>
    checker.onLeaseRequest(1, { kind: "leaseRequest", ballot, leaseRound, ...lease });
  const grant = (leaseRound: number, ...from: number[]) => {
    for (const id of from) checker.onLeaseGrant(1, id, { kind: "leaseGrant", ballot, leaseRound });
  };
  const check = (reply = Reply.create()) => checker.check(1, request, reply);
  return { checker, arrive: () => checker.onRequest(request), begin, grant, check };
}

describe("the checker of reads that ask a quorum (9)", () => {
  it("lets a read pass once a quorum has granted a round that began after it came", () => {
    const { arrive, begin, grant, check } = led();
    arrive();
    begin(1);
    grant(1, 2, 3);
    expect(() => check()).not.toThrow();
  });

  it("finds one that rests on a round of before, or on fewer than a quorum", () => {
    const { arrive, begin, grant, check } = led();
    begin(1);
    arrive();
    grant(1, 2, 3);
    expect(() => check()).toThrow(/no quorum has granted a round since it came/);
    begin(2);
    grant(2, 2, 2);
    expect(() => check()).toThrow(/no quorum/);
    // Sent to another peer again: it began when it left first.
    begin(1);
    grant(1, 4);
    expect(() => check()).toThrow(/no quorum/);
    grant(2, 5);
    expect(() => check()).not.toThrow();
  });

  it("counts for a KeepAlive from when its lease began, however long it was held", () => {
    const { checker, arrive, begin, grant, check } = led();
    const value = { leaseMs: 12_000, heldMs: 5_000, failOverEpoch: 0 };
    const reply = Reply.create({ result: { $case: "keepAlive", value } });
    arrive();
    begin(1);
    grant(1, 2, 3);
    checker.onMade(reply);
    expect(() => check(reply)).toThrow(/no quorum has granted a round since its lease began/);
    begin(2);
    grant(2, 2, 3);
    check(reply);
  });

  it("knows what is worth only what its master's word is", () => {
    const refused = (code: keyof typeof ERROR_CODES) => {
      const value = { code: ERROR_CODES[code].id, detail: "", masterId: 0, masterAddress: "" };
      return { $case: "error" as const, value };
    };
    const opened = { $case: "open" as const, value: Opened.create() };
    expect(restsOnMaster(opened, false)).toBe(true);
    expect(restsOnMaster(opened, true)).toBe(false);
    expect(restsOnMaster(refused("lock_held"), false)).toBe(true);
    expect(restsOnMaster(refused("lock_held"), true)).toBe(false);
    expect(restsOnMaster(refused("not_master"), false)).toBe(false);
  });
});
