import { REPLICA_ID_MAX } from "@cubby/paxos";
import { CHILDREN_MAX_DEFAULT, NODES_MAX_DEFAULT, SESSIONS_MAX_DEFAULT } from "@cubby/protocol";
import {
  address,
  byteCount,
  choice,
  flag,
  integer,
  matching,
  milliseconds,
  optional,
  replicaList,
  text,
  type ValueKind,
} from "./config-values.ts";
import { READ_MODES } from "./core/read-confirmation.ts";
import { LOG_LEVELS } from "./log.ts";

/** One row of the table that flags, environment, file, checks and the reference are made from. */
export type Setting<T> = {
  readonly kind: ValueKind<T>;
  /** What holds when nobody says anything, in the form of the file; undefined when it must be said. */
  readonly default: string | number | boolean | undefined;
  /** Without the dashes. */
  readonly flag: string;
  readonly help: string;
};

function setting<T>(
  kind: ValueKind<T>,
  defaultValue: string | number | boolean | undefined,
  flagName: string,
  help: string,
): Setting<T> {
  return { kind, default: defaultValue, flag: flagName, help };
}

const MINUTE_MS = 60_000;
const MIB = 1024 ** 2;

/** Every setting of a replica. Its name is its key in the file. */
export const SETTINGS = {
  dataDir: setting(
    text("directory", "a path"),
    undefined,
    "data",
    "Directory of this replica alone; formatted by `cubby init`.",
  ),
  cellName: setting(
    matching("name", /^[a-z0-9][a-z0-9_-]{0,62}$/, "a name of a-z, 0-9, - and _, at most 63 long"),
    "local",
    "cell",
    "The cell's name: its names begin with /ls/<cell>.",
  ),
  replicaId: setting(
    integer(1, REPLICA_ID_MAX),
    1,
    "replica",
    "This replica's number in the cell; never used again for another.",
  ),
  sessionAddress: setting(
    address,
    "127.0.0.1:7070",
    "session-address",
    "Where clients connect. Port 0 takes a free one.",
  ),
  peerAddress: setting(
    address,
    "127.0.0.1:7071",
    "peer-address",
    "Where the other replicas connect.",
  ),
  httpAddress: setting(
    optional(address),
    "127.0.0.1:7072",
    "http-address",
    "Where HTTP is served: calls, metrics, liveness and readiness.",
  ),
  peers: setting(
    replicaList,
    "",
    "peers",
    "The cell's replicas, this one included, by peer address. Empty: one replica alone.",
  ),
  sessionAddresses: setting(
    replicaList,
    "",
    "session-addresses",
    "The same replicas by the address that clients are sent to.",
  ),
  insecureRemote: setting(
    flag,
    false,
    "insecure-remote",
    "Allow addresses that other machines can reach, without TLS or authentication.",
  ),
  masterLeaseMs: setting(
    milliseconds(100, MINUTE_MS),
    600,
    "master-lease",
    "How long replicas withhold promises from others; bounds the time of a fail-over.",
  ),
  masterLeaseRenewMs: setting(
    milliseconds(10, 13_500),
    100,
    "master-lease-renew",
    "How often the master renews its lease, and so how late followers may learn what was chosen last.",
  ),
  heartbeatMs: setting(
    milliseconds(10, 10_000),
    100,
    "heartbeat",
    "How often replicas ask each other for signs of life.",
  ),
  electionTimeoutMs: setting(
    milliseconds(30, MINUTE_MS),
    300,
    "election-timeout",
    "Silence of the leader after which another replica stands.",
  ),
  reads: setting(
    choice(READ_MODES),
    "lease",
    "reads",
    "What reads rest on: the master's lease, or a quorum asked each time, which trusts no clock.",
  ),
  sessionsMax: setting(
    integer(1, 1_000_000),
    SESSIONS_MAX_DEFAULT,
    "sessions-max",
    "Sessions of the whole cell.",
  ),
  nodesMax: setting(
    integer(1, 10_000_000),
    NODES_MAX_DEFAULT,
    "nodes-max",
    "Files and directories of the whole cell.",
  ),
  childrenMax: setting(
    integer(1, 1_000_000),
    CHILDREN_MAX_DEFAULT,
    "children-max",
    "Files and directories in one directory.",
  ),
  connectionsMax: setting(
    integer(1, 1_000_000),
    16_000,
    "connections-max",
    "Connections of clients to this replica; each needs a file descriptor.",
  ),
  segmentBytes: setting(
    byteCount(MIB, 1024 * MIB),
    64 * MIB,
    "segment-bytes",
    "Size of one segment of the journal.",
  ),
  snapshotEvery: setting(
    integer(100, 100_000_000),
    100_000,
    "snapshot-every",
    "Slots applied between two snapshots.",
  ),
  snapshotJournalBytes: setting(
    // A checkpoint is one record of at most 1 GiB, and holds two such intervals where a snapshot rotted.
    byteCount(MIB, 256 * MIB),
    128 * MIB,
    "snapshot-journal-bytes",
    "Bytes of journal after which a snapshot is taken, however few slots they hold; or twice the last snapshot, if that is more.",
  ),
  logLevel: setting(choice(LOG_LEVELS), "info", "log-level", "What is logged, as JSON on stderr."),
} as const satisfies Record<string, Setting<never> | Setting<unknown>>;

export type SettingName = keyof typeof SETTINGS;

type ValueOf<S> = S extends Setting<infer T> ? T : never;

/** The settings of one replica, checked and frozen. */
export type ServerConfig = {
  readonly [Name in SettingName]: ValueOf<(typeof SETTINGS)[Name]>;
};

export const SETTING_NAMES = Object.keys(SETTINGS) as readonly SettingName[];

/** `CUBBY_MASTER_LEASE_MS` for `masterLeaseMs`. */
export function environmentName(name: SettingName): string {
  return `CUBBY_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/** The rows without their types, for code that treats all alike. */
export function settingOf(name: SettingName): Setting<unknown> {
  return SETTINGS[name] as Setting<unknown>;
}
