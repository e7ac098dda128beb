import type { AcquireLock, Request } from "@cubby/protocol";
import type { ConnectionId } from "../options.ts";
import type { Node } from "../state/node.ts";
import type { MasterSession } from "./master-session.ts";

/** A request at a serving master. It may be answered at once, be proposed, or wait for a lock. */
export class Call {
  readonly session: MasterSession | undefined;
  readonly request: Request;
  /** Where the answer goes. A client that repeats the request elsewhere is answered there. */
  to: ConnectionId;
  tag: number;
  /** Of a blocking Acquire: the lock, and the claim to propose when it may be granted. */
  node: Node | undefined = undefined;
  claim: AcquireLock | undefined = undefined;
  /** Of the command on its way through the log. */
  commandBytes = 0;
  /** False while it only waits. */
  isProposed = false;

  constructor(session: MasterSession | undefined, from: ConnectionId, request: Request) {
    this.session = session;
    this.request = request;
    this.to = from;
    this.tag = request.tag;
  }

  get number(): number {
    return this.request.requestNumber;
  }
}
