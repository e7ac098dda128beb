import { readdir } from "node:fs/promises";

/** With 10,000 connections it takes some ten milliseconds. */
const WAIT_MS = 200;

/**
 * Counts this process's open file descriptors without holding up the event loop. That needs one of the
 * threads that also wait for the disk: while a disk that hangs has them all, the last count stands.
 */
export class OpenDescriptors {
  #last = 0;
  #underWay: Promise<void> | undefined;

  /** 0 where the system does not tell. */
  async count(): Promise<number> {
    this.#underWay ??= this.#read();
    let timer: NodeJS.Timeout | undefined;
    const waited = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, WAIT_MS);
    });
    await Promise.race([this.#underWay, waited]);
    clearTimeout(timer);
    return this.#last;
  }

  async #read(): Promise<void> {
    try {
      // A long directory, with many connections: not on the event loop.
      this.#last = (await readdir("/proc/self/fd")).length;
    } catch {
      // There is none to be opened, or no such directory: the last count stands.
    }
    this.#underWay = undefined;
  }
}
