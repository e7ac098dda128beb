import { AssertionError, Rng } from "@cubby/base";
import { describe, expect, it } from "vitest";
import type { PaxosMessage } from "./messages.ts";
import { ballot, formed, LoneEngine } from "./test-support/lone-engine.ts";

/**
 * What a replica stops at, rather than go on: a peer's word that, if true, means that this replica
 * is about to lose what was chosen. All else that a peer can say is survived.
 */
const STOPS = [
  "violated: the leader's log holds all that is chosen",
  "violated: the log of a quorum's freshest acceptor holds what is chosen",
];

/** Any message, with fields small enough to mean something and sometimes far too great. */
function anyMessage(rng: Rng, lone: LoneEngine): PaxosMessage {
  const b = () => {
    const own = lone.engine.status().ballot;
    return own !== undefined && rng.chance(0.4) ? own : ballot(rng.below(6), 1 + rng.below(3));
  };
  const n = () => (rng.chance(0.1) ? 2 ** 50 : rng.below(12));
  const entries = Array.from({ length: rng.below(4) }, () => rng.bytes(rng.below(4)));
  const two = { ballot: b(), acceptedBallot: b() };
  const offset = rng.below(3) * 20;
  const bytes = rng.bytes(rng.below(20));
  const sizeBytes = offset + bytes.length + rng.below(2) * 7;
  const leaseMs = 1 + rng.below(1000);
  const checksum = rng.next32();
  const kinds: PaxosMessage[] = [
    { kind: "heartbeatRequest", round: n() },
    { kind: "heartbeatReply", round: n(), ballot: b(), leader: b(), happy: rng.chance(0.5) },
    { kind: "prepare", ...two, length: n(), chosen: n() },
    { kind: "promise", ...two, length: n(), chosen: n(), firstSlot: 1 + n(), entries },
    { kind: "nack", ballot: b(), promised: b() },
    { kind: "prepareRequest", ballot: b() },
    { kind: "accept", ballot: b(), firstSlot: 1 + n(), entries, chosen: n() },
    { kind: "accepted", ballot: b(), length: n() },
    { kind: "chosen", ballot: b(), chosen: n(), length: n() },
    {
      kind: "fetch",
      ballot: b(),
      from: 1 + n(),
      synchronised: rng.chance(0.5),
      snapshotSlot: n(),
      snapshotOffset: n(),
    },
    { kind: "logPart", ...two, firstSlot: 1 + n(), entries, chosen: n(), length: n() },
    {
      kind: "snapshotPart",
      ballot: b(),
      slot: 1 + n(),
      sizeBytes,
      checksum,
      leaseMs,
      offset,
      bytes,
    },
    { kind: "leaseRequest", ballot: b(), leaseRound: n(), leaseMs, chosen: n(), length: n() },
    { kind: "leaseGrant", ballot: b(), leaseRound: n() },
    { kind: "leaseRelease", ballot: b(), leaseRound: n() },
    { kind: "invite", ballot: b(), leaseRound: n() },
    { kind: "genesisOffer", members: [] },
    { kind: "genesisQuery" },
  ];
  const message = kinds[rng.below(kinds.length)];
  return message ?? { kind: "genesisQuery" };
}

describe("a peer that says anything at all", () => {
  it("ends no replica, unless what it says means that chosen slots are being lost", () => {
    let stopped = 0;
    for (let seed = 0; seed < 600; seed += 1) {
      const rng = new Rng(`peer-${seed}`);
      const lone = new LoneEngine(1, formed(3), { learnBytes: 30, snapshotPartBytes: 20 });
      lone.wake();
      if (rng.chance(0.5)) lone.lead([2, 3]);
      try {
        for (let i = 0; i < 120; i += 1) {
          lone.hear(2 + rng.below(2), anyMessage(rng, lone));
          if (rng.chance(0.6)) lone.persist();
          if (rng.chance(0.3)) lone.wake(rng.below(200));
          if (rng.chance(0.2)) lone.step({ kind: "propose", entries: [rng.bytes(3)] });
        }
      } catch (error) {
        if (!(error instanceof AssertionError)) throw error;
        expect(STOPS).toContain(error.message);
        stopped += 1;
      }
    }
    expect(stopped).toBeLessThan(20);
  });
});
