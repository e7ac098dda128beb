import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { utf8Decode, utf8Encode } from "@cubby/base";
import type { NodeStat } from "@cubby/client";
import { CubbyError, type ErrorCode, FILE_BYTES_MAX, Status } from "@cubby/protocol";
import { VERSION } from "@cubby/server";
import { Option } from "commander";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import type { CellSession, Hold, OpenNode, OpenRequest, ReplicaAnswer } from "./cell-access.ts";
import { addDevCommand } from "./commands/dev.ts";
import { addReplicaCommands } from "./commands/replica.ts";
import type { Context } from "./context.ts";
import { poll } from "./process/sleep.ts";
import { runCubby, spelledOut } from "./program.ts";

const STAT: NodeStat = {
  kind: "file",
  instance: 3,
  contentGeneration: 12,
  lockGeneration: 5,
  aclGeneration: 1,
  checksum: "00112233aabbccdd",
  sizeBytes: 5,
  childCount: 0,
  ephemeral: false,
  lock: "free",
  lockHolders: 0,
  lockDelayed: false,
};

/** A world of one file, which writes down what it is asked. */
class FakeWorld {
  readonly asked: unknown[] = [];
  out = "";
  error = "";
  input = "";
  failure: ErrorCode | undefined;
  answers: ReplicaAnswer[] = [];
  readonly loss = new AbortController();
  sequencerValid = true;
  /** What an election fails with once its leader has returned. */
  electionFailure: CubbyError | undefined;
  sequencerFailure: ErrorCode | undefined;
  /** How many looks at the lock find it in doubt. */
  doubts = 0;
  isLost = false;
  /** As the clock has it once the command is started: no timer has told of it. */
  jeopardyMs: number | undefined;
  /** Whether opening a node makes it. */
  created = false;
  signalWithGrant: NodeJS.Signals | undefined;
  signalInDoubt: NodeJS.Signals | undefined;
  /** What has no end, but for the signal that comes meanwhile. */
  endless: "connect" | "open" | undefined;

  readonly context: Context = {
    env: { PATH: process.env["PATH"], CUBBY_CELL: "cubby://127.0.0.1:7999/local" },
    writeOut: (data) => {
      this.out += typeof data === "string" ? data : utf8Decode(data);
    },
    writeError: (text) => {
      this.error += text;
    },
    readInput: async () => utf8Encode(this.input),
    cells: {
      connect: async (url, { signal }) => {
        this.asked.push(["connect", url]);
        if (this.endless === "connect") await this.#untilTold(signal);
        if (this.failure === "unreachable") throw new CubbyError("unreachable", "Nobody is there.");
        if (this.doubts > 0) this.#session.jeopardyMs = 0;
        return this.#session;
      },
      statuses: async (url, { timeoutMs }) => {
        this.asked.push(["statuses", url, timeoutMs]);
        return this.answers;
      },
    },
  };

  readonly #listeners = new Set<(state: string) => void>();

  readonly #node: OpenNode = {
    created: false,
    read: async () => ({ contents: utf8Encode("hello"), stat: STAT }),
    stat: async () => STAT,
    list: async () => [{ name: "greeting", stat: STAT }],
    write: async (contents, ifGeneration) => {
      this.asked.push(["write", utf8Decode(contents), ifGeneration]);
      this.#mayFail();
      return { ...STAT, contentGeneration: 13 };
    },
    close: async () => undefined,
    delete: async () => {
      this.asked.push(["delete"]);
      this.#mayFail();
    },
    acquire: async (request) => {
      const { mode, waitMs } = request;
      this.asked.push(["acquire", { mode, waitMs }]);
      this.#mayFail();
      return {
        ...this.#hold(),
        release: async () => {
          this.asked.push(["release"]);
          return true;
        },
      };
    },
  };

  readonly #session: CellSession & { jeopardyMs: number | undefined } = {
    over: false,
    jeopardyMs: undefined,
    onState: (listener) => {
      this.#listeners.add(listener);
      return () => this.#listeners.delete(listener);
    },
    open: async (path: string, { signal, contents, ...request }: OpenRequest) => {
      const words = contents === undefined ? [] : [utf8Decode(contents)];
      this.asked.push(["open", path, request, ...words]);
      if (this.endless === "open") await this.#untilTold(signal);
      return { ...this.#node, created: this.created };
    },
    elect: async (path, { value }, lead) => {
      this.asked.push(["elect", path, utf8Decode(value)]);
      const led = await lead(this.#hold());
      if (this.electionFailure !== undefined) throw this.electionFailure;
      return led;
    },
    checkSequencer: async () => {
      if (this.sequencerFailure !== undefined) {
        throw new CubbyError(this.sequencerFailure, "As the test has it.");
      }
      return { valid: this.sequencerValid, reason: "Generation 4 is over." };
    },
    close: async () => {
      this.asked.push(["close"]);
    },
  };

  /** From now on, without end. */
  beginJeopardy(): void {
    this.doubts = Number.POSITIVE_INFINITY;
    this.#session.jeopardyMs = 0;
    for (const listener of this.#listeners) listener("jeopardy");
  }

  #hold(): Hold {
    // Its handler runs in a later turn of the loop.
    if (this.signalWithGrant !== undefined) process.kill(process.pid, this.signalWithGrant);
    return {
      sequencerText: "cs1.token",
      lockGeneration: 9,
      signal: this.loss.signal,
      assertHeld: () => {
        if (this.signalInDoubt !== undefined) process.kill(process.pid, this.signalInDoubt);
        this.signalInDoubt = undefined;
        if (this.doubts-- > 0) throw new CubbyError("session_jeopardy", "As the test has it.");
        if (this.isLost) throw new CubbyError("lock_lost", "As the test has it.");
        this.#session.jeopardyMs = this.jeopardyMs;
      },
    };
  }

  async #untilTold(signal: AbortSignal | undefined): Promise<never> {
    process.kill(process.pid, "SIGTERM");
    await new Promise((resolve) => signal?.addEventListener("abort", resolve, { once: true }));
    throw new CubbyError("cancelled", "As the test has it.");
  }

  async run(...args: string[]): Promise<number> {
    return runCubby(args, this.context);
  }

  #mayFail(): void {
    if (this.failure !== undefined) throw new CubbyError(this.failure, "As the test has it.");
  }
}

const SESSION = ["connect", "cubby://127.0.0.1:7999/local"];

describe("files on the command line", () => {
  it("writes an argument, or standard input without one, and ends the session", async () => {
    const world = new FakeWorld();
    world.input = "from a pipe";
    expect(await world.run("put", "/ls/local/greeting", "hello")).toBe(0);
    expect(await world.run("put", "/ls/local/greeting")).toBe(0);
    const open = ["open", "/ls/local/greeting", { write: true, create: true, kind: "file" }];
    expect(world.asked).toEqual([
      SESSION,
      [...open, "hello"],
      ["write", "hello", undefined],
      ["close"],
      SESSION,
      [...open, "from a pipe"],
      ["write", "from a pipe", undefined],
      ["close"],
    ]);
    expect(world.out).toBe("/ls/local/greeting: content generation 13\n".repeat(2));
  });

  it("makes a file with its contents, and leaves none behind that it could not write", async () => {
    const world = new FakeWorld();
    world.created = true;
    expect(await world.run("put", "/ls/local/greeting", "hello")).toBe(0);
    expect(world.asked.slice(1)).toEqual([
      ["open", "/ls/local/greeting", { write: true, create: true, kind: "file" }, "hello"],
      ["close"],
    ]);
    expect(world.out).toBe("/ls/local/greeting: content generation 12\n");
  });

  it("refuses contents that no file can have before it asks anybody", async () => {
    const world = new FakeWorld();
    world.input = "x".repeat(FILE_BYTES_MAX + 1);
    expect(await world.run("put", "/ls/local/new")).toBe(65);
    expect(world.error).toContain("[file_too_large]");
    expect(world.asked).toEqual([]);
  });

  it("compares and swaps without creating, and exits 79 on another generation", async () => {
    const world = new FakeWorld();
    world.failure = "generation_mismatch";
    expect(await world.run("put", "/ls/local/a", "x", "--if-generation", "7")).toBe(79);
    expect(world.asked[1]).toEqual([
      "open",
      "/ls/local/a",
      { write: true, create: false, kind: "file" },
    ]);
    expect(world.asked[2]).toEqual(["write", "x", 7]);
    expect(world.error).toMatch(/^cubby: \[generation_mismatch\]/);
  });

  it("writes a file's bytes and nothing else", async () => {
    const world = new FakeWorld();
    expect(await world.run("cat", "/ls/local/greeting")).toBe(0);
    expect(world.out).toBe("hello");
  });

  it("lists with metadata, as a table or as JSON", async () => {
    const world = new FakeWorld();
    expect(await world.run("ls", "-l", "/ls/local/greeting")).toBe(0);
    expect(world.out.split("\n")).toEqual([
      "kind  size  instance  content  lock gen  lock  checksum          name",
      "file     5         3       12         5  free  00112233aabbccdd  greeting",
      "",
    ]);
    world.out = "";
    expect(await world.run("ls", "--json", "/ls/local/greeting")).toBe(0);
    expect(JSON.parse(world.out)).toEqual([{ name: "greeting", stat: STAT }]);
  });

  it("shows people, and not programs, what in a name a terminal would act on", async () => {
    const name = "a\u009b2Jb";
    const world = new FakeWorld();
    expect(await world.run("ls", `/ls/local/${name}`)).toBe(0);
    expect(await world.run("ls", "-l", `/ls/local/${name}`)).toBe(0);
    expect(world.out.match(/a\\u\{9b\}2Jb/g)).toHaveLength(2);
    expect(await world.run("ls", "--cell", name)).toBe(64);
    expect([world.out, world.error].join("")).not.toContain("\u009b");
    world.out = "";
    expect(await world.run("ls", "--json", `/ls/local/${name}`)).toBe(0);
    expect(JSON.parse(world.out)).toEqual([{ name, stat: STAT }]);
  });

  it("makes missing parents, outermost first", async () => {
    const world = new FakeWorld();
    expect(await world.run("mkdir", "-p", "/ls/local/a/b")).toBe(0);
    const paths = world.asked.filter((asked) => Array.isArray(asked) && asked[0] === "open");
    const request = { write: true, create: true, mustCreate: false, kind: "directory" };
    expect(paths).toEqual([
      ["open", "/ls/local/a", request],
      ["open", "/ls/local/a/b", request],
    ]);
  });
});

describe("exit codes", () => {
  it("are 64 for a command that is used wrongly", async () => {
    for (const args of [
      ["nonsense"],
      ["cat"],
      ["cat", "/ls/local/a", "--nonsense"],
      ["put", "/ls/local/a", "x", "--if-generation", "seven"],
      ["lock", "/ls/local/a"],
      ["lock", "/ls/local/a", "--lock-delay", "2m", "--", "true"],
    ]) {
      const world = new FakeWorld();
      expect([args, await world.run(...args)]).toEqual([args, 64]);
      expect(world.error).not.toBe("");
    }
  });

  it("are 0 for help, which shows an example of each command", async () => {
    for (const name of ["ls", "cat", "put", "mkdir", "rm", "stat", "lock", "elect", "status"]) {
      const world = new FakeWorld();
      expect(await world.run(name, "--help")).toBe(0);
      expect(world.out).toContain("Examples:\n  $ cubby ");
      expect(world.out).toContain("--json");
    }
  });

  it("are 0 for the help command, which says what --help does, and for the version", async () => {
    for (const words of [[], ["lock"], ["sequencer", "check"]]) {
      const world = new FakeWorld();
      const other = new FakeWorld();
      expect(await world.run(...spelledOut(["help", ...words]))).toBe(0);
      expect(await other.run(...words, "--help")).toBe(0);
      expect(world.out).toContain(`Usage: ${["cubby", ...words].join(" ")} [options]`);
      expect(world.out).toBe(other.out);
    }
    const guarded = new FakeWorld();
    const help = spelledOut(["help", "lock", "/ls/local/a", "--", "false"]);
    expect([await guarded.run(...help), guarded.asked]).toEqual([0, []]);
    expect(guarded.out).toContain("Usage: cubby lock [options]");
    for (const args of [["--version"], ["-V"], ["--version", "--json"]]) {
      const world = new FakeWorld();
      expect([args, await world.run(...args)]).toEqual([args, 0]);
      expect([world.out, world.error]).toEqual([`${VERSION}\n`, ""]);
    }
  });

  it("are 64 for help on what is no command, and `--` before a command is passed over", async () => {
    for (const words of ["nonsense", "sequencer nonsense", "nonsense --help", "nonsense --json"]) {
      const world = new FakeWorld();
      const args = spelledOut(["help", ...words.split(" ")]);
      expect([words, await world.run(...args), world.out]).toEqual([words, 64, ""]);
      expect(world.error).toContain("unknown command 'nonsense'");
    }
    for (const words of [["help"], ["--", "help", "help"]]) {
      const world = new FakeWorld();
      expect(await world.run(...spelledOut(words))).toBe(0);
      expect(world.out).toContain("Usage: cubby [options]");
    }
    const world = new FakeWorld();
    expect(await world.run(...spelledOut(["--", "cat", "/ls/local/a"]))).toBe(0);
    expect([spelledOut(["--", "serve"]), world.out]).toEqual([["serve"], "hello"]);
  });

  it("are not 0 for the version in the place of another option: nothing was done", async () => {
    for (const words of ["put /ls/local/a x -V", "lock /ls/local/a node --version"]) {
      const world = new FakeWorld();
      expect([words, await world.run(...words.split(" ")), world.out]).toEqual([words, 64, ""]);
    }
  });

  it("are those of the error table, and errors are JSON when JSON is asked for", async () => {
    const world = new FakeWorld();
    world.failure = "not_empty";
    expect(await world.run("rm", "/ls/local/a", "--json")).toBe(65);
    expect(JSON.parse(world.error)).toMatchObject({
      error: { code: "not_empty", outcome: "not-applied", retryable: false },
    });
  });

  it("come with what to do at a command line, and not in a program", async () => {
    const world = new FakeWorld();
    world.failure = "lock_held";
    await world.run("lock", "/ls/local/a", "-n", "--", "true");
    await world.run("lock", "/ls/local/a", "-n", "--json", "--", "true");
    await world.run("lock", "/ls/local/a", "--session-lease", "1s", "--", "true");
    expect(world.error.match(/Wait longer with --wait, or try again later\./g)).toHaveLength(2);
    expect(world.error).toContain(
      "[invalid_argument] A session lease is from 2s to 60s.\n  Correct the command: --help",
    );
  });

  it("come with JSON for a command line that is wrong, too", async () => {
    for (const args of [["cat", "--json"], ["cat", "/a", "--json", "--nonsense"], ["--json"]]) {
      const world = new FakeWorld();
      expect(await world.run(...args)).toBe(64);
      expect(JSON.parse(world.error)).toMatchObject({ error: { code: "invalid_argument" } });
    }
  });

  it("come with a sentence that ends once, also where it is not ours", async () => {
    const option = new Option("--from <kind>", "as the test has it").choices(["csv", "jsonl"]);
    for (const [word, end] of [
      ["--from=xml", "Allowed choices are csv, jsonl."],
      ["--nonsense", "unknown option '--nonsense'."],
    ] as const) {
      const world = new FakeWorld();
      const args = ["kind", word, "--json"];
      const code = await runCubby(args, world.context, async (program) => {
        program.command("kind").addOption(option);
      });
      const { error } = JSON.parse(world.error) as { error: { message: string } };
      expect([code, error.message.slice(-end.length)]).toEqual([64, end]);
    }
  });

  it("are 64 for a variable and a directory that are nothing, and say which", async () => {
    const world = new FakeWorld();
    const context = { ...world.context, env: { CUBBY_CELL: "" } };
    expect(await runCubby(["ls"], context)).toBe(64);
    expect(world.error).toContain("CUBBY_CELL is empty.");
    for (const command of ["init", "dev"]) {
      world.error = "";
      const code = await runCubby([command, "--data", ""], context, async (program, onExitCode) => {
        addReplicaCommands(program, context);
        addDevCommand(program, context, onExitCode);
      });
      expect([command, code]).toEqual([command, 64]);
      expect(world.error).toContain('--data "" names no directory.');
    }
    expect(world.asked).toEqual([]);
  });

  it("come in words when it is the command under the lock that wants JSON", async () => {
    const world = new FakeWorld();
    world.failure = "lock_held";
    expect(await world.run("lock", "/ls/local/a", "-n", "--", "tool", "--json")).toBe(80);
    expect(world.error).toMatch(/^cubby: \[lock_held\]/);
  });

  it("are 82 when the cell cannot be reached", async () => {
    const world = new FakeWorld();
    world.failure = "unreachable";
    expect(await world.run("cat", "/ls/local/a")).toBe(82);
  });
});

describe("lock and elect on the command line", () => {
  const directory = mkdtempSync(join(tmpdir(), "cubby-lock-"));
  const mark = join(directory, "started");
  const started = ["--", "/usr/bin/env", "touch", mark];
  beforeEach(() => rmSync(mark, { force: true }));
  afterAll(() => rmSync(directory, { recursive: true }));
  const succeed = [
    "--",
    "/bin/sh",
    "-c",
    'test "$CUBBY_SEQUENCER $CUBBY_LOCK_PATH $CUBBY_LOCK_GENERATION" = "$0"',
  ];

  it("runs the command with the sequencer in its environment, and gives the lock back", async () => {
    const world = new FakeWorld();
    const code = await world.run("lock", "/ls/local/a", ...succeed, "cs1.token /ls/local/a 9");
    expect(code).toBe(0);
    expect(world.asked.slice(1)).toEqual([
      ["open", "/ls/local/a", { write: true, create: true }],
      ["acquire", { mode: "exclusive", waitMs: undefined }],
      ["release"],
      ["close"],
    ]);
  });

  it("hands over mode, wait and lock-delay", async () => {
    const world = new FakeWorld();
    const options = ["--shared", "-w", "2", "--lock-delay", "3s"];
    expect(await world.run("lock", "/ls/local/a", ...options, "--", "true")).toBe(0);
    expect(world.asked.slice(1, 3)).toEqual([
      ["open", "/ls/local/a", { write: true, create: true, lockDelayMs: 3_000 }],
      ["acquire", { mode: "shared", waitMs: 2_000 }],
    ]);
  });

  it("exits 80 when the lock is busy and -n does not wait", async () => {
    const world = new FakeWorld();
    world.failure = "lock_held";
    expect(await world.run("lock", "/ls/local/a", "-n", "--", "true")).toBe(80);
    expect(world.asked[2]).toEqual(["acquire", { mode: "exclusive", waitMs: 0 }]);
  });

  it("passes the command's exit code on", async () => {
    const world = new FakeWorld();
    expect(await world.run("lock", "/ls/local/a", "--", "/bin/sh", "-c", "exit 9")).toBe(9);
    expect(await world.run("elect", "/ls/local/a", "--", "/bin/sh", "-c", "exit 9")).toBe(9);
  });

  it("exits 81 when the lock is lost under the command", async () => {
    const world = new FakeWorld();
    world.loss.abort();
    expect(await world.run("lock", "/ls/local/a", "--", "sleep", "30")).toBe(81);
    expect(world.asked.slice(-2)).toEqual([["release"], ["close"]]);
  });

  it("starts nothing on a grant that came too late: the lock is lost by then", async () => {
    for (const how of ["lock", "elect"]) {
      const world = new FakeWorld();
      world.isLost = true;
      expect(await world.run(how, "/ls/local/a", ...started)).toBe(81);
    }
    expect(existsSync(mark)).toBe(false);
  });

  it("starts nothing while the session is in jeopardy, and gives up when that has no end", async () => {
    const world = new FakeWorld();
    world.doubts = Number.POSITIVE_INFINITY;
    expect(await world.run("lock", "/ls/local/a", "--grace", "50ms", ...started)).toBe(81);
    expect(world.error).toContain("another may be granted the lock");
    expect(existsSync(mark)).toBe(false);
  });

  it("starts its command once the session is safe again", async () => {
    const world = new FakeWorld();
    world.doubts = 2;
    expect(await world.run("lock", "/ls/local/a", ...started)).toBe(0);
    expect(existsSync(mark)).toBe(true);
  });

  it("is told of a wrong duration before it waits for anything", async () => {
    for (const wrong of [
      ["--kill-after", "1 day", "--grace", "1s"],
      ["--grace", "soon"],
    ]) {
      const world = new FakeWorld();
      expect(await world.run("lock", "/ls/local/a", ...wrong, ...started)).toBe(64);
      expect(world.asked).toEqual([]);
    }
  });

  it("waits out a grace that is longer than any timer", async () => {
    const world = new FakeWorld();
    world.doubts = 2;
    expect(await world.run("lock", "/ls/local/a", "--grace", "60000m", ...started)).toBe(0);
    expect(existsSync(mark)).toBe(true);
  });

  it("exits 81 when the lock had gone before the command ended by itself", async () => {
    for (const how of ["lock", "elect"]) {
      const world = new FakeWorld();
      world.sequencerValid = false;
      expect(await world.run(how, "/ls/local/a", "--", "true")).toBe(81);
      expect(world.error).toContain("Generation 4 is over.");
    }
  });

  it("says nothing of a lock that it cannot ask for in the end", async () => {
    const world = new FakeWorld();
    world.sequencerFailure = "unreachable";
    expect(await world.run("lock", "/ls/local/a", "--", "/bin/sh", "-c", "exit 9")).toBe(9);
  });

  it("exits 81 when another may have held the lock meanwhile, and the cell cannot be asked", async () => {
    for (const how of ["lock", "elect"]) {
      for (const [jeopardyMs, code] of [
        [4_000, 0],
        [30_000, 81],
      ] as const) {
        const world = new FakeWorld();
        world.sequencerFailure = "deadline_exceeded";
        world.jeopardyMs = jeopardyMs;
        expect([how, await world.run(how, "/ls/local/a", "--", "true")]).toEqual([how, code]);
      }
    }
  });

  it("is ended by a signal that comes while the cell does not answer", async () => {
    for (const endless of ["connect", "open"] as const) {
      const world = new FakeWorld();
      world.endless = endless;
      expect(await world.run("lock", "/ls/local/a", ...started)).toBe(143);
    }
    expect(existsSync(mark)).toBe(false);
  });

  it("is ended by a signal that comes together with the grant, and starts nothing", async () => {
    for (const how of ["lock", "elect"]) {
      const world = new FakeWorld();
      world.signalWithGrant = "SIGTERM";
      expect(await world.run(how, "/ls/local/a", ...started)).toBe(143);
    }
    expect(existsSync(mark)).toBe(false);
  });

  it("is ended by a signal while it waits for the session to be safe", async () => {
    const world = new FakeWorld();
    world.doubts = Number.POSITIVE_INFINITY;
    world.signalInDoubt = "SIGINT";
    expect(await world.run("lock", "/ls/local/a", ...started)).toBe(130);
    expect(existsSync(mark)).toBe(false);
  });

  it("kills a command in doubt before the lock-delay is over, however long --kill-after is", async () => {
    const world = new FakeWorld();
    const script = 'trap "" TERM; touch "$0"; while :; do sleep 0.05; done';
    const options = ["--lock-delay", "0s", "--kill-after", "60s"];
    const command = ["--", "/bin/sh", "-c", script, mark];
    const code = world.run("lock", "/ls/local/a", ...options, ...command);
    const isStarted = (): true | undefined => (existsSync(mark) ? true : undefined);
    await poll(isStarted, { timeoutMs: 5_000, describe: () => "the command is not started" });
    world.beginJeopardy();
    expect(await code).toBe(81);
  });

  it("stands for election with what the winner writes", async () => {
    const world = new FakeWorld();
    expect(await world.run("elect", "/ls/local/a", "--value", "web1:80", "--", "true")).toBe(0);
    expect(world.asked[1]).toEqual(["elect", "/ls/local/a", "web1:80"]);
  });

  it("passes the exit code on where the cell could not be asked at the end, and not after a loss", async () => {
    const world = new FakeWorld();
    const cause = new CubbyError("session_jeopardy", "As the test has it.");
    world.electionFailure = new CubbyError("lock_lost", "Perhaps.", { cause });
    const elected = ["elect", "/ls/local/a", "--", "/bin/sh", "-c", "exit 9"];
    expect(await world.run(...elected)).toBe(9);
    world.electionFailure = new CubbyError("lock_lost", "For sure.");
    expect(await world.run(...elected)).toBe(81);
  });
});

describe("sequencer check", () => {
  it("exits 0 for a valid sequencer and 83 for a stale one, with the reason", async () => {
    const world = new FakeWorld();
    expect(await world.run("sequencer", "check", "/ls/local/a", "cs1.token")).toBe(0);
    world.sequencerValid = false;
    expect(await world.run("sequencer", "check", "/ls/local/a", "cs1.token")).toBe(83);
    expect(world.error).toContain("Generation 4 is over.");
  });
});

describe("status", () => {
  const status = Status.fromPartial({
    cellName: "local",
    replicaId: 1,
    role: "master",
    ballot: "3.0.1",
    chosen: 120,
    applied: 119,
    leaseLeftMs: 480,
    sessions: 4,
    disk: "ok",
  });

  it("names every replica, those that do not answer too", async () => {
    const world = new FakeWorld();
    world.answers = [
      { address: "127.0.0.1:7070", status, problem: "" },
      { address: "127.0.0.1:7080", status: undefined, problem: "connection refused" },
    ];
    expect(await world.run("status")).toBe(0);
    const [, master, silent] = world.out.split("\n");
    expect(master).toMatch(/^1 +127\.0\.0\.1:7070 +master \* .*3\.0\.1 +120 +119 +480 ms +4 +ok$/);
    expect(silent).toMatch(/^\? +127\.0\.0\.1:7080 +unreachable: connection refused$/);
  });

  it("refuses another cell than the one that is named, as the other commands do", async () => {
    const world = new FakeWorld();
    const stranger = Status.fromPartial({ ...status, cellName: "other", replicaId: 2 });
    world.answers = [{ address: "127.0.0.1:7070", status: stranger, problem: "" }];
    expect(await world.run("status")).toBe(69);
    expect(world.error).toContain("[handshake_failed]");
    expect(world.out).toContain('it serves the cell "other", not "local"');
    world.answers = [...world.answers, { address: "127.0.0.1:7080", status, problem: "" }];
    world.out = "";
    expect(await world.run("status")).toBe(0);
    expect(world.out).toMatch(/\? +127\.0\.0\.1:7070 +unreachable: it serves the cell "other"/);
    world.answers = [{ address: "127.0.0.1:7070", status: stranger, problem: "" }];
    expect(await world.run("status", "--cell", "cubby://127.0.0.1:7070")).toBe(0);
  });

  it("takes the addresses that the other commands take, and asks nobody for another", async () => {
    const hosts = Array.from({ length: 33 }, (_, i) => `10.0.0.${i}`);
    for (const cell of [`cubby://${hosts.join()}/local`, "local", "cubby://a:0/local"]) {
      const world = new FakeWorld();
      expect([cell, await world.run("status", "--cell", cell)]).toEqual([cell, 64]);
      expect(world.asked).toEqual([]);
      expect(world.error).toContain("[invalid_argument] The address");
    }
    const world = new FakeWorld();
    expect(await world.run("ls", "--cell", "cubby://10.0.0.1")).toBe(64);
    expect(world.error).toContain("does not name its cell");
  });

  it("waits as long as it is told to, and two seconds otherwise", async () => {
    const world = new FakeWorld();
    for (const words of [
      [],
      ["--timeout", "6s"],
      ["--timeout", "500ms"],
      ["--timeout", "60000m"],
    ]) {
      await world.run("status", ...words);
    }
    const waited = world.asked.map((asked) => (asked as unknown[])[2]);
    expect(waited).toEqual([2_000, 6_000, 500, 2 ** 31 - 1]);
  });

  it("exits 82 when none answers", async () => {
    const world = new FakeWorld();
    world.answers = [{ address: "127.0.0.1:7070", status: undefined, problem: "refused" }];
    expect(await world.run("status")).toBe(82);
  });
});
