import { replicaId } from "@cubby/paxos";
import { Request } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import { QuorumReadChecker } from "./check-quorum-reads.ts";

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
  const check = () => checker.check(1, request);
  return { arrive: () => checker.onRequest(request), begin, grant, check };
}

describe("the checker of reads that ask a quorum (9)", () => {
  it("lets a read pass once a quorum has granted a round that began after it came", () => {
    const { arrive, begin, grant, check } = led();
    arrive();
    begin(1);
    grant(1, 2, 3);
    expect(check).not.toThrow();
  });

  it("finds one that rests on a round of before, or on fewer than a quorum", () => {
    const { arrive, begin, grant, check } = led();
    begin(1);
    arrive();
    grant(1, 2, 3);
    expect(check).toThrow(/no quorum has granted a round since it came/);
    begin(2);
    grant(2, 2, 2);
    expect(check).toThrow(/no quorum/);
    // Sent to another peer again: it began when it left first.
    begin(1);
    grant(1, 4);
    expect(check).toThrow(/no quorum/);
    grant(2, 5);
    expect(check).not.toThrow();
  });
});
