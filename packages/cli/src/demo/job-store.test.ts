import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeSequencer, LockMode, sequencerToText } from "@cubby/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type JobResult, JobStore } from "./job-store.ts";
import { JobStoreClient } from "./job-store-client.ts";
import { serveJobStore } from "./job-store-server.ts";

const LOCK = "/ls/local/demo/leader";

function sequencer(
  lockGeneration: number,
  name = LOCK,
  mode: LockMode = LockMode.EXCLUSIVE,
): string {
  return sequencerToText(encodeSequencer({ name, instance: 3, mode, lockGeneration }));
}

function result(job: number, generation: number): JobResult {
  return { job, worker: "web1", sequencer: sequencer(generation) };
}

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cubby-store-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

function open(checksSequencers = true): JobStore {
  return new JobStore({ directory, lockPath: LOCK, checksSequencers });
}

describe("the job store", () => {
  it("refuses an older sequencer once it has seen a newer one (SEQ-4)", () => {
    const store = open();
    expect(store.store(result(1, 7))).toEqual({ kind: "stored", job: 1, lockGeneration: 7 });
    expect(store.store(result(2, 9))).toEqual({ kind: "stored", job: 2, lockGeneration: 9 });

    expect(store.store(result(3, 7))).toEqual({
      kind: "refused",
      reason: "Generation 7 is stale: generation 9 was seen.",
      lockGeneration: 7,
    });
    expect(store.state()).toEqual({
      nextJob: 3,
      greatestGeneration: 9,
      lastWorker: "web1",
      refused: 1,
    });
    store.close();
  });

  it("remembers the greatest sequencer and the jobs across a restart (SEQ-5)", () => {
    const before = open();
    before.store(result(1, 7));
    before.store(result(2, 9));
    before.close();

    const after = open();
    expect(after.store(result(3, 7)).kind).toBe("refused");
    expect(after.jobs().map(({ job }) => job)).toEqual([1, 2]);
    expect(after.store(result(3, 9)).kind).toBe("stored");
    after.close();
  });

  it("cuts off a result that a crash left half written, and goes on", () => {
    const before = open();
    before.store(result(1, 7));
    before.close();
    writeFileSync(join(directory, "jobs.jsonl"), '{"job":2,"wor', { flag: "a" });

    const after = open();
    expect(after.state().nextJob).toBe(2);
    after.store(result(2, 7));
    after.close();
    const again = open();
    expect(again.state().nextJob).toBe(3);
    again.close();
  });

  it("refuses a sequencer of another lock, or of a shared holder (SEQ-3)", () => {
    const store = open();
    const other = sequencer(7, "/ls/local/other");
    const shared = sequencer(7, LOCK, LockMode.SHARED);
    expect(store.store({ job: 1, worker: "w", sequencer: other }).kind).toBe("refused");
    expect(store.store({ job: 1, worker: "w", sequencer: shared }).kind).toBe("refused");
    store.close();
  });

  it("stores a result once, though it is handed in twice", () => {
    const store = open();
    store.store(result(1, 7));
    expect(store.store(result(1, 7)).kind).toBe("alreadyStored");
    expect(store.state().nextJob).toBe(2);
    store.close();
  });

  it("lets a stale sequencer in when the check is sabotaged", () => {
    const store = open(false);
    store.store(result(1, 9));
    expect(store.store(result(2, 7)).kind).toBe("stored");
    store.close();
  });
});

describe("the job store over HTTP", () => {
  it("answers a refusal as a value, and a malformed sequencer as an error", async () => {
    const store = open();
    const server = await serveJobStore(store);
    const client = new JobStoreClient(server.url);
    try {
      expect((await client.store(result(1, 9))).kind).toBe("stored");
      expect((await client.store(result(2, 7))).kind).toBe("refused");
      expect((await client.state()).greatestGeneration).toBe(9);
      expect(await client.jobs()).toEqual([result(1, 9)]);
      await expect(client.store({ job: 2, worker: "w", sequencer: "nonsense" })).rejects.toThrow(
        /400.*sequencer_malformed/,
      );
    } finally {
      await server.close();
      store.close();
    }
  });
});
