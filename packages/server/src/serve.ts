import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Cell, type CellOptions, type ReplicatedLog } from "@cubby/cell";
import { replicaId } from "@cubby/paxos";
import { CubbyError, type ErrorCode, type Status } from "@cubby/protocol";
import { type Address, addressText } from "./address.ts";
import { refuseOtherMembers } from "./cell-members.ts";
import { clientLimits, openFilesMax } from "./client-limits.ts";
import { monotonicNow } from "./clock.ts";
import type { ServerConfig } from "./config.ts";
import { clientAddresses } from "./config-addresses.ts";
import { LONG_STALL_MS, type Replica, type Trace } from "./core/replica.ts";
import { type Recovered, type ReplicaSettings, startReplica } from "./core/replica-start.ts";
import { FileDisk } from "./file-disk.ts";
import { livenessOf, readinessOf } from "./health.ts";
import { HttpLane } from "./http-lane.ts";
import { ConnectionIds, type LaneHandler } from "./lane.ts";
import type { ReplicaLog } from "./log.ts";
import { Metrics } from "./metrics.ts";
import { PEER_LANE_LIMITS, PeerLane } from "./peer-lane.ts";
import { formatDirectory, type OpenDirectory, openDirectory } from "./replica-directory.ts";
import { Runtime } from "./runtime.ts";
import { SessionLane } from "./session-lane.ts";
import { VERSION } from "./version.ts";
import { Watchdog } from "./watchdogs.ts";

/** Why a replica ended by itself; the exit status is that of the code in the error table. */
export type Ended = { readonly code: ErrorCode; readonly detail: string };

export type ServedReplica = {
  readonly sessionAddress: Address;
  readonly peerAddress: Address;
  readonly httpAddress: Address | undefined;
  status(): Status;
  /** Settles when the replica cannot go on; never after `stop`. */
  readonly ended: Promise<Ended>;
  /** Hands mastership over if it can, then closes everything. */
  stop(): Promise<void>;
  /** The replica does nothing any more, whatever comes in: for a process that is about to end. */
  halt(): void;
};

/** How long a master that is asked to stop waits for another to take over. */
const HAND_OVER_MS = 500;
const HAND_OVER_POLL_MS = 20;
/** How long a replica that stops waits for its disk. */
const DISK_CLOSE_MS = 5_000;

/**
 * Runs one replica in this process until it is stopped or ends. Throws a CubbyError when it cannot
 * start: not_formatted, wrong_directory, directory_in_use, data_damaged, address_in_use, ….
 */
export async function serve(config: ServerConfig, log: ReplicaLog): Promise<ServedReplica> {
  const directory = await openOrFormat(config, log);
  for (const note of directory.recovered.notes) log.warn(note, "recovery");
  let service: Service;
  try {
    service = new Service(config, log, directory);
  } catch (error) {
    // Nothing was asked of the disk yet. Later the service itself gives the lock back, once nothing is under way.
    directory.lock.release();
    throw error;
  }
  return service.start();
}

/** DESIGN §3 "Identity": only a replica that is a cell of its own formats its directory itself. */
async function openOrFormat(config: ServerConfig, log: ReplicaLog): Promise<OpenDirectory> {
  const expected = { cellName: config.cellName, replica: config.replicaId };
  try {
    return await openDirectory(config.dataDir, expected);
  } catch (error) {
    const isFresh = error instanceof CubbyError && error.code === "not_formatted";
    if (!isFresh || config.peers.length > 1) throw error;
    const { cellId } = await formatDirectory(config);
    log.info({ cellId, dataDir: config.dataDir }, "formatted a directory for a cell of one");
    return openDirectory(config.dataDir, expected);
  }
}

class Service {
  readonly #config: ServerConfig;
  readonly #log: ReplicaLog;
  /** Of the directory no more is kept: what recovery read is large, and the replica has it now. */
  readonly #lock: OpenDirectory["lock"];
  readonly #disk: FileDisk;
  readonly #metrics: Metrics;
  readonly #watchdog: Watchdog;
  readonly #runtime: Runtime;
  readonly #sessions: SessionLane;
  readonly #peers: PeerLane;
  readonly #http: HttpLane;
  readonly #ended: Promise<Ended>;
  #hasEnded = false;
  #lanesClosed: Promise<unknown> | undefined;
  #closed: Promise<void> | undefined;

  constructor(config: ServerConfig, log: ReplicaLog, directory: OpenDirectory) {
    this.#config = config;
    this.#log = log;
    this.#lock = directory.lock;
    const handler: LaneHandler = {
      onRequest: (connection, request) => this.#runtime.onRequest(connection, request),
      onDisconnected: (connection) => this.#runtime.onDisconnected(connection),
    };
    const ids = new ConnectionIds();
    const { session, http } = limitsOf(config, log);
    this.#sessions = new SessionLane({ ids, handler, log, limits: session });
    this.#http = new HttpLane({ ids, handler, log, limits: http, pages: this.#pages() });
    this.#peers = this.#createPeerLane(directory.recovered);
    this.#metrics = new Metrics({
      status: () => this.#runtime.status(),
      proposed: () => this.#runtime.proposed,
      lanes: { session: this.#sessions.counters, http: this.#http.counters },
      peers: this.#peers,
    });
    this.#watchdog = new Watchdog({
      onStall: (stalledMs) => {
        this.#runtime.onStalled(stalledMs);
        if (stalledMs < LONG_STALL_MS) return;
        this.#metrics.counts.stalls += 1;
        log.warn({ stalledMs }, "the event loop stood still");
      },
      onSuspend: (unseenMs, clock) => {
        this.#metrics.counts.suspends += 1;
        log.warn({ unseenMs, clock }, "time passed that the monotonic clock has not seen");
        this.#runtime.onSuspended();
      },
      onLag: (lagMs) => this.#metrics.observeLoopLag(lagMs),
    });
    this.#disk = new FileDisk(config.dataDir, (completion) => this.#runtime.onDisk(completion));
    let end: (ended: Ended) => void = () => undefined;
    this.#ended = new Promise((resolve) => {
      end = resolve;
    });
    this.#runtime = new Runtime(createReplica(config, directory.recovered), {
      disk: this.#disk,
      peers: this.#peers,
      clients: {
        send: (connection, reply, validUntil) => {
          if (this.#sessions.has(connection)) this.#sessions.send(connection, reply, validUntil);
          else this.#http.send(connection, reply, validUntil);
        },
        flush: () => this.#sessions.flush(),
      },
      beforeInput: (now) => this.#watchdog.check(now),
      onTrace: (trace) => this.#onTrace(trace),
      onJournalAppend: (tookMs) => this.#metrics.observeFsync(tookMs),
      onEnded: (ended) => {
        this.#hasEnded = true;
        // Nobody is to wait for a replica that will not answer, whatever its disk does.
        void this.#closeLanes().finally(() => end(ended));
      },
    });
    this.#watchdog.start();
  }

  #createPeerLane({ identity }: Recovered): PeerLane {
    const { cellId, replica, incarnation } = identity;
    return new PeerLane({
      self: { cellId, replicaId: replica, incarnation },
      peers: this.#config.peers.filter((peer) => peer.replicaId !== replica),
      handler: {
        onFrame: (from, claimed, bytes) => this.#runtime.onPeerFrame(from, claimed, bytes),
        // The lane itself says when a peer cannot be reached, once.
        onPeerState: (peer, { kind }) => {
          if (kind === "connected") this.#log.info({ peer }, "connected to a peer");
        },
      },
      log: this.#log,
      // With slow timers peers speak seldom, but as often as the election needs it.
      limits: { quietMs: Math.max(PEER_LANE_LIMITS.quietMs, this.#config.electionTimeoutMs) },
    });
  }

  #onTrace(trace: Trace): void {
    this.#log.debug(trace, trace.kind);
    const { counts } = this.#metrics;
    if (trace.kind === "expiryDecided") counts.sessionsExpired += 1;
    else if (trace.kind === "snapshotDurable") this.#metrics.observeSnapshot(trace.tookMs);
  }

  async start(): Promise<ServedReplica> {
    try {
      const peerAddress = await this.#peers.listen(this.#config.peerAddress);
      const sessionAddress = await this.#sessions.listen(this.#config.sessionAddress);
      const wanted = this.#config.httpAddress;
      const httpAddress = wanted === undefined ? undefined : await this.#http.listen(wanted);
      // A lane that was closed before it listened is open all the same.
      if (this.#hasEnded) await this.#closeLanesAgain();
      this.#log.info({ session: addressText(sessionAddress) }, "serving");
      return {
        peerAddress,
        sessionAddress,
        httpAddress,
        status: () => this.#runtime.status(),
        ended: this.#ended,
        stop: () => this.#stop(),
        halt: () => this.#halt(),
      };
    } catch (error) {
      // Why it did not start says more than that its disk does not answer.
      await this.#close().catch((reason) =>
        this.#log.warn({ error: reason }, "its directory stays locked"),
      );
      throw error;
    }
  }

  async #stop(): Promise<void> {
    const hasPeers = this.#config.peers.length > 1;
    if (!this.#hasEnded && hasPeers && this.#runtime.status().role === "master") {
      this.#runtime.handOver();
      const until = monotonicNow() + HAND_OVER_MS;
      while (monotonicNow() < until && this.#runtime.status().role === "master") {
        await new Promise((resolve) => setTimeout(resolve, HAND_OVER_POLL_MS));
      }
    }
    await this.#close();
  }

  #close(): Promise<void> {
    this.#closed ??= this.#closeAll();
    return this.#closed;
  }

  async #closeAll(): Promise<void> {
    await this.#closeLanes();
    const timeout = new AbortController();
    const tooLate = sleep(DISK_CLOSE_MS, false, { signal: timeout.signal, ref: false });
    const isIdle = await Promise.race([this.#disk.close().then(() => true), tooLate]);
    if (!isIdle) {
      // The lock stays: what is under way may still be written.
      throw new CubbyError("disk_failed", "The disk does not answer; end the process.");
    }
    timeout.abort();
    this.#lock.release();
  }

  #closeLanes(): Promise<unknown> {
    this.#halt();
    this.#lanesClosed ??= this.#closeLanesAgain();
    return this.#lanesClosed;
  }

  #closeLanesAgain(): Promise<unknown> {
    return Promise.all([this.#sessions, this.#http, this.#peers].map((lane) => lane.close()));
  }

  #halt(): void {
    this.#watchdog.stop();
    this.#runtime.stop();
  }

  #pages(): ConstructorParameters<typeof HttpLane>[0]["pages"] {
    return {
      metrics: () => this.#metrics.page(),
      live: () => livenessOf(this.#runtime.oldestDiskRequestMs()),
      ready: () => readinessOf(this.#runtime.status()),
    };
  }
}

function limitsOf(config: ServerConfig, log: ReplicaLog) {
  const openFiles = openFilesMax();
  const { session, refusing, http } = clientLimits(config.connectionsMax, openFiles);
  if (session < config.connectionsMax) {
    const wanted = config.connectionsMax;
    const advice = "fewer connections than configured: raise the limit of open files";
    log.warn({ openFiles, wanted, connectionsMax: session }, advice);
  }
  return {
    session: { connectionsMax: session, refusingMax: refusing },
    http: { connectionsMax: http },
  };
}

function createReplica(config: ServerConfig, recovered: Recovered): Replica {
  const settings = {
    engine: engineOptions(config),
    journal: { segmentBytes: config.segmentBytes, snapshotEveryBytes: config.snapshotJournalBytes },
    createCell: (port: ReplicatedLog) => new Cell(cellOptions(config), port),
    snapshotEverySlots: config.snapshotEvery,
    reads: config.reads,
    version: VERSION,
    processId: process.pid,
  };
  const result = startReplica(recovered, settings, monotonicNow());
  if (result.kind === "started") {
    refuseOtherMembers(config, result.replica.facts(monotonicNow()));
    return result.replica;
  }
  throw new CubbyError(
    "data_damaged",
    `The journal's records do not fit together: ${result.reason}. The replica does not start.`,
  );
}

/** How far the time before an election grows while none succeeds. */
const BACK_OFF_MAX = 4;

function engineOptions(config: ServerConfig): ReplicaSettings["engine"] {
  const ids = config.peers.length === 0 ? [config.replicaId] : config.peers.map((p) => p.replicaId);
  return {
    members: ids.map(replicaId),
    seed: randomBytes(16).toString("hex"),
    leaseMs: config.masterLeaseMs,
    leaseRenewMs: config.masterLeaseRenewMs,
    roundMs: config.heartbeatMs,
    electionTimeoutMs: config.electionTimeoutMs,
    electionTimeoutMsMax: BACK_OFF_MAX * config.electionTimeoutMs,
  };
}

function cellOptions(config: ServerConfig): CellOptions {
  return {
    cellName: config.cellName,
    replicaId: config.replicaId,
    replicas: clientAddresses(config).map((at) => ({
      replicaId: at.replicaId,
      address: addressText(at),
    })),
    keyMaterial: randomBytes(16),
    quotas: {
      sessionsMax: config.sessionsMax,
      nodesMax: config.nodesMax,
      childrenMax: config.childrenMax,
    },
  };
}
