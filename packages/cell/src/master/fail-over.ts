import type { Request } from "@cubby/protocol";
import type { ConnectionId } from "../options.ts";
import { type HeldRequest, HeldRequests } from "./held-requests.ts";
import type { MasterSession } from "./master-session.ts";

/**
 * FO-6, narrower than Chubby's: a session's own reads and lock calls open as soon as it has
 * acknowledged the fail-over, and only what changes something cachable waits for every *caching*
 * session, since only those could go on believing what an invalidation would have taken from them.
 */
export class FailOverGate {
  readonly #awaited = new Set<MasterSession>();
  readonly #requests = new HeldRequests();
  readonly #expiries: MasterSession[] = [];

  get isOpen(): boolean {
    return this.#awaited.size === 0;
  }

  /** A session that outlived its master. */
  expect(session: MasterSession): void {
    if (session.session.caches) this.#awaited.add(session);
  }

  /** It has flushed its cache, or its lease is over: it cannot answer from a cache any more. */
  settle(session: MasterSession): void {
    this.#awaited.delete(session);
  }

  /** False when the gate holds as many requests as it may. */
  hold(from: ConnectionId, request: Request): boolean {
    return this.#requests.add(from, request);
  }

  /** The expiry of a session with ephemeral nodes deletes them. */
  holdExpiry(session: MasterSession): void {
    this.#expiries.push(session);
  }

  takeRequests(): HeldRequest[] {
    return this.#requests.takeAll();
  }

  takeExpiries(): MasterSession[] {
    return this.#expiries.splice(0);
  }
}
