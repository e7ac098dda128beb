import { assert } from "@cubby/base";
import { PRIORITY_MAX, type ReplicaId } from "./ballot.ts";
import * as limits from "./limits.ts";
import { LEASE_MS_MAX } from "./log-entry.ts";
import { leaseRenewMsMax } from "./master-lease.ts";

/** How a replica is set up. Everything but the first four fields has a default. */
export type PaxosOptions = {
  readonly self: ReplicaId;
  /** The random text that tells this life of the directory from any other under the same id. */
  readonly incarnation: string;
  /** All ids of the cell, ours included. A recorded configuration overrides it. */
  readonly members: readonly ReplicaId[];
  /** Of this process alone: two lives of a replica must not draw the same numbers. */
  readonly seed: string;
  readonly priority?: number;
  readonly leaseMs?: number;
  readonly leaseRenewMs?: number;
  readonly driftPerMille?: number;
  readonly roundMs?: number;
  readonly electionTimeoutMs?: number;
  readonly electionTimeoutMsMax?: number;
  readonly retransmitMs?: number;
  readonly batchEntriesMax?: number;
  readonly batchBytesMax?: number;
  readonly unchosenEntriesMax?: number;
  readonly unchosenBytesMax?: number;
  readonly windowEntriesMax?: number;
  readonly windowBytesMax?: number;
  readonly retainSlots?: number;
  readonly retainBytes?: number;
  readonly snapshotPartBytes?: number;
  readonly learnBytes?: number;
};

export type Settings = Required<PaxosOptions> & {
  readonly peers: readonly ReplicaId[];
  readonly quorum: number;
};

/** Fills in the defaults, and refuses settings whose relations do not hold. */
export function settle(options: PaxosOptions, recordedIds: readonly ReplicaId[]): Settings {
  const ids = recordedIds.length > 0 ? recordedIds : options.members;
  const members = [...ids].sort((a, b) => a - b);
  const settings: Settings = {
    priority: 0,
    leaseMs: limits.LEASE_MS,
    leaseRenewMs: limits.LEASE_RENEW_MS,
    driftPerMille: limits.DRIFT_PER_MILLE,
    roundMs: limits.ROUND_MS,
    electionTimeoutMs: limits.ELECTION_TIMEOUT_MS,
    electionTimeoutMsMax: limits.ELECTION_TIMEOUT_MS_MAX,
    retransmitMs: limits.RETRANSMIT_MS,
    batchEntriesMax: limits.BATCH_ENTRIES_MAX,
    batchBytesMax: limits.BATCH_BYTES_MAX,
    unchosenEntriesMax: limits.UNCHOSEN_ENTRIES_MAX,
    unchosenBytesMax: limits.UNCHOSEN_BYTES_MAX,
    windowEntriesMax: limits.WINDOW_ENTRIES_MAX,
    windowBytesMax: limits.WINDOW_BYTES_MAX,
    retainSlots: limits.RETAIN_SLOTS,
    retainBytes: limits.RETAIN_BYTES,
    snapshotPartBytes: limits.SNAPSHOT_PART_BYTES,
    learnBytes: limits.LEARN_BYTES,
    ...options,
    members,
    peers: members.filter((id) => id !== options.self),
    quorum: Math.floor(members.length / 2) + 1,
  };
  check(settings);
  return settings;
}

function check(settings: Settings): void {
  const { members, incarnation } = settings;
  assert(members.includes(settings.self), "a replica is a member of its cell");
  assert(new Set(members).size === members.length, "every member has an id of its own");
  assert(members.length <= limits.MEMBERS_MAX, "a cell has no more members than messages can name");
  assert(
    incarnation.length >= 1 && incarnation.length <= limits.INCARNATION_LENGTH_MAX,
    "an incarnation is 1 to 64 characters",
  );
  assert(settings.priority >= 0 && settings.priority <= PRIORITY_MAX, "a priority is 0 to 1023");
  assert(settings.leaseMs >= 1 && settings.leaseMs <= LEASE_MS_MAX, "a lease is at most a minute");
  assert(
    settings.leaseRenewMs <= leaseRenewMsMax(settings.leaseMs, settings.driftPerMille),
    "a lease survives two lost rounds",
  );
  assert(
    settings.driftPerMille >= 0 && settings.driftPerMille <= limits.DRIFT_PER_MILLE_MAX,
    "a clock's drift is at most half of its rate",
  );
  assert(settings.roundMs * 2 <= settings.electionTimeoutMs, "one lost heartbeat is no election");
  assert(settings.electionTimeoutMs <= settings.electionTimeoutMsMax, "timeouts grow, not shrink");
  assert(settings.batchEntriesMax <= settings.windowEntriesMax, "a window takes a batch");
  assert(settings.batchBytesMax <= limits.BATCH_BYTES_MAX, "a batch fits a message");
  assert(settings.batchBytesMax <= settings.windowBytesMax, "a window takes a batch");
}
