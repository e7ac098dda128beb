import { describe, expect, it } from "vitest";
import { CLIENT_FAULTS, createSchedule, REPLICA_FAULTS } from "./schedule.ts";

const OPTIONS = {
  seed: "a",
  forMs: 120_000,
  replicas: [1, 2, 3, 4, 5],
  clients: [11, 12, 13],
  without: new Set<never>(),
};

describe("a schedule of faults", () => {
  it("is the same for the same seed, and another for another", () => {
    expect(createSchedule(OPTIONS)).toEqual(createSchedule(OPTIONS));
    expect(createSchedule({ ...OPTIONS, seed: "b" })).not.toEqual(createSchedule(OPTIONS));
  });

  it("has every kind, for replicas in two lanes", () => {
    const [first = [], second = [], clients = []] = createSchedule(OPTIONS);
    expect(new Set([...first, ...second].map(({ kind }) => kind))).toEqual(new Set(REPLICA_FAULTS));
    expect(new Set(clients.map(({ kind }) => kind))).toEqual(new Set(CLIENT_FAULTS));
  });

  it("gives every kind its turn, to its end, within 45 s, whatever the seed", () => {
    for (let seed = 0; seed < 200; seed += 1) {
      const faults = createSchedule({ ...OPTIONS, seed: `${seed}` }).flat();
      const ended = faults.filter(({ atMs, durationMs }) => atMs + durationMs <= 45_000);
      const kinds = new Set([...REPLICA_FAULTS, ...CLIENT_FAULTS]);
      expect(new Set(ended.map(({ kind }) => kind))).toEqual(kinds);
    }
  });

  it("has one fault at a time in a lane", () => {
    for (const lane of createSchedule(OPTIONS)) {
      for (const [index, { atMs }] of lane.entries()) {
        const before = lane[index - 1];
        if (before !== undefined) expect(atMs).toBeGreaterThan(before.atMs + before.durationMs);
      }
    }
  });

  it("leaves out what the machine cannot do", () => {
    const without = new Set(["full disk", "client cut"] as const);
    const kinds = createSchedule({ ...OPTIONS, without })
      .flat()
      .map(({ kind }) => kind);
    expect(kinds).not.toContain("full disk");
    expect(kinds).not.toContain("client cut");
    expect(kinds).toContain("kill");
  });
});
