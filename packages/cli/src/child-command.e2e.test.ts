import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CubbyError, type ErrorCode } from "@cubby/protocol";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { type GuardedCommand, runGuardedCommand } from "./child-command.ts";
import { poll } from "./process/sleep.ts";
import { type ToldToEnd, whenToldToEnd } from "./process/told-to-end.ts";

const directory = mkdtempSync(join(tmpdir(), "cubby-command-"));
let waiting: ToldToEnd;
let said = "";
beforeEach(() => {
  waiting = whenToldToEnd();
  said = "";
});
afterEach(() => waiting.stopListening());
afterAll(() => rmSync(directory, { recursive: true }));

function run(
  script: string,
  signal = new AbortController().signal,
  killAfterMs = 5_000,
  assertHeld = alwaysHeld,
) {
  return runGuardedCommand({
    ...guarded(["/bin/sh", "-c", script, directory]),
    signal,
    assertHeld,
    killAfterMs: () => killAfterMs,
  });
}

function guarded(command: readonly string[]): GuardedCommand {
  return {
    command,
    env: { PATH: process.env["PATH"], CUBBY_SEQUENCER: "cs1.abc" },
    signal: new AbortController().signal,
    waiting,
    assertHeld: alwaysHeld,
    killAfterMs: () => 0,
    onCannotRun: (problem) => {
      said += problem;
    },
    onLeftBehind: (group) => {
      said += `left behind: ${group}`;
    },
    onCannotEnd: (group) => {
      said += `cannot end: ${group}`;
    },
  };
}

function alwaysHeld(): void {
  // Throws nothing.
}

/** Settles when the process that wrote its id into the file is stopped. */
async function stopped(file: string): Promise<void> {
  const isStopped = (): true | undefined => {
    const pid = existsSync(file) ? readFileSync(file, "utf8").trim() : "";
    if (pid === "") return undefined;
    const state = spawnSync("ps", ["-o", "state=", "-p", pid], { encoding: "utf8" }).stdout;
    return state.startsWith("T") ? true : undefined;
  };
  await poll(isStopped, { timeoutMs: 10_000, describe: () => "the command is not stopped" });
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

  it("answers 127 for what cannot be run, however that shows, and says why", async () => {
    const file = join(directory, "file");
    writeFileSync(file, "");
    for (const program of ["/nonexistent/program", `${file}/a`, "a".repeat(5_000), "", file]) {
      said = "";
      expect(await runGuardedCommand(guarded([program]))).toBe(127);
      expect(said).toContain(`cannot run ${program}: `);
    }
  });

  it("leaves signals without effect when it has ended, until nobody listens any more", async () => {
    const before = process.listenerCount("SIGINT");
    expect(await run("exit 7")).toBe(7);
    expect(process.listenerCount("SIGINT")).toBe(before);
    process.emit("SIGINT", "SIGINT");
    expect([waiting.signal.aborted, waiting.exitCode]).toEqual([false, undefined]);
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

  it("is over when all of its process group is, and not with the shell that a signal ended", async () => {
    const script = `(trap 'sleep 1.5; echo over > "$0/b"; exit' TERM; echo > "$0/c"; while :; do sleep 0.05; done) & wait`;
    const ended = run(script);
    const started = (): true | undefined => (existsSync(join(directory, "c")) ? true : undefined);
    await poll(started, { timeoutMs: 10_000, describe: () => "the command has not begun" });
    process.emit("SIGTERM", "SIGTERM");
    expect(await ended).toBe(143);
    expect(existsSync(join(directory, "b"))).toBe(true);
    expect(said).toMatch(/^left behind: \d+$/);
  });

  it("takes what it left behind along when the lock is lost", async () => {
    const loss = new AbortController();
    const file = join(directory, "d");
    const ended = run(`sleep 60 & echo $! > "$0/d"`, loss.signal);
    const started = (): true | undefined => (existsSync(file) ? true : undefined);
    await poll(started, { timeoutMs: 10_000, describe: () => "the command has not begun" });
    loss.abort();
    await expect(ended).rejects.toMatchObject({ code: "lock_lost" });
  });

  it("has all of its process group told to end, and made to only when --kill-after is over", async () => {
    const [ready, clean] = [join(directory, "ready"), join(directory, "clean")];
    const loss = new AbortController();
    // The shell has no trap: SIGTERM ends it at once, and not the worker that it waits for.
    const worker = `trap "sleep 0.3; touch ${clean}; exit" TERM; touch ${ready}; while :; do sleep 0.05; done`;
    const result = run(`/bin/sh -c '${worker}'; :`, loss.signal);
    result.catch(() => undefined);
    const started = (): true | undefined => (existsSync(ready) ? true : undefined);
    await poll(started, { timeoutMs: 10_000, describe: () => "the command has not begun" });
    loss.abort(new CubbyError("lock_lost", "gone"));
    await expect(result).rejects.toMatchObject({ code: "lock_lost" });
    expect(existsSync(clean)).toBe(true);
  });

  it("is continued after Ctrl-Z once the lock is known to be held, and not before", async () => {
    let problem: ErrorCode | undefined;
    let looks = 0;
    const ended = run('echo $$ > "$0/a"; kill -STOP $$; exit 7', undefined, undefined, () => {
      looks++;
      if (problem !== undefined) throw new CubbyError(problem, "As the test has it.");
    });
    await stopped(join(directory, "a"));
    problem = "session_jeopardy";
    const looksBefore = looks;
    process.emit("SIGCONT", "SIGCONT");
    const hasLooked = (): true | undefined => (looks >= looksBefore + 3 ? true : undefined);
    await poll(hasLooked, { timeoutMs: 10_000, describe: () => "nobody looked at the lock" });
    await stopped(join(directory, "a"));
    problem = undefined;
    expect(await ended).toBe(7);
  });

  it("is lost when a look at the lock after Ctrl-Z says so", async () => {
    let problem: ErrorCode | undefined;
    const script = 'echo $$ > "$0/b"; kill -STOP $$; exit 7';
    const ended = run(script, undefined, undefined, () => {
      if (problem !== undefined) throw new CubbyError(problem, "As the test has it.");
    });
    await stopped(join(directory, "b"));
    problem = "lock_lost";
    process.emit("SIGCONT", "SIGCONT");
    await expect(ended).rejects.toMatchObject({ code: "lock_lost" });
  });
});
