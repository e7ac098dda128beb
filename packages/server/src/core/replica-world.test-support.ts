/**
 * Whole replicas in virtual time: the real engine, cell and journal of each over a simulated disk,
 * with links, clocks and processes that fail as the test says. It does what the shell does (runtime,
 * lanes) and decides nothing. True time is in ms; one seed makes one run.
 */

import { assert, type Instant, instant, NEVER, Rng, toHex } from "@cubby/base";
import { Cell, type CellOptions, type ConnectionId } from "@cubby/cell";
import { decodeMessage, type PaxosMessage, type PaxosOptions, replicaId } from "@cubby/paxos";
import { ERROR_CODES, Reply, Request } from "@cubby/protocol";
import type { DiskRequest } from "./disk.ts";
import type { DirectoryIdentity } from "./identity.ts";
import { SMALL } from "./journal.test-support.ts";
import type { JournalOptions } from "./journal.ts";
import { format } from "./journal-format.ts";
import { type RecoverResult, recover } from "./journal-recovery.ts";
import type { OutgoingReply, Replica, ReplicaInput, ReplicaOutput, Trace } from "./replica.ts";
import { startReplica } from "./replica-start.ts";
import { type CrashModel, drive, SimDisk, STOPPED } from "./simulated-disk.ts";
import { VirtualTime } from "./virtual-time.test-support.ts";

export type WorldOptions = {
  readonly replicas: number;
  readonly seed: string;
  readonly snapshotEverySlots?: number;
  readonly reads?: "lease" | "quorum";
  readonly journal?: Partial<JournalOptions>;
  readonly engine?: Partial<PaxosOptions>;
  readonly cell?: Partial<CellOptions>;
  /** Each replica's clock runs at a rate within this of true time. */
  readonly driftPerMille?: number;
};

/** One connection to each replica that is up, made on first use. */
export type ClientEnd = {
  onReply(replica: number, reply: Reply): void;
  onClosed(replica: number): void;
};

export type Host = {
  readonly id: number;
  identity: DirectoryIdentity;
  disk: SimDisk;
  /** Counts starts: what was under way in an earlier life reaches nobody. */
  life: number;
  replica: Replica | undefined;
  cell: Cell | undefined;
  /** What the last start found, and how the last life ended if it did so by itself. */
  recovery: RecoverResult["kind"] | "contradiction" | undefined;
  ended: ReplicaOutput["ended"];
  inbox: ReplicaInput[];
  isTurnDue: boolean;
  wakeAt: number;
  pausedSince: number;
  pausedUntil: number;
  /** How long a disk request takes; undefined: drawn for each. */
  diskMs: number | ((request: DiskRequest) => number) | undefined;
  readonly clockOffset: number;
  readonly clockRate: number;
  readonly trace: { readonly at: number; readonly event: Trace }[];
};

type Connection = { readonly client: ClientEnd; readonly host: Host; readonly life: number };

const TURN_MS = 0.02;
/** As the watchdog of the shell has them. */
const STALL_MS = 200;
const PERIOD_MS = 50;
const CELL_ID = "00112233445566778899aabbccddeeff";

export class World {
  readonly options: WorldOptions;
  readonly rng: Rng;
  readonly time = new VirtualTime();
  lossRate = 0;
  /** Sees each frame at the moment it leaves. */
  onLeave: ((from: Host, to: number, message: PaxosMessage) => void) | undefined;
  /** Called after each turn of a replica. */
  onTurn: ((host: Host) => void) | undefined;
  /** Faults of a shell, to show what the guards against them are good for. */
  readonly sabotage = { readsClockBeforeInput: false, ignoresValidUntil: false };
  readonly #hosts = new Map<number, Host>();
  readonly #cut = new Set<string>();
  /** Links keep their order, as TCP does. */
  readonly #lastArrival = new Map<string, number>();
  readonly #connections = new Map<number, Connection>();
  readonly #connectionOf = new Map<ClientEnd, Map<number, number>>();
  #nextConnection = 1;

  constructor(options: WorldOptions) {
    this.options = options;
    this.rng = new Rng(options.seed);
    for (let id = 1; id <= options.replicas; id += 1) this.#hosts.set(id, this.#newHost(id));
  }

  startAll(): this {
    for (const id of this.ids) if (this.host(id).replica === undefined) this.start(id);
    return this;
  }

  get ids(): readonly number[] {
    return [...this.#hosts.keys()];
  }

  get hosts(): readonly Host[] {
    return [...this.#hosts.values()];
  }

  host(id: number): Host {
    const host = this.#hosts.get(id);
    assert(host !== undefined, "the replica exists");
    return host;
  }

  localNow(host: Host, time = this.time.now): Instant {
    return instant(Math.floor(time * host.clockRate + host.clockOffset));
  }

  /** The replica that would answer now, if there is one. */
  master(): number | undefined {
    const serving = this.hosts.filter((host) => {
      if (host.replica === undefined || host.pausedUntil > this.time.now) return false;
      return host.cell?.status(this.localNow(host)).isServing;
    });
    assert(serving.length <= 1, "at most one replica holds the master lease");
    return serving[0]?.id;
  }

  // Time

  run(ms: number): void {
    this.time.runUntil(() => false, ms);
  }

  runUntil(condition: () => boolean, maxMs: number): number | undefined {
    return this.time.runUntil(condition, maxMs);
  }

  // Faults

  /** Recovers the directory as a process that starts does, and goes on from there if it may. */
  start(id: number): RecoverResult {
    const host = this.host(id);
    assert(host.replica === undefined, "a replica is started once");
    host.life += 1;
    host.ended = undefined;
    const result = drive(host.disk, recover({ expected: { cellName: "local", replica: id } }));
    host.recovery = result.kind;
    if (result.kind !== "recovered") return result;
    const { snapshotEverySlots = 1_000_000, reads = "lease", journal, engine, seed } = this.options;
    const settings = {
      engine: { members: this.ids.map(replicaId), seed: `${seed}/${id}/${host.life}`, ...engine },
      journal: { ...SMALL, ...journal },
      createCell: (log: ConstructorParameters<typeof Cell>[1]) => {
        host.cell = new Cell(this.#cellOptions(id), log);
        return host.cell;
      },
      snapshotEverySlots,
      reads,
      version: "test",
      processId: id,
    };
    const started = startReplica(result, settings, this.localNow(host));
    if (started.kind === "contradiction") host.recovery = started.kind;
    else host.replica = started.replica;
    host.wakeAt = NEVER;
    this.#scheduleTurn(host);
    return result;
  }

  /** Stops the process and the machine under it: every write under way may half count. */
  crash(id: number, model: CrashModel = STOPPED): void {
    const host = this.host(id);
    if (host.replica === undefined) return;
    this.#stop(host);
    host.disk = host.disk.crash(this.rng, model);
  }

  /** A directory formatted anew, under the same replica id. */
  wipe(id: number, identity: Partial<DirectoryIdentity> = {}): void {
    const host = this.host(id);
    assert(host.replica === undefined, "a running replica's directory is left alone");
    host.identity = { ...host.identity, incarnation: toHex(this.rng.bytes(16)), ...identity };
    host.disk = formattedDisk(host.identity);
  }

  /** Stands still; what comes meanwhile is handed in afterwards. */
  pause(id: number, ms: number): void {
    const host = this.host(id);
    host.pausedSince = this.time.now;
    host.pausedUntil = this.time.now + ms;
  }

  cut(from: number, to: number): void {
    this.#cut.add(`${from}>${to}`);
  }

  /** Leaves only these links, each in both directions. */
  onlyLinks(links: readonly (readonly [number, number])[]): void {
    this.heal();
    const kept = new Set(links.flatMap(([a, b]) => [`${a}>${b}`, `${b}>${a}`]));
    for (const a of this.ids) {
      for (const b of this.ids) if (a !== b && !kept.has(`${a}>${b}`)) this.cut(a, b);
    }
  }

  heal(): void {
    this.#cut.clear();
  }

  // What the shell does

  input(id: number, input: ReplicaInput): void {
    const host = this.host(id);
    if (host.replica === undefined) return;
    host.inbox.push(input);
    this.#scheduleTurn(host);
  }

  #scheduleTurn(host: Host): void {
    if (host.isTurnDue) return;
    host.isTurnDue = true;
    const { life } = host;
    const turn = (): void => {
      if (host.life !== life || host.replica === undefined) return;
      if (host.pausedUntil > this.time.now) this.time.at(host.pausedUntil, turn);
      else this.#turn(host, host.replica);
    };
    this.time.at(Math.max(this.time.now + TURN_MS, host.pausedUntil), turn);
  }

  /** A turn of the event loop: all that has come in, then all that comes out. */
  #turn(host: Host, replica: Replica): void {
    host.isTurnDue = false;
    let now = this.localNow(host);
    const pausedMs = (host.pausedUntil - host.pausedSince) * host.clockRate;
    const stalledMs = Math.round(pausedMs) - PERIOD_MS;
    const { inbox } = host;
    host.inbox = [];
    if (stalledMs >= STALL_MS) {
      if (this.sabotage.readsClockBeforeInput) {
        now = this.localNow(host, host.pausedSince);
      } else replica.step(now, { kind: "stalled", stalledMs });
      // Each socket is read in its turn: what came first is not what is read first.
      inbox.sort((a, b) => Number(b.kind === "request") - Number(a.kind === "request"));
    }
    host.pausedSince = host.pausedUntil;
    for (const input of inbox) replica.step(now, input);
    this.#carryOut(host, replica.take());
    this.onTurn?.(host);
  }

  #carryOut(host: Host, output: ReplicaOutput): void {
    const at = this.time.now;
    for (const event of output.trace) host.trace.push({ at, event });
    if (output.ended !== undefined) {
      this.#stop(host);
      host.ended = output.ended;
      return;
    }
    for (const { to, bytes } of output.peerFrames) {
      this.onLeave?.(host, to, decodeMessage(bytes));
      this.#transmit(host, to, bytes);
    }
    for (const reply of output.replies) this.#reply(host, reply);
    host.disk.submit(output.disk);
    for (const request of output.disk) this.#completeLater(host, request);
    this.#armWake(host, output.wakeAt);
  }

  #transmit(host: Host, to: number, bytes: Uint8Array): void {
    const link = `${host.id}>${to}`;
    if (this.#cut.has(link) || this.rng.chance(this.lossRate)) return;
    const { incarnation } = host.identity;
    const from = replicaId(host.id);
    const { life } = this.host(to);
    this.#arriveLater(link, () => {
      if (this.#cut.has(link) || this.host(to).life !== life) return;
      this.input(to, { kind: "peerFrame", from, incarnation, bytes });
    });
  }

  /** Bytes that each disk moves in a millisecond, one request after the other; 0: no such limit. */
  diskBytesPerMs = 0;
  readonly #diskFreeAt = new Map<Host, number>();

  #completeLater(host: Host, request: DiskRequest): void {
    const { id } = request;
    const { disk, life } = host;
    const { diskMs } = host;
    const fixedMs = typeof diskMs === "function" ? diskMs(request) : diskMs;
    let delayMs = fixedMs ?? 0.1 + this.rng.below(300) / 1000;
    if (this.diskBytesPerMs > 0) {
      const size =
        request.kind === "write"
          ? request.bytes.length
          : request.kind === "read"
            ? request.sizeBytes
            : 0;
      const from = Math.max(this.time.now, this.#diskFreeAt.get(host) ?? 0);
      this.#diskFreeAt.set(host, from + size / this.diskBytesPerMs);
      delayMs += from + size / this.diskBytesPerMs - this.time.now;
    }
    this.time.at(this.time.now + delayMs, () => {
      if (host.disk !== disk || host.life !== life) return;
      const index = disk.waiting.findIndex((request) => request.id === id);
      this.input(host.id, { kind: "disk", completion: disk.complete(index) });
    });
  }

  #armWake(host: Host, wakeAt: Instant): void {
    if (wakeAt === NEVER) return;
    // Just behind the instant, since the clock shows whole milliseconds.
    const at = Math.max((wakeAt - host.clockOffset) / host.clockRate + 0.001, this.time.now);
    if (host.wakeAt <= at) return;
    host.wakeAt = at;
    const { life } = host;
    this.time.at(at, () => {
      if (host.life !== life || host.wakeAt !== at) return;
      host.wakeAt = NEVER;
      this.input(host.id, { kind: "wake" });
    });
  }

  #arriveLater(link: string, run: () => void): void {
    const soonest = this.time.now + 0.1 + this.rng.below(400) / 1000;
    const at = Math.max(soonest, this.#lastArrival.get(link) ?? 0);
    this.#lastArrival.set(link, at);
    this.time.at(at, run);
  }

  #stop(host: Host): void {
    host.replica = undefined;
    host.cell = undefined;
    host.life += 1;
    host.inbox = [];
    host.isTurnDue = false;
    host.pausedUntil = 0;
    host.pausedSince = 0;
    for (const [id, at] of this.#connections) {
      if (at.host === host) this.#arriveLater(`c${id}<`, () => this.#close(id));
    }
  }

  // Clients

  request(client: ClientEnd, id: number, request: Request): void {
    const host = this.host(id);
    const connection = this.#connection(client, host);
    const bytes = Request.encode(request).finish();
    this.#arriveLater(`c${connection}>`, () => {
      const at = this.#connections.get(connection);
      if (at === undefined) return;
      if (host.replica === undefined || at.life !== host.life) {
        this.#close(connection);
        return;
      }
      const request = Request.decode(bytes);
      this.input(id, { kind: "request", connection: connection as ConnectionId, request });
    });
  }

  /** Its connection to this replica breaks, and the replica hears of it. */
  disconnect(client: ClientEnd, id: number): void {
    const connection = this.#connection(client, this.host(id));
    this.#close(connection);
    this.input(id, { kind: "disconnected", connection: connection as ConnectionId });
  }

  #reply(host: Host, { to, reply, validUntil }: OutgoingReply): void {
    const connection = this.#connections.get(to);
    if (connection === undefined) return;
    const isStale = validUntil <= this.localNow(host) && !this.sabotage.ignoresValidUntil;
    const bytes = Reply.encode(isStale ? noQuorum(reply.tag) : reply).finish();
    this.#arriveLater(`c${to}<`, () => {
      if (this.#connections.get(to) !== connection) return;
      connection.client.onReply(host.id, Reply.decode(bytes));
    });
  }

  #connection(client: ClientEnd, host: Host): number {
    const byReplica = this.#connectionOf.get(client) ?? new Map<number, number>();
    this.#connectionOf.set(client, byReplica);
    const known = byReplica.get(host.id);
    if (known !== undefined) return known;
    const connection = this.#nextConnection;
    this.#nextConnection += 1;
    byReplica.set(host.id, connection);
    this.#connections.set(connection, { client, host, life: host.life });
    return connection;
  }

  #close(connection: number): void {
    const at = this.#connections.get(connection);
    if (at === undefined) return;
    this.#connections.delete(connection);
    this.#connectionOf.get(at.client)?.delete(at.host.id);
    at.client.onClosed(at.host.id);
  }

  // Set-up and reports

  traces(kind: string): { at: number; replica: number; event: Trace }[] {
    const all = this.hosts.flatMap(({ id, trace }) =>
      trace.map((entry) => ({ ...entry, replica: id })),
    );
    return all.filter(({ event }) => event.kind === kind).sort((a, b) => a.at - b.at);
  }

  /** For the message of a run that failed. */
  report(): string {
    const states = this.hosts.map((host) => {
      const { id, replica, ended, recovery } = host;
      if (replica === undefined) return `${id}: down, ${recovery} ${JSON.stringify(ended)}`;
      return `${id}: ${JSON.stringify(replica.facts(this.localNow(host)))}`;
    });
    const last = this.hosts
      .flatMap(({ id, trace }) => trace.slice(-40).map((entry) => ({ id, ...entry })))
      .sort((a, b) => a.at - b.at)
      .map(({ at, id, event }) => `${at.toFixed(1)} ${id} ${JSON.stringify(event)}`);
    const head = `seed ${this.options.seed}, at ${this.time.now.toFixed(1)} ms`;
    return [head, ...states, ...last.slice(-80)].join("\n");
  }

  #newHost(id: number): Host {
    const incarnation = toHex(this.rng.bytes(16));
    const { driftPerMille: drift = 0 } = this.options;
    const identity = { cellId: CELL_ID, cellName: "local", replica: id, incarnation };
    return {
      id,
      identity,
      disk: formattedDisk(identity),
      life: 0,
      replica: undefined,
      cell: undefined,
      recovery: undefined,
      ended: undefined,
      inbox: [],
      isTurnDue: false,
      wakeAt: NEVER,
      pausedSince: 0,
      pausedUntil: 0,
      diskMs: undefined,
      clockOffset: this.rng.below(1_000_000),
      clockRate: 1 + this.rng.between(-drift, drift) / 1_000,
      trace: [],
    };
  }

  #cellOptions(id: number): CellOptions {
    const replicas = this.ids.map((replica) => ({
      replicaId: replica,
      address: `127.0.0.1:${7000 + replica}`,
    }));
    const keyMaterial = this.rng.bytes(16);
    return { cellName: "local", replicaId: id, replicas, keyMaterial, ...this.options.cell };
  }
}

function formattedDisk(identity: DirectoryIdentity): SimDisk {
  const disk = new SimDisk();
  const { segmentBytes } = SMALL;
  const result = drive(disk, format({ identity, segmentBytes }));
  assert(result.kind === "formatted", "an empty directory can be formatted");
  return disk;
}

function noQuorum(tag: number): Reply {
  const { id: code } = ERROR_CODES.no_quorum;
  const value = { code, detail: "the lease ended", masterId: 0, masterAddress: "" };
  return { tag, clientEpoch: 0, result: { $case: "error", value } };
}
