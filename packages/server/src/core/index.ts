/** The pure part of a replica, for whoever drives it by other means than files and sockets. */

export type { DiskError, DiskOperation, DiskRequest, DiskTask } from "./disk.ts";
export { type DirectoryIdentity, IDENTITY_FILES } from "./identity.ts";
export { JOURNAL_DEFAULTS, type JournalOptions } from "./journal.ts";
export { format } from "./journal-format.ts";
export { type RecoverResult, type RecoveryOptions, recover } from "./journal-recovery.ts";
export { WITNESS_FILES } from "./journal-witness.ts";
export type { ReadMode } from "./read-confirmation.ts";
export type { OutgoingReply, Replica, ReplicaInput, ReplicaOutput, Trace } from "./replica.ts";
export {
  type ReplicaSettings,
  recoveredLog,
  type StartResult,
  startReplica,
} from "./replica-start.ts";
export {
  type CrashModel,
  drive,
  driveFor,
  type InjectedError,
  KILLED,
  type SectorOutcome,
  SimDisk,
  STOPPED,
} from "./simulated-disk.ts";
export { snapshotSlotOf } from "./snapshot-file.ts";
