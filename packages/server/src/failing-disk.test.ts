import { fdatasync, mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { loadConfig } from "./config-load.ts";
import { type ServedReplica, serve } from "./serve.ts";
import { SILENT_LOG } from "./silent-log.test-support.ts";

vi.mock("node:fs", { spy: true });

type Callback = (error: NodeJS.ErrnoException | null) => void;

let directory: string;
let replica: ServedReplica;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "cubby-disk-"));
  const lanes = { sessionAddress: "127.0.0.1:0", peerAddress: "127.0.0.1:0", httpAddress: "none" };
  const flags = { dataDir: directory, segmentBytes: "1MiB", ...lanes };
  replica = await serve(loadConfig({ flags }).config, SILENT_LOG);
});
afterEach(() => {
  vi.mocked(fdatasync).mockReset();
  rmSync(directory, { recursive: true });
});

/** From now on each write ends as `how` says, and one is made. */
async function onNextWrite(how: (callback: Callback) => void): Promise<void> {
  const written = new Promise<void>((resolve) => {
    vi.mocked(fdatasync).mockImplementation((_descriptor, callback) => {
      resolve();
      how(callback);
    });
  });
  await written;
}

describe("a replica whose disk", () => {
  test("fails closes its lanes by itself, and can be stopped", async () => {
    const socket = connect(replica.sessionAddress.port, "127.0.0.1");
    const closed = new Promise((resolve) => socket.once("close", resolve));
    await new Promise((resolve) => socket.once("connect", resolve));
    const error = Object.assign(new Error("EIO"), { code: "EIO" });
    await onNextWrite((callback) => setImmediate(() => callback(error)));
    expect((await replica.ended).code).toBe("disk_failed");
    await closed;
    await replica.stop();
    await replica.stop();
  });

  test("hangs stops all the same, with its directory locked", async () => {
    let answer: Callback = () => undefined;
    await onNextWrite((callback) => {
      answer = callback;
    });
    await expect(replica.stop()).rejects.toMatchObject({ code: "disk_failed" });
    answer(null);
  }, 20_000);
});
