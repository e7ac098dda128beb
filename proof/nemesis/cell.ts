import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { formatReplicas } from "../../packages/cli/src/format-replicas.ts";
import { poll } from "../../packages/cli/src/process/sleep.ts";
import type { Disks } from "./disks.ts";
import type { Address, Network } from "./network.ts";
import { type Crash, Program, type ProgramExit } from "./program.ts";

const CUBBY = fileURLToPath(new URL("../../packages/cli/bin/cubby.js", import.meta.url));
const CELL_NAME = "nemesis";
const START_MS = 20_000;
/** Small, so that segments and snapshots come and go within a minute. */
const SETTINGS = { segmentBytes: 1024 * 1024, snapshotEvery: 1_000, logLevel: "info" };

export type CellOptions = {
  readonly directory: string;
  readonly replicas: readonly number[];
  readonly network: Network;
  readonly disks: Disks;
};

type Member = {
  readonly replica: number;
  program: Program | undefined;
  /** True while an end of the process is what we want. */
  isEnding: boolean;
  isServing: boolean;
  /** Lines since the last start: what recovery said is among them. */
  lines: string[];
};

const LINES_MAX = 500;

/** Five `cubby serve` on the network of the run. */
export class Cell {
  readonly url: string;
  readonly crashes: Crash[] = [];
  /** Replicas that neither served nor ended, and what they had said by then. */
  readonly stuck: string[] = [];
  readonly #options: CellOptions;
  readonly #members: ReadonlyMap<number, Member>;

  private constructor(options: CellOptions) {
    this.#options = options;
    this.#members = new Map(
      options.replicas.map((replica) => [
        replica,
        { replica, program: undefined, isEnding: false, isServing: false, lines: [] },
      ]),
    );
    const hosts = options.replicas.map((replica) => this.sessionAddress(replica));
    this.url = `cubby://${hosts.join(",")}/${CELL_NAME}`;
  }

  static async create(options: CellOptions): Promise<Cell> {
    const cell = new Cell(options);
    mkdirSync(options.directory, { recursive: true });
    await formatReplicas({
      directory: options.directory,
      cellName: CELL_NAME,
      segmentBytes: SETTINGS.segmentBytes,
      dataDirectories: options.replicas.map((replica) => cell.dataDirectory(replica)),
    });
    for (const replica of options.replicas) cell.#writeConfig(replica);
    return cell;
  }

  /** The root of the cell's name space. */
  get root(): string {
    return `/ls/${CELL_NAME}`;
  }

  get replicas(): readonly number[] {
    return this.#options.replicas;
  }

  sessionAddress(replica: number): string {
    return textOf(this.#options.network.address(replica, "session"));
  }

  dataDirectory(replica: number): string {
    return join(diskOf(this.#options.directory, replica), "data");
  }

  program(replica: number): Program | undefined {
    return this.#member(replica).program;
  }

  /** What it has said since its last start. */
  lines(replica: number): readonly string[] {
    return this.#member(replica).lines;
  }

  /** Starts a replica that does not run; its recovery may yet refuse the directory. */
  start(replica: number): void {
    const member = this.#member(replica);
    if (member.program !== undefined && !member.program.hasExited) return;
    member.isEnding = false;
    member.isServing = false;
    member.lines = [];
    const config = this.#configFile(replica);
    const program = Program.start({
      command: [
        ...this.#options.network.prefix(replica),
        ...[process.execPath, CUBBY, "serve", "--config", config, "--json"],
      ],
      logFile: join(this.#options.directory, `replica-${replica}.log`),
      onLine: (line) => {
        if (member.lines.length < LINES_MAX) member.lines.push(line);
        if (line.startsWith('{"ready":true')) member.isServing = true;
      },
    });
    member.program = program;
    void program.exited.then((exit) => {
      if (member.program !== program || member.isEnding) return;
      this.addCrash(replica, exit, program.lastLines.join("\n"));
    });
  }

  /** Waits until it serves: undefined. Or until it ends: how. What does neither is `stuck`. */
  async served(replica: number): Promise<ProgramExit | "stuck" | undefined> {
    const member = this.#member(replica);
    try {
      await poll(() => member.isServing || member.program?.hasExited || undefined, {
        timeoutMs: START_MS,
        describe: () => `replica ${replica} neither serves nor ends`,
      });
    } catch (error) {
      // All that polling two fields can throw is that the time is over.
      const said = member.program?.lastLines.join("\n");
      this.stuck.push(`${error instanceof Error ? error.message : error}. It said:\n${said}`);
      return "stuck";
    }
    return member.program?.hasExited ? member.program.exited : undefined;
  }

  /** Whether an end of this process, by itself or by us, is no crash from here on. */
  expectEnd(replica: number, isExpected = true): void {
    this.#member(replica).isEnding = isExpected;
  }

  /** For an end that was expected, but not like that. */
  addCrash(replica: number, exit: ProgramExit, said: string): void {
    this.crashes.push({ process: `Replica ${replica}`, exit, said });
  }

  async kill(replica: number): Promise<void> {
    this.expectEnd(replica);
    await this.program(replica)?.kill();
  }

  async stop(replica: number): Promise<ProgramExit | undefined> {
    this.expectEnd(replica);
    return this.program(replica)?.stop();
  }

  async close(): Promise<void> {
    await Promise.all(this.replicas.map((replica) => this.stop(replica)));
  }

  #writeConfig(replica: number): void {
    const { network, replicas } = this.#options;
    const list = (address: (each: number) => Address): string =>
      replicas.map((each) => `${each}@${textOf(address(each))}`).join(",");
    const config = {
      ...SETTINGS,
      dataDir: this.dataDirectory(replica),
      cellName: CELL_NAME,
      replicaId: replica,
      sessionAddress: this.sessionAddress(replica),
      peerAddress: textOf(network.address(replica, "peer")),
      httpAddress: "none",
      peers: list((each) => network.peerAddress(replica, each)),
      sessionAddresses: list((each) => network.address(each, "session")),
      // Namespaces have addresses of their own, which nobody outside of them can reach.
      insecureRemote: network.kind === "namespaces",
    };
    writeFileSync(this.#configFile(replica), `${JSON.stringify(config, undefined, 2)}\n`);
  }

  #configFile(replica: number): string {
    return join(this.#options.directory, `replica-${replica}.json`);
  }

  #member(replica: number): Member {
    const member = this.#members.get(replica);
    if (member === undefined) throw new RangeError(`There is no replica ${replica}.`);
    return member;
  }
}

/** Where a replica's file system is mounted, if it has one of its own. */
export function diskOf(directory: string, replica: number): string {
  return join(directory, `disk-${replica}`);
}

function textOf({ host, port }: Address): string {
  return `${host}:${port}`;
}
