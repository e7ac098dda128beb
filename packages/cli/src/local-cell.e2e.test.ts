import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { connect } from "@cubby/client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { formatReplicas } from "./format-replicas.ts";
import { LocalCell } from "./local-cell.ts";
import { isPortFree } from "./process/free-ports.ts";
import { isAlive } from "./process/is-alive.ts";
import { poll } from "./process/sleep.ts";

const CUBBY = fileURLToPath(new URL("../bin/cubby.js", import.meta.url));
const SEGMENT_BYTES = 1024 * 1024;

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cubby-cell-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

describe("a local cell", () => {
  it("keeps its data between runs, and leaves no process and no port", async () => {
    const options = { directory, replicas: 3, segmentBytes: SEGMENT_BYTES };
    const pids: (number | undefined)[] = [];
    for (const run of [1, 2]) {
      await using cell = await LocalCell.create(options);
      await cell.startAll();
      await cell.waitReady();
      pids.push(...cell.replicas.map((replica) => cell.pid(replica)));
      await using session = await connect(cell.url);
      if (run === 1) await session.write("/ls/local/kept", "through a restart");
      const { contents } = await session.read("/ls/local/kept");
      expect(Buffer.from(contents).toString()).toBe("through a restart");
      await session.close();
      await cell.close();
      for (const port of cell.ports) expect([port, await isPortFree(port)]).toEqual([port, true]);
    }
    expect(pids.filter((pid) => pid === undefined || isAlive(pid))).toEqual([]);
  });

  it("serves on while a replica is killed, paused, and brought back", async () => {
    const options = { directory, replicas: 3, segmentBytes: SEGMENT_BYTES };
    await using cell = await LocalCell.create(options);
    await cell.startAll();
    const first = await cell.waitReady();
    await using session = await connect(cell.url);
    await cell.kill(first);
    expect(cell.state(first)).toBe("exited");
    await session.write("/ls/local/a", "one dead");
    await cell.start(first);
    const second = await cell.waitReady();
    cell.pause(second);
    expect(cell.state(second)).toBe("paused");
    await session.write("/ls/local/a", "one stopped");
    cell.resume(second);
    await cell.waitReady();
    const { contents } = await session.read("/ls/local/a");
    expect(Buffer.from(contents).toString()).toBe("one stopped");
  });

  it("refuses a directory that cannot be made or written, and names it", async () => {
    const file = join(directory, "file");
    writeFileSync(file, "");
    // Node's recursive mkdir would never return from the last of them.
    const nowhere = process.platform === "linux" ? ["/proc/cubby", "/proc/cubby/below"] : [];
    for (const each of [file, join(file, "below"), ...nowhere]) {
      await expect(LocalCell.create({ directory: each, replicas: 1 })).rejects.toMatchObject({
        code: "config_invalid",
        message: expect.stringContaining(each),
      });
    }
    await LocalCell.create({ directory, replicas: 1, segmentBytes: SEGMENT_BYTES });
    const configuration = join(directory, "replica-1.json");
    rmSync(configuration);
    mkdirSync(configuration);
    await expect(LocalCell.create({ directory, replicas: 1 })).rejects.toMatchObject({
      code: "config_invalid",
    });
  });

  it("goes on with one that was killed, or out of disk, before all its replicas were formatted", async () => {
    const options = { directory, replicas: 3, segmentBytes: SEGMENT_BYTES };
    const third = join(directory, "replica-3");
    writeFileSync(third, "");
    await expect(LocalCell.create(options)).rejects.toMatchObject({ code: "config_invalid" });
    await expect(LocalCell.create({ ...options, replicas: 1 })).rejects.toMatchObject({
      code: "wrong_directory",
    });
    rmSync(third);
    await using cell = await LocalCell.create(options);
    await cell.startAll();
    await cell.waitReady();
  });

  it("is formatted though another process that goes on with it is done first", async () => {
    const dataDirectories = [join(directory, "replica-1")];
    const cell = { directory, cellName: "local", segmentBytes: SEGMENT_BYTES, dataDirectories };
    const formatting = formatReplicas(cell);
    renameSync(join(directory, "cell.json.new"), join(directory, "cell.json"));
    await formatting;
    await formatReplicas(cell);
  });

  it("says what to do about replicas of which no record tells", async () => {
    const options = { directory, replicas: 1, segmentBytes: SEGMENT_BYTES };
    await LocalCell.create(options);
    rmSync(join(directory, "cell.json"));
    // However often it is tried, and whatever is lost by then.
    for (const replicas of [1, 3, 3]) {
      await expect(LocalCell.create({ ...options, replicas })).rejects.toMatchObject({
        code: "already_formatted",
        message: expect.stringMatching(/no cell\.json .*\. Remove .*, or use another directory\.$/),
      });
    }
  });

  it("is not kept from its directory by a name that was refused", async () => {
    const options = { directory, replicas: 1, segmentBytes: SEGMENT_BYTES };
    await expect(LocalCell.create({ ...options, cellName: "Two Words" })).rejects.toMatchObject({
      code: "config_invalid",
    });
    await LocalCell.create(options);
  });

  it("refuses a directory where a cell of another size was made", async () => {
    await LocalCell.create({ directory, replicas: 1, segmentBytes: SEGMENT_BYTES });
    await expect(LocalCell.create({ directory, replicas: 3 })).rejects.toMatchObject({
      code: "wrong_directory",
    });
  });
});

describe("a local cell that cannot start", () => {
  it("says why, as the replica did", async () => {
    const options = { directory, replicas: 1, segmentBytes: SEGMENT_BYTES };
    await using first = await LocalCell.create(options);
    await first.startAll();
    await first.waitReady();
    await using second = await LocalCell.create(options);
    await second.startAll();
    await expect(second.waitReady()).rejects.toMatchObject({ code: "directory_in_use" });
  });

  it("is not ready because another one answers at its addresses", async () => {
    const options = { replicas: 1, segmentBytes: SEGMENT_BYTES };
    await using first = await LocalCell.create({ ...options, directory: join(directory, "1") });
    await first.startAll();
    await first.waitReady();
    const portBase = first.ports[0];
    const other = { ...options, directory: join(directory, "2"), portBase };
    await using second = await LocalCell.create(other);
    await second.startAll();
    await expect(second.waitReady()).rejects.toMatchObject({ code: "address_in_use" });
  });

  it("says what to do about a directory whose record of the cell cannot be read", async () => {
    for (const torn of ["", '{"cellId":"00', "null", "{}"]) {
      writeFileSync(join(directory, "cell.json"), torn);
      await expect(LocalCell.create({ directory, replicas: 1 })).rejects.toMatchObject({
        code: "config_invalid",
        message: expect.stringMatching(/cell\.json .*\. Remove .*, or use another directory\.$/),
      });
    }
  });
});

describe("cubby dev", () => {
  it("ends with the last replica's status, and says so, when none is left", async () => {
    const args = ["dev", "--replicas", "1", "--port", "0", "--data", directory, "--json"];
    const dev = spawn(process.execPath, [CUBBY, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    dev.stderr.on("data", (data: Buffer) => {
      said += data.toString();
    });
    const ended = new Promise((resolve) => dev.once("close", resolve));
    const [line = ""] = await firstLines(dev.stdout, 1);
    const { processIds } = JSON.parse(line) as { processIds: number[] };
    process.kill(processIds[0] ?? 0, "SIGKILL");
    expect(await ended).toBe(137);
    expect(said).toBe(
      "[Replica1] ended with SIGKILL\nNo replica is left. Its data is kept: start it again.\n",
    );
  });

  it("stops everything when it is told to, and when it is killed", async () => {
    for (const signal of ["SIGINT", "SIGKILL"] as const) {
      const args = ["dev", "--replicas", "3", "--port", "0", "--data", directory, "--json"];
      const dev = spawn(process.execPath, [CUBBY, ...args], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const ended = new Promise((resolve) => dev.once("exit", resolve));
      const [line = ""] = await firstLines(dev.stdout, 1);
      const { processIds } = JSON.parse(line) as { processIds: number[] };
      expect(processIds.filter(isAlive)).toHaveLength(3);
      // Even a stopped replica, which notices nothing, may not stay.
      if (signal === "SIGINT") process.kill(processIds[0] ?? 0, "SIGSTOP");
      dev.kill(signal);
      await ended;
      await poll(() => (processIds.some(isAlive) ? undefined : true), {
        timeoutMs: 10_000,
        describe: () => `${processIds.filter(isAlive).length} processes stay after ${signal}`,
      });
    }
  });
});

async function firstLines(stream: NodeJS.ReadableStream, count: number): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of createInterface({ input: stream })) {
    lines.push(line);
    if (lines.length === count) break;
  }
  return lines;
}
