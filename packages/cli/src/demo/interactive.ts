import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CellAccess } from "../cell-access.ts";
import type { ReplicaReport } from "../local-cell.ts";
import { monotonicMs } from "../process/monotonic.ts";
import { sleep } from "../process/sleep.ts";
import { aborted } from "../process/told-to-end.ts";
import type { Display } from "./display.ts";
import type { DemoView, Happening, ReplicaView, StoreView } from "./drawing.ts";
import { LockWatch } from "./lock-watch.ts";
import {
  type Facts,
  type Words,
  wordsFor,
  wordsForKill,
  wordsForMaster,
  wordsForPause,
  wordsForResume,
} from "./narrator.ts";
import { SessionKeeper } from "./session-keeper.ts";
import { LOCK_PATH, Stage } from "./stage.ts";
import type { WorkerReport } from "./worker-report.ts";

const REFRESH_MS = 150;
const HAPPENINGS_MAX = 50;
const NO_STORE: StoreView = { jobsDone: 0, greatestGeneration: 0, lastWorker: "", refused: 0 };

export type InteractiveOptions = Facts & {
  readonly cells: CellAccess;
  readonly display: Display;
  /** Aborts when the demo is to end. */
  readonly signal: AbortSignal;
};

/** The demo that a person plays with: it runs until `signal` aborts, and leaves nothing behind. */
export async function runInteractive(options: InteractiveOptions): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "cubby-demo-"));
  let demo: InteractiveDemo | undefined;
  try {
    const onReport = (report: WorkerReport): void => demo?.onReport(report);
    const stage = await Stage.open({ ...options, directory, onReport });
    try {
      demo = new InteractiveDemo(stage, options);
      await demo.run();
    } finally {
      await stage.close();
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

class InteractiveDemo {
  readonly #stage: Stage;
  readonly #options: InteractiveOptions;
  readonly #keeper: SessionKeeper;
  readonly #watch = new LockWatch();
  readonly #begunAtMs = monotonicMs();
  readonly #happenings: Happening[] = [];
  #replicas: readonly ReplicaView[] = [];
  #store: StoreView = NO_STORE;
  #master: number | undefined;
  /** Keys are carried out one after the other. */
  #lastKey: Promise<void> = Promise.resolve();

  constructor(stage: Stage, options: InteractiveOptions) {
    this.#stage = stage;
    this.#options = options;
    this.#keeper = new SessionKeeper(options.cells, stage.cell.url, options.sessionLeaseMs);
  }

  async run(): Promise<void> {
    const { signal, display } = this.#options;
    display.onKey((key) => {
      this.#lastKey = this.#lastKey
        .then(() => this.#onKey(key))
        .catch((error: unknown) => {
          this.#tell({ what: `That did not work: ${String(error)}`, why: "" });
        });
    });
    this.#tell({
      what: "Five replicas start and elect a master.",
      why: "Each is a process of its own with a journal on disk. Three of the five must agree on everything.",
    });
    const refreshing = this.#refresh(signal);
    try {
      // Who quits while everything is still starting need not wait for it.
      await Promise.race([this.#setTheStage(), aborted(signal)]);
      const session = () => this.#keeper.get();
      await this.#watch.run(async () => (await session()).open(LOCK_PATH, {}), signal);
    } finally {
      await refreshing;
      await this.#lastKey;
      await this.#keeper.close();
    }
  }

  onReport(report: WorkerReport): void {
    const words = wordsFor(report);
    if (words !== undefined) this.#tell(words);
  }

  async #setTheStage(): Promise<void> {
    await this.#stage.cell.waitReady();
    const session = await this.#keeper.get();
    await session.open("/ls/local/demo", { write: true, create: true, kind: "directory" });
    await session.open(LOCK_PATH, { write: true, create: true });
    await this.#stage.startStore();
    await this.#stage.startWorkers();
    this.#tell({
      what: "Three web servers start; one of them is to do the background jobs.",
      why: "All three ask for the exclusive lock of one file. Who gets it leads; the others wait in line.",
    });
  }

  async #onKey(key: string): Promise<void> {
    switch (key) {
      case "m":
        return this.#killMaster();
      case "l":
        return this.#killLeader();
      case "p":
        return this.#pauseOrResume();
      case "r":
        return this.#restart();
      default:
        // Any other key is a slip of the finger.
        return;
    }
  }

  async #killMaster(): Promise<void> {
    const master = await this.#stage.cell.master();
    if (master === undefined) return this.#tell({ what: "There is no master to kill.", why: "" });
    await this.#stage.cell.kill(master.replica);
    this.#tell(wordsForKill("master", `Replica ${master.replica}`, this.#options));
  }

  async #killLeader(): Promise<void> {
    const [leader] = this.#stage.leaders;
    if (leader === undefined) return this.#tell({ what: "There is no leader to kill.", why: "" });
    await this.#stage.killWorker(leader.name);
    this.#tell(wordsForKill("leader", leader.name, this.#options));
  }

  async #pauseOrResume(): Promise<void> {
    const paused = this.#stage.workers.find(({ view }) => view.state === "paused");
    if (paused !== undefined) {
      this.#stage.resumeWorker(paused.name);
      return this.#tell(wordsForResume(paused.name));
    }
    const [leader] = this.#stage.leaders;
    if (leader === undefined) return this.#tell({ what: "There is no leader to pause.", why: "" });
    this.#stage.pauseWorker(leader.name);
    this.#tell(wordsForPause(leader.name));
  }

  async #restart(): Promise<void> {
    const { cell, workers } = this.#stage;
    const dead = cell.replicas.filter((replica) => cell.pid(replica) === undefined);
    const deadWorkers = workers.filter(({ view }) => view.state === "dead");
    await Promise.all(dead.map((replica) => cell.start(replica)));
    await Promise.all(deadWorkers.map(({ name }) => this.#stage.startWorker(name)));
    const names = [
      ...dead.map((replica) => `replica ${replica}`),
      ...deadWorkers.map((w) => w.name),
    ];
    this.#tell(
      names.length === 0
        ? { what: "Nothing is dead.", why: "" }
        : {
            what: `Started again: ${names.join(", ")}.`,
            why: "A replica reads its journal back, waits until no lease that it granted can be live, and catches up with the others. A web server begins with a new session and waits in line.",
          },
    );
  }

  async #refresh(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const reports = await this.#stage.cell.reports();
      this.#replicas = reports.map(replicaView);
      this.#noticeMaster(reports);
      this.#store = (await this.#askStore()) ?? this.#store;
      this.#options.display.show(this.#view());
      await sleep(REFRESH_MS, signal).catch(() => undefined);
    }
  }

  async #askStore(): Promise<StoreView | undefined> {
    if (!this.#stage.hasStore) return undefined;
    const state = await this.#stage.store.state().catch(() => undefined);
    return state === undefined ? undefined : { ...state, jobsDone: state.nextJob - 1 };
  }

  #noticeMaster(reports: readonly ReplicaReport[]): void {
    const master = reports.find(({ status }) => status?.role === "master");
    if (master?.replica === this.#master) return;
    this.#master = master?.replica;
    const up = reports.filter(({ state }) => state === "running").length;
    this.#tell(wordsForMaster(this.#master, master?.status?.ballot ?? "", up));
  }

  #tell(words: Words): void {
    const happening = { ...words, atMs: monotonicMs() - this.#begunAtMs };
    this.#happenings.push(happening);
    if (this.#happenings.length > HAPPENINGS_MAX) this.#happenings.shift();
    this.#options.display.tell(happening);
    this.#options.display.show(this.#view());
  }

  #view(): DemoView {
    return {
      cellUrl: this.#stage.cell.url,
      replicas: this.#replicas,
      webServers: this.#stage.workers.map(({ view }) => view),
      lock: this.#watch.view,
      store: this.#store,
      happenings: this.#happenings,
    };
  }
}

function replicaView({ replica, state, status }: ReplicaReport): ReplicaView {
  return {
    replica,
    state: state !== "running" ? "dead" : status === undefined ? "silent" : "up",
    role: status?.role ?? "",
    ballot: status?.ballot ?? "",
    position: status?.chosen ?? 0,
    leaseLeftMs: status?.leaseLeftMs ?? 0,
  };
}
