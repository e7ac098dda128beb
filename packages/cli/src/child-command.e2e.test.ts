import { describe, expect, it } from "vitest";
import { runGuardedCommand } from "./child-command.ts";

function run(script: string, signal = new AbortController().signal, graceMs = 5_000) {
  return runGuardedCommand({
    command: ["/bin/sh", "-c", script],
    env: { PATH: process.env["PATH"], CUBBY_SEQUENCER: "cs1.abc" },
    signal,
    assertHeld,
    graceMs,
  });
}

/** A lock that is never in doubt. */
function assertHeld(): void {
  // Throws nothing.
}

describe("a command that runs under a lock", () => {
  it("passes its exit code through", async () => {
    expect(await run("exit 7")).toBe(7);
  });

  it("answers 128 + n for the signal that ended it", async () => {
    expect(await run("kill -9 $$")).toBe(137);
  });

  it("finds the sequencer in its environment", async () => {
    expect(await run('test "$CUBBY_SEQUENCER" = cs1.abc')).toBe(0);
  });

  it("answers 127 for a program that is not there", async () => {
    const command = ["/nonexistent/program"];
    const signal = new AbortController().signal;
    expect(await runGuardedCommand({ command, env: {}, signal, assertHeld, graceMs: 0 })).toBe(127);
  });

  it("is told to end when the lock is lost, and the loss is the answer", async () => {
    const loss = new AbortController();
    const ended = run("trap 'exit 0' TERM; while :; do sleep 0.05; done", loss.signal);
    loss.abort();
    await expect(ended).rejects.toMatchObject({ code: "lock_lost" });
  });

  it("is made to end when it ignores being told", async () => {
    const loss = new AbortController();
    const ended = run("trap '' TERM; while :; do sleep 0.05; done", loss.signal, 50);
    loss.abort();
    await expect(ended).rejects.toMatchObject({ code: "lock_lost" });
  });
});
