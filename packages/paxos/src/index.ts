/**
 * The replicated log, pure: Sequence Paxos with Ballot Leader Election and a master lease.
 * `PaxosReplica` is driven by `step(now, input)` and `take()`; its state lives in records that the
 * host keeps, and comes back through `recoverLog`.
 */
export type { Ballot, ReplicaId, Slot } from "./ballot.ts";
export {
  ballotText,
  compareBallots,
  epochOf,
  replicaId,
  sameBallot,
  ZERO_BALLOT,
} from "./ballot.ts";
export type { PaxosInput } from "./input.ts";
export { COMMAND_BYTES_MAX, MESSAGE_BYTES_MAX } from "./limits.ts";
export type { ControlEntry, LogEntry } from "./log-entry.ts";
export { isCommand } from "./log-entry.ts";
export { decodeMessage, encodeMessage, writeMessage } from "./message-codec.ts";
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
export { decodeRecord, encodeRecord, recordHeader, writeRecordPayload } from "./record.ts";
export type { Genesis, RecoveredLog, RecoveredSnapshot } from "./recovery.ts";
export { emptyLog, RecoveryError, recoverLog } from "./recovery.ts";
export type { PaxosStatus, PeerStatus } from "./status.ts";
export type { TraceEvent } from "./trace.ts";
