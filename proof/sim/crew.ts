import { Worker } from "node:worker_threads";
import type { RunResult } from "@cubby/simulator";
import type { Answer, Failure, SeedTask, Task } from "./task.ts";

/** What a task may take of a processor; a seed takes a second or a few, and some twenty. */
const SEED_SECONDS_MAX = 180;
const OTHER_SECONDS_MAX = 3_600;
/** And so many times as much of the clock on the wall: a busy machine is slow, and one that waits uses none. */
const WALL_FACTOR = 10;
const LOOK_EVERY_MS = 500;
const HEAP_MB_MAX = 1_500;
/** Three times as much as by default: a run leaves much behind in little time. */
const YOUNG_MB_MAX = 192;

export type CrewOptions = {
  readonly seedSecondsMax?: number;
  onChart?(lines: readonly string[]): void;
  onProgress?(task: Task, done: number, all: number): void;
};

/** Ends with what it found, and with a process that may be used on; or without one. */
type Outcome =
  | { readonly kind: "answered"; readonly answer: Answer }
  | { readonly kind: "lost"; readonly rule: "hang" | "worker-died"; readonly detail: string };

/** One worker thread, replaced whenever it hangs or dies. */
class Mate {
  readonly #file: string;
  readonly #size: number;
  readonly #options: CrewOptions;
  #worker: Worker | undefined;

  constructor(file: string, size: number, options: CrewOptions) {
    this.#file = file;
    this.#size = size;
    this.#options = options;
  }

  async run(task: Task): Promise<Outcome> {
    const worker = this.#worker ?? this.#hire();
    const { seedSecondsMax = SEED_SECONDS_MAX } = this.#options;
    const secondsMax = task.kind === "seed" ? seedSecondsMax : OTHER_SECONDS_MAX;
    const hasRunOut = clockOf(secondsMax, this.#size);
    const outcome = await new Promise<Outcome>((resolve) => {
      const looking = setInterval(() => {
        if (!hasRunOut()) return;
        end({ kind: "lost", rule: "hang", detail: `no verdict within ${secondsMax} s` });
      }, LOOK_EVERY_MS);
      const onMessage = (answer: Answer): void => {
        if (answer.kind === "chart") this.#options.onChart?.(answer.lines);
        else if (answer.kind === "progress") {
          this.#options.onProgress?.(task, answer.done, answer.all);
        } else end({ kind: "answered", answer });
      };
      const onError = (error: Error): void => {
        end({ kind: "lost", rule: "worker-died", detail: error.stack ?? error.message });
      };
      const onExit = (code: number): void => {
        end({ kind: "lost", rule: "worker-died", detail: `the thread ended with ${code}` });
      };
      const end = (outcome: Outcome): void => {
        clearInterval(looking);
        // These alone: among a worker's listeners is that of whoever waits for its end.
        worker.off("message", onMessage).off("error", onError).off("exit", onExit);
        resolve(outcome);
      };
      worker.on("message", onMessage).on("error", onError).on("exit", onExit);
      worker.postMessage(task);
    });
    if (outcome.kind === "lost") await this.leave();
    return outcome;
  }

  async leave(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    // A worker that died says so once more when it is ended.
    worker?.on("error", () => undefined);
    await worker?.terminate();
  }

  #hire(): Worker {
    const resourceLimits = {
      maxOldGenerationSizeMb: HEAP_MB_MAX,
      maxYoungGenerationSizeMb: YOUNG_MB_MAX,
    };
    const worker = new Worker(this.#file, { resourceLimits, execArgv: ["--enable-source-maps"] });
    this.#worker = worker;
    return worker;
  }
}

/** By the processor time of all workers, of which one that hangs takes its part, or all. */
function clockOf(secondsMax: number, workers: number): () => boolean {
  const begunAt = performance.now();
  const usedBefore = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(usedBefore);
    const wallSeconds = (performance.now() - begunAt) / 1_000;
    return (user + system) / 1e6 > secondsMax * workers || wallSeconds > secondsMax * WALL_FACTOR;
  };
}

/** Of what is not a seed. */
export class TaskFailed extends Error {
  override readonly name = "TaskFailed";
  readonly verdict: Failure;

  constructor(task: Task, detail: string, verdict: Failure) {
    super(`${task.kind} of seed ${task.seed}: ${detail}`);
    this.verdict = verdict;
  }
}

/** Worker threads on one bundle, one task each at a time. */
export class Crew {
  readonly #mates: readonly Mate[];

  constructor(file: string, size: number, options: CrewOptions = {}) {
    this.#mates = Array.from({ length: size }, () => new Mate(file, size, options));
  }

  /** Runs what `next` gives, until it gives nothing and all is answered. */
  async seeds(next: () => SeedTask | undefined, onResult: (result: RunResult) => void) {
    const work = async (mate: Mate): Promise<void> => {
      for (let task = next(); task !== undefined; task = next()) {
        onResult(resultOf(task, await mate.run(task)));
      }
    };
    await Promise.all(this.#mates.map(work));
  }

  async seed(task: SeedTask): Promise<RunResult> {
    return resultOf(task, await this.#first.run(task));
  }

  /** The answers come in the order of the tasks. Throws `TaskFailed` if one fails. */
  async others(
    tasks: readonly Task[],
    onAnswer: (answer: Answer, task: Task) => void = () => undefined,
  ): Promise<Answer[]> {
    const answers: Answer[] = [];
    const left = [...tasks.entries()];
    const work = async (mate: Mate): Promise<void> => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        const [at, task] = next;
        const outcome = await mate.run(task);
        if (outcome.kind === "lost") throw new TaskFailed(task, outcome.detail, "crash");
        const { answer } = outcome;
        if (answer.kind === "failed") throw new TaskFailed(task, answer.detail, answer.verdict);
        onAnswer(answer, task);
        answers[at] = answer;
      }
    };
    await Promise.all(this.#mates.map(work));
    return answers;
  }

  async leave(): Promise<void> {
    await Promise.all(this.#mates.map((mate) => mate.leave()));
  }

  get #first(): Mate {
    const [first] = this.#mates;
    if (first === undefined) throw new RangeError("a crew has someone in it");
    return first;
  }
}

/** A seed whose worker gave no verdict has one all the same: its production code hung, or died. */
function resultOf({ seed }: SeedTask, outcome: Outcome): RunResult {
  if (outcome.kind === "answered" && outcome.answer.kind === "seed") return outcome.answer.result;
  const rule = outcome.kind === "lost" ? outcome.rule : "worker-died";
  const detail =
    outcome.kind === "lost"
      ? outcome.detail
      : outcome.answer.kind === "failed"
        ? outcome.answer.detail
        : "an answer to another task";
  return {
    seed,
    verdict: "crash",
    finding: { invariant: 0, rule, detail, atMs: 0 },
    drawn: "",
    replicas: 0,
    clients: 0,
    faultKinds: [],
    coreEvents: 0,
    simulatedMs: 0,
    acknowledged: 0,
    faults: 0,
    coverage: {},
    traceHash: "",
  };
}
