import { Worker } from "node:worker_threads";
import type { RunResult } from "@cubby/simulator";
import type { Answer, SeedTask, Task } from "./task.ts";

/** What a task may take of the clock on the wall; a seed takes a second or a few. */
const SEED_SECONDS_MAX = 180;
const OTHER_SECONDS_MAX = 3_600;
const HEAP_MB_MAX = 1_500;
/** Three times as much as by default: a run leaves much behind in little time. */
const YOUNG_MB_MAX = 192;

export type Listener = {
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
  readonly #listener: Listener;
  #worker: Worker | undefined;

  constructor(file: string, listener: Listener) {
    this.#file = file;
    this.#listener = listener;
  }

  async run(task: Task): Promise<Outcome> {
    const worker = this.#worker ?? this.#hire();
    const secondsMax = task.kind === "seed" ? SEED_SECONDS_MAX : OTHER_SECONDS_MAX;
    const outcome = await new Promise<Outcome>((resolve) => {
      const late = setTimeout(() => {
        resolve({ kind: "lost", rule: "hang", detail: `no verdict within ${secondsMax} s` });
      }, secondsMax * 1_000);
      const end = (outcome: Outcome): void => {
        clearTimeout(late);
        resolve(outcome);
      };
      worker.on("message", (answer: Answer) => {
        if (answer.kind === "chart") this.#listener.onChart?.(answer.lines);
        else if (answer.kind === "progress") {
          this.#listener.onProgress?.(task, answer.done, answer.all);
        } else end({ kind: "answered", answer });
      });
      worker.once("error", (error) => {
        end({ kind: "lost", rule: "worker-died", detail: error.stack ?? error.message });
      });
      worker.once("exit", (code) => {
        end({ kind: "lost", rule: "worker-died", detail: `the thread ended with ${code}` });
      });
      worker.postMessage(task);
    });
    // Not all at once: among a worker's listeners are its own.
    for (const event of ["message", "error", "exit"]) worker.removeAllListeners(event);
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

/** Of what is not a seed. */
export class TaskFailed extends Error {
  override readonly name = "TaskFailed";
  /** An invariant was broken; else production code crashed, or hung. */
  readonly isViolation: boolean;

  constructor(task: Task, detail: string, isViolation: boolean) {
    super(`${task.kind} of seed ${task.seed}: ${detail}`);
    this.isViolation = isViolation;
  }
}

/** Worker threads on one bundle, one task each at a time. */
export class Crew {
  readonly #mates: readonly Mate[];

  constructor(file: string, size: number, listener: Listener = {}) {
    this.#mates = Array.from({ length: size }, () => new Mate(file, listener));
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
        if (outcome.kind === "lost") throw new TaskFailed(task, outcome.detail, false);
        const { answer } = outcome;
        if (answer.kind === "failed") throw new TaskFailed(task, answer.detail, answer.isViolation);
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
