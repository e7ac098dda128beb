import { type StdioOptions, spawn } from "node:child_process";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { encode } from "@cubby/delta";
import { ERROR_CODES } from "@cubby/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { brokenPipe } from "./test-support/broken-pipe.ts";

const CUBBY = fileURLToPath(new URL("../bin/cubby.js", import.meta.url));
const NOT_WRITABLE = ERROR_CODES.file_not_writable.exitCode;
const EXIT_PIPE = 141;

let directory = "";
let file = "";

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "cubby-lost-"));
  file = join(directory, "numbers.cdl");
  writeFileSync(file, encode(Int32Array.from({ length: 5_000 }, (_, i) => i)));
});

afterAll(() => rmSync(directory, { recursive: true }));

/** The exit code, and what was said on standard error where that is a pipe. */
async function run(stdio: StdioOptions, ...command: readonly string[]) {
  const [program = "", ...args] = command;
  const child = spawn(program, args, { stdio });
  let error = "";
  child.stderr?.on("data", (data: Buffer) => {
    error += data.toString();
  });
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, error };
}

const cubby = (...args: readonly string[]): string[] => [process.execPath, CUBBY, ...args];

describe("output that cannot be written", () => {
  it("fails a command whose standard output is full, and says so", async () => {
    const full = openSync("/dev/full", "w");
    for (const args of [["delta", "decode", file], ["--help"]]) {
      const { code, error } = await run(["ignore", full, "pipe"], ...cubby(...args));
      expect([args, code]).toEqual([args, NOT_WRITABLE]);
      expect(error).toMatch(/^cubby: \[file_not_writable\] Standard output .*ENOSPC/);
    }
    const json = cubby("delta", "decode", file, "--json");
    const { code, error } = await run(["ignore", full, "pipe"], ...json);
    expect(code).toBe(NOT_WRITABLE);
    expect(JSON.parse(error)).toMatchObject({ error: { code: "file_not_writable" } });
    closeSync(full);
  });

  it("fails a command whose output was written in part, of which the write itself says nothing", async () => {
    const part = join(directory, "part.csv");
    const script = 'trap "" XFSZ; ulimit -f 8; "$0" "$@" > "$OUT"';
    const shell = ["/usr/bin/env", `OUT=${part}`, "/bin/sh", "-c", script];
    const command = [...shell, ...cubby("delta", "decode", file)];
    const { code, error } = await run(["ignore", "ignore", "pipe"], ...command);
    expect(error).toMatch(/^cubby: \[file_not_writable\] Standard output .*EFBIG/);
    expect(code).toBe(NOT_WRITABLE);
    expect(statSync(part).size).toBeGreaterThan(0);
  });

  it("fails a command that succeeded, when its last words are lost", async () => {
    const odd = join(directory, "odd.csv");
    writeFileSync(odd, 'a,b\n"1",x\n2,y\n');
    const full = openSync("/dev/full", "w");
    const encodeIt = cubby("delta", "encode", odd, "-o", join(directory, "odd.cdl"));
    expect((await run(["ignore", "ignore", full], ...encodeIt)).code).toBe(NOT_WRITABLE);
    const silent = cubby("delta", "encode", odd, "--columns", "a", "-o", join(directory, "a.cdl"));
    expect((await run(["ignore", "ignore", full], ...silent)).code).toBe(0);
    const missing = cubby("delta", "decode", join(directory, "none"));
    const { exitCode } = ERROR_CODES.file_not_found;
    expect((await run(["ignore", "ignore", full], ...missing)).code).toBe(exitCode);
    closeSync(full);
  });
});

describe("output whose reader has gone", () => {
  it("ends a command with 141, also one that writes once", async () => {
    const broken = brokenPipe(join(directory, "pipe"));
    for (const args of [["delta", "decode", file], ["--help"]]) {
      const { code, error } = await run(["ignore", broken, "pipe"], ...cubby(...args));
      expect([args, code, error]).toEqual([args, EXIT_PIPE, ""]);
    }
    closeSync(broken);
  });

  // What a parent in Node and a service manager give is no pipe but a socket, which refuses even nothing.
  it("is nothing to a command that fails by itself", async () => {
    const missing = ["delta", "decode", join(directory, "none")];
    const codes = [
      [missing, ERROR_CODES.file_not_found.exitCode],
      [["serve", "--config", join(directory, "none.json")], ERROR_CODES.config_invalid.exitCode],
      [["--help"], EXIT_PIPE],
    ] as const;
    for (const [args, expected] of codes) {
      const child = spawn(process.execPath, [CUBBY, ...args], {
        stdio: ["ignore", "pipe", "pipe"],
      });
      child.stdout.destroy();
      child.stderr.destroy();
      const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
      expect([args, code]).toEqual([args, expected]);
    }
  });

  it("is told from output that is read to its end", async () => {
    const whole = join(directory, "whole.csv");
    const out = openSync(whole, "w");
    const { code, error } = await run(["ignore", out, "pipe"], ...cubby("delta", "decode", file));
    closeSync(out);
    expect([code, error]).toEqual([0, ""]);
    expect(readFileSync(whole, "utf8").split("\n")).toHaveLength(5_001);
  });
});
