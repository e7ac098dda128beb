import { errorCodeOf, Status } from "@cubby/protocol";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { knowsMaster } from "./health.ts";
import { CALL_NAMES } from "./http-calls.ts";
import type { LaneCounters } from "./lane.ts";
import { OpenDescriptors } from "./open-descriptors.ts";
import type { PeerLaneCounters } from "./peer-lane.ts";

/** Where the numbers are kept; read when somebody scrapes, so that the hot path only adds. */
export type MetricsSources = {
  status(): Status;
  /** Commands proposed since the start. */
  proposed(): number;
  readonly lanes: { readonly session: LaneCounters; readonly http: LaneCounters };
  readonly peers: {
    readonly counters: PeerLaneCounters;
    peers(): readonly { readonly replicaId: number; readonly connected: boolean }[];
  };
};

/** What only the shell and the trace know. Plain numbers: the owner adds to them. */
export type ReplicaCounters = {
  sessionsExpired: number;
  suspends: number;
  stalls: number;
};

const SECONDS = 1_000;
const FSYNC_BUCKETS = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1];
const LAG_BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5];
const SNAPSHOT_BUCKETS = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60];

/**
 * One replica's metrics, in a registry of its own so that several replicas can live in a process.
 * Names are stable, begin with `cubby_`, and end in their base unit.
 */
export class Metrics {
  readonly counts: ReplicaCounters = {
    sessionsExpired: 0,
    suspends: 0,
    stalls: 0,
  };
  readonly registry = new Registry();
  readonly #journalFsync = this.#histogram(
    "journal_fsync_seconds",
    "Time of one durable append to the journal.",
    FSYNC_BUCKETS,
  );
  readonly #snapshot = this.#histogram(
    "snapshot_seconds",
    "Time from taking a snapshot to its being durable.",
    SNAPSHOT_BUCKETS,
  );
  readonly #loopLag = this.#histogram(
    "event_loop_lag_seconds",
    "How late a timer of this replica ran.",
    LAG_BUCKETS,
  );

  readonly #sources: MetricsSources;
  /** Read once for each page. */
  #status: Status;

  constructor(sources: MetricsSources) {
    this.#sources = sources;
    this.#status = Status.create();
    this.#addConsensus(sources);
    this.#addCell();
    this.#addPeers(sources);
    this.#addLanes(sources);
    this.#addProcess();
  }

  observeFsync(durationMs: number): void {
    this.#journalFsync.observe(durationMs / SECONDS);
  }

  observeSnapshot(durationMs: number): void {
    this.#snapshot.observe(durationMs / SECONDS);
  }

  observeLoopLag(lagMs: number): void {
    this.#loopLag.observe(lagMs / SECONDS);
  }

  /** The page that Prometheus reads. */
  async page(): Promise<{ contentType: string; text: string }> {
    this.#status = this.#sources.status();
    return { contentType: this.registry.contentType, text: await this.registry.metrics() };
  }

  /** Name, kind, labels and meaning of every metric in Markdown, for `docs/reference/metrics.md`. */
  reference(): string {
    // They have names of labels, too, which their type does not say.
    const all: readonly {
      name: string;
      type: unknown;
      help: string;
      labelNames?: readonly string[];
    }[] = this.registry.getMetricsAsArray();
    const rows = all.map(({ name, type, help, labelNames = [] }) => {
      const labels = labelNames.map((label) => `\`${label}\``).join(", ");
      return `| \`${name}\` | ${String(type)} | ${labels} | ${help} |`;
    });
    return ["| metric | kind | labels | meaning |", "| --- | --- | --- | --- |", ...rows, ""].join(
      "\n",
    );
  }

  #addConsensus(sources: MetricsSources): void {
    const status = (): Status => this.#status;
    this.#gauge("has_leader", "1 when this replica knows a master.", () =>
      knowsMaster(status()) ? 1 : 0,
    );
    this.#gauge("is_master", "1 when this replica is the master.", () =>
      isMaster(status()) ? 1 : 0,
    );
    this.#gauge(
      "master_lease_left_seconds",
      "What is left of the master lease; 0 at other replicas.",
      () => status().leaseLeftMs / SECONDS,
    );
    // Learned anew at each start: to a counter that would be a reset, and its return as many masters.
    this.#gauge(
      "master_changes_total",
      "Masters that the cell has had, as far as this replica knows; it learns that anew at each start.",
      () => status().clientEpoch,
    );
    this.#counter("proposals_total", "Commands that this replica proposed.", () =>
      sources.proposed(),
    );
    this.#gauge(
      "proposals_pending",
      "Accepted here and not yet known to be chosen; a follower learns that with the next write or lease round.",
      () => {
        const { accepted, chosen } = status();
        return Math.max(0, accepted - chosen);
      },
    );
    this.#gauge("accepted_slot", "Last slot accepted by this replica.", () => status().accepted);
    this.#gauge("chosen_slot", "Last slot known to be chosen.", () => status().chosen);
    this.#gauge("applied_slot", "Last slot applied to the cell's state.", () => status().applied);
    this.#gauge("snapshot_slot", "Slot of the last durable snapshot.", () => status().snapshotSlot);
    this.#gauge("journal_bytes", "Bytes of journal on disk.", () => status().journalBytes);
  }

  #addCell(): void {
    const status = (): Status => this.#status;
    this.#gauge("sessions", "Sessions of the cell.", () => status().sessions);
    this.#gauge("locks_held", "Locks that are held.", () => status().locksHeld);
    this.#gauge("nodes", "Files and directories.", () => status().nodes);
    this.#counter(
      "session_expired_total",
      "Sessions that this replica expired as master.",
      () => this.counts.sessionsExpired,
    );
    this.#counter(
      "clock_suspend_detected_total",
      "Times that the machine was found to have been suspended.",
      () => this.counts.suspends,
    );
    this.#counter(
      "event_loop_stalls_total",
      "Times that the event loop stood still.",
      () => this.counts.stalls,
    );
  }

  #addPeers({ peers }: MetricsSources): void {
    this.#labeledGauge(
      "peer_connected",
      "1 when this replica's connection to the peer is up.",
      "peer",
      () => peers.peers().map((peer) => [`${peer.replicaId}`, peer.connected ? 1 : 0]),
    );
    this.#labeledGauge(
      "peer_accepted_slot",
      "Last slot that the peer is known to have accepted; at the master.",
      "peer",
      () => this.#status.peers.map((peer) => [`${peer.replicaId}`, peer.acceptedSlot]),
    );
    this.#labeledGauge(
      "peer_last_heard_seconds",
      "Time since the peer was last heard; left out while it has not been heard since the start.",
      "peer",
      () =>
        this.#status.peers
          // Never heard is told as 0, too; but one that was heard just now is connected.
          .filter((peer) => peer.connected || peer.lastHeardMs > 0)
          .map((peer) => [`${peer.replicaId}`, peer.lastHeardMs / SECONDS]),
    );
    const { counters } = peers;
    this.#labeledCounter("peer_bytes_total", "Bytes between replicas.", "direction", () => [
      ["in", counters.bytesIn],
      ["out", counters.bytesOut],
    ]);
    this.#labeledCounter("peer_frames_total", "Frames between replicas.", "direction", () => [
      ["in", counters.framesIn],
      ["out", counters.framesOut],
    ]);
    this.#counter(
      "peer_frames_dropped_total",
      "Frames for peers that were away or did not keep up.",
      () => counters.droppedTotal,
    );
    this.#counter("peer_dials_total", "Attempts to connect to peers.", () => counters.dialsTotal);
    this.#counter(
      "peer_connections_refused_total",
      "Connections of peers that were turned away.",
      () => counters.refusedTotal,
    );
  }

  #addLanes({ lanes }: MetricsSources): void {
    const requests = new Counter({
      name: "cubby_requests_total",
      help: "Requests of clients.",
      labelNames: ["lane", "call"],
      registers: [this.registry],
      collect: () => {
        requests.reset();
        for (const [lane, counters] of lanesOf(lanes)) {
          for (const call of CALL_NAMES) requests.inc({ lane, call }, counters.requests[call]);
        }
      },
    });
    const errors = new Counter({
      name: "cubby_request_errors_total",
      help: "Error replies to clients, by code of the error table.",
      labelNames: ["lane", "code"],
      registers: [this.registry],
      collect: () => {
        errors.reset();
        for (const [lane, counters] of lanesOf(lanes)) {
          for (const [id, count] of counters.errors)
            errors.inc({ lane, code: errorCodeOf(id) }, count);
        }
      },
    });
    const bytes = new Counter({
      name: "cubby_client_bytes_total",
      help: "Bytes to and from clients; of HTTP, those of connections that have ended.",
      labelNames: ["lane", "direction"],
      registers: [this.registry],
      collect: () => {
        bytes.reset();
        for (const [lane, counters] of lanesOf(lanes)) {
          bytes.inc({ lane, direction: "in" }, counters.bytesIn);
          bytes.inc({ lane, direction: "out" }, counters.bytesOut);
        }
      },
    });
    const perLane = (field: LaneNumber) => () =>
      lanesOf(lanes).map(([lane, counters]): [string, number] => [lane, counters[field]]);
    this.#labeledGauge("connections", "Connections of clients.", "lane", perLane("connections"));
    this.#labeledCounter(
      "connections_total",
      "Connections of clients so far.",
      "lane",
      perLane("connectionsTotal"),
    );
    this.#labeledCounter(
      "connections_refused_total",
      "Connections turned away at the cap, or ended with a call above it.",
      "lane",
      perLane("refusedTotal"),
    );
    this.#labeledCounter(
      "connections_bad_total",
      "Connections closed for what they sent, or did not send in time.",
      "lane",
      perLane("badTotal"),
    );
    this.#labeledCounter(
      "connections_slow_total",
      "Connections closed because they did not read.",
      "lane",
      perLane("slowTotal"),
    );
  }

  #addProcess(): void {
    this.#counter("process_cpu_seconds_total", "CPU time of the process.", () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1_000_000;
    });
    this.#gauge("process_resident_memory_bytes", "Memory of the process.", () =>
      process.memoryUsage.rss(),
    );
    this.#gauge("process_uptime_seconds", "Time since the process started.", () =>
      process.uptime(),
    );
    const open = new OpenDescriptors();
    const descriptors = new Gauge({
      name: "cubby_process_open_fds",
      help: "Open file descriptors; 0 where the system does not tell.",
      registers: [this.registry],
      collect: async () => {
        descriptors.set(await open.count());
      },
    });
  }

  #histogram(name: string, help: string, buckets: number[]): Histogram {
    return new Histogram({ name: `cubby_${name}`, help, buckets, registers: [this.registry] });
  }

  #gauge(name: string, help: string, read: () => number): void {
    const gauge = new Gauge({
      name: `cubby_${name}`,
      help,
      registers: [this.registry],
      collect: () => {
        gauge.set(read());
      },
    });
  }

  #counter(name: string, help: string, read: () => number): void {
    const counter = new Counter({
      name: `cubby_${name}`,
      help,
      registers: [this.registry],
      collect: () => {
        counter.reset();
        counter.inc(read());
      },
    });
  }

  #labeledGauge(name: string, help: string, label: string, read: () => [string, number][]): void {
    const gauge = new Gauge({
      name: `cubby_${name}`,
      help,
      labelNames: [label],
      registers: [this.registry],
      collect: () => {
        gauge.reset();
        for (const [key, value] of read()) gauge.set({ [label]: key }, value);
      },
    });
  }

  #labeledCounter(name: string, help: string, label: string, read: () => [string, number][]): void {
    const counter = new Counter({
      name: `cubby_${name}`,
      help,
      labelNames: [label],
      registers: [this.registry],
      collect: () => {
        counter.reset();
        for (const [key, value] of read()) counter.inc({ [label]: key }, value);
      },
    });
  }
}

type LaneNumber = Exclude<keyof LaneCounters, "requests" | "errors">;

function lanesOf(lanes: MetricsSources["lanes"]): [string, LaneCounters][] {
  return [
    ["session", lanes.session],
    ["http", lanes.http],
  ];
}

function isMaster(status: Status): boolean {
  return status.role === "master" && status.masterId === status.replicaId;
}
