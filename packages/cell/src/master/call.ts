import { assert } from "@cubby/base";
import type { AcquireLock, Request } from "@cubby/protocol";
import type { ConnectionId } from "../options.ts";
import type { Node } from "../state/node.ts";
import type { MasterSession } from "./master-session.ts";

/** Copies of a request on more connections than this are of a client that has left all but the last. */
const ADDRESSES_MAX = 8;

type Address = { readonly to: ConnectionId; readonly tag: number };

/** A request at a serving master. It may be answered at once, be proposed, or wait for a lock. */
export class Call {
  readonly session: MasterSession | undefined;
  readonly from: ConnectionId;
  readonly request: Request;
  /**
   * Where the answer goes: to every connection that the request came on. The last one to arrive need
   * not be the one that the client listens on: a copy may be late, on a connection that was given up.
   */
  #addresses: readonly Address[];
  /** Of a blocking Acquire: the lock. Of any: the claim to propose when it may be granted. */
  node: Node | undefined = undefined;
  claim: AcquireLock | undefined = undefined;
  /** Of a Release: the id of the handle. */
  releases: number | undefined = undefined;
  /** Of the command on its way through the log. */
  commandBytes = 0;
  /** False while it only waits. */
  isProposed = false;

  constructor(session: MasterSession | undefined, from: ConnectionId, request: Request) {
    this.session = session;
    this.from = from;
    this.request = request;
    this.#addresses = [{ to: from, tag: request.tag }];
  }

  get addresses(): readonly Address[] {
    return this.#addresses;
  }

  /** The same request came once more. */
  addCopy(copy: Call): void {
    const [added] = copy.addresses;
    assert(added !== undefined, "a request came from somewhere");
    const others = this.#addresses.filter(({ to }) => to !== added.to);
    this.#addresses = [...others, added].slice(-ADDRESSES_MAX);
  }

  get number(): number {
    return this.request.requestNumber;
  }
}
