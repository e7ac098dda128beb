import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";

const MODULE = new URL("../dist/process/end-process.js", import.meta.url).href;
const directory = mkdtempSync(join(tmpdir(), "cubby-end-"));
/** Nobody ever writes to it: to open it takes a thread of the pool for good, as a disk that hangs does. */
const fifo = join(directory, "fifo");
execFileSync("mkfifo", [fifo]);
afterAll(() => rmSync(directory, { recursive: true }));

async function ended(how: string): Promise<number | NodeJS.Signals | null> {
  const script = `
    import { open, readFile } from "node:fs";
    import { endProcess, endProcessNow } from ${JSON.stringify(MODULE)};
    const fifo = ${JSON.stringify(fifo)};
    ${how}`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  return new Promise((resolve) => child.once("close", (code, signal) => resolve(code ?? signal)));
}

describe("a process that ends", () => {
  it.each([
    ["endProcess(96);", 96],
    ["endProcess(0);", 0],
    // Work that is soon done is waited for, and takes nothing from the status.
    ["readFile('/etc/hostname', () => {}); endProcess(96);", 96],
    ["open(fifo, 'r', () => {}); endProcess(96);", "SIGUSR2"],
    ["open(fifo, 'r', () => {}); endProcess(70);", "SIGKILL"],
    ["open(fifo, 'r', () => {}); endProcess(0);", "SIGTERM"],
    ["open(fifo, 'r', () => {}); endProcessNow(70);", "SIGKILL"],
  ])("does so though a disk hangs: %s", async (how, expected) => {
    expect(await ended(how)).toBe(expected);
  });
});
