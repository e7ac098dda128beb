import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { connect } from "@cubby/client";
import { ERROR_CODES } from "@cubby/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LocalCell } from "./local-cell.ts";
import type { ChildExit } from "./process/child.ts";
import { poll } from "./process/sleep.ts";

const CUBBY = fileURLToPath(new URL("../bin/cubby.js", import.meta.url));

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cubby-wiped-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

describe("init again over a wiped directory, with the same replica id", () => {
  it("is refused by the peers: the process ends with 98 and says so, and the cell goes on", async () => {
    const exits = new Map<number, ChildExit>();
    const lines: string[] = [];
    await using cell = await LocalCell.create({
      directory,
      replicas: 3,
      segmentBytes: 1024 * 1024,
      onExit: (replica, exit) => exits.set(replica, exit),
      onLine: (replica, line) => lines.push(`${replica}: ${line}`),
    });
    await cell.startAll();
    const master = await cell.waitReady();
    await using session = await connect(cell.url);
    await session.write("/ls/local/kept", "before");
    const cellId = (await cell.master())?.status.cellId ?? "";

    const wiped = cell.replicas.find((replica) => replica !== master) ?? 0;
    await cell.kill(wiped);
    exits.delete(wiped);
    lines.length = 0;
    const data = cell.dataDirectory(wiped);
    rmSync(data, { recursive: true });
    const same = ["--cell-id", cellId, "--replica", String(wiped), "--segment-mib", "1"];
    execFileSync(process.execPath, [CUBBY, "init", "--data", data, "--cell", "local", ...same]);
    await cell.start(wiped);
    const exit = await poll(() => exits.get(wiped), {
      timeoutMs: 20_000,
      describe: () => `replica ${wiped} still runs`,
    });
    expect(exit.code).toBe(ERROR_CODES.identity_refused.exitCode);
    const said = lines.filter((line) => line.startsWith(`${wiped}: `)).join("\n");
    expect(said).toMatch(/\[identity_refused\] Replica \d refuses this directory/);
    expect(said).toContain(ERROR_CODES.identity_refused.help);

    await session.write("/ls/local/kept", "after");
    const { contents } = await session.read("/ls/local/kept");
    expect(Buffer.from(contents).toString()).toBe("after");
    const running = (await cell.reports()).filter(({ status }) => status !== undefined);
    expect(running.map(({ replica }) => replica)).toEqual(
      cell.replicas.filter((replica) => replica !== wiped),
    );
  });
});
