/** Runs a disk task, such as recovery, on a real directory. For start-up, before there is a loop. */

import type { DiskCompletion, DiskTask } from "./core/disk.ts";
import { FileDisk } from "./file-disk.ts";

export async function driveOnDirectory<T>(directory: string, task: DiskTask<T>): Promise<T> {
  const arrived: DiskCompletion[] = [];
  let wake: () => void = () => undefined;
  const disk = new FileDisk(directory, (completion) => {
    arrived.push(completion);
    wake();
  });
  try {
    let step = task.next([]);
    while (!step.done) {
      const requests = step.value;
      disk.submit(requests);
      while (arrived.length < requests.length) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      const completions = arrived.splice(0, requests.length);
      completions.sort((a, b) => a.id - b.id);
      step = task.next(completions);
    }
    return step.value;
  } finally {
    await disk.close();
  }
}
