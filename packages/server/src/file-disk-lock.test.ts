import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type LockResult, lockDirectory } from "./file-disk-lock.ts";
import type * as LockSocketModule from "./lock-socket.ts";

/** What others do between the answer of a socket and what follows from it. */
const meanwhile = vi.hoisted(() => ({ onAnswer: (): void => undefined }));

vi.mock("./lock-socket.ts", async (importOriginal) => {
  const original = await importOriginal<typeof LockSocketModule>();
  return {
    ...original,
    askSocket: async (directory: string, name: string) => {
      const answer = await original.askSocket(directory, name);
      meanwhile.onAnswer();
      return answer;
    },
  };
});

const NAMESPACE = ["unshare", "-Urpf", "--mount-proc"];
const HAS_NAMESPACES = spawnSync("unshare", ["-Urpf", "--mount-proc", "true"]).status === 0;
const BOOT = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
const HERE = readlinkSync("/proc/self/ns/pid");
const ELSEWHERE = "pid:[1]";
const SOCKET = "lock.0123456789abcdef.sock";

let directory = "";
let children: ChildProcess[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cubby-lock-"));
});

afterEach(async () => {
  for (const child of children) await kill(child);
  children = [];
  meanwhile.onAnswer = () => undefined;
  rmSync(directory, { recursive: true });
});

/** A process that locks the directory and then says how that went, until it is killed. */
async function holder(
  prefix: readonly string[] = [],
  before = "",
): Promise<{ child: ChildProcess; said: LockResult }> {
  const program =
    `import { keepSpare, lockDirectory } from ${JSON.stringify(new URL("./file-disk-lock.ts", import.meta.url))};` +
    `${before};` +
    `const result = await lockDirectory(${JSON.stringify(directory)});` +
    "console.log(JSON.stringify(result)); setInterval(() => undefined, 1000);";
  const [command = "", ...args] = [
    ...prefix,
    process.execPath,
    "--import",
    "tsx",
    "--input-type=module",
    "-e",
    program,
  ];
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"], detached: true });
  children.push(child);
  const said = await new Promise<LockResult>((resolve, reject) => {
    child.stdout.once("data", (chunk) => resolve(JSON.parse(String(chunk))));
    child.once("exit", () => reject(new Error("It ended.")));
  });
  return { child, said };
}

/** With the namespace that it may have made. */
async function kill(child: ChildProcess, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  process.kill(-(child.pid ?? 0), signal);
  if (signal === "SIGKILL") await ended;
}

async function lockAndRelease(): Promise<string> {
  const lock = await lockDirectory(directory);
  if (lock.kind === "locked") lock.release();
  return lock.kind;
}

const file = () => join(directory, "lock");

describe("the process lock", () => {
  it("refuses a second holder while the first one lives", async () => {
    const first = await lockDirectory(directory);
    expect(await lockDirectory(directory)).toEqual({
      kind: "held",
      pid: process.pid,
      where: "here",
      file: file(),
    });
    if (first.kind === "locked") first.release();
    expect(readdirSync(directory)).toEqual([]);
    expect(await lockAndRelease()).toBe("locked");
  });

  it("has one holder, of many who start at once", async () => {
    for (const left of [undefined, `999999999 1 ${BOOT} ${HERE} -`]) {
      if (left !== undefined) writeFileSync(file(), left);
      const results = await Promise.all(Array.from({ length: 20 }, () => lockDirectory(directory)));
      const locks = results.filter((result) => result.kind === "locked");
      expect(locks).toHaveLength(1);
      for (const lock of locks) lock.release();
      expect(readdirSync(directory)).toEqual([]);
    }
  });

  it("takes over from a process that is gone, or whose number another one has now", async () => {
    for (const holder of [
      `999999999 1 ${BOOT} ${HERE} -`,
      `${process.pid} 1 ${BOOT} ${HERE} -`,
      `${process.pid} 1 another-boot ${HERE} -`,
      `${process.pid} 1 another-boot ${ELSEWHERE} -`,
      "999999999 1 another-boot",
      "",
      "garbage",
    ]) {
      writeFileSync(file(), holder);
      expect([holder, await lockAndRelease()]).toEqual([holder, "locked"]);
    }
    expect(readdirSync(directory)).toEqual([]);
  });

  it("is held by a process of this namespace whose socket is gone", async () => {
    const child = spawn("sleep", ["60"], { stdio: "ignore", detached: true });
    children.push(child);
    const pid = child.pid ?? 0;
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const startedAt = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    writeFileSync(file(), `${pid} ${startedAt} ${BOOT} ${HERE} ${SOCKET}`);
    expect(await lockDirectory(directory)).toEqual({
      kind: "held",
      pid,
      where: "here",
      file: file(),
    });
    await kill(child);
    expect(await lockAndRelease()).toBe("locked");
  });

  it.each([
    ["without a socket", `1 1 ${BOOT} ${ELSEWHERE} -`],
    ["with a socket that is gone", `1 1 ${BOOT} ${ELSEWHERE} ${SOCKET}`],
    ["that has not said which", `1 1 ${BOOT}`],
    ["of a system without /proc", "1 - - - -"],
    ["whose socket would lead out of the directory", `1 1 ${BOOT} ${ELSEWHERE} ../x.sock`],
  ])("does not take over from a holder in another namespace, %s", async (_what, content) => {
    writeFileSync(file(), content);
    expect(await lockDirectory(directory)).toEqual({
      kind: "held",
      pid: 1,
      where: "unseen",
      file: file(),
    });
    expect(readdirSync(directory)).toEqual(["lock"]);
  });

  it("is held by another process until that one is killed, though it is stopped", async () => {
    const { child, said } = await holder();
    expect(said.kind).toBe("locked");
    await kill(child, "SIGSTOP");
    expect(await lockDirectory(directory)).toMatchObject({ kind: "held", where: "here" });
    await kill(child);
    expect(readdirSync(directory)).toHaveLength(2);
    expect(await lockAndRelease()).toBe("locked");
    expect(readdirSync(directory)).toEqual([]);
  });

  it("may be given back twice, also where its socket is reached by a descriptor", async () => {
    const long = join(directory, "a".repeat(100));
    mkdirSync(long);
    const lock = await lockDirectory(long);
    if (lock.kind !== "locked") throw new Error(lock.kind);
    lock.release();
    expect(() => lock.release()).not.toThrow();
    expect(readdirSync(long)).toEqual([]);
  });

  it("ends with its process though the system lets nobody remove it", async () => {
    const lock = await lockDirectory(directory);
    rmSync(file());
    // Fails to be read, and to be unlinked.
    mkdirSync(file());
    if (lock.kind === "locked") lock.release();
    await vi.waitUntil(() => readdirSync(directory).join() === "lock");
  });

  it("is held in a directory whose path is longer than a socket's may be", async () => {
    const top = directory;
    directory = join(directory, "x".repeat(200));
    mkdirSync(directory);
    writeFileSync(file(), `1 1 ${BOOT} ${ELSEWHERE} ${SOCKET}`);
    expect((await lockDirectory(directory)).kind).toBe("held");
    rmSync(file());
    const { child } = await holder();
    expect(readdirSync(directory).filter((name) => name.endsWith(".sock"))).toHaveLength(1);
    expect(await lockDirectory(directory)).toMatchObject({ kind: "held", where: "here" });
    await kill(child);
    expect(await lockAndRelease()).toBe("locked");
    expect(readdirSync(directory)).toEqual([]);
    directory = top;
  });

  it("leaves a lock alone that was taken while its holder before was found to be gone", async () => {
    writeFileSync(file(), `1 1 ${BOOT} ${ELSEWHERE} ${SOCKET}`);
    writeFileSync(join(directory, SOCKET), "");
    const taken = `2 1 ${BOOT} ${ELSEWHERE} -`;
    meanwhile.onAnswer = () => {
      if (existsSync(join(directory, "lock.takeover"))) writeFileSync(file(), taken);
    };
    expect(await lockDirectory(directory)).toEqual({
      kind: "held",
      pid: 2,
      where: "unseen",
      file: file(),
    });
    expect(readFileSync(file(), "utf8")).toBe(taken);
  });

  it("speaks of no take-over cut short where another has just ended", async () => {
    const guard = join(directory, "lock.takeover");
    writeFileSync(file(), "999999999 1 boot");
    writeFileSync(guard, `1 1 ${BOOT} ${ELSEWHERE} ${SOCKET}`);
    meanwhile.onAnswer = () => rmSync(guard);
    expect(await lockDirectory(directory)).toMatchObject({ kind: "held", where: "changing" });
  });

  it("removes what processes left that were killed before they had it", async () => {
    for (const name of ["lock.00000000000000aa", SOCKET, "lock.00000000000000bb"]) {
      writeFileSync(join(directory, name), "");
    }
    utimesSync(join(directory, SOCKET), 1, 1);
    utimesSync(join(directory, "lock.00000000000000aa"), 1, 1);
    expect(await lockAndRelease()).toBe("locked");
    expect(readdirSync(directory)).toEqual(["lock.00000000000000bb"]);
  });

  it("names the file that a take-over cut short leaves behind", async () => {
    writeFileSync(file(), "999999999 1 boot");
    writeFileSync(join(directory, "lock.takeover"), "999999998 1 boot");
    expect(await lockDirectory(directory)).toEqual({
      kind: "stuck",
      file: join(directory, "lock.takeover"),
    });
  });
});

const describeNamespaces = HAS_NAMESPACES ? describe : describe.skip;
if (!HAS_NAMESPACES) console.warn("SKIPPED: `unshare -Urpf` is not allowed here.");

/** On a file system of its own, of sixteen pages. */
const SMALL_DISK = [
  ...["unshare", "-Urm", "sh", "-c"],
  'mount -t tmpfs -o size=64k tmpfs "$0" && exec "$@"',
];

describeNamespaces("the process lock, on a disk that is full to its last byte", () => {
  it("is taken in the room that was kept for it, or one recovery could give back nothing", async () => {
    const fill =
      'const { appendFileSync } = await import("node:fs");' +
      `keepSpare(${JSON.stringify(directory)});` +
      `try { for (;;) appendFileSync(${JSON.stringify(join(directory, "x"))}, new Uint8Array(4096)); }` +
      'catch (error) { if (error.code !== "ENOSPC") throw error; }';
    expect((await holder([...SMALL_DISK, directory], fill)).said.kind).toBe("locked");
  });
});

describeNamespaces("the process lock, across PID namespaces", () => {
  it("is held by a process in another one, seen from here and from a third", async () => {
    const { child, said } = await holder(NAMESPACE);
    expect(said.kind).toBe("locked");
    const held = { kind: "held", pid: 1, where: "elsewhere", file: file() };
    expect(await lockDirectory(directory)).toEqual(held);
    expect((await holder(NAMESPACE)).said).toEqual(held);
    await kill(child);
    // What has ended is `unshare`; the process in it ends a moment later.
    while ((await lockAndRelease()) !== "locked") await new Promise(setImmediate);
    expect(readdirSync(directory)).toEqual([]);
  });

  it("is held by a process here, seen from another one, also where /proc is that of here", async () => {
    const lock = await lockDirectory(directory);
    const held = { kind: "held", pid: process.pid, where: "elsewhere", file: file() };
    expect((await holder(NAMESPACE)).said).toEqual(held);
    expect((await holder(["unshare", "-Urpf"])).said).toEqual(held);
    if (lock.kind === "locked") lock.release();
    expect((await holder(["unshare", "-Urpf"])).said.kind).toBe("locked");
    expect(await lockDirectory(directory)).toMatchObject({ kind: "held", pid: 1 });
  });
});
