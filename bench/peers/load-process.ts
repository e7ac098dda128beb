/** The clients of one contender, in a process of their own: does what its parent says, and answers. */

import { setTimeout as delay } from "node:timers/promises";
import { closedLoop, FAILED, type Round, roundOf } from "../closed-loop.ts";
import { SteadyWriter } from "../steady-writer.ts";
import { type Operation, type OperationName, openOperations } from "./clients.ts";
import type { ContenderName } from "./contenders.ts";

export type LoadTask =
  | {
      readonly kind: "load";
      readonly operation: OperationName;
      readonly inFlight: number;
      readonly durationMs: number;
    }
  /** Writes one after the other, until a write succeeds that was begun after `leaderDied`. */
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

/** After a failure. */
const RETRY_MS = 20;

const stop = new AbortController();
process.once("disconnect", () => process.exit(0));
try {
  const [, , name = "", ...addresses] = process.argv;
  const operations = await openOperations(name as ContenderName, addresses);
  let writer: SteadyWriter | undefined;
  let leaderDiesAt = 0;
  const run = async (task: LoadTask): Promise<void> => {
    switch (task.kind) {
      case "load": {
        const { operation, inFlight, durationMs } = task;
        const perform = of(operation);
        const workers = Array.from({ length: inFlight }, (_, worker) => worker);
        const start = performance.now();
        let failed = 0;
        const attempt: Operation = (worker, contents) =>
          perform(worker, contents).catch(async (error: unknown) => {
            if (failed === 0) console.error(`${name}, ${operation}: ${error}`);
            failed += 1;
            await delay(RETRY_MS);
            return FAILED;
          });
        const latencies = await closedLoop(workers, durationMs, stop.signal, attempt);
        answer({ kind: "round", round: roundOf(latencies, performance.now() - start), failed });
        return;
      }
      case "writeOn": {
        const write = of("write");
        const encoder = new TextEncoder();
        // A leader will die: writes that fail are waited out.
        writer = new SteadyWriter((text) => write(0, encoder.encode(text)).catch(() => FAILED));
        return;
      }
      case "leaderDies":
        leaderDiesAt = performance.now();
        return;
      case "leaderDied": {
        if (writer === undefined) throw new Error("nobody writes");
        const gapMs = (await writer.nextSuccess()) - leaderDiesAt;
        await writer.stop();
        answer({ kind: "gap", gapMs });
        return;
      }
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
