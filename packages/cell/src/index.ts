export { Cell, type CellOutput, type CellStatus } from "./cell.ts";
export type { OutgoingReply } from "./master/outbox.ts";
export type { CellOptions, ConnectionId, ReplicaLocation } from "./options.ts";
export type { LogEvent, ReplicatedLog } from "./replicated-log.ts";
export type { TraceEvent } from "./trace.ts";
