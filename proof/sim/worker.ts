/** One core's share: takes a task, runs it to its end, answers. It is bundled; see bundle.ts. */

import { parentPort } from "node:worker_threads";
import {
  holdLock,
  playYear,
  type RunOptions,
  type RunResult,
  runSeed,
  Violation,
} from "@cubby/simulator";
import type { Answer, SeedTask, Task } from "./task.ts";

const LINES_AT_ONCE = 2_000;
const PROGRESS_MS = 1_000;

if (parentPort === null) throw new Error("this file runs in a worker thread");
const port = parentPort;

function answer(message: Answer): void {
  port.postMessage(message);
}

function playSeed({ kind, isTwice, isCharted, ...options }: SeedTask): RunResult {
  let lines: string[] = [];
  const tell = (): void => {
    answer({ kind: "chart", lines });
    lines = [];
  };
  const chart = (line: string): void => {
    lines.push(line);
    if (lines.length >= LINES_AT_ONCE) tell();
  };
  const first = runSeed(isCharted === true ? { ...options, chart } : options);
  tell();
  return isTwice === true ? compared(first, options) : first;
}

/** 25: the same seed and build leave the same trace, whatever this process has run before. */
function compared(first: RunResult, options: RunOptions): RunResult {
  const second = runSeed(options);
  // Byte for byte: the hash is of what came in, and what was counted may differ all the same.
  if (JSON.stringify(first) === JSON.stringify(second)) return first;
  const texts = [first, second].map((run) => `${run.traceHash} ${run.verdict} ${run.coreEvents}`);
  const detail = `twice the same seed: ${texts.join(", then ")}`;
  const finding = { invariant: 25, rule: "not-repeatable", detail, atMs: first.simulatedMs };
  return { ...first, verdict: "safety", finding };
}

/** For whoever waits: not more than once a second. */
function createProgress(): (done: number, all: number) => void {
  let saidAt = performance.now();
  return (done, all) => {
    if (performance.now() - saidAt < PROGRESS_MS) return;
    saidAt = performance.now();
    answer({ kind: "progress", done, all });
  };
}

function play(task: Task): Answer {
  switch (task.kind) {
    case "seed":
      return { kind: "seed", result: playSeed(task) };
    case "year": {
      const { seed, share } = task;
      return { kind: "year", report: playYear(seed, { share, onWindow: createProgress() }) };
    }
    case "hold": {
      const { seed, days } = task;
      const progress = createProgress();
      const report = holdLock(seed, days, (hour) => progress(hour, days * 24));
      return { kind: "hold", report };
    }
  }
}

port.on("message", (task: Task) => {
  try {
    answer(play(task));
  } catch (error) {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const verdict = error instanceof Violation ? error.verdict : "crash";
    answer({ kind: "failed", detail, verdict });
  }
});
