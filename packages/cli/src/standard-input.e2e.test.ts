import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { ERROR_CODES } from "@cubby/protocol";
import { describe, expect, it } from "vitest";

const CUBBY = fileURLToPath(new URL("../bin/cubby.js", import.meta.url));
/** Nobody is there: a command that gets as far as asking the cell exits 82. */
const NOBODY = ["--cell", "cubby://127.0.0.1:1/local", "--timeout", "100ms"];

async function withInput(path: string, ...args: readonly string[]) {
  const input = openSync(path, "r");
  const child = spawn(process.execPath, [CUBBY, ...args], { stdio: [input, "pipe", "pipe"] });
  closeSync(input);
  let error = "";
  child.stderr?.on("data", (data: Buffer) => {
    error += data.toString();
  });
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, error };
}

describe("standard input", () => {
  it("that cannot be read is no empty file", async () => {
    const { code, error } = await withInput(tmpdir(), "put", "/ls/local/a", ...NOBODY);
    expect(error).toMatch(/^cubby: \[file_not_found\] Standard input cannot be read: EISDIR/);
    expect(code).toBe(ERROR_CODES.file_not_found.exitCode);
    const delta = await withInput(tmpdir(), "delta", "encode", "-", "-o", "/dev/null", "--json");
    expect(JSON.parse(delta.error)).toMatchObject({ error: { code: "file_not_found" } });
  });

  it("is read no further than a file may be large", async () => {
    const { code, error } = await withInput("/dev/zero", "put", "/ls/local/a", ...NOBODY);
    expect(error).toMatch(/^cubby: \[file_too_large\]/);
    expect(code).toBe(ERROR_CODES.file_too_large.exitCode);
  });

  it("that is empty is an empty file", async () => {
    const { code } = await withInput("/dev/null", "put", "/ls/local/a", ...NOBODY);
    expect(code).toBe(ERROR_CODES.unreachable.exitCode);
  });
});
