import type { Request } from "@cubby/protocol";
import type { ConnectionId } from "../options.ts";
import type { MasterSession } from "./master-session.ts";

/** Requests held at the gate, or parked while the master cannot serve. */
export const HELD_REQUESTS_MAX = 16_384;

export type HeldRequest = { readonly from: ConnectionId; readonly request: Request };

/**
 * FO-6, narrower than Chubby's: a session's own reads and lock calls open as soon as it has
 * acknowledged the fail-over, and only what changes something cachable waits for every *caching*
 * session, since only those could go on believing what an invalidation would have taken from them.
 */
export class FailOverGate {
  readonly #awaited = new Set<MasterSession>();
  readonly #requests: HeldRequest[] = [];
  readonly #expiries: MasterSession[] = [];

  get isOpen(): boolean {
    return this.#awaited.size === 0;
  }

  get awaitedCount(): number {
    return this.#awaited.size;
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
    if (this.#requests.length >= HELD_REQUESTS_MAX) return false;
    this.#requests.push({ from, request });
    return true;
  }

  /** The expiry of a session with ephemeral nodes deletes them. */
  holdExpiry(session: MasterSession): void {
    this.#expiries.push(session);
  }

  takeRequests(): HeldRequest[] {
    return this.#requests.splice(0);
  }

  takeExpiries(): MasterSession[] {
    return this.#expiries.splice(0);
  }
}
