/** A whole client without its sockets, for whoever drives it by other means. */

export { Call, type CallBody, type CallResult, type ConnectionId, type Failure } from "./call.ts";
export { type CellAddress, parseCellAddress, splitEndpoint } from "./cell-address.ts";
export {
  ClientCore,
  type ClientCoreOptions,
  type ClientInput,
  type ClientOutput,
} from "./client-core.ts";
export {
  type SessionEvent,
  SessionMachine,
  type SessionOptions,
  type SessionState,
} from "./session-machine.ts";
