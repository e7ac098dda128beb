/** The clients of one contender, in a process of their own: does what its parent says, and answers. */

import { setTimeout as delay } from "node:timers/promises";
import { closedLoop, FAILED, type Operation, type Round, roundOf } from "../closed-loop.ts";
import { type OperationName, openOperations } from "./clients.ts";
import type { ContenderName } from "./contenders.ts";

export type LoadTask =
  | {
      readonly kind: "load";
      readonly operation: OperationName;
      readonly inFlight: number;
      readonly durationMs: number;
    }
  /** Writes one after the other, from now until a write succeeds that was begun after `leaderDied`. */
  | { readonly kind: "writeOn" }
  | { readonly kind: "leaderDies" }
  | { readonly kind: "leaderDied" };

export type LoadAnswer =
  /** At first. */
  | { readonly kind: "ready"; readonly operations: readonly OperationName[] }
  | { readonly kind: "round"; readonly round: Round; readonly failed: number }
  /** From `leaderDies` to the end of that write. */
  | { readonly kind: "gap"; readonly gapMs: number }
  | { readonly kind: "failed"; readonly why: string };

function answer(what: LoadAnswer): void {
  process.send?.(what);
}

const WRITE_EVERY_MS = 2;
/** From its beginning, in which there still is a leader. */
const GAP_MS_MAX = 60_000;
/** After a failure. */
const RETRY_MS = 20;

/** One fail-over, as a client meets it that goes on when a write fails. */
class Gap {
  diesAt = Number.POSITIVE_INFINITY;
  diedAt = Number.POSITIVE_INFINITY;

  async measure(write: Operation): Promise<number> {
    this.diedAt = Number.POSITIVE_INFINITY;
    const end = performance.now() + GAP_MS_MAX;
    for (let i = 0; ; i += 1) {
      const begunAt = performance.now();
      if (begunAt > end) throw new Error(`no write in ${GAP_MS_MAX} ms`);
      const isDone = await write(0, new TextEncoder().encode(`write ${i}`)).then(
        () => true,
        // A leader has died: that is what is waited out.
        () => false,
      );
      if (isDone && begunAt >= this.diedAt) return performance.now() - this.diesAt;
      await delay(WRITE_EVERY_MS);
    }
  }
}

const stop = new AbortController();
process.once("disconnect", () => process.exit(0));
try {
  const [, , name = "", ...addresses] = process.argv;
  const operations = await openOperations(name as ContenderName, addresses);
  const gap = new Gap();
  const run = async (task: LoadTask): Promise<void> => {
    switch (task.kind) {
      case "load": {
        const { operation, inFlight, durationMs } = task;
        const start = performance.now();
        let failed = 0;
        const attempt: Operation = (worker, contents) =>
          of(operation)(worker, contents).catch(async (error: unknown) => {
            if (failed === 0) console.error(`${name}, ${operation}: ${error}`);
            failed += 1;
            await delay(RETRY_MS);
            return FAILED;
          });
        const latencies = await closedLoop(inFlight, durationMs, stop.signal, attempt);
        answer({ kind: "round", round: roundOf(latencies, performance.now() - start), failed });
        return;
      }
      case "writeOn":
        answer({ kind: "gap", gapMs: await gap.measure(of("write")) });
        return;
      case "leaderDies":
        gap.diesAt = performance.now();
        return;
      case "leaderDied":
        gap.diedAt = performance.now();
        return;
    }
  };
  const of = (name: OperationName): Operation => {
    const operation = operations[name];
    if (operation === undefined) throw new RangeError(`There is no ${name} here.`);
    return operation;
  };
  process.on("message", (task: LoadTask) => {
    run(task).catch((error: unknown) => {
      // The others end with it: what they do is not measured any more.
      stop.abort();
      answer({ kind: "failed", why: String(error) });
    });
  });
  answer({ kind: "ready", operations: Object.keys(operations) as OperationName[] });
} catch (error) {
  answer({ kind: "failed", why: String(error) });
}
