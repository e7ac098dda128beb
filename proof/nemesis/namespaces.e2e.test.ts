import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { isAlive } from "../../packages/cli/src/process/is-alive.ts";
import { poll } from "../../packages/cli/src/process/sleep.ts";
import { Namespaces } from "./namespaces.ts";

const ENDPOINTS = [1, 2];

function spaceOf(endpoint: number): string {
  return `cubby-nemesis-${process.pid}-${endpoint}`;
}

/** The process that cuts the links of this endpoint. */
function cutterOf(endpoint: number): number | undefined {
  const command = ["ip", "-n", spaceOf(endpoint), "-batch", "-", ""].join("\0");
  return readdirSync("/proc")
    .map(Number)
    .find((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8") === command;
      } catch {
        return false;
      }
    });
}

it("cuts links where it can, and says so when it no longer does", async ({ skip }) => {
  const spaces = await Namespaces.create(ENDPOINTS);
  if (typeof spaces === "string") return skip(spaces);
  try {
    const neighbors = (): string =>
      execFileSync("ip", ["-n", spaceOf(1), "neigh", "show"], { encoding: "utf8" });
    expect(neighbors()).toContain("02:cb:00:00:00:02");
    spaces.cut(1, 2);
    await poll(() => neighbors().includes("02:cb:00:00:ff:ff") || undefined, {
      timeoutMs: 5_000,
      describe: () => "the link is not cut",
    });
    expect(spaces.problem).toBeUndefined();
    const cutter = cutterOf(1);
    if (cutter === undefined) throw new Error("nobody cuts the links of endpoint 1");
    process.kill(cutter, "SIGKILL");
    await poll(() => spaces.problem, { timeoutMs: 5_000, describe: () => "nobody noticed" });
    expect(spaces.problem).toBe("the ip of endpoint 1 ended");
  } finally {
    await spaces.close();
  }
});

it("says so when a command is refused, and why", async ({ skip }) => {
  const spaces = await Namespaces.create(ENDPOINTS);
  if (typeof spaces === "string") return skip(spaces);
  try {
    execFileSync("ip", ["-n", spaceOf(1), "link", "delete", "eth0"]);
    spaces.cut(1, 2);
    await poll(() => spaces.problem, { timeoutMs: 5_000, describe: () => "nobody noticed" });
    expect(spaces.problem).toMatch(/^the ip of endpoint 1 ended: .*device/);
  } finally {
    await spaces.close();
  }
});

it("leaves no process behind where nothing can be cut", async ({ skip }) => {
  const spaces = await Namespaces.create(ENDPOINTS);
  if (typeof spaces === "string") return skip(spaces);
  await spaces.close();
  const directory = mkdtempSync(join(tmpdir(), "cubby-ip-"));
  const { PATH } = process.env;
  const pids = join(directory, "pids");
  // An `ip` that takes what it is told, and does none of it.
  const deaf = `#!/bin/sh
case "$*" in *-batch*) echo $$ >> ${pids}; exec cat;; esac
PATH=${PATH} exec ip "$@"
`;
  writeFileSync(join(directory, "ip"), deaf, { mode: 0o755 });
  process.env["PATH"] = `${directory}:${PATH}`;
  try {
    expect(await Namespaces.create(ENDPOINTS)).toContain("ip cuts no links");
    const started = readFileSync(pids, "utf8").trim().split("\n").map(Number);
    expect(started.map(isAlive)).toEqual(ENDPOINTS.map(() => false));
  } finally {
    process.env["PATH"] = PATH;
    rmSync(directory, { recursive: true });
  }
});
