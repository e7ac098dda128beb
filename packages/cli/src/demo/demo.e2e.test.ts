import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isAlive } from "../process/is-alive.ts";
import { poll } from "../process/sleep.ts";

const CUBBY = fileURLToPath(new URL("../../bin/cubby.js", import.meta.url));
const STORY_MS = 120_000;

// A demo that is killed cannot remove its files: they are put where we can.
let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "cubby-demo-test-"));
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

type Line = {
  check: string;
  ok: boolean;
  value: unknown;
  processIds?: Record<string, number>;
};

/** Plays the scripted demo; `onLine` sees each check as it is made. */
async function play(
  args: readonly string[],
  onLine: (line: Line, demo: ReturnType<typeof spawn>) => void = () => undefined,
): Promise<{ code: number | null; lines: Line[] }> {
  const all = [CUBBY, "demo", "--script", "--json", ...args];
  const env = { ...process.env, TMPDIR: directory };
  const demo = spawn(process.execPath, all, { env, stdio: ["ignore", "pipe", "pipe"] });
  const exited = new Promise<number | null>((resolve) => demo.once("exit", resolve));
  demo.stderr.resume();
  const lines: Line[] = [];
  for await (const text of createInterface({ input: demo.stdout })) {
    const line = JSON.parse(text) as Line;
    lines.push(line);
    onLine(line, demo);
  }
  return { code: await exited, lines };
}

/** With what was found, so that a failure explains itself. */
function brokenIn(lines: readonly Line[]): { check: string; value: unknown }[] {
  const broken = lines.filter(({ ok, check }) => !ok && check !== "story");
  return broken.map(({ check, value }) => ({ check, value }));
}

describe("the scripted demo", () => {
  it("plays the whole story, and every check holds", { timeout: STORY_MS }, async () => {
    const { code, lines } = await play([]);
    expect(brokenIn(lines)).toEqual([]);
    expect(code).toBe(0);
    expect(lines.map(({ check }) => check)).toEqual([
      "cell-formed",
      "leader-elected",
      "waits-for-session-expiry",
      "waits-for-lock-delay",
      "one-successor",
      "greater-sequencer",
      "one-successor",
      "greater-sequencer",
      "stale-write-refused",
      "steps-down",
      "lock-survives-master",
      "sessions-survive-master",
      "work-goes-on-without-master",
      "works-with-three",
      "fails-clearly-without-quorum",
      "nothing-wrong-answered",
      "leader-holds-its-work",
      "acknowledged-data-is-there",
      "work-goes-on-after-restart",
      "acknowledged-data-survives-all-five",
      "work-goes-on-after-all-five",
      "never-two-leaders",
      "sequencers-rise",
      "jobs-in-order",
      "nothing-left-behind",
      "story",
    ]);
  });

  it.each([
    ["lock-delay", "waits-for-lock-delay"],
    ["sequencer", "stale-write-refused"],
    ["durability", "acknowledged-data-survives-all-five"],
    ["second-leader", "never-two-leaders"],
  ])("notices sabotage of %s, and names %s", { timeout: STORY_MS }, async (sabotage, check) => {
    const { code, lines } = await play(["--sabotage", sabotage]);
    expect(brokenIn(lines)).toContainEqual({ check, value: expect.anything() });
    expect(code).toBe(1);
  });

  it("leaves no process behind when it is interrupted", { timeout: STORY_MS }, async () => {
    let pids: number[] = [];
    const { code } = await play([], (line, demo) => {
      if (line.check !== "leader-elected") return;
      pids = Object.values(line.processIds ?? {});
      demo.kill("SIGINT");
    });
    expect(code).toBe(130);
    expect(pids).toHaveLength(9);
    await allGone(pids);
  });

  it("leaves not even a stopped process behind when it is killed", {
    timeout: STORY_MS,
  }, async () => {
    let pids: number[] = [];
    await play(["--sabotage", "sequencer"], (line, demo) => {
      if (line.check === "leader-elected") pids = Object.values(line.processIds ?? {});
      // Now the old leader is under SIGSTOP, and another leads.
      if (line.check === "one-successor") demo.kill("SIGKILL");
    });
    expect(pids).toHaveLength(9);
    await allGone(pids);
  });
});

async function allGone(pids: readonly number[]): Promise<void> {
  await poll(() => (pids.some(isAlive) ? undefined : true), {
    timeoutMs: 10_000,
    describe: () => `${pids.filter(isAlive).length} processes stay`,
  });
}
