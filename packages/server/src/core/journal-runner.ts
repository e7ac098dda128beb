/** Runs disk tasks side by side: hands out their requests, and resumes each when its own are done. */

import { assert } from "@cubby/base";
import type { DiskCompletion, DiskRequest, DiskTask } from "./disk.ts";
import { DiskFailure, type FailedOperation } from "./journal-task.ts";

type Running = {
  readonly task: DiskTask<void>;
  readonly waitingFor: number[];
  completions: DiskCompletion[];
};

const TASKS_MAX = 16;

export class TaskRunner {
  readonly #byRequest = new Map<number, Running>();
  #requests: DiskRequest[] = [];
  #taskCount = 0;
  readonly #onFailure: (failed: FailedOperation) => void;

  constructor(onFailure: (failed: FailedOperation) => void) {
    this.#onFailure = onFailure;
  }

  start(task: DiskTask<void>): void {
    assert(this.#taskCount < TASKS_MAX, "few disk tasks run side by side");
    this.#taskCount += 1;
    this.#resume({ task, waitingFor: [], completions: [] });
  }

  /** False if the completion belongs to none of the tasks. */
  onCompletion(completion: DiskCompletion): boolean {
    const running = this.#byRequest.get(completion.id);
    if (running === undefined) return false;
    this.#byRequest.delete(completion.id);
    running.completions.push(completion);
    if (running.completions.length === running.waitingFor.length) this.#resume(running);
    return true;
  }

  take(): DiskRequest[] {
    const requests = this.#requests;
    this.#requests = [];
    return requests;
  }

  #resume(running: Running): void {
    const done = running.waitingFor.map((id) => running.completions.find((c) => c.id === id));
    const completions = done.filter((completion) => completion !== undefined);
    running.completions = [];
    running.waitingFor.length = 0;
    try {
      const step = running.task.next(completions);
      if (step.done) {
        this.#taskCount -= 1;
        return;
      }
      for (const request of step.value) {
        running.waitingFor.push(request.id);
        this.#byRequest.set(request.id, running);
        this.#requests.push(request);
      }
    } catch (error) {
      if (!(error instanceof DiskFailure)) throw error;
      this.#taskCount -= 1;
      this.#onFailure(error.failed);
    }
  }
}
