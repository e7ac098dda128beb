/**
 * One client process. It reads, writes and compares files, takes and gives back locks, and writes
 * down what it called and what it was told. It may be stopped or killed at any point.
 */

import { openSync, writeSync } from "node:fs";
import { CubbyError, type CubbySession, connect, type Handle, type Lock } from "@cubby/client";
import type { FileInput, FileOutput, LockInput, LockOutput } from "@cubby/simulator";
import { monotonicMs } from "../../packages/cli/src/process/monotonic.ts";
import { sleep } from "../../packages/cli/src/process/sleep.ts";
import type { HistoryLine } from "./history.ts";

export type ClientTask = {
  /** Unique among all client processes of the run. */
  readonly name: string;
  readonly cell: string;
  readonly files: readonly string[];
  /** With their lock-delays. */
  readonly locks: readonly (readonly [path: string, lockDelayMs: number])[];
  readonly historyFile: string;
};

const LEASE_MS = 2_000;
const GRACE_MS = 3_000;
const TIMEOUT_MS = 2_500;
/** Now and then a caller that has no patience: what it asked for may happen after it left. */
const SHORT_TIMEOUT_MS = { min: 3, max: 150 };
const LOCK_ROUNDS_MAX = 25;

const task = JSON.parse(process.argv[2] ?? "{}") as ClientTask;
const history = openSync(task.historyFile, "a");
let nextId = 1;
let succeeded = 0;

function write(line: HistoryLine): void {
  writeSync(history, `${JSON.stringify(line)}\n`);
}

/** Writes down the call, makes it, and writes down the answer; undefined when it failed. */
async function record<Input extends FileInput | LockInput, T>(
  about: { readonly session: string; readonly node: string; readonly input: Input },
  make: () => Promise<T>,
  outputOf: (answer: T) => FileOutput | LockOutput,
  refusals: Readonly<Record<string, FileOutput | LockOutput>> = {},
): Promise<T | CubbyError> {
  const id = `${task.name}.${nextId++}`;
  write({ event: "call", id, at: monotonicMs(), ...about });
  try {
    const answer = await make();
    const at = monotonicMs();
    write({ event: "return", id, at, outcome: "ok", output: outputOf(answer) });
    succeeded += 1;
    return answer;
  } catch (error) {
    const at = monotonicMs();
    if (!(error instanceof CubbyError)) throw error;
    const { code, outcome } = error;
    const output = refusals[code];
    if (output === undefined) write({ event: "return", id, at, outcome, code });
    else write({ event: "return", id, at, outcome: "ok", output });
    return error;
  }
}

/** One session's work, until it is over. */
class Worker {
  readonly #session: CubbySession;
  readonly #name: string;
  #isOver = false;

  constructor(session: CubbySession, name: string) {
    this.#session = session;
    this.#name = name;
  }

  async run(): Promise<void> {
    const parts = [this.#useFiles(), this.#useFiles(), this.#useLocks()].map((part) =>
      part.finally(() => {
        this.#isOver = true;
      }),
    );
    for (const ended of await Promise.allSettled(parts)) {
      // What a session comes to is one of the library's errors. Anything else is a bug of somebody.
      if (ended.status === "rejected" && !(ended.reason instanceof CubbyError)) throw ended.reason;
    }
  }

  get #goesOn(): boolean {
    return !this.#isOver && this.#session.state !== "expired" && this.#session.state !== "closed";
  }

  async #useFiles(): Promise<void> {
    const handles = await Promise.all(
      task.files.map((path) => this.#session.open(path, { write: true })),
    );
    const generations = new Map<string, number>();
    while (this.#goesOn) {
      const handle = handles[below(handles.length)];
      if (handle === undefined) return;
      await this.#useFile(handle, generations);
      await sleep(3 + below(12));
    }
  }

  async #useFile(handle: Handle, generations: Map<string, number>): Promise<void> {
    const draw = Math.random();
    const about = { session: this.#name, node: handle.path };
    const timeoutMs = patience();
    if (draw < 0.5) {
      const answer = await record(
        { ...about, input: { kind: "read" } },
        () => handle.getContentsAndStat({ timeoutMs }),
        ({ contents, stat }) => ({
          kind: "contents",
          value: Buffer.from(contents).toString(),
          generation: stat.contentGeneration,
        }),
      );
      this.#endIfOver(answer);
      if ("stat" in answer) generations.set(handle.path, answer.stat.contentGeneration);
      return;
    }
    const known = generations.get(handle.path);
    const condition = draw < 0.75 || known === undefined ? {} : { ifGeneration: known };
    const value = `${task.name}.${nextId}`;
    const answer = await record(
      { ...about, input: { kind: "write", value, ...condition } },
      () => handle.setContents(value, { timeoutMs, ...condition }),
      ({ contentGeneration: generation }) => ({ kind: "written", generation }),
      { generation_mismatch: { kind: "mismatch" } },
    );
    this.#endIfOver(answer);
    if ("contentGeneration" in answer) generations.set(handle.path, answer.contentGeneration);
  }

  async #useLocks(): Promise<void> {
    for (let round = 1; this.#goesOn; round += 1) {
      const [node = "", lockDelay = 0] = task.locks[below(task.locks.length)] ?? [];
      const handle = await this.#session.open(node, { write: true, lockDelay });
      const holder = `${this.#name}/${round}`;
      try {
        let isClean = true;
        for (let i = 0; i < LOCK_ROUNDS_MAX && isClean && this.#goesOn; i += 1) {
          isClean = await this.#useLock(handle, holder);
          await sleep(20 + below(100));
        }
      } finally {
        // Closing gives back what it may hold, or may yet be granted.
        write({ event: "gone", holder, node, at: monotonicMs() });
        await handle.close();
      }
    }
  }

  /** False when nobody knows any more whether the handle holds the lock. */
  async #useLock(handle: Handle, holder: string): Promise<boolean> {
    const wait = Math.random() < 0.3;
    const about = { session: this.#name, node: handle.path };
    const timeoutMs = TIMEOUT_MS;
    const lock = await record(
      { ...about, input: { kind: "acquire", holder, wait } },
      () => (wait ? handle.acquire({ timeoutMs }) : handle.tryAcquire({ timeoutMs })),
      (answer) =>
        answer === undefined
          ? { kind: "busy" }
          : { kind: "granted", generation: answer.lockGeneration },
    );
    this.#endIfOver(lock);
    if (lock === undefined) return true;
    if (lock instanceof CubbyError) return lock.outcome === "not-applied";
    await this.#work(lock, holder);
    const released = await record(
      { ...about, input: { kind: "release", holder } },
      () => handle.release({ timeoutMs }),
      () => ({ kind: "released" }),
      { lock_not_held: { kind: "notHeld" } },
    );
    this.#endIfOver(released);
    return !(released instanceof CubbyError) || released.code === "lock_not_held";
  }

  /** Writes to what the lock protects, as an application does: looks at the lock, then acts. */
  async #work(lock: Lock, holder: string): Promise<void> {
    const { path: node, lockGeneration: generation } = lock;
    const from = monotonicMs();
    const writes = 1 + below(16);
    for (let i = 0; i < writes; i += 1) {
      // Taken before the look, so that it was held at this time too.
      const at = monotonicMs();
      if (!lock.held) return;
      write({ event: "held", holder, node, from, at });
      await sleep(below(120));
      process.send?.({ kind: "write", lock: node, holder, generation });
      if (Math.random() < 0.3) {
        const answer = await record(
          { session: this.#name, node, input: { kind: "check", generation } },
          () => this.#session.checkSequencer(node, lock.sequencer, { timeoutMs: TIMEOUT_MS }),
          ({ valid }) => ({ kind: "verdict", valid }),
        );
        this.#endIfOver(answer);
      }
    }
  }

  #endIfOver(answer: unknown): void {
    if (!(answer instanceof CubbyError)) return;
    if (["session_expired", "client_closed", "stale_handle"].includes(answer.code)) throw answer;
  }
}

function below(n: number): number {
  return Math.floor(Math.random() * n);
}

function patience(): number {
  const { min, max } = SHORT_TIMEOUT_MS;
  return Math.random() < 0.05 ? min + below(max - min) : TIMEOUT_MS;
}

async function main(): Promise<void> {
  process.once("disconnect", () => process.exit(0));
  setInterval(() => {
    process.send?.({ kind: "progress", succeeded });
    succeeded = 0;
  }, 500).unref();
  for (let life = 1; ; life += 1) {
    try {
      const session = await connect(task.cell, {
        leaseMs: LEASE_MS,
        gracePeriodMs: GRACE_MS,
        connectTimeoutMs: TIMEOUT_MS,
        closeTimeoutMs: 500,
        clientName: task.name,
      });
      await new Worker(session, `${task.name}.s${life}`).run();
      await session.close();
    } catch (error) {
      if (!(error instanceof CubbyError)) throw error;
    }
    await sleep(50);
  }
}

await main();
