import { fdatasync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { connect, createServer, Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { listenOn } from "./address.ts";
import { loadConfig } from "./config-load.ts";
import { type ServedReplica, serve } from "./serve.ts";
import { SILENT_LOG } from "./silent-log.test-support.ts";

vi.mock("node:fs", { spy: true });

type Callback = (error: NodeJS.ErrnoException | null) => void;

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cubby-disk-"));
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.mocked(fdatasync).mockReset();
  rmSync(directory, { recursive: true });
});

function started(sessionAddress = "127.0.0.1:0"): Promise<ServedReplica> {
  const lanes = { sessionAddress, peerAddress: "127.0.0.1:0", httpAddress: "none" };
  const flags = { dataDir: directory, segmentBytes: "1MiB", ...lanes };
  return serve(loadConfig({ flags }).config, SILENT_LOG);
}

const isLocked = () => readdirSync(directory).includes("lock");

function failsLater(callback: Callback): void {
  setImmediate(() => callback(Object.assign(new Error("EIO"), { code: "EIO" })));
}

/** From now on each write ends as `how` says. Settles at the first. */
function onWrites(how: (callback: Callback) => void): Promise<void> {
  return new Promise((resolve) => {
    vi.mocked(fdatasync).mockImplementation((_descriptor, callback) => {
      resolve();
      how(callback);
    });
  });
}

/** The same from when the first lane listens on, which takes `lookUpMs`. The lock's own socket has no host. */
function onWritesOnceListening(how: (callback: Callback) => void, lookUpMs = 0): void {
  const { listen } = Server.prototype;
  vi.spyOn(Server.prototype, "listen").mockImplementation(function (this: Server, ...args) {
    const listenNow = () => Reflect.apply(listen, this, args);
    if (typeof args[0] !== "object" || !("host" in args[0])) return listenNow();
    void onWrites(how);
    setTimeout(listenNow, lookUpMs);
    return this;
  });
}

function outcomeOfConnecting(port: number): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  return new Promise((resolve) => {
    socket.once("connect", () => resolve("connected"));
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""));
  });
}

describe("a replica whose disk fails", () => {
  test("closes its lanes by itself, and can be stopped", async () => {
    const replica = await started();
    const socket = connect(replica.sessionAddress.port, "127.0.0.1");
    const closed = new Promise((resolve) => socket.once("close", resolve));
    await new Promise((resolve) => socket.once("connect", resolve));
    await onWrites(failsLater);
    expect((await replica.ended).code).toBe("disk_failed");
    await closed;
    await replica.stop();
    await replica.stop();
    expect(isLocked()).toBe(false);
  });

  test("closes them also where they listen only after that", async () => {
    await (await started()).stop();
    onWritesOnceListening(failsLater, 20);
    const replica = await started();
    expect((await replica.ended).code).toBe("disk_failed");
    await replica.stop();
    expect(await outcomeOfConnecting(replica.sessionAddress.port)).toBe("ECONNREFUSED");
  });
});

describe("a replica whose disk hangs", () => {
  const waiting: Callback[] = [];
  const hangs = (callback: Callback): void => void waiting.push(callback);
  afterEach(() => {
    for (const callback of waiting.splice(0)) callback(null);
  });

  test("stops all the same, with its directory locked", async () => {
    const replica = await started();
    await onWrites(hangs);
    await expect(replica.stop()).rejects.toMatchObject({ code: "disk_failed" });
    expect(isLocked()).toBe(true);
  }, 20_000);

  test("does not start where its address is taken, says so, and keeps its directory locked", async () => {
    await (await started()).stop();
    const other = createServer();
    const { port } = await listenOn(other, "other", { host: "127.0.0.1", port: 0 });
    onWritesOnceListening(hangs);
    await expect(started(`127.0.0.1:${port}`)).rejects.toMatchObject({ code: "address_in_use" });
    expect(waiting.length).toBeGreaterThan(0);
    expect(isLocked()).toBe(true);
    other.close();
  }, 20_000);
});
