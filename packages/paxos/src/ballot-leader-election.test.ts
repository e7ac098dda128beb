import { type Instant, instant, Rng } from "@cubby/base";
import { describe, expect, it } from "vitest";
import { type Ballot, replicaId, sameBallot, ZERO_BALLOT } from "./ballot.ts";
import { BallotLeaderElection } from "./ballot-leader-election.ts";
import { ballot, formed, LoneEngine } from "./test-support/lone-engine.ts";

const ALIVE = { diskAlive: true, mayPromise: true, lags: false, established: false };

type Answer = { ballot?: Ballot; leader?: Ballot; happy: boolean };

/** Replica 1 of a cell, whose peers answer as the test says. */
class Proposer {
  now: Instant = instant(1000);
  readonly election: BallotLeaderElection;
  readonly #answers = new Map<number, Answer>();

  constructor(count: number, promised = ZERO_BALLOT, priority = 0) {
    const peers = Array.from({ length: count - 1 }, (_, i) => replicaId(i + 2));
    this.election = new BallotLeaderElection(
      {
        self: replicaId(1),
        peers,
        quorum: Math.floor(count / 2) + 1,
        priority,
        roundMs: 100,
        electionTimeoutMs: 300,
        electionTimeoutMsMax: 1200,
      },
      new Rng("alone"),
      promised,
      this.now,
    );
  }

  says(peer: number, answer: Answer | undefined): void {
    if (answer === undefined) this.#answers.delete(peer);
    else this.#answers.set(peer, answer);
  }

  run(ms: number, context = ALIVE): void {
    for (let i = 0; i < ms; i += 1) {
      this.now = instant(this.now + 1);
      if (!this.election.advance(this.now, context)) continue;
      for (const [peer, answer] of this.#answers) {
        this.election.onReply(replicaId(peer), {
          kind: "heartbeatReply",
          round: this.election.round,
          ballot: answer.ballot ?? ballot(0, peer),
          leader: answer.leader ?? answer.ballot ?? ZERO_BALLOT,
          happy: answer.happy,
        });
      }
    }
  }
}

describe("ballot leader election", () => {
  it("begins with no pause, however late its cell was formed", () => {
    const one = new Proposer(3);
    one.now = instant(1400);
    one.says(2, { happy: false });
    for (let ms = 0; ms < 1000 && !one.election.leads; ms += 1) one.run(1);
    // A round to hear of the other, and the spread of take-overs.
    expect(one.now).toBeLessThanOrEqual(1400 + 2 * 100 + 1);
  });

  it("takes over when a quorum answers and all who answer are unhappy", () => {
    const one = new Proposer(3, ballot(4, 3));
    one.says(2, { leader: ballot(4, 3), happy: false });
    one.run(500);
    expect(one.election.own).toEqual(ballot(5, 1));
    expect(one.election.leads).toBe(true);
  });

  it("does not take over while anybody who answers is happy", () => {
    const one = new Proposer(5, ballot(4, 3));
    for (const peer of [2, 4]) one.says(peer, { leader: ballot(4, 3), happy: false });
    one.says(5, { leader: ballot(4, 3), happy: true });
    one.run(5000);
    expect(one.election.leads).toBe(false);
    expect(one.election.happy).toBe(false);
    // To others it names the one that its neighbour follows.
    expect(one.election.knownLeader(one.now)).toBe(3);
  });

  it("does not take over without a quorum of round trips", () => {
    const one = new Proposer(5, ballot(4, 3));
    one.says(2, { leader: ballot(4, 3), happy: false });
    one.run(5000);
    expect(one.election.leads).toBe(false);
  });

  it("counts no answer that matches no question: one-way evidence deposes nobody", () => {
    const one = new Proposer(3, ballot(4, 3));
    for (let i = 0; i < 50; i += 1) {
      one.election.onReply(replicaId(2), {
        kind: "heartbeatReply",
        round: i,
        ballot: ballot(9, 2),
        leader: ballot(9, 2),
        happy: true,
      });
      one.run(20);
    }
    expect(one.election.leader).toEqual(ballot(4, 3));
    expect(one.election.connected(one.now)).toBe(1);
  });

  it("follows the greatest ballot whose owner answers, and is happy if that one is", () => {
    const one = new Proposer(3);
    one.says(2, { ballot: ballot(2, 2), happy: false });
    one.says(3, { ballot: ballot(3, 3), happy: true });
    one.run(300);
    expect(one.election.follows(ballot(3, 3))).toBe(true);
    expect(one.election.follows(ballot(2, 2))).toBe(false);
    expect(one.election.knownLeader(one.now)).toBe(3);
  });

  it("notices a leader's silence within its timeout, not at once", () => {
    const one = new Proposer(3);
    one.says(3, { ballot: ballot(3, 3), happy: true });
    one.says(2, { leader: ballot(3, 3), happy: false });
    one.run(1000);
    one.says(3, undefined);
    one.run(190);
    expect(one.election.happy, "two lost heartbeats are no silence").toBe(true);
    one.run(310);
    expect(one.election.happy && !one.election.leads).toBe(false);
    one.run(200);
    expect(one.election.own).toEqual(ballot(4, 1));
  });

  it("never pre-empts a happy leader, whatever the priority", () => {
    const one = new Proposer(3, ZERO_BALLOT, 900);
    one.says(2, { ballot: ballot(3, 2), happy: true });
    one.says(3, { leader: ballot(3, 2), happy: true });
    one.run(20_000);
    expect(one.election.leads).toBe(false);
  });

  it("breaks a tie between two that took over at once by priority, then by id", () => {
    for (const [priority, other, leads] of [
      [0, ballot(5, 2), false],
      [1, ballot(5, 2), true],
      [1, ballot(5, 2, 2), false],
    ] as const) {
      const one = new Proposer(3, ballot(4, 3), priority);
      one.says(2, { leader: ballot(4, 3), happy: false });
      one.run(500);
      expect(one.election.leads).toBe(true);
      one.says(2, { ballot: other, happy: true });
      one.run(150);
      expect(one.election.leads).toBe(leads);
    }
  });

  it("becomes unhappy as a leader that too few would follow, and says so", () => {
    const one = new Proposer(3, ballot(4, 3));
    one.says(2, { leader: ballot(4, 3), happy: false });
    one.run(500);
    expect(one.election.leads).toBe(true);
    expect(one.election.quorumFollows(one.now)).toBe(true);
    one.says(2, undefined);
    one.run(700);
    expect(one.election.quorumFollows(one.now)).toBe(false);
    expect(one.election.reply(1).happy).toBe(false);
  });

  it("yields as a leader whose neighbours follow a greater one, out of reach", () => {
    const one = new Proposer(3, ballot(4, 3));
    one.says(2, { leader: ballot(4, 3), happy: false });
    one.run(500);
    expect(one.election.leads).toBe(true);
    one.says(2, { leader: ballot(7, 3), happy: true });
    one.run(5000);
    expect(one.election.leader).toEqual(ballot(7, 3));
    expect(one.election.leads).toBe(false);
  });

  it("outbids a peer that promised more than its ballot, patiently if it leads well", () => {
    const one = new Proposer(5, ballot(4, 3));
    for (const peer of [2, 3, 4]) one.says(peer, { leader: ballot(4, 3), happy: false });
    one.run(500);
    expect(one.election.own).toEqual(ballot(5, 1));
    for (const peer of [2, 3]) one.says(peer, { leader: ballot(5, 1), happy: true });
    one.says(4, { leader: ballot(6, 4), happy: false });
    one.run(250, { diskAlive: true, mayPromise: true, lags: false, established: true });
    expect(one.election.own).toEqual(ballot(5, 1));
    one.run(400, { diskAlive: true, mayPromise: true, lags: false, established: true });
    expect(one.election.own).toEqual(ballot(7, 1));
  });

  it("outbids nobody while its promise would have to wait: a ballot of old serves reads", () => {
    const one = new Proposer(5, ballot(4, 3));
    for (const peer of [2, 3, 4]) one.says(peer, { leader: ballot(4, 3), happy: false });
    one.run(500);
    for (const peer of [2, 3]) one.says(peer, { leader: ballot(5, 1), happy: true });
    one.says(4, { leader: ballot(6, 4), happy: false });
    one.run(2000, { diskAlive: true, mayPromise: false, lags: false, established: true });
    expect(one.election.own).toEqual(ballot(5, 1));
    one.run(700, { diskAlive: true, mayPromise: true, lags: false, established: true });
    expect(one.election.own).toEqual(ballot(7, 1));
  });

  it("outbids nobody who follows a leader that lives", () => {
    const one = new Proposer(5, ballot(4, 3));
    for (const peer of [2, 3, 4]) one.says(peer, { leader: ballot(4, 3), happy: false });
    one.run(500);
    for (const peer of [2, 3]) one.says(peer, { leader: ballot(5, 1), happy: true });
    one.says(4, { leader: ballot(6, 5), happy: true });
    one.run(3000);
    expect(one.election.own).toEqual(ballot(5, 1));
    expect(one.election.leads, "one neighbour overrules no quorum").toBe(true);
  });

  it("outbids nobody without a quorum, which may follow another by then", () => {
    const one = new Proposer(5, ballot(4, 3));
    for (const peer of [2, 3, 4]) one.says(peer, { leader: ballot(4, 3), happy: false });
    one.run(500);
    expect(one.election.own).toEqual(ballot(5, 1));
    for (const peer of [2, 3]) one.says(peer, undefined);
    one.run(500);
    one.says(4, { leader: ballot(6, 4), happy: false });
    one.run(1000);
    expect(one.election.own).toEqual(ballot(5, 1));
  });

  it("leads nobody with a disk that is stuck", () => {
    const one = new Proposer(3, ballot(4, 3));
    one.says(2, { leader: ballot(4, 3), happy: false });
    one.run(3000, { diskAlive: false, mayPromise: false, lags: false, established: false });
    expect(one.election.leads).toBe(false);
    expect(one.election.reply(1).happy).toBe(false);
  });

  it("does not stand while much waits for its disk, and stands once that is done", () => {
    const one = new Proposer(3, ballot(4, 3));
    one.says(2, { leader: ballot(4, 3), happy: false });
    one.run(3000, { diskAlive: true, mayPromise: false, lags: false, established: false });
    expect(one.election.leads).toBe(false);
    one.says(2, { leader: ballot(4, 3), happy: false });
    one.run(3000);
    expect(one.election.leads).toBe(true);
  });

  it("comes back from a restart below the ballot it led, and follows until it must not", () => {
    const one = new Proposer(3, ballot(4, 1));
    expect(one.election.own.round).toBe(0);
    expect(one.election.leads).toBe(false);
    one.says(2, { ballot: ballot(5, 2), happy: true });
    one.run(3000);
    expect(sameBallot(one.election.leader, ballot(5, 2))).toBe(true);
  });

  it("gives a leader that it learned of by its prepare the time to answer", () => {
    const one = new Proposer(3);
    one.says(2, { leader: ZERO_BALLOT, happy: false });
    one.run(50);
    one.election.observe(one.now, ballot(6, 3));
    expect(one.election.follows(ballot(6, 3))).toBe(true);
    one.run(290);
    expect(one.election.leads).toBe(false);
    one.run(500);
    expect(one.election.own).toEqual(ballot(7, 1));
  });

  it("is not turned away from its own claim by a prepare of a lower ballot", () => {
    const one = new Proposer(3, ballot(4, 3));
    one.says(2, { leader: ballot(4, 3), happy: false });
    one.run(500);
    one.election.observe(one.now, ballot(4, 9));
    expect(one.election.leads).toBe(true);
    expect(one.election.leader).toEqual(ballot(5, 1));
  });

  it("follows no leader that fell silent, though nobody takes its place", () => {
    const one = new Proposer(3);
    one.says(3, { ballot: ballot(3, 3), happy: true });
    one.run(300);
    expect(one.election.follows(ballot(3, 3))).toBe(true);
    one.says(3, undefined);
    one.run(500);
    expect(one.election.leader).toEqual(ballot(3, 3));
    expect(one.election.follows(ballot(3, 3))).toBe(false);
  });

  it("gives answers more time with each attempt that failed, and less again once one has lasted", () => {
    const one = new Proposer(3, ballot(4, 3));
    for (let attempt = 0; attempt < 5; attempt += 1) {
      const { round } = one.election.own;
      one.says(2, { leader: ballot(round + 1, 3), happy: false });
      for (let ms = 0; ms < 2000 && one.election.own.round === round; ms += 1) one.run(1);
    }
    expect(one.election.own).toEqual(ballot(13, 1));
    one.says(2, undefined);
    one.run(1000);
    expect(one.election.connected(one.now)).toBe(2);
    one.says(2, { leader: ballot(13, 1), happy: true });
    one.run(3000);
    expect(one.election.connected(one.now)).toBe(2);
    one.says(2, undefined);
    one.run(500);
    expect(one.election.connected(one.now)).toBe(1);
  });

  it("takes its own pause for nobody's silence, but not for ever", () => {
    const one = new Proposer(3);
    one.says(3, { ballot: ballot(3, 3), happy: true });
    one.says(2, { leader: ballot(3, 3), happy: false });
    one.run(1000);
    one.now = instant(one.now + 5000);
    one.run(1);
    expect(one.election.happy).toBe(true);
    one.run(500);
    expect(one.election.follows(ballot(3, 3))).toBe(true);
    // A machine that is late each time still elects.
    one.says(3, undefined);
    for (let i = 0; i < 10; i += 1) {
      one.now = instant(one.now + 400);
      one.run(1);
    }
    one.run(100);
    expect(one.election.leads).toBe(true);
  });

  it("takes each of its pauses for nobody's silence, if there is time enough between them", () => {
    const one = new Proposer(3);
    one.says(3, { ballot: ballot(3, 3), happy: true });
    one.says(2, { leader: ballot(3, 3), happy: false });
    for (let pause = 0; pause < 3; pause += 1) {
      one.run(2000);
      one.now = instant(one.now + 5000);
      one.run(1);
      expect(one.election.happy).toBe(true);
    }
  });

  it.each([30, 31, 32, 100, 500, 1_000, 2_000, 59_999, 60_000])(
    "goes on with a timeout of %i ms, which needs no third that is whole",
    (electionTimeoutMs) => {
      const roundMs = Math.floor(electionTimeoutMs / 3);
      const electionTimeoutMsMax = 4 * electionTimeoutMs;
      const options = { roundMs, electionTimeoutMs, electionTimeoutMsMax };
      const lone = new LoneEngine(1, formed(3), options);
      let rounds = 0;
      for (let i = 0; i < 30; i += 1) rounds += lone.wake(roundMs).sends.length / 2;
      expect(rounds).toBe(30);
    },
  );

  it("takes an old answer for what it is, and nobody for alive by it", () => {
    const one = new Proposer(3);
    one.run(1);
    const { round } = one.election;
    one.run(1000);
    const alive = { ballot: ballot(0, 2), leader: ZERO_BALLOT, happy: true };
    one.election.onReply(replicaId(2), { kind: "heartbeatReply", round, ...alive });
    expect(one.election.connected(one.now)).toBe(1);
    one.election.onReply(replicaId(2), {
      kind: "heartbeatReply",
      round: one.election.round,
      ...alive,
    });
    expect(one.election.connected(one.now)).toBe(2);
  });
});
