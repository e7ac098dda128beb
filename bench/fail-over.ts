/**
 * From kill -9 of the master to the next write of a running client that succeeds. The client writes
 * all the time, one write after the other. Only a write counts that was begun after the old master
 * was seen to be dead: an answer that was already on its way shows nothing.
 */

import { setTimeout as delay } from "node:timers/promises";
import { connect } from "@cubby/client";
import type { LocalCell } from "cubby";
import type { Scope } from "./scope.ts";
import { greatest, median } from "./statistics.ts";
import { SteadyWriter } from "./steady-writer.ts";

const CAUGHT_UP_MS_MAX = 20_000;
/** Longer than a restarted replica withholds its promises, so that each trial has all five. */
const SETTLE_MS = 1_500;
const WRITE_MS_MAX = 15_000;

export type FailOverFigures = {
  readonly trials: number;
  readonly p50Ms: number;
  readonly maxMs: number;
  readonly trialsMs: readonly number[];
};

export async function measureFailOver(
  scope: Scope,
  cell: LocalCell,
  trials: number,
): Promise<FailOverFigures> {
  await using session = await connect(cell.url);
  const file = await session.open(`${session.root}/fail-over`, { create: true });
  const options = { timeoutMs: WRITE_MS_MAX };
  const writer = new SteadyWriter((text) => file.setContents(text, options));
  const trialsMs: number[] = [];
  try {
    for (let trial = 0; trial < trials; trial += 1) {
      scope.signal.throwIfAborted();
      await Promise.race([caughtUp(cell), writer.failed]);
      await delay(SETTLE_MS);
      const master = await cell.waitReady();
      const killedAt = performance.now();
      await cell.kill(master);
      const writtenAt = await Promise.race([writer.nextSuccess(), writer.failed]);
      trialsMs.push(writtenAt - killedAt);
      await cell.start(master);
    }
    await caughtUp(cell);
  } finally {
    await writer.stop();
  }
  return { trials, p50Ms: median(trialsMs), maxMs: greatest(trialsMs), trialsMs };
}

/** Every replica runs, and has applied what the master had applied when it was asked. */
async function caughtUp(cell: LocalCell): Promise<void> {
  await cell.waitReady();
  const goal = (await cell.master())?.status.applied ?? 0;
  const until = performance.now() + CAUGHT_UP_MS_MAX;
  for (;;) {
    const reports = await cell.reports();
    if (reports.every(({ status }) => (status?.applied ?? -1) >= goal)) return;
    if (performance.now() > until) throw new Error("A restarted replica does not catch up.");
    await delay(50);
  }
}
