import { Rng } from "@cubby/base";
import { describe, expect, it } from "vitest";
import { drawPlan } from "./plan.ts";

import { FAULT_KINDS, type RunOptions } from "./run-result.ts";

const SEEDS = Array.from({ length: 100 }, (_, i) => `${i + 1}`);

function planOf(seed: string, options: Omit<RunOptions, "seed"> = {}) {
  return drawPlan(new Rng(seed), { seed, ...options });
}

describe("the plan of a seed", () => {
  it("stays as it is but for what is given, so that a smaller run is one of the same seed", () => {
    for (const seed of SEEDS) {
      const plan = planOf(seed);
      const given = { replicas: 1, clients: 1, safetyMs: 1_000 };
      expect(planOf(seed, given)).toEqual({ ...plan, ...given });
    }
  });

  it("stays as it is but for what a kind of fault that is left out would do", () => {
    for (const seed of SEEDS) {
      const plan = planOf(seed);
      for (const kind of FAULT_KINDS) {
        const { kinds, ...rest } = planOf(seed, { without: [kind] });
        expect(kinds).not.toContain(kind);
        if (!plan.kinds.has(kind)) expect({ kinds, ...rest }).toEqual(plan);
        const { reads, paths, sessionLeaseMs, thinkMs, faultEveryMs, latencyMs } = plan;
        expect(rest).toMatchObject({
          reads,
          paths,
          sessionLeaseMs,
          thinkMs,
          faultEveryMs,
          latencyMs,
        });
      }
    }
  });
});
