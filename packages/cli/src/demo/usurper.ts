import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "@cubby/client";
import { encodeSequencer, LockMode, sequencerToText } from "@cubby/protocol";
import { JobStoreClient } from "./job-store-client.ts";
import type { WebServerOptions } from "./web-server.ts";

const JOB_MS = 100;

/**
 * Sabotage: a web server that leads without asking for the lock. It looks up the generation of the
 * true leader and makes itself a sequencer of it, so that even the job store lets it in.
 */
export async function runUsurper(options: WebServerOptions): Promise<void> {
  const { name: worker, lockPath, signal, report } = options;
  await using session = await connect(options.cell, { leaseMs: options.leaseMs });
  const { instance, lockGeneration } = await session.stat(lockPath);
  const token = { name: lockPath, instance, lockGeneration, mode: LockMode.EXCLUSIVE };
  const sequencer = sequencerToText(encodeSequencer(token));
  const store = new JobStoreClient(options.storeUrl);
  report({ kind: "leading", generation: lockGeneration, sequencer });
  while (!signal.aborted) {
    const { nextJob: job } = await store.state();
    report({ kind: "working", job, generation: lockGeneration });
    // The true leader is at the same job: whoever comes second finds it done.
    await store.store({ job, worker, sequencer }).catch(() => undefined);
    await sleep(JOB_MS);
  }
}
