import { describe, expect, it, vi } from "vitest";
import { type FaultClass, playWindow } from "./availability.ts";

vi.setConfig({ testTimeout: 120_000 });

describe("a window of the year", () => {
  it("has no length where nobody can write again, and is a failure (22)", () => {
    const forEver: FaultClass = {
      ...{ name: "the end of all replicas", perYear: 1, lastsMs: 1_000 },
      inject: ({ world }) => {
        for (const replica of world.replicas) world.crash(replica, "killed");
      },
    };
    expect(() => playWindow("1", forEver)).toThrow(/nobody can write 15 minutes after the end of/);
  });
});
