import { type PaxosMessage, replicaId } from "@cubby/paxos";
import { describe, expect, it } from "vitest";
import { LogChecker } from "./check-log.ts";

const A = Uint8Array.of(1);
const B = Uint8Array.of(2);

function applied(index: number, previous: number, command: Uint8Array) {
  return { index, previous, command };
}

function ballot(round: number, replica: number) {
  return { round, priority: 0, replica: replicaId(replica) };
}

function promise(round: number, replica: number): PaxosMessage {
  const zero = { acceptedBallot: ballot(0, 1), length: 0, chosen: 0, firstSlot: 1, entries: [] };
  return { kind: "promise", ballot: ballot(round, replica), ...zero };
}

function prepare(round: number, replica: number): PaxosMessage {
  const own = { acceptedBallot: ballot(0, 1), length: 0, chosen: 0 };
  return { kind: "prepare", ballot: ballot(round, replica), ...own };
}

describe("the checker of logs", () => {
  it("finds two commands at one index (1)", () => {
    const log = new LogChecker();
    expect(log.onApplied(1, applied(3, 0, A))).toBe(true);
    expect(log.onApplied(2, applied(3, 0, A))).toBe(false);
    expect(() => log.onApplied(3, applied(3, 0, B))).toThrow(/another command at 3/);
  });

  it("finds a command that a replica skipped, and one that only it has (1, 5)", () => {
    const log = new LogChecker();
    log.onApplied(1, applied(1, 0, A));
    log.onApplied(1, applied(2, 1, A));
    expect(() => log.onApplied(2, applied(2, 0, A))).toThrow(/from 0 to 2/);
    log.onApplied(1, applied(5, 2, A));
    expect(() => log.onApplied(2, applied(4, 2, A))).toThrow(/skipped/);
  });

  it("finds two states of one index, and a snapshot of what never was (5, 6)", () => {
    const log = new LogChecker();
    log.onApplied(1, applied(1, 0, A));
    log.onState(1, 1, "x");
    log.onState(2, 1, "x");
    expect(() => log.onState(3, 1, "y")).toThrow(/another state at 1/);
    expect(() => log.onRestored(2, 2)).toThrow(/only 1 was ever applied/);
  });

  it("finds a promise that is broken after a restart (3)", () => {
    const log = new LogChecker();
    log.onLeave(1, 1, promise(4, 2));
    log.onLeave(1, 2, promise(5, 3));
    const accepted: PaxosMessage = { kind: "accepted", ballot: ballot(4, 2), length: 9 };
    expect(() => log.onLeave(1, 3, accepted)).toThrow(/accepts in 4.2 and had promised 5.3/);
  });

  it("takes a prepare for a promise of whoever sends it (3)", () => {
    const log = new LogChecker();
    log.onLeave(1, 1, prepare(7, 1));
    const accepted: PaxosMessage = { kind: "accepted", ballot: ballot(6, 2), length: 9 };
    expect(() => log.onLeave(1, 1, accepted)).toThrow(/accepts in 6.2 and had promised 7.1/);
    expect(() => log.onLeave(1, 2, prepare(6, 1))).toThrow(/prepares 6.1 and had promised 7.1/);
  });

  it("finds a ballot that two lives of a replica propose in (4)", () => {
    const log = new LogChecker();
    log.onLeave(1, 1, prepare(7, 1));
    log.onLeave(1, 1, prepare(7, 1));
    expect(() => log.onLeave(1, 2, prepare(7, 1))).toThrow(/ballot 7.1/);
  });
});
