/** From what recovery found in a directory to the replica that goes on from there. */

import { DecodeError, type Instant } from "@cubby/base";
import type { Cell, ReplicatedLog } from "@cubby/cell";
import {
  type PaxosOptions,
  PaxosReplica,
  type RecoveredLog,
  RecoveryError,
  recoverLog,
  replicaId,
} from "@cubby/paxos";
import { engineBallot, fromJournal } from "./engine-record.ts";
import { Journal, type JournalOptions } from "./journal.ts";
import type { RecoverResult } from "./journal-recovery.ts";
import type { ReadMode } from "./read-confirmation.ts";
import { Replica } from "./replica.ts";

/** Less would be news of a moment, and not of a peer. */
const CONNECTED_MS_MIN = 1_000;

export type Recovered = Extract<RecoverResult, { kind: "recovered" }>;

export type ReplicaSettings = {
  readonly engine: Omit<PaxosOptions, "self" | "incarnation">;
  readonly journal: Partial<JournalOptions>;
  readonly createCell: (log: ReplicatedLog) => Cell;
  readonly snapshotEverySlots: number;
  /** "lease" when left out. */
  readonly reads?: ReadMode;
  readonly version: string;
  readonly processId: number;
};

export type StartResult =
  | { readonly kind: "started"; readonly replica: Replica }
  /** Every record is whole, and yet they do not fit together: damage that no checksum has seen. */
  | { readonly kind: "contradiction"; readonly reason: string };

export function startReplica(
  recovered: Recovered,
  settings: ReplicaSettings,
  now: Instant,
): StartResult {
  const { identity, snapshot } = recovered;
  let log: RecoveredLog;
  try {
    log = recoveredLog(recovered);
  } catch (error) {
    if (!(error instanceof RecoveryError || error instanceof DecodeError)) throw error;
    return { kind: "contradiction", reason: error.message };
  }
  const { incarnation } = identity;
  const self = replicaId(identity.replica);
  const engine = new PaxosReplica({ ...settings.engine, self, incarnation }, log, now);
  const replica = new Replica(
    {
      engine,
      journal: new Journal(settings.journal, recovered.journal),
      createCell: settings.createCell,
      facts: {
        cellName: identity.cellName,
        cellId: identity.cellId,
        replicaId: identity.replica,
        incarnation,
        version: settings.version,
        processId: settings.processId,
        startedAt: now,
        connectedMs: Math.max(CONNECTED_MS_MIN, settings.engine.electionTimeoutMs ?? 0),
      },
      snapshotEverySlots: settings.snapshotEverySlots,
      reads: settings.reads ?? "lease",
      snapshot: snapshot === undefined ? undefined : { slot: snapshot.slot, bytes: snapshot.state },
      reachesSnapshot: log.reachesSnapshot,
    },
    now,
  );
  return { kind: "started", replica };
}

/** What a process that starts on these results would know of the log. */
export function recoveredLog({ snapshot, records }: Recovered): RecoveredLog {
  const replayed = records.map(fromJournal);
  if (snapshot === undefined) return recoverLog(undefined, replayed);
  const { slot, ballot, state } = snapshot;
  return recoverLog({ slot, ballot: engineBallot(ballot), bytes: state }, replayed);
}
