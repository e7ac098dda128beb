export {
  CubbyError,
  compareSequencers,
  decodeSequencer,
  type ErrorCode,
  type Outcome,
  type SequencerToken,
  sequencerFromText,
} from "@cubby/protocol";
export { type ConnectOptions, connect } from "./connect.ts";
export type { Duration } from "./duration.ts";
export type { ElectOptions, LeaderContext } from "./election.ts";
export { type AcquireOptions, Handle, type SequencerVerdict } from "./handle.ts";
export { Lock } from "./lock.ts";
export type { OpenOptions } from "./open-options.ts";
export type { CallOptions } from "./pending-call.ts";
export { ConnectionPool } from "./pool.ts";
export { CubbySession, type SessionNotice, type SessionState } from "./session.ts";
export type { Contents, DirectoryChild, LockMode, NodeStat } from "./stat.ts";
