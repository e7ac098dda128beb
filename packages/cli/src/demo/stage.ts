import { cpSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { LocalCell } from "../local-cell.ts";
import { Child } from "../process/child.ts";
import { poll } from "../process/sleep.ts";
import { JobStoreClient } from "./job-store-client.ts";
import type { Reign } from "./timeline.ts";
import { WorkerRecord } from "./worker-record.ts";
import { parseReport, type WorkerReport } from "./worker-report.ts";

export const LOCK_PATH = "/ls/local/demo/leader";
const WORKERS = ["web1", "web2", "web3"] as const;
const REPLICAS = 5;
const STARTED_MS = 15_000;
const SEGMENT_BYTES = 2 * 1024 * 1024;

/** Each breaks one thing for real; the check of that thing must notice. */
export type Sabotage = "lock-delay" | "sequencer" | "durability" | "second-leader";
export const SABOTAGES: readonly Sabotage[] = [
  "lock-delay",
  "sequencer",
  "durability",
  "second-leader",
];

export type StageOptions = {
  /** Made by the caller, and removed by it. */
  readonly directory: string;
  readonly sessionLeaseMs: number;
  readonly lockDelayMs: number;
  readonly sabotage?: Sabotage | undefined;
  readonly onReport?: (report: WorkerReport) => void;
};

/**
 * Everything that the story is played with: five replicas, three web servers and the job store, each
 * a process of its own. What happens to them is up to the caller, a script or a person.
 */
export class Stage implements AsyncDisposable {
  readonly cell: LocalCell;
  readonly #options: StageOptions;
  readonly #records = new Map<string, WorkerRecord>();
  readonly #workers = new Map<string, Child>();
  #storeProcess: Child | undefined;
  #store: JobStoreClient | undefined;
  #storeUrl = "";
  #closed = false;

  private constructor(cell: LocalCell, options: StageOptions) {
    this.cell = cell;
    this.#options = options;
    for (const name of WORKERS) this.#records.set(name, new WorkerRecord(name));
  }

  /** Formats the cell and starts its replicas; `waitReady` of the cell tells when it serves. */
  static async open(options: StageOptions): Promise<Stage> {
    const cell = await LocalCell.create({
      directory: join(options.directory, "cell"),
      replicas: REPLICAS,
      segmentBytes: SEGMENT_BYTES,
      settings: { logLevel: "warn" },
    });
    const stage = new Stage(cell, options);
    if (options.sabotage === "durability") stage.#keepEmptyDisks();
    await cell.startAll();
    return stage;
  }

  get workers(): readonly WorkerRecord[] {
    return [...this.#records.values()];
  }

  worker(name: string): WorkerRecord {
    const record = this.#records.get(name);
    if (record === undefined) throw new RangeError(`There is no web server ${name}.`);
    return record;
  }

  get leaders(): readonly WorkerRecord[] {
    return this.workers.filter(({ leads }) => leads);
  }

  get reigns(): readonly Reign[] {
    return this.workers.flatMap(({ reigns }) => reigns);
  }

  get hasStore(): boolean {
    return this.#store !== undefined;
  }

  get store(): JobStoreClient {
    if (this.#store === undefined) throw new Error("The job store is not started.");
    return this.#store;
  }

  /** Every process on the stage that is running now, by name. */
  get processIds(): Record<string, number> {
    const pids: Record<string, number> = {};
    for (const replica of this.cell.replicas) {
      const pid = this.cell.pid(replica);
      if (pid !== undefined) pids[`replica${replica}`] = pid;
    }
    for (const [name, child] of this.#workers) {
      if (child.state !== "exited") pids[name] = child.pid;
    }
    if (this.#storeProcess !== undefined && this.#storeProcess.state !== "exited") {
      pids["jobStore"] = this.#storeProcess.pid;
    }
    return pids;
  }

  /** Every port that a process on the stage listens on. */
  get ports(): readonly number[] {
    const urls = [this.#storeUrl, ...this.workers.map(({ url }) => url)].filter(
      (url) => url !== "",
    );
    return [...this.cell.ports, ...urls.map((url) => Number(new URL(url).port))];
  }

  async startStore(): Promise<void> {
    this.#assertOpen();
    const check = this.#options.sabotage === "sequencer" ? ["--no-check"] : [];
    const directory = join(this.#options.directory, "job-store");
    this.#storeProcess = await Child.start({
      args: ["demo-job-store", "--data", directory, "--lock", LOCK_PATH, ...check],
      onLine: (line, from) => {
        if (from === "stdout" && line.startsWith("http://")) this.#storeUrl = line;
      },
    });
    await poll(() => this.#storeUrl || undefined, {
      timeoutMs: STARTED_MS,
      describe: () => `the job store does not start: ${this.#storeProcess?.lastLines.join("\n")}`,
    });
    this.#store = new JobStoreClient(this.#storeUrl);
  }

  async startWorkers(): Promise<void> {
    await Promise.all(WORKERS.map((name) => this.startWorker(name)));
  }

  /** `usurp` is the sabotage: it leads without holding the lock. */
  async startWorker(name: string, options: { readonly usurp?: boolean } = {}): Promise<void> {
    const record = this.worker(name);
    const running = this.#workers.get(name);
    if (running !== undefined && running.state !== "exited") return;
    // Its end must be on record before the next life begins.
    await running?.exited;
    this.#assertOpen();
    const lockDelayMs = this.#options.sabotage === "lock-delay" ? 0 : this.#options.lockDelayMs;
    const child = await Child.start({
      args: [
        "demo-web-server",
        ...["--name", name],
        ...["--cell", this.cell.url],
        ...["--lock", LOCK_PATH],
        ...["--store", this.#storeUrl],
        ...["--lease-ms", String(this.#options.sessionLeaseMs)],
        ...["--lock-delay-ms", String(lockDelayMs)],
        ...(options.usurp === true ? ["--usurp"] : []),
      ],
      onLine: (line, from) => {
        const report = from === "stdout" ? parseReport(line) : undefined;
        if (report === undefined || report.pid !== record.pid) return;
        record.onReport(report);
        this.#options.onReport?.(report);
      },
      onExit: ({ atMs }) => record.onExited(atMs),
    });
    record.onStarted(child.pid);
    this.#workers.set(name, child);
  }

  async killWorker(name: string): Promise<void> {
    await this.#workers.get(name)?.kill();
  }

  pauseWorker(name: string): void {
    this.#workers.get(name)?.pause();
    this.worker(name).onPaused();
  }

  resumeWorker(name: string): void {
    this.worker(name).onResumed();
    this.#workers.get(name)?.resume();
  }

  /** Sabotage: every replica's disk goes back to what it was before the first start. */
  rollBackDisks(): void {
    for (const replica of this.cell.replicas) {
      const directory = this.cell.dataDirectory(replica);
      rmSync(directory, { recursive: true });
      cpSync(this.#emptyDisk(replica), directory, { recursive: true });
    }
  }

  /** Ends every process, and returns when none is left. */
  async close(): Promise<void> {
    this.#closed = true;
    const others = [...this.#workers.values(), this.#storeProcess];
    // The web servers first: their sessions end properly only while there is a cell.
    await Promise.all(others.map((child) => child?.stop()));
    await this.cell.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Somebody may still be setting the stage while another has already closed it. */
  #assertOpen(): void {
    if (this.#closed) throw new Error("The stage is closed.");
  }

  #keepEmptyDisks(): void {
    for (const replica of this.cell.replicas) {
      const copy = this.#emptyDisk(replica);
      mkdirSync(copy, { recursive: true });
      cpSync(this.cell.dataDirectory(replica), copy, { recursive: true });
    }
  }

  #emptyDisk(replica: number): string {
    return join(this.#options.directory, "empty-disks", `replica-${replica}`);
  }
}
