import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { encodeSequencer, LockMode, sequencerToText } from "@cubby/protocol";
import { expect, it } from "vitest";
import { JobStore } from "./job-store.ts";
import { JobStoreClient } from "./job-store-client.ts";

const CUBBY = fileURLToPath(new URL("../../bin/cubby.js", import.meta.url));
const LOCK = "/ls/local/demo/leader";

it("the job store has acknowledged nothing of which a full disk took only a part", async () => {
  const directory = mkdtempSync(join(tmpdir(), "cubby-store-"));
  // A limit on the size of files is like a disk that is full: what still fits is taken.
  const script = 'trap "" XFSZ; ulimit -f 8; exec "$0" "$@"';
  const args = ["demo-job-store", "--data", directory, "--lock", LOCK];
  const child = spawn("/bin/sh", ["-c", script, process.execPath, CUBBY, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  try {
    const [url] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
    const client = new JobStoreClient(url);
    const token = { name: LOCK, instance: 3, mode: LockMode.EXCLUSIVE, lockGeneration: 7 };
    const sequencer = sequencerToText(encodeSequencer(token));
    let stored = 0;
    const storeAll = async (): Promise<void> => {
      for (;;) {
        await client.store({ job: stored + 1, worker: "web1", sequencer });
        stored += 1;
      }
    };
    await expect(storeAll()).rejects.toThrow("EFBIG");
    // And asked again it says so again, with nothing of the first time left.
    await expect(storeAll()).rejects.toThrow("EFBIG");
    child.kill("SIGKILL");
    await ended;
    const again = new JobStore({ directory, lockPath: LOCK });
    expect(again.jobs()).toHaveLength(stored);
    again.close();
  } finally {
    child.kill("SIGKILL");
    await ended;
    rmSync(directory, { recursive: true });
  }
});
