import { execFileSync } from "node:child_process";
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createLog } from "./log.ts";

let directory = "";
let opened: number[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cubby-log-"));
});

afterEach(() => {
  for (const fileDescriptor of opened) closeSync(fileDescriptor);
  opened = [];
  rmSync(directory, { recursive: true });
});

function open(path: string, flags: number | string): number {
  const fileDescriptor = openSync(path, flags);
  opened.push(fileDescriptor);
  return fileDescriptor;
}

/** Both ends of a pipe; a process that writes to one as its standard error does not block either. */
function openPipe(): { read: number; write: number } {
  const path = join(directory, "pipe");
  execFileSync("mkfifo", [path]);
  const read = open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return { read, write: open(path, constants.O_WRONLY | constants.O_NONBLOCK) };
}

function readAll(fileDescriptor: number): string {
  const chunk = Buffer.alloc(64 * 1024);
  let text = "";
  for (;;) {
    try {
      text += chunk.toString("utf8", 0, readSync(fileDescriptor, chunk));
    } catch {
      return text;
    }
  }
}

test("writes one JSON line per message of its level, with errors that can be read", () => {
  const path = join(directory, "log");
  const log = createLog("info", { replica: 3 }, open(path, "w"));
  log.debug({}, "not of the level");
  log.info({ peer: 2 }, "connected");
  log.warn({ error: new Error("no way") }, "accept failed");
  // Nothing is written before the buffer is full, the time is up, or the process ends.
  expect(readFileSync(path, "utf8")).toBe("");
  log.flushSync();
  const lines = readFileSync(path, "utf8").trim().split("\n");
  const [info, warn, ...rest] = lines.map((line) => JSON.parse(line));
  expect(rest).toEqual([]);
  expect(info).toMatchObject({ level: 30, replica: 3, peer: 2, msg: "connected" });
  expect(warn).toMatchObject({ level: 40, error: { message: "no way" } });
});

test("writes each line once, in order, to a reader that is slow", async () => {
  const { read, write } = openPipe();
  const log = createLog("info", {}, write);
  const count = 2_000;
  const filler = "x".repeat(100);
  for (let n = 0; n < count; n += 1) log.info({ n, filler }, "line");
  let text = "";
  while (text.split("\n").length <= count) {
    await new Promise((resolve) => setImmediate(resolve));
    text += readAll(read);
  }
  const lines = text.trim().split("\n");
  expect(lines.map((line) => JSON.parse(line).n)).toEqual(lines.map((_, n) => n));
});

describe("the last lines keep nobody from the end", () => {
  test("where nobody reads them", () => {
    const { read, write } = openPipe();
    const log = createLog("info", {}, write);
    for (let n = 0; n < 2_000; n += 1) log.info({ filler: "x".repeat(100) }, "line");
    log.flushSync();
    expect(readAll(read)).toContain("line");
  });

  test("where the reader has gone", () => {
    const { read, write } = openPipe();
    const log = createLog("info", {}, write);
    log.info({}, "line");
    closeSync(read);
    opened = [write];
    log.flushSync();
    expect(() => log.flushSync()).not.toThrow();
  });

  test("where the disk is full", ({ skip }) => {
    if (!existsSync("/dev/full")) skip();
    const log = createLog("info", {}, open("/dev/full", "w"));
    log.info({}, "line");
    log.flushSync();
    expect(() => log.flushSync()).not.toThrow();
  });
});
