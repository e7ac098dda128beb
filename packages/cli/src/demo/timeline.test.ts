import { describe, expect, it } from "vitest";
import { generationsRise, jobsProblem, overlaps, type Reign, whenLost } from "./timeline.ts";

function reign(worker: string, fromMs: number, untilMs: number, generation = 1): Reign {
  return { worker, pid: 1, generation, fromMs, untilMs };
}

describe("leaders that overlap", () => {
  it("are none when one begins as the other ends", () => {
    expect(overlaps([reign("web1", 0, 10), reign("web2", 10, 20)])).toEqual([]);
  });

  it("are found whatever the order in which they are told", () => {
    const first = reign("web1", 0, 12);
    const second = reign("web2", 10, 30);
    expect(overlaps([second, first])).toEqual([{ first, second, forMs: 2 }]);
  });

  it("are found when one lies within the other", () => {
    expect(overlaps([reign("web1", 0, 100), reign("web2", 10, 20), reign("web3", 50, 60)])).toEqual(
      [
        { first: reign("web1", 0, 100), second: reign("web2", 10, 20), forMs: 10 },
        { first: reign("web1", 0, 100), second: reign("web3", 50, 60), forMs: 10 },
      ],
    );
  });
});

describe("sequencers of successive leaders", () => {
  it("must rise", () => {
    expect(generationsRise([reign("a", 0, 1, 4), reign("b", 2, 3, 6)])).toBe(true);
    expect(generationsRise([reign("b", 2, 3, 4), reign("a", 0, 1, 4)])).toBe(false);
  });
});

describe("the job store's jobs", () => {
  it("are each there once, in order, and never under an older holder than before", () => {
    const done = (job: number, generation: number) => ({ job, generation });
    expect(jobsProblem([done(1, 4), done(2, 4), done(3, 6)])).toBeUndefined();
    expect(jobsProblem([done(1, 4), done(3, 4)])).toBe("job 3 stands in place 2");
    expect(jobsProblem([done(1, 6), done(2, 4)])).toBe(
      "job 2 was done under generation 4, after 6",
    );
  });
});

describe("the time at which a lock was lost", () => {
  const at = (ms: number, held: boolean, generation: number) => ({
    askedAtMs: ms,
    answeredAtMs: ms + 3,
    held,
    generation,
  });

  it("lies between the last question that saw it held and the next answer", () => {
    const sightings = [at(0, true, 4), at(20, true, 4), at(40, false, 4), at(60, true, 5)];
    expect(whenLost(sightings, 4)).toEqual({ notBeforeMs: 20, notAfterMs: 43 });
  });

  it("counts a new holder's generation as lost, though it is held", () => {
    expect(whenLost([at(0, true, 4), at(20, true, 5)], 4)).toEqual({
      notBeforeMs: 0,
      notAfterMs: 23,
    });
  });

  it("is unknown while the holder holds", () => {
    expect(whenLost([at(0, true, 4)], 4)).toBeUndefined();
  });
});
