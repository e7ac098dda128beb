import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { Crew } from "./crew.ts";
import type { SeedTask } from "./task.ts";

const directory = mkdtempSync(join(tmpdir(), "cubby-crew-"));
const file = join(directory, "worker.mjs");
writeFileSync(
  file,
  `import { parentPort } from "node:worker_threads";
  parentPort.on("message", ({ seed }) => {
    if (seed === "3") process.exit(7);
    parentPort.postMessage({ kind: "seed", result: { seed, verdict: "passed" } });
  });`,
);

afterAll(() => {
  rmSync(directory, { recursive: true });
});

describe("a crew", () => {
  it("gives one worker task after task, and replaces one that died", async () => {
    const crew = new Crew(file, 1);
    const verdicts: string[] = [];
    let seed = 0;
    const next = (): SeedTask | undefined => {
      seed += 1;
      return seed > 5 ? undefined : { kind: "seed", seed: `${seed}` };
    };
    await crew.seeds(next, (result) => verdicts.push(`${result.seed} ${result.verdict}`));
    await crew.leave();
    expect(verdicts).toEqual(["1 passed", "2 passed", "3 crash", "4 passed", "5 passed"]);
  });

  it("answers other tasks in their order, and names the one that failed", async () => {
    const crew = new Crew(file, 2);
    const hold = (seed: string) => ({ kind: "hold", seed, days: 1 }) as const;
    const answers = await crew.others(["1", "2", "4", "5", "6"].map(hold));
    expect(answers).toMatchObject(["1", "2", "4", "5", "6"].map((seed) => ({ result: { seed } })));
    await expect(crew.others(["1", "3"].map(hold))).rejects.toThrow(/^hold of seed 3: .* with 7$/);
    await crew.leave();
  });
});
