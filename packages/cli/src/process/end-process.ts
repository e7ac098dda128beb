import { ERROR_CODES } from "@cubby/protocol";
import { sleep } from "./sleep.ts";

/** Work of the thread pool, for which `process.exit` waits, however long it takes. */
const POOL_WORK = /^(FSReq|GetAddrInfoReq)/;
const POOL_WAIT_MS = 1_000;
const POOL_LOOK_MS = 10;

/** After all others a person is needed (docs/operations.md, "systemd"), which their signal must say too. */
const MAY_START_AGAIN: ReadonlySet<number> = new Set(
  (["internal", "overloaded", "unreachable"] as const).map((code) => ERROR_CODES[code].exitCode),
);

/**
 * Ends this process with `exitCode`, or, where a disk or a name server does not answer, by a signal: as
 * it was told to where all is well, by SIGKILL if it may be started again, and else by SIGUSR2.
 */
export async function endProcess(exitCode: number): Promise<never> {
  for (let ms = 0; isPoolBusy() && ms < POOL_WAIT_MS; ms += POOL_LOOK_MS) await sleep(POOL_LOOK_MS);
  return endProcessNow(exitCode);
}

/** The same for who may not run another turn. */
export function endProcessNow(exitCode: number): never {
  if (isPoolBusy()) {
    process.kill(process.pid, signalFor(exitCode));
    // The first process of a container does not hear of these: the system spares it signals of its own.
    if (process.pid === 1) process.abort();
  }
  return process.exit(exitCode);
}

function signalFor(exitCode: number): NodeJS.Signals {
  if (exitCode === 0) return "SIGTERM";
  return MAY_START_AGAIN.has(exitCode) ? "SIGKILL" : "SIGUSR2";
}

function isPoolBusy(): boolean {
  return process.getActiveResourcesInfo().some((resource) => POOL_WORK.test(resource));
}
