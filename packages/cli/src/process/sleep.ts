import { setTimeout as delay } from "node:timers/promises";
import { monotonicMs } from "./monotonic.ts";

export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  await delay(ms, undefined, signal === undefined ? undefined : { signal });
}

/**
 * Asks again and again until there is an answer, or throws after `timeoutMs` what `describe` says
 * was missing.
 */
export async function poll<T>(
  ask: () => Promise<T | undefined> | T | undefined,
  options: {
    readonly timeoutMs: number;
    readonly everyMs?: number;
    readonly describe: () => string;
    readonly signal?: AbortSignal;
  },
): Promise<T> {
  const until = monotonicMs() + options.timeoutMs;
  for (;;) {
    options.signal?.throwIfAborted();
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (monotonicMs() >= until) {
      throw new Error(`Waited ${options.timeoutMs} ms in vain: ${options.describe()}`);
    }
    await sleep(options.everyMs ?? 20, options.signal);
  }
}
