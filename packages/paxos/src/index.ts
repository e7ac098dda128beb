/**
 * The replicated log, pure: Sequence Paxos with Ballot Leader Election and a master lease.
 * `PaxosReplica` is driven by `step(now, input)` and `take()`; its state lives in records that the
 * host keeps, and comes back through `recoverLog`.
 *
 * What a host must know beside the types:
 * - An epoch is (round, priority, replica) in one number and not round and replica alone: priorities
 *   weigh in the order of ballots, and epochs must rise as ballots do.
 * - A log entry is a command, or an entry of the engine's own (`isCommand` tells), with no prefix
 *   that would cost a copy. Entries of the engine take slots and are not reported.
 * - There is a record kind `learned`: chosen slots that a replica far behind makes durable step by
 *   step, so that the one record which synchronises it stays small. `restored` and `checkpoint`
 *   carry the lease length in force, which is state of the engine and in no snapshot of the host.
 * - Views: `decodeMessage` and `decodeRecord` give views of the bytes they read, and these are kept.
 * - One message object may go to several peers in one output: encode it once.
 * - Proposals beyond the bound, or while not leading, are dropped with a trace event.
 * - A snapshot received is in `records` as `restored`; the file is durable before the record is, and
 *   the event `restored` follows when that is reported as persisted. `status().delivered` counts it
 *   from the start.
 * - A replica alone waits for nothing: no restart wait, and no step down while its disk is slow.
 * - After a restart a replica of several promises nothing for one grant (661 ms by default), though
 *   it follows the leader whose ballot it promised before at once.
 */
export type { Ballot, ReplicaId, Slot } from "./ballot.ts";
export {
  ballotText,
  compareBallots,
  REPLICA_ID_MAX,
  replicaId,
  sameBallot,
  ZERO_BALLOT,
} from "./ballot.ts";
export type { PaxosInput } from "./input.ts";
export { DRIFT_PER_MILLE, MEMBERS_MAX } from "./limits.ts";
export type { ControlEntry, LogEntry } from "./log-entry.ts";
export { isCommand } from "./log-entry.ts";
export { leaseRenewMsMax } from "./master-lease.ts";
export { decodeMessage, encodeMessage, messageKindOf } from "./message-codec.ts";
export type { Member, PaxosMessage } from "./messages.ts";
export type { PaxosOptions } from "./options.ts";
export type { PaxosEvent, PaxosOutput, Send } from "./outbox.ts";
export { PaxosReplica } from "./paxos-replica.ts";
export type {
  AppendedRecord,
  CheckpointRecord,
  ChosenRecord,
  EncodedRecord,
  GenesisRecord,
  GrantMaxRecord,
  LearnedRecord,
  PaxosRecord,
  PromisedRecord,
  RecordHeader,
  RecordIndex,
  RestoredRecord,
  SynchronisedRecord,
} from "./record.ts";
export { decodeRecord, encodeRecord, recordHeader } from "./record.ts";
export type { Genesis, RecoveredLog, RecoveredSnapshot } from "./recovery.ts";
export { RecoveryError, recoverLog } from "./recovery.ts";
export type { PaxosStatus, PeerStatus } from "./status.ts";
export type { TraceEvent } from "./trace.ts";
