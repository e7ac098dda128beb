import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ballotText, compareBallots, epochOf, maxBallot, sameBallot } from "./ballot.ts";
import { ballot } from "./test-support/lone-engine.ts";

const ballots = fc
  .tuple(
    fc.oneof(fc.nat({ max: 2 }), fc.nat({ max: 2 ** 32 })),
    fc.oneof(fc.nat({ max: 2 }), fc.nat({ max: 1023 })),
    fc.integer({ min: 1, max: 9 }),
  )
  .map(([round, priority, replica]) => ballot(round, replica, priority));

describe("ballots", () => {
  it("are ordered by round, then priority, then replica", () => {
    const ascending = [ballot(1, 3, 9), ballot(2, 1), ballot(2, 2), ballot(2, 1, 1), ballot(3, 1)];
    for (const [i, a] of ascending.entries()) {
      for (const [j, b] of ascending.entries()) {
        expect(Math.sign(compareBallots(a, b))).toBe(Math.sign(i - j));
        expect(sameBallot(a, b)).toBe(i === j);
      }
    }
    expect(maxBallot(ballot(2, 2), ballot(2, 1, 1))).toEqual(ballot(2, 1, 1));
  });

  it("have epochs that are safe integers, one per ballot, in the order of ballots", () => {
    fc.assert(
      fc.property(ballots, ballots, (a, b) => {
        expect(Number.isSafeInteger(epochOf(a))).toBe(true);
        expect(Math.sign(epochOf(a) - epochOf(b))).toBe(Math.sign(compareBallots(a, b)));
      }),
    );
  });

  it("read as round and replica", () => {
    expect(ballotText(ballot(7, 2))).toBe("7.2");
    expect(ballotText(ballot(7, 2, 5))).toBe("7.5.2");
  });
});
