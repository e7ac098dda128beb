import { setTimeout as sleep } from "node:timers/promises";

/** Work of the thread pool, for which `process.exit` waits, however long it takes. */
const POOL_WORK = /^(FSReq|GetAddrInfoReq)/;
const POOL_WAIT_MS = 1_000;
const POOL_LOOK_MS = 10;

/**
 * Ends this process with `exitCode`, or, where a disk or a name server does not answer, by a signal: as
 * it was told to where all is well, and else by SIGKILL, in place of never.
 */
export async function endProcess(exitCode: number): Promise<never> {
  for (let ms = 0; isPoolBusy() && ms < POOL_WAIT_MS; ms += POOL_LOOK_MS) await sleep(POOL_LOOK_MS);
  return endProcessNow(exitCode);
}

/** The same for who may not run another turn. */
export function endProcessNow(exitCode: number): never {
  if (isPoolBusy()) {
    process.kill(process.pid, exitCode === 0 ? "SIGTERM" : "SIGKILL");
    // The first process of a container does not hear of these: the system spares it signals of its own.
    if (process.pid === 1) process.abort();
  }
  return process.exit(exitCode);
}

function isPoolBusy(): boolean {
  return process.getActiveResourcesInfo().some((resource) => POOL_WORK.test(resource));
}
