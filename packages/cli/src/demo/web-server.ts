import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type CubbySession, connect, type Lock } from "@cubby/client";
import { monotonicMs } from "../process/monotonic.ts";
import type { Answer, JobResult } from "./job-store.ts";
import { JobStoreClient } from "./job-store-client.ts";
import type { WorkerNews } from "./worker-report.ts";

/** How long a job takes. Most of a leader's time passes in here, so a pause mostly hits it here. */
const JOB_MS = 250;
const RETRY_MS = 200;
const ATTEMPTS_MAX = 3;

export type WebServerOptions = {
  readonly name: string;
  readonly cell: string;
  readonly lockPath: string;
  readonly storeUrl: string;
  readonly leaseMs: number;
  readonly lockDelayMs: number;
  /** Aborts when the web server is to end. */
  readonly signal: AbortSignal;
  readonly report: (news: WorkerNews) => void;
};

/**
 * One of several web servers of which one, the leader, also does the background jobs. This is how
 * an application uses Cubby: a session, an election, and a sequencer with everything it writes.
 */
export async function runWebServer(options: WebServerOptions): Promise<void> {
  const { signal, report } = options;
  const site = await serveSite(options.name);
  report({ kind: "started", url: site.url });
  while (!signal.aborted) {
    try {
      await using session = await connect(options.cell, { leaseMs: options.leaseMs, signal });
      session.onState((state) => {
        if (state === "jeopardy" || state === "safe") report({ kind: state });
      });
      while (!signal.aborted) {
        report({ kind: "waiting" });
        await standForElection(session, options, site.url);
      }
    } catch (error) {
      // Lost the lock, or the session: begin again with a new session, as a follower.
      if (signal.aborted) break;
      report({ kind: "expired", why: error instanceof Error ? error.message : String(error) });
      await sleep(RETRY_MS);
    }
  }
  site.close();
}

/** Waits to be elected, leads until that is over, and says why it was over. */
async function standForElection(
  session: CubbySession,
  options: WebServerOptions,
  url: string,
): Promise<void> {
  const { lockPath, lockDelayMs, signal, report } = options;
  const candidacy = { value: `${options.name} ${url}`, lockDelay: lockDelayMs, signal };
  await session.elect(lockPath, candidacy, async ({ lock, signal: leading }) => {
    const generation = lock.lockGeneration;
    lock.assertHeld();
    report({ kind: "leading", generation, sequencer: lock.sequencerText });
    const why = await doJobs(lock, leading, options);
    report({ kind: "steppedDown", generation, why });
  });
}

/** One job after the other. Returns why it stopped. */
async function doJobs(
  lock: Lock,
  leading: AbortSignal,
  options: WebServerOptions,
): Promise<string> {
  const { name: worker, report } = options;
  const { lockGeneration: generation, sequencerText: sequencer } = lock;
  const store = new JobStoreClient(options.storeUrl);
  while (!leading.aborted) {
    if (!lock.held) {
      // In jeopardy: nobody knows. Hold the work until the session is safe, or over.
      await sleep(RETRY_MS);
      continue;
    }
    const job = await nextJob(store);
    if (job === undefined || !lock.held) continue;
    report({ kind: "working", job, generation });
    await sleep(JOB_MS);
    // The lock may be lost by now, and no check right here would help: the process may be stopped
    // between the check and the write. So the write carries the sequencer, and the store checks.
    const answer = await handIn(store, { job, worker, sequencer });
    if (answer?.kind === "refused") {
      report({ kind: "refused", job, generation, reason: answer.reason });
      return "The job store has seen a newer leader.";
    }
    if (answer !== undefined) report({ kind: "stored", job, generation });
  }
  const { aborted: isLost, reason } = lock.signal;
  return isLost && reason instanceof Error ? reason.message : "It was told to end.";
}

/** Undefined when the job store cannot be asked. */
async function nextJob(store: JobStoreClient): Promise<number | undefined> {
  try {
    return (await store.state()).nextJob;
  } catch {
    await sleep(RETRY_MS);
    return undefined;
  }
}

/** Undefined when no try got an answer. To repeat a write is safe: the store knows it by its job. */
async function handIn(store: JobStoreClient, result: JobResult): Promise<Answer | undefined> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    try {
      return await store.store(result);
    } catch {
      await sleep(RETRY_MS);
    }
  }
  return undefined;
}

/** What this web server shows to the world. */
async function serveSite(name: string): Promise<{ readonly url: string; close(): void }> {
  const server = createServer((_request, response) => {
    response.end(
      `This is ${name}, after ${Math.round(monotonicMs())} ms of this machine's time.\n`,
    );
  });
  await new Promise<void>((resolve) => server.listen({ host: "127.0.0.1", port: 0 }, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
