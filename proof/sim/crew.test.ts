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
    if (seed === "waits") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_500);
    if (seed === "hangs") for (;;);
    const failed = { kind: "failed", detail: "no master", verdict: "liveness" };
    if (seed === "fails") return parentPort.postMessage(failed);
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

  it("takes a seed for hung by what it uses of a processor, and not for a busy machine's slowness", async () => {
    const crew = new Crew(file, 1, { seedSecondsMax: 1 });
    expect(await crew.seed({ kind: "seed", seed: "waits" })).toMatchObject({ verdict: "passed" });
    const { verdict, finding } = await crew.seed({ kind: "seed", seed: "hangs" });
    expect(verdict).toBe("crash");
    expect(finding).toMatchObject({ rule: "hang", detail: "no verdict within 1 s" });
    await crew.leave();
  });

  it("can be left at any time, also when an answer is on its way", async () => {
    for (let i = 0; i < 20; i += 1) {
      const crew = new Crew(file, 1);
      await crew.seed({ kind: "seed", seed: "1" });
      const left = crew.seed({ kind: "seed", seed: "2" });
      // Its answer comes while the end of its thread is waited for.
      await crew.leave();
      expect(["passed", "crash"]).toContain((await left).verdict);
    }
  });

  it("answers other tasks in their order, and names the one that failed", async () => {
    const crew = new Crew(file, 2);
    const hold = (seed: string) => ({ kind: "hold", seed, days: 1 }) as const;
    const answers = await crew.others(["1", "2", "4", "5", "6"].map(hold));
    expect(answers).toMatchObject(["1", "2", "4", "5", "6"].map((seed) => ({ result: { seed } })));
    await expect(crew.others(["1", "3"].map(hold))).rejects.toThrow(/^hold of seed 3: .* with 7$/);
    await crew.leave();
  });

  it("tells of what failed whether it was safety, liveness or a crash", async () => {
    const crew = new Crew(file, 1);
    const failure = crew.others([{ kind: "hold", seed: "fails", days: 1 }]);
    await expect(failure).rejects.toMatchObject({ verdict: "liveness" });
    await crew.leave();
  });
});
