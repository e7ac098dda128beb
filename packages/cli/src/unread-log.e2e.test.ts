import { execFileSync, spawn } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { ERROR_CODES } from "@cubby/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { brokenPipe } from "./test-support/broken-pipe.ts";

const CUBBY = fileURLToPath(new URL("../bin/cubby.js", import.meta.url));

let directory = "";
let unread = 0;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cubby-unread-"));
  unread = fullPipe(join(directory, "pipe"));
});

afterEach(() => {
  closeSync(unread);
  rmSync(directory, { recursive: true });
});

/** One end of a pipe that is full, and that nobody reads. */
function fullPipe(path: string): number {
  execFileSync("mkfifo", [path]);
  const pipe = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const bytes = new Uint8Array(4096);
  for (;;) {
    try {
      writeSync(pipe, bytes);
    } catch {
      return pipe;
    }
  }
}

/** A replica whose standard error is the full pipe, or another one. */
function serve(flags: readonly string[] = [], standardError = unread) {
  const lanes = ["session", "peer"].flatMap((lane) => [`--${lane}-address`, "127.0.0.1:0"]);
  const args = ["serve", "--data", join(directory, "data"), ...lanes, "--http-address", "none"];
  const child = spawn(process.execPath, [CUBBY, ...args, "--json", ...flags], {
    stdio: ["ignore", "pipe", standardError],
  });
  const ready = new Promise<unknown>((resolve) => {
    if (child.stdout !== null) createInterface(child.stdout).once("line", resolve);
  });
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  return { child, ready, ended };
}

describe("a replica whose log nobody reads", () => {
  it("ends when it is told to", async () => {
    const { child, ready, ended } = serve();
    await ready;
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
  });

  it("ends with its own status when it cannot start", async () => {
    const { ended } = serve(["--replica", "0"]);
    expect(await ended).toBe(ERROR_CODES.config_invalid.exitCode);
  });

  it("ends with its own status also when the reader has gone", async () => {
    const broken = brokenPipe(join(directory, "broken"));
    const { ended } = serve(["--replica", "0"], broken);
    closeSync(broken);
    expect(await ended).toBe(ERROR_CODES.config_invalid.exitCode);
  });
});
