import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const CUBBY = fileURLToPath(new URL("../bin/cubby.js", import.meta.url));

describe("a replica that is told to end", () => {
  it("says by which signal, also by that of a terminal that is closed", async () => {
    for (const signal of ["SIGHUP", "SIGTERM"] as const) {
      const directory = mkdtempSync(join(tmpdir(), "cubby-told-"));
      const lanes = ["session", "peer"].flatMap((lane) => [`--${lane}-address`, "127.0.0.1:0"]);
      const args = ["serve", "--data", directory, ...lanes, "--http-address", "none", "--json"];
      const child = spawn(process.execPath, [CUBBY, ...args], {
        stdio: ["ignore", "pipe", "pipe"],
      });
      const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
      let log = "";
      child.stderr.on("data", (data: Buffer) => {
        log += data.toString();
      });
      await new Promise((resolve) => createInterface(child.stdout).once("line", resolve));
      child.kill(signal);
      expect(await ended).toBe(0);
      const last = log.trimEnd().split("\n").at(-1) ?? "";
      expect(JSON.parse(last)).toMatchObject({ signal, msg: "told to end" });
      rmSync(directory, { recursive: true });
    }
  });
});
