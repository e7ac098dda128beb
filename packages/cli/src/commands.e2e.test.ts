import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LocalCell } from "./local-cell.ts";
import { isAlive } from "./process/is-alive.ts";
import { poll } from "./process/sleep.ts";

const CUBBY = fileURLToPath(new URL("../bin/cubby.js", import.meta.url));

type Ended = { code: number | null; out: string; error: string };

let directory = "";
let cell: LocalCell | undefined;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "cubby-commands-"));
  const data = join(directory, "cell");
  cell = await LocalCell.create({ directory: data, replicas: 1, segmentBytes: 1024 * 1024 });
  await cell.startAll();
  await cell.waitReady();
});

afterAll(async () => {
  await cell?.close();
  rmSync(directory, { recursive: true });
});

/** Starts `cubby` as a user would; `ended` settles when it has. */
function start(args: readonly string[], input = "") {
  const env = { ...process.env, CUBBY_CELL: cell?.url };
  const child = spawn(process.execPath, [CUBBY, ...args], { env });
  const ended: Ended = { code: null, out: "", error: "" };
  child.stdout.on("data", (data: Buffer) => {
    ended.out += data.toString();
  });
  child.stderr.on("data", (data: Buffer) => {
    ended.error += data.toString();
  });
  child.stdin.end(input);
  const whenEnded = new Promise<Ended>((resolve) => {
    child.once("close", (code) => resolve({ ...ended, code }));
  });
  return { child, ended: whenEnded };
}

function cubby(...args: string[]): Promise<Ended> {
  return start(args).ended;
}

describe("files, on a cell of one replica", () => {
  it("are written from an argument or standard input, and read back byte by byte", async () => {
    expect(await cubby("put", "/ls/local/a", "hello")).toMatchObject({ code: 0 });
    expect(await cubby("cat", "/ls/local/a")).toMatchObject({ code: 0, out: "hello" });
    const bytes = "line one\nline two\n";
    expect(await start(["put", "/ls/local/a"], bytes).ended).toMatchObject({ code: 0 });
    expect(await cubby("cat", "/ls/local/a")).toMatchObject({ code: 0, out: bytes });
  });

  it("are compared and swapped on their content generation", async () => {
    const made = await cubby("put", "/ls/local/cas", "1", "--json");
    const { stat } = JSON.parse(made.out) as { stat: { contentGeneration: number } };
    const generation = String(stat.contentGeneration);
    const put = ["put", "/ls/local/cas", "2", "--if-generation", generation];
    expect((await cubby(...put)).code).toBe(0);
    expect((await cubby(...put)).code).toBe(79);
    expect((await cubby("cat", "/ls/local/cas")).out).toBe("2");
  });

  it("are listed, and deleted only when nothing is below them", async () => {
    expect((await cubby("mkdir", "-p", "/ls/local/d/e")).code).toBe(0);
    expect((await cubby("mkdir", "/ls/local/d/e")).code).toBe(73);
    expect((await cubby("ls", "/ls/local/d")).out).toBe("e/\n");
    expect((await cubby("rm", "/ls/local/d")).code).toBe(65);
    expect((await cubby("rm", "/ls/local/d/e", "/ls/local/d")).code).toBe(0);
    expect((await cubby("stat", "/ls/local/d")).code).toBe(66);
  });
});

describe("lock, on a cell of one replica", () => {
  const holdUntilTold = ["--", "/bin/sh", "-c", "echo held; read line; exit 3"];

  it("keeps others out while its command runs, and passes the exit code on", async () => {
    const env = { ...process.env, CUBBY_CELL: cell?.url };
    const args = [CUBBY, "lock", "/ls/local/lock", ...holdUntilTold];
    const holder = spawn(process.execPath, args, { env, stdio: ["pipe", "pipe", "inherit"] });
    const ended = new Promise<number | null>((resolve) => holder.once("exit", resolve));
    await new Promise((resolve) => holder.stdout.once("data", resolve));

    expect((await cubby("lock", "/ls/local/lock", "-n", "--", "true")).code).toBe(80);
    expect((await cubby("lock", "/ls/local/lock", "-w", "0.3", "--", "true")).code).toBe(80);
    const waiting = start(["lock", "/ls/local/lock", "--", "echo", "my turn"]);
    holder.stdin.end("go\n");
    expect(await ended).toBe(3);
    expect(await waiting.ended).toMatchObject({ code: 0, out: "my turn\n" });
  });

  it("gives out sequencers that are valid while it is held, and stale later", async () => {
    const check =
      'node "$0" sequencer check "$CUBBY_LOCK_PATH" "$CUBBY_SEQUENCER" && echo "$CUBBY_SEQUENCER"';
    const held = await cubby("lock", "/ls/local/s", "--", "/bin/sh", "-c", check, CUBBY);
    expect(held).toMatchObject({ code: 0 });
    const [verdict, token = ""] = held.out.trim().split("\n");
    expect(verdict).toBe("valid");
    expect((await cubby("sequencer", "check", "/ls/local/s", token)).code).toBe(83);
    expect((await cubby("sequencer", "check", "/ls/local/s", "nonsense")).code).toBe(64);
  });

  it("hands a signal on to the command, which decides", async () => {
    const script = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    const run = start(["lock", "/ls/local/t", "--", "/bin/sh", "-c", script]);
    await new Promise((resolve) => run.child.stdout.once("data", resolve));
    run.child.kill("SIGTERM");
    expect((await run.ended).code).toBe(5);
  });

  it("keeps its command's exit code and frees the lock when another signal comes after the end", async () => {
    const script = "trap 'exit 5' INT; echo $$; while :; do sleep 0.05; done";
    const run = start(["lock", "/ls/local/twice", "--", "/bin/sh", "-c", script]);
    const [line] = await once(run.child.stdout, "data");
    const pid = Number(String(line));
    // It cannot be told whether the lock was held to the end while this lasts.
    cell?.pause(1);
    try {
      run.child.kill("SIGINT");
      await poll(() => (isAlive(pid) ? undefined : true), {
        timeoutMs: 10_000,
        describe: () => "the command does not end",
      });
      run.child.kill("SIGINT");
    } finally {
      cell?.resume(1);
    }
    expect((await run.ended).code).toBe(5);
    expect((await cubby("lock", "/ls/local/twice", "-n", "--", "true")).code).toBe(0);
  });

  it("says as JSON that its command cannot be run, when JSON is asked for", async () => {
    const { code, error } = await cubby("lock", "/ls/local/t", "--json", "--", "/nonexistent/a");
    expect(code).toBe(127);
    const lines = error
      .trim()
      .split("\n")
      .map((each) => JSON.parse(each) as object);
    expect(lines.at(-1)).toMatchObject({ error: { code: "invalid_argument" } });
    expect(JSON.stringify(lines.at(-1))).toContain("cannot run /nonexistent/a: ");
  });

  it("ends the command when the lock is lost, and exits 81", async () => {
    const script = "echo ready; while :; do sleep 0.05; done";
    const options = ["--session-lease", "2s", "--lock-delay", "0"];
    const run = start(["lock", "/ls/local/lost", ...options, "--", "/bin/sh", "-c", script]);
    await new Promise((resolve) => run.child.stdout.once("data", resolve));
    run.child.kill("SIGSTOP");
    // Another is granted the lock: the session of the one that is stopped has expired.
    expect((await cubby("lock", "/ls/local/lost", "-w", "10", "--", "true")).code).toBe(0);
    run.child.kill("SIGCONT");
    const { code, error } = await run.ended;
    expect(error).toContain("[lock_lost]");
    expect(code).toBe(81);
  });

  it("kills a command that Ctrl-Z stopped, when another was granted the lock before fg", async () => {
    const lines = join(directory, "stopped-lines");
    const script =
      'trap "" TERM; echo line >> "$0"; echo ready; while :; do echo line >> "$0"; sleep 0.02; done';
    const options = ["--session-lease", "2s", "--lock-delay", "0"];
    const command = ["--", "/bin/sh", "-c", script, lines];
    const run = start(["lock", "/ls/local/fg", ...options, ...command]);
    await new Promise((resolve) => run.child.stdout.once("data", resolve));
    run.child.kill("SIGTSTP");
    expect((await cubby("lock", "/ls/local/fg", "-w", "10", "--", "true")).code).toBe(0);
    const before = readFileSync(lines, "utf8");
    run.child.kill("SIGCONT");
    expect((await run.ended).code).toBe(81);
    expect(readFileSync(lines, "utf8")).toBe(before);
  });

  it("takes the command with it when it is killed", async () => {
    // Not at once: `cubby` is to know by then whom it started.
    const script = "trap '' TERM; sleep 1; echo ready; while :; do sleep 0.05; done";
    const run = start(["lock", "/ls/local/killed", "--", "/bin/sh", "-c", script]);
    await new Promise((resolve) => run.child.stdout.once("data", resolve));
    run.child.kill("SIGKILL");
    // The command has the same standard output, which closes with the last of them.
    expect((await run.ended).code).toBe(null);
  });

  it("ends the command when its lock is broken by deleting the file, and exits 81", async () => {
    const script = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
    const options = ["--kill-after", "100ms"];
    const run = start(["lock", "/ls/local/broken", ...options, "--", "/bin/sh", "-c", script]);
    await new Promise((resolve) => run.child.stdout.once("data", resolve));
    expect((await cubby("rm", "/ls/local/broken")).code).toBe(0);
    const { code, error } = await run.ended;
    expect(error).toContain("[lock_lost]");
    expect(code).toBe(81);
  });

  it("exits 81 when another held the lock meanwhile, of which nobody told its command", async () => {
    for (const how of ["lock", "elect"]) {
      const path = `/ls/local/meanwhile-${how}`;
      const env = { ...process.env, CUBBY_CELL: cell?.url };
      const args = [CUBBY, how, path, ...holdUntilTold];
      const holder = spawn(process.execPath, args, { env, stdio: ["pipe", "pipe", "ignore"] });
      const ended = new Promise<number | null>((resolve) => holder.once("exit", resolve));
      await new Promise((resolve) => holder.stdout.once("data", resolve));
      expect((await cubby("rm", path)).code).toBe(0);
      expect((await cubby("lock", path, "-n", "--", "true")).code).toBe(0);
      holder.stdin.end("go\n");
      expect(await ended).toBe(81);
    }
  });

  it("ends the command while nobody else can have the lock, when the cell does not answer", async () => {
    const script = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
    const terms = ["--session-lease", "2s", "--lock-delay", "2s", "--kill-after", "500ms"];
    const run = start(["lock", "/ls/local/cut", ...terms, "--", "/bin/sh", "-c", script]);
    await new Promise((resolve) => run.child.stdout.once("data", resolve));
    // To its client a cell that stands still looks like one that is out of reach.
    cell?.pause(1);
    try {
      const { code, error } = await run.ended;
      expect(error).toContain("another may be granted the lock");
      expect(code).toBe(81);
    } finally {
      cell?.resume(1);
    }
  });

  it("leaves the line when it is interrupted while it waits", async () => {
    const holder = start(["lock", "/ls/local/line", "--", "/bin/sh", "-c", "echo held; sleep 1.5"]);
    await new Promise((resolve) => holder.child.stdout.once("data", resolve));
    const waiting = start(["lock", "/ls/local/line", "--json", "--", "true"]);
    await new Promise((resolve) => waiting.child.stderr.once("data", resolve));
    const next = start(["lock", "/ls/local/line", "-w", "5", "--", "echo", "next"]);
    waiting.child.kill("SIGINT");
    expect((await waiting.ended).code).toBe(130);
    expect(await next.ended).toMatchObject({ code: 0, out: "next\n" });
    expect((await holder.ended).code).toBe(0);
  });
});

describe("elect, on a cell of one replica", () => {
  it("writes who leads for as long as its command runs", async () => {
    const script = 'node "$0" cat "$CUBBY_LOCK_PATH"';
    const elected = ["elect", "/ls/local/leader", "--value", "web1:8080", "--"];
    const run = await cubby(...elected, "/bin/sh", "-c", script, CUBBY);
    expect(run).toMatchObject({ code: 0, out: "web1:8080" });
    expect((await cubby("cat", "/ls/local/leader")).out).toBe("");
  });
});

describe("replicas on the command line", () => {
  it("are shown by status", async () => {
    const { code, out } = await cubby("status");
    expect(code).toBe(0);
    expect(out).toMatch(/^1 .*master \*/m);
  });

  it("exit 82 when nobody answers", async () => {
    const cellUrl = "cubby://127.0.0.1:1/local";
    expect((await cubby("status", "--cell", cellUrl)).code).toBe(82);
    expect((await cubby("cat", "/ls/local/a", "--cell", cellUrl, "--timeout", "1s")).code).toBe(82);
  });

  it("print their settings, in JSON with values that a configuration file may have", async () => {
    const flags = ["--data", "/nonexistent", "--print-config"];
    const text = await cubby("serve", ...flags);
    expect(text.out).toContain("dataDir = /nonexistent  (--data)\n");
    const { code, out } = await cubby("serve", ...flags, "--json");
    expect(code).toBe(0);
    const settings = JSON.parse(out) as Record<string, { value: unknown; source: string }>;
    expect(settings["dataDir"]).toEqual({ value: "/nonexistent", source: "--data" });
    expect(settings["sessionAddress"]).toEqual({ value: "127.0.0.1:7070", source: "default" });
    expect(settings["masterLeaseMs"]).toEqual({ value: 600, source: "default" });
    const config = join(directory, "printed.json");
    const values = Object.entries(settings).map(([name, { value }]) => [name, value]);
    writeFileSync(config, JSON.stringify(Object.fromEntries(values)));
    const again = await cubby("serve", "--config", config, "--print-config", "--json");
    expect(Object.values(JSON.parse(again.out) as object)).toEqual(
      Object.values(settings).map(({ value }) => ({ value, source: config })),
    );
  });

  it("refuse a directory that is not formatted, and a second formatting", async () => {
    const data = join(directory, "replica-1-of-3");
    const peers = "1@127.0.0.1:1,2@127.0.0.1:2,3@127.0.0.1:3";
    const serve = ["serve", "--data", data, "--replica", "1", "--peers", peers];
    expect((await cubby(...serve)).code).toBe(90);
    const init = ["init", "--data", data, "--replica", "1", "--segment-mib", "1"];
    expect((await cubby(...init)).code).toBe(0);
    expect((await cubby(...init)).code).toBe(91);
  });

  it("name a wrong key of a configuration file, and a file that is not there", async () => {
    const config = join(directory, "wrong-key.json");
    writeFileSync(config, '{ "dataDirectory": "/tmp" }');
    const wrongKey = await cubby("serve", "--config", config);
    expect(wrongKey.code).toBe(78);
    expect(wrongKey.error).toContain(`${config} has the key "dataDirectory"`);
    const missing = await cubby("serve", "--config", "/nonexistent.json");
    expect(missing.code).toBe(78);
    expect(missing.error).toContain("/nonexistent.json");
  });
});

describe("output that nobody reads any more", () => {
  it("ends a command that goes on writing, as it ends any program in a pipe", async () => {
    const data = join(directory, "unread");
    const run = start(["dev", "--replicas", "1", "--port", "0", "--data", data]);
    run.child.stdout.destroy();
    expect(await run.ended).toMatchObject({ code: 141, error: "Stopping.\n" });
  });
});
