import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { CubbyError, ERROR_CODES, type ErrorCode, type Status } from "@cubby/protocol";
import { directoryError, makeDirectory } from "@cubby/server";
import { askReplica } from "./ask-replica.ts";
import { formatReplicas } from "./format-replicas.ts";
import { CELL_NAME_DEFAULT, loopbackUrl, PORT_STEP } from "./options.ts";
import { Child, type ChildExit, type ChildState } from "./process/child.ts";
import { findFreePorts } from "./process/free-ports.ts";
import { poll } from "./process/sleep.ts";

const READY_MS = 20_000;
const STATUS_MS = 500;
const SEGMENT_BYTES_DEFAULT = 8 * 1024 * 1024;

export type LocalCellOptions = {
  /** Holds one directory and one configuration per replica; kept when the cell is closed. */
  readonly directory: string;
  readonly replicas: number;
  readonly cellName?: string;
  /** Replica n listens at base + 10 (n - 1) and the two ports above; free ports when left out. */
  readonly portBase?: number | undefined;
  /** Of each journal segment; small ones suit cells that live for a minute. */
  readonly segmentBytes?: number;
  /** Further settings of every replica, by their names in the configuration file. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
  /** Each line that a replica writes. */
  readonly onLine?: (replica: number, line: string) => void;
  /** Each end of a replica, asked for or not. */
  readonly onExit?: (replica: number, exit: ChildExit, asked: boolean) => void;
};

export type ReplicaState = "stopped" | ChildState;

/** What a replica says of itself; undefined when it does not answer. */
export type ReplicaReport = {
  readonly replica: number;
  readonly state: ReplicaState;
  readonly pid: number | undefined;
  readonly status: Status | undefined;
};

type Ports = { readonly session: number; readonly peer: number; readonly http: number };

type Member = {
  readonly replica: number;
  readonly dataDirectory: string;
  readonly configFile: string;
  readonly ports: Ports;
  child: Child | undefined;
  /** True while an end of the process is what we want. */
  ending: boolean;
};

/**
 * A cell on this machine: one `cubby serve` process per replica, on loopback. Replicas can be
 * killed, paused and restarted by number. Closing it, or the end of this process for whatever
 * reason, ends them all; their directories stay.
 */
export class LocalCell implements AsyncDisposable {
  readonly #members: readonly Member[];
  readonly #options: LocalCellOptions;
  #closed = false;
  readonly url: string;

  private constructor(options: LocalCellOptions, members: readonly Member[]) {
    this.#options = options;
    this.#members = members;
    const ports = members.map((member) => member.ports.session);
    this.url = loopbackUrl(ports, options.cellName ?? CELL_NAME_DEFAULT);
  }

  /** Chooses ports and formats the directories that are not formatted yet; starts nothing. */
  static async create(options: LocalCellOptions): Promise<LocalCell> {
    const directory = resolve(options.directory);
    const ports = await choosePorts(options.replicas, options.portBase);
    const members = ports.map((portsOfOne, index): Member => {
      const replica = index + 1;
      return {
        replica,
        dataDirectory: join(directory, `replica-${replica}`),
        configFile: join(directory, `replica-${replica}.json`),
        ports: portsOfOne,
        child: undefined,
        ending: false,
      };
    });
    try {
      makeDirectory(directory);
      await formatReplicas({
        directory,
        cellName: options.cellName ?? CELL_NAME_DEFAULT,
        segmentBytes: options.segmentBytes ?? SEGMENT_BYTES_DEFAULT,
        dataDirectories: members.map((member) => member.dataDirectory),
      });
      for (const member of members) writeConfig(member, members, options);
    } catch (error) {
      // What the system says of it is told as `init` and `serve` tell it.
      throw error instanceof CubbyError ? error : directoryError(directory, error);
    }
    return new LocalCell(options, members);
  }

  get replicas(): readonly number[] {
    return this.#members.map((member) => member.replica);
  }

  get ports(): readonly number[] {
    return this.#members.flatMap(({ ports }) => [ports.session, ports.peer, ports.http]);
  }

  /** host:port of a replica's session lane. */
  address(replica: number): string {
    return `127.0.0.1:${this.#member(replica).ports.session}`;
  }

  httpUrl(replica: number): string {
    return `http://127.0.0.1:${this.#member(replica).ports.http}`;
  }

  dataDirectory(replica: number): string {
    return this.#member(replica).dataDirectory;
  }

  pid(replica: number): number | undefined {
    const { child } = this.#member(replica);
    return child === undefined || child.state === "exited" ? undefined : child.pid;
  }

  state(replica: number): ReplicaState {
    return this.#member(replica).child?.state ?? "stopped";
  }

  /** Starts a replica that is not running. It is ready when `waitReady` says so. */
  async start(replica: number): Promise<void> {
    const member = this.#member(replica);
    if (this.#closed) throw new Error("The cell is closed.");
    if (this.pid(replica) !== undefined) return;
    member.ending = false;
    member.child = await Child.start({
      args: ["serve", "--config", member.configFile],
      onLine: (line) => this.#options.onLine?.(replica, line),
      onExit: (exit) => this.#options.onExit?.(replica, exit, member.ending),
    });
  }

  async startAll(): Promise<void> {
    await Promise.all(this.replicas.map((replica) => this.start(replica)));
  }

  /** SIGTERM: hands over mastership, if it has it, and ends. */
  async stop(replica: number): Promise<ChildExit | undefined> {
    const member = this.#member(replica);
    member.ending = true;
    return member.child?.stop();
  }

  /** kill -9. */
  async kill(replica: number): Promise<ChildExit | undefined> {
    const member = this.#member(replica);
    member.ending = true;
    return member.child?.kill();
  }

  /** SIGSTOP. */
  pause(replica: number): void {
    this.#member(replica).child?.pause();
  }

  resume(replica: number): void {
    this.#member(replica).child?.resume();
  }

  /** What each replica says now; a replica that does not answer soon has no status. */
  async reports(timeoutMs = STATUS_MS): Promise<ReplicaReport[]> {
    return Promise.all(
      this.#members.map(async ({ replica, child }) => {
        const state = child?.state ?? "stopped";
        const answer =
          state === "running"
            ? await askReplica(this.address(replica), timeoutMs).catch(() => undefined)
            : undefined;
        // Where another cell has the port, ours has not found out yet that it must end.
        const status = answer?.processId === child?.pid ? answer : undefined;
        return { replica, state, pid: this.pid(replica), status };
      }),
    );
  }

  /** The replica that says it is master, with its status. */
  async master(): Promise<{ readonly replica: number; readonly status: Status } | undefined> {
    for (const { replica, status } of await this.reports()) {
      if (status?.role === "master") return { replica, status };
    }
    return undefined;
  }

  /** Waits until there is a master, and every running replica answers. */
  async waitReady(
    options: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {},
  ): Promise<number> {
    const { timeoutMs = READY_MS, signal } = options;
    return poll(
      async () => {
        this.#throwIfAnyGaveUp();
        const running = (await this.reports()).filter(({ state }) => state === "running");
        if (running.some(({ status }) => status === undefined)) return undefined;
        return running.find(({ status }) => status?.role === "master")?.replica;
      },
      {
        timeoutMs,
        everyMs: 25,
        describe: () => "the cell has no master",
        ...(signal && { signal }),
      },
    );
  }

  /** Ends every replica, and returns when no process is left. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.replicas.map((replica) => this.stop(replica)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #throwIfAnyGaveUp(): void {
    for (const { replica, child, ending } of this.#members) {
      if (child?.exit === undefined || ending) continue;
      const said = child.lastLines.join(" ").trim();
      throw new CubbyError(replicaErrorOf(child.exit), `Replica ${replica} ended: ${said}`);
    }
  }

  #member(replica: number): Member {
    const member = this.#members[replica - 1];
    if (member === undefined) throw new RangeError(`There is no replica ${replica}.`);
    return member;
  }
}

async function choosePorts(replicas: number, portBase: number | undefined): Promise<Ports[]> {
  const free = portBase === undefined ? await findFreePorts(3 * replicas) : [];
  return Array.from({ length: replicas }, (_, i) => {
    const portOf = (offset: number): number =>
      portBase === undefined ? (free[3 * i + offset] ?? 0) : portBase + i * PORT_STEP + offset;
    return { session: portOf(0), peer: portOf(1), http: portOf(2) };
  });
}

function writeConfig(member: Member, members: readonly Member[], options: LocalCellOptions): void {
  const addresses = (portOf: (ports: Ports) => number): string =>
    members.map(({ replica, ports }) => `${replica}@127.0.0.1:${portOf(ports)}`).join(",");
  const config = {
    dataDir: member.dataDirectory,
    cellName: options.cellName ?? CELL_NAME_DEFAULT,
    replicaId: member.replica,
    sessionAddress: `127.0.0.1:${member.ports.session}`,
    peerAddress: `127.0.0.1:${member.ports.peer}`,
    httpAddress: `127.0.0.1:${member.ports.http}`,
    peers: addresses((ports) => ports.peer),
    sessionAddresses: addresses((ports) => ports.session),
    segmentBytes: options.segmentBytes ?? SEGMENT_BYTES_DEFAULT,
    ...options.settings,
  };
  writeFileSync(member.configFile, `${JSON.stringify(config, undefined, 2)}\n`);
}

/** Why a replica ended by itself: its exit code is that of a row of the error table. */
function replicaErrorOf({ code }: ChildExit): ErrorCode {
  const codes = Object.keys(ERROR_CODES) as ErrorCode[];
  const isReplicaError = (each: ErrorCode): boolean => ERROR_CODES[each].id >= 200;
  return (
    codes.find((each) => isReplicaError(each) && ERROR_CODES[each].exitCode === code) ?? "internal"
  );
}
