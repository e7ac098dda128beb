import { execFileSync } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  statfsSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { isAlive } from "../../packages/cli/src/process/is-alive.ts";

const DISK_MIB = 64;
const FILLER = "filler";
/** What is mounted is named after the process that did it, so that a later one can clean up. */
const SOURCE = "cubby-nemesis-";
const CHUNK = new Uint8Array(1024 * 1024);

/** Small file systems of their own for some replicas, which can be filled to the last byte. */
export class Disks {
  readonly #mounted = new Map<number, string>();
  /** Why there are none; undefined when there are. */
  readonly problem: string | undefined;

  private constructor(problem: string | undefined) {
    this.problem = problem;
  }

  /** `at` is where a replica's file system goes. */
  static mount(replicas: readonly number[], at: (replica: number) => string): Disks {
    const isRoot = process.getuid?.() === 0;
    const disks = new Disks(isRoot ? tryMount(at(0)) : "not root");
    if (disks.problem !== undefined) return disks;
    unmountStale();
    for (const replica of replicas) {
      mount(at(replica));
      disks.#mounted.set(replica, at(replica));
    }
    return disks;
  }

  has(replica: number): boolean {
    return this.#mounted.has(replica);
  }

  fill(replica: number): void {
    const root = this.#mounted.get(replica);
    if (root === undefined) return;
    const fd = openSync(join(root, FILLER), "w");
    try {
      const { bavail, bsize } = statfsSync(root);
      for (let left = bavail * bsize; left > 0; left -= CHUNK.length) {
        writeSync(fd, CHUNK, 0, Math.min(left, CHUNK.length));
      }
    } catch (error) {
      // Full a little earlier than it said is as good.
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    } finally {
      closeSync(fd);
    }
  }

  free(replica: number): void {
    const root = this.#mounted.get(replica);
    if (root !== undefined) unlinkSync(join(root, FILLER));
  }

  /** Once no process of the run is left. */
  unmount(): void {
    for (const root of this.#mounted.values()) execFileSync("umount", ["--lazy", root]);
    this.#mounted.clear();
  }
}

function mount(root: string): void {
  mkdirSync(root, { recursive: true });
  const options = `size=${DISK_MIB}m,mode=700`;
  execFileSync("mount", ["-t", "tmpfs", "-o", options, `${SOURCE}${process.pid}`, root], {
    stdio: "ignore",
  });
}

function tryMount(root: string): string | undefined {
  try {
    mount(root);
    execFileSync("umount", [root]);
    return undefined;
  } catch {
    return "a tmpfs cannot be mounted";
  }
}

/** Those of a run that was killed before it could clean up. */
function unmountStale(): void {
  for (const line of readFileSync("/proc/mounts", "utf8").split("\n")) {
    const [source = "", root = ""] = line.split(" ");
    if (!source.startsWith(SOURCE) || isAlive(Number(source.slice(SOURCE.length)))) continue;
    // A blank in a path is written as \040 there.
    const path = root.replaceAll("\\040", " ");
    execFileSync("umount", ["--lazy", path], { stdio: "ignore" });
  }
}
