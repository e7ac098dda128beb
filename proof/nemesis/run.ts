import { createReadStream, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { monotonicMs } from "../../packages/cli/src/process/monotonic.ts";
import { poll, sleep } from "../../packages/cli/src/process/sleep.ts";
import { Cell, diskOf } from "./cell.ts";
import type { ClientTask } from "./client.ts";
import { Disks } from "./disks.ts";
import { Faults } from "./faults.ts";
import { type Beginning, type HistoryLine, readHistory } from "./history.ts";
import { Namespaces } from "./namespaces.ts";
import type { Network } from "./network.ts";
import type { ObserverNews, ObserverTask } from "./observer.ts";
import { type Crash, Program } from "./program.ts";
import { Proxies } from "./proxies.ts";
import { createReport, type Report } from "./report.ts";
import { FencedResource, type GuardedWrite } from "./resource.ts";
import { createSchedule, type FaultKind } from "./schedule.ts";
import { judge } from "./verdict.ts";

export type RunOptions = {
  readonly seed: string;
  readonly seconds: number;
  readonly network: Network["kind"] | "auto";
  /** Made by the run, and left: logs, histories, directories of the replicas. */
  readonly directory: string;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
  /** Twice a second while it goes on. */
  readonly onProgress: (progress: Progress) => void;
};

export type Progress = {
  readonly leftMs: number;
  readonly succeeded: number;
  readonly faults: number;
  readonly current: readonly string[];
};

const REPLICAS = [1, 2, 3, 4, 5];
const OBSERVER = 10;
const CLIENTS = [11, 12, 13];
/** Those with small disks of their own; the others are on the real one. */
const SMALL_DISKS = [4, 5];
const FILES = 4;
/**
 * By lock. Short, so that a paused holder often has a successor; and longer than a lease, so that a
 * lock that opens when the session ends has opened too early.
 */
const LOCK_DELAYS_MS = [500, 4_000];
/** Of a lock-delay as the histories show it: timers may be a little early. */
const SURE_SHARE = 0.98;
const BEGIN_MS = 40_000;
/** A healed cell must serve everybody again within it. */
const RECOVER_MS = 20_000;
const PROGRESS_EVERY_MS = 500;

export async function runNemesis(options: RunOptions): Promise<Report> {
  const run = new Run(options);
  let beginning: Beginning;
  try {
    beginning = await run.play();
  } finally {
    await run.close();
  }
  return run.report(beginning);
}

class Run {
  readonly #options: RunOptions;
  readonly #resource = new FencedResource();
  readonly #clients = new Map<number, Program>();
  readonly #lives = new Map<number, number>();
  readonly #succeeded = new Map<number, number>();
  /** Ends what was begun, last first. */
  readonly #endings: (() => Promise<void> | void)[] = [];
  readonly #skipped = new Map<FaultKind, string>();
  #network: Network | undefined;
  #cell: Cell | undefined;
  #faults: Faults | undefined;
  #beginning: Beginning | undefined;
  #answering: readonly number[] = [];
  #master: number | undefined;
  #from = 0;
  #until = 0;
  #notRecovered: string[] = [];
  /** Clients, or the observer, that ended by themselves. */
  readonly #crashes: Crash[] = [];
  readonly #ended = new Set<Program>();

  constructor(options: RunOptions) {
    this.#options = options;
    mkdirSync(options.directory, { recursive: true });
  }

  /** Everything up to the end of the healed cell's time to recover. */
  async play(): Promise<Beginning> {
    const { signal, say, seconds, seed } = this.#options;
    const network = await this.#openNetwork();
    const disks = this.#mountDisks();
    const cell = await this.#openCell(network, disks);
    const beginning = await this.#makeNodes(cell);
    for (const client of CLIENTS) this.#startClient(client);
    await this.#allSucceed("the clients do not begin", BEGIN_MS);

    const victims = {
      cell,
      network,
      disks,
      clients: {
        endpoints: CLIENTS,
        program: (client: number) => this.#clients.get(client),
        kill: async (client: number) => {
          const program = this.#clients.get(client);
          if (program !== undefined) await this.#end(program);
        },
        start: (client: number) => this.#startClient(client),
      },
      master: () => this.#master,
      holder: () => {
        const { lastHolder } = this.#resource;
        return lastHolder === undefined ? undefined : Number.parseInt(lastHolder, 10);
      },
    };
    const forMs = 1_000 * seconds;
    const over = AbortSignal.any([signal, AbortSignal.timeout(forMs)]);
    const faults = new Faults(victims, over);
    this.#faults = faults;
    const without = new Set(this.#skipped.keys());
    const targets = { replicas: REPLICAS, clients: CLIENTS };
    const lanes = createSchedule({ seed, forMs, without, ...targets });
    this.#from = monotonicMs();
    const progress = setInterval(() => this.#tellProgress(forMs), PROGRESS_EVERY_MS);
    try {
      await Promise.all(lanes.map((lane) => faults.runLane(lane, this.#from)));
    } finally {
      clearInterval(progress);
    }
    this.#until = monotonicMs();
    signal.throwIfAborted();
    say("healed; waiting for everybody to be served again");
    await this.#recover();
    return beginning;
  }

  async close(): Promise<void> {
    for (let end = this.#endings.pop(); end !== undefined; end = this.#endings.pop()) {
      try {
        await end();
      } catch (error) {
        // What else was begun must end all the same.
        this.#options.say(`cleaning up: ${error instanceof Error ? error.message : error}`);
      }
    }
  }

  async report(beginning: Beginning): Promise<Report> {
    const lines: HistoryLine[] = [];
    for (const name of readdirSync(this.#options.directory)) {
      if (!name.startsWith("history-")) continue;
      const input = createReadStream(join(this.#options.directory, name));
      for await (const line of createInterface({ input })) {
        const read = parseLine(line);
        if (read !== undefined) lines.push(read);
      }
    }
    const delays = new Map(this.#cell === undefined ? [] : this.#locks(this.#cell));
    const history = readHistory(lines, (node) => SURE_SHARE * (delays.get(node) ?? 0));
    const facts = {
      seed: this.#options.seed,
      network: this.#network?.description ?? "",
      skipped: this.#skipped,
      networkProblem: this.#network?.problem,
      from: this.#from,
      until: this.#until,
      windows: this.#faults?.windows ?? [],
      crashes: [...(this.#cell?.crashes ?? []), ...this.#crashes],
      resource: this.#resource,
      notRecovered: [
        ...(this.#cell?.stuck ?? []),
        ...(this.#faults?.unmended ?? []),
        ...this.#notRecovered,
      ],
    };
    return createReport(facts, history, judge(history, beginning));
  }

  async #openNetwork(): Promise<Network> {
    const { network: wanted, say } = this.#options;
    const endpoints = [...REPLICAS, OBSERVER, ...CLIENTS];
    const spaces = wanted === "proxies" ? "not asked for" : await Namespaces.create(endpoints);
    if (typeof spaces === "string" && wanted === "namespaces") {
      throw new Error(`There can be no network namespaces here: ${spaces}.`);
    }
    if (typeof spaces === "string" && wanted === "auto") {
      say(`NO NETWORK NAMESPACES (${spaces}): falling back to loopback proxies`);
    }
    const network = typeof spaces === "string" ? await Proxies.create(REPLICAS) : spaces;
    this.#network = network;
    this.#endings.push(() => network.close());
    for (const [kind, why] of network.lacks) this.#skip(kind, why);
    return network;
  }

  #mountDisks(): Disks {
    const directory = join(this.#options.directory, "cell");
    const disks = Disks.mount(SMALL_DISKS, (replica) => diskOf(directory, replica));
    this.#endings.push(() => disks.unmount());
    if (disks.problem !== undefined) this.#skip("full disk", disks.problem);
    return disks;
  }

  #skip(kind: FaultKind, why: string): void {
    this.#skipped.set(kind, why);
    this.#options.say(`SKIPPED: ${kind} (${why})`);
  }

  async #openCell(network: Network, disks: Disks): Promise<Cell> {
    const directory = join(this.#options.directory, "cell");
    const cell = await Cell.create({ directory, replicas: REPLICAS, network, disks });
    this.#cell = cell;
    this.#endings.push(() => cell.close());
    for (const replica of REPLICAS) cell.start(replica);
    await Promise.all(REPLICAS.map((replica) => cell.served(replica)));
    if (cell.stuck.length > 0) throw new Error(cell.stuck.join("\n"));
    return cell;
  }

  async #makeNodes(cell: Cell): Promise<Beginning> {
    const task: ObserverTask = {
      cell: cell.url,
      replicas: REPLICAS.map((replica) => cell.sessionAddress(replica)),
      files: this.#files(cell),
      locks: this.#locks(cell).map(([path]) => path),
    };
    this.#startProgram("Observer", OBSERVER, "observer.ts", task, (message) => {
      const news = message as ObserverNews;
      if (news.kind === "made") {
        this.#beginning = news.beginning;
        const file = join(this.#options.directory, "beginning.json");
        writeFileSync(file, JSON.stringify(news.beginning));
      } else {
        this.#answering = news.answering;
        this.#master = REPLICAS[news.master];
      }
    });
    return poll(() => this.#beginning, {
      timeoutMs: BEGIN_MS,
      describe: () => "the cell does not begin to serve",
      signal: this.#options.signal,
    });
  }

  #files(cell: Cell): string[] {
    return Array.from({ length: FILES }, (_, index) => `${cell.root}/file-${index + 1}`);
  }

  #locks(cell: Cell): [path: string, lockDelayMs: number][] {
    return LOCK_DELAYS_MS.map((delayMs, index) => [`${cell.root}/lock-${index + 1}`, delayMs]);
  }

  #startClient(client: number): void {
    if (this.#cell === undefined) return;
    const life = (this.#lives.get(client) ?? 0) + 1;
    this.#lives.set(client, life);
    const name = `${client}-${life}`;
    const task: ClientTask = {
      name,
      cell: this.#cell.url,
      files: this.#files(this.#cell),
      locks: this.#locks(this.#cell),
      historyFile: join(this.#options.directory, `history-${name}.jsonl`),
    };
    const program = this.#startProgram(`Client ${name}`, client, "client.ts", task, (message) => {
      const news = message as
        | ({ readonly kind: "write" } & GuardedWrite)
        | { readonly kind: "progress"; readonly succeeded: number };
      if (news.kind === "write") this.#resource.write(news);
      else this.#succeeded.set(client, (this.#succeeded.get(client) ?? 0) + news.succeeded);
    });
    this.#clients.set(client, program);
  }

  #startProgram(
    name: string,
    endpoint: number,
    file: string,
    task: object,
    onMessage: (message: unknown) => void,
  ): Program {
    const path = fileURLToPath(new URL(file, import.meta.url));
    const program = Program.start({
      command: [
        ...(this.#network?.prefix(endpoint) ?? []),
        ...[process.execPath, ...process.execArgv, path, JSON.stringify(task)],
      ],
      logFile: join(this.#options.directory, `process-${endpoint}.log`),
      onMessage,
    });
    void program.exited.then((exit) => {
      if (this.#ended.has(program)) return;
      this.#crashes.push({ process: name, exit, said: program.lastLines.join("\n") });
    });
    this.#endings.push(() => this.#end(program));
    return program;
  }

  /** An end that we ask for. Whoever has ended before did so by itself, and stays a crash. */
  async #end(program: Program): Promise<void> {
    if (!program.hasExited) this.#ended.add(program);
    await program.kill();
  }

  /** Liveness: with everything healed, all replicas answer, and every client gets its way. */
  async #recover(): Promise<void> {
    try {
      await this.#allSucceed("a client is not served", RECOVER_MS);
      await poll(() => (this.#answering.length === REPLICAS.length ? true : undefined), {
        timeoutMs: RECOVER_MS,
        describe: () => `of replicas 1 to 5 answer ${this.#answering.map((each) => each + 1)}`,
        signal: this.#options.signal,
      });
      // So that histories end with answers and not only with the wait for them.
      await sleep(1_000, this.#options.signal);
    } catch (error) {
      this.#options.signal.throwIfAborted();
      const what = error instanceof Error ? error.message : error;
      this.#notRecovered.push(`Healed, but not well: ${what}`);
    }
  }

  async #allSucceed(what: string, timeoutMs: number): Promise<void> {
    const before = new Map(this.#succeeded);
    const hasNews = (client: number): boolean =>
      (this.#succeeded.get(client) ?? 0) > (before.get(client) ?? 0);
    await poll(() => (CLIENTS.every(hasNews) ? true : undefined), {
      timeoutMs,
      describe: () => what,
      signal: this.#options.signal,
    });
  }

  #tellProgress(forMs: number): void {
    const current = this.#faults?.current ?? new Map<number, FaultKind>();
    this.#options.onProgress({
      leftMs: Math.max(0, this.#from + forMs - monotonicMs()),
      succeeded: [...this.#succeeded.values()].reduce((sum, each) => sum + each, 0),
      faults: this.#faults?.windows.length ?? 0,
      current: [...current].map(([target, kind]) => `${kind} ${target}`),
    });
  }
}

/** The last line of a process that was killed may be torn: its call was never made. */
function parseLine(line: string): HistoryLine | undefined {
  try {
    return JSON.parse(line) as HistoryLine;
  } catch {
    return undefined;
  }
}
