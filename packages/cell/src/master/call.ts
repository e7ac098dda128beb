import type { AcquireLock, Request } from "@cubby/protocol";
import type { ConnectionId } from "../options.ts";
import type { Node } from "../state/node.ts";
import type { MasterSession } from "./master-session.ts";
import type { Place } from "./waiters.ts";

/** A client that sent copies on more connections than this has left all but the last. */
const COPIES_MAX = 7;

type Address = { to: ConnectionId; tag: number };

/** A request at a serving master. It may be answered at once, be proposed, or wait for a lock. */
export class Call {
  readonly session: MasterSession | undefined;
  readonly request: Request;
  /** Where the answer goes, and to the copies. */
  readonly to: ConnectionId;
  #tag: number;
  #copies: Address[] | undefined = undefined;
  /** Of a blocking Acquire: the lock. Of any: the claim to propose when it may be granted. */
  node: Node | undefined = undefined;
  claim: AcquireLock | undefined = undefined;
  /** While it waits for the lock. */
  place: Place | undefined = undefined;
  /** Of a Release: the id of the handle. */
  releases: number | undefined = undefined;
  /** Of the command on its way through the log. */
  commandBytes = 0;
  /** False while it only waits. */
  isProposed = false;

  constructor(session: MasterSession | undefined, from: ConnectionId, request: Request) {
    this.session = session;
    this.to = from;
    this.request = request;
    this.#tag = request.tag;
  }

  /**
   * The same request came once more. The last one to arrive need not be the one whose connection the
   * client listens on: a copy may be late, on a connection that was given up. So all are answered.
   */
  addCopy({ to, request: { tag } }: Call): void {
    if (to === this.to) {
      this.#tag = tag;
      return;
    }
    this.#copies ??= [];
    const known = this.#copies.find((copy) => copy.to === to);
    if (known !== undefined) known.tag = tag;
    else this.#copies.push({ to, tag });
    if (this.#copies.length > COPIES_MAX) this.#copies.shift();
  }

  /** Tells every connection that the request came on. */
  tellAll(tell: (to: ConnectionId, tag: number) => void): void {
    tell(this.to, this.#tag);
    for (const { to, tag } of this.#copies ?? []) tell(to, tag);
  }

  get number(): number {
    return this.request.requestNumber;
  }
}
