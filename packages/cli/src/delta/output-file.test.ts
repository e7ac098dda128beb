import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { utf8Encode } from "@cubby/base";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Context } from "../context.ts";
import { readInput } from "./input-file.ts";
import { Output } from "./output-file.ts";
import { Progress } from "./progress.ts";

/** Whose files the system lets be given away, as it would to others than who runs this. */
let mayGive: (uid: number, gid: number) => boolean = () => true;

vi.mock("node:fs/promises", async (importOriginal) => {
  const actual = await importOriginal<typeof import("node:fs/promises")>();
  const chown: typeof actual.chown = async (path, uid, gid) => {
    if (mayGive(uid, gid)) return actual.chown(path, uid, gid);
    throw Object.assign(new Error("EPERM: operation not permitted, chown"), { code: "EPERM" });
  };
  return { ...actual, chown };
});

let directory: string;
let out: string;
let error: string;

const context = {
  env: {},
  writeOut: (data) => {
    out += typeof data === "string" ? data : Buffer.from(data).toString("latin1");
  },
  writeError: (text) => {
    error += text;
  },
  readInput: async () => utf8Encode("from a pipe"),
  cells: {
    connect: async () => Promise.reject(new Error("no cell")),
    statuses: async () => [],
  },
} satisfies Context;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cubby-delta-"));
  out = "";
  error = "";
});

afterEach(() => {
  mayGive = () => true;
  rmSync(directory, { recursive: true });
});

const parts = [utf8Encode("ab"), utf8Encode("c")];
const at = (name: string): string => join(directory, name);
const text = (name: string): string => readFileSync(at(name), "utf8");

describe("an output", () => {
  it("is a file of that name and nothing else", async () => {
    const output = await Output.at(context, at("new"), false);
    expect(await output.write(parts)).toEqual({ bytes: 3 });
    expect([readdirSync(directory), text("new")]).toEqual([["new"], "abc"]);
  });

  it("never takes the place of a file without force, not even of one that comes meanwhile", async () => {
    writeFileSync(at("old"), "old");
    await expect(Output.at(context, at("old"), false)).rejects.toThrow("[file_exists]");
    const output = await Output.at(context, at("new"), false);
    writeFileSync(at("new"), "theirs");
    await expect(output.write(parts)).rejects.toThrow("[file_exists]");
    expect([readdirSync(directory), text("new")]).toEqual([["new", "old"], "theirs"]);
  });

  it("with force takes a file's place, also behind a link", async () => {
    writeFileSync(at("old"), "old");
    symlinkSync(at("old"), at("link"));
    const output = await Output.at(context, at("link"), true);
    await output.write(parts);
    expect([readdirSync(directory), text("old")]).toEqual([["link", "old"], "abc"]);
  });

  it("with force is open to nobody else than the file in whose place it comes, nor is it meanwhile", async () => {
    const mode = (name: string): number => statSync(at(name)).mode & 0o777;
    for (const before of [0o600, 0o664]) {
      writeFileSync(at("old"), "old");
      chmodSync(at("old"), before);
      let meanwhile = 0;
      const looking = function* (): Generator<Uint8Array> {
        const [unfinished = ""] = readdirSync(directory).filter((name) => name.endsWith(".tmp"));
        meanwhile = mode(unfinished);
        yield utf8Encode("new");
      };
      await (await Output.at(context, at("old"), true)).write(looking());
      expect([meanwhile, mode("old"), text("old")]).toEqual([0o600, before, "new"]);
    }
  });

  it("with force keeps the group where the user cannot be kept, and gives no other group its rights", async () => {
    // A group that new files are not of: any if this is root, and one more of its own, if any, if not.
    const groups = process.getuid?.() === 0 ? [54_321] : (process.getgroups?.() ?? []);
    const gid = groups.at(-1) ?? statSync(directory).gid;
    const replaced = async (): Promise<unknown> => {
      writeFileSync(at("old"), "old");
      chownSync(at("old"), -1, gid);
      chmodSync(at("old"), 0o664);
      await (await Output.at(context, at("old"), true)).write(parts);
      const { mode, gid: after } = statSync(at("old"));
      return { mode: mode & 0o777, keepsGroup: after === gid };
    };
    mayGive = (uid) => uid === -1;
    expect(await replaced()).toEqual({ mode: 0o664, keepsGroup: true });
    mayGive = () => false;
    expect(await replaced()).toMatchObject({ mode: 0o604 });
  });

  it("leaves nothing behind when making it fails", async () => {
    const output = await Output.at(context, at("new"), false);
    const failing = function* (): Generator<Uint8Array> {
      yield utf8Encode("a");
      throw new Error("as the test has it");
    };
    await expect(output.write(failing())).rejects.toThrow("as the test has it");
    expect(readdirSync(directory)).toEqual([]);
  });

  it("is refused before any work where it cannot be", async () => {
    mkdirSync(at("sub"));
    await expect(Output.at(context, at("sub"), true)).rejects.toThrow("is a directory");
    await expect(Output.at(context, at("none/new"), true)).rejects.toThrow("There is no directory");
  });

  it("is standard output, or a device, which is not replaced", async () => {
    expect(await (await Output.at(context, "-", false)).write(parts)).toEqual({ bytes: 3 });
    expect(out).toBe("abc");
    expect(await (await Output.at(context, "/dev/null", true)).write(parts)).toEqual({ bytes: 3 });
    expect(readFileSync("/dev/null")).toHaveLength(0);
  });
});

describe("a signal", () => {
  const listening = (): number => process.listenerCount("SIGINT");

  it("is taken for a file that must be taken back, and for nothing else", async () => {
    const before = listening();
    const taken = async (path: string): Promise<number> => {
      let most = 0;
      const looking = function* (): Generator<Uint8Array> {
        most = listening() - before;
        yield utf8Encode("a");
      };
      await (await Output.at(context, path, false)).write(looking());
      return most;
    };
    expect(await taken(at("new"))).toBe(1);
    // To a pipe that nobody reads the wait has no end, unless the signal is it.
    expect(await taken("/dev/null")).toBe(0);
    expect(listening()).toBe(before);
  });
});

describe("an input", () => {
  it("is a file or standard input, or named as missing", async () => {
    writeFileSync(at("file"), "text");
    expect(Buffer.from(await readInput(context, at("file"))).toString()).toBe("text");
    expect(Buffer.from(await readInput(context, "-")).toString()).toBe("from a pipe");
    await expect(readInput(context, at("none"))).rejects.toThrow("[file_not_found]");
    await expect(readInput(context, directory)).rejects.toThrow("is a directory");
  });
});

describe("progress", () => {
  it("is shown after half a second, ten times a second, and taken away", () => {
    let now = 0;
    const progress = new Progress(context, { isOut: false, isError: true }, () => now);
    progress.show("reading", 0.1);
    expect(error).toBe("");
    now = 600;
    progress.show("reading", 0.5);
    now = 650;
    progress.show("reading", 0.6);
    expect(error).toBe(`\r\u001b[K${"█".repeat(15)}${"░".repeat(15)}  50 %  reading`);
    progress.done();
    expect(error.endsWith("\r\u001b[K")).toBe(true);
  });

  it("is not shown where nobody sees it", () => {
    let now = 0;
    const progress = new Progress(context, { isOut: true, isError: false }, () => now);
    now = 5_000;
    progress.show("reading", 0.5);
    progress.done();
    expect(error).toBe("");
  });
});
