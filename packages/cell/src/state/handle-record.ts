import { utf8Length } from "@cubby/base";
import { LockMode } from "@cubby/protocol";
import type { Node } from "./node.ts";

/** Two claims are in it: all those whose answer was taken, and one. */
const HANDLE_BYTES = 64;
const CLAIM_BYTES = 8;

/** About what a record of a node of that name takes in a snapshot. */
export function handleBytesOf(path: string): number {
  return HANDLE_BYTES + utf8Length(path);
}

/** What so many claims take beyond that. */
export function claimBytesOf(count: number): number {
  return Math.max(0, count - 2) * CLAIM_BYTES;
}

/**
 * The replicated part of a handle: there is one only while the handle holds a lock or keeps an
 * ephemeral node alive. All else that a handle is, its token says.
 */
export class HandleRecord {
  readonly sessionId: number;
  /** The number of the request that opened it: unique within the session. */
  readonly handleId: number;
  readonly node: Node;
  readonly #ownBytes: number;
  /** Opened an ephemeral node, which lives while it is open (NS-5). */
  isOpener = false;
  /** The mode in which it holds its node's lock; FREE when it does not. */
  holds: LockMode = LockMode.FREE;
  /** LCK-8: what holds if this holder fails. */
  lockDelayMs = 0;
  /**
   * Numbers of the requests that were answered "you hold it" and that may yet be cancelled; 0 stands
   * for all those whose answer the client has taken. A cancelled request gives the lock back only if
   * no other has a claim to it, and a Release only if no later one has. Changed by `setClaims` alone.
   */
  claims: readonly number[] = [];

  constructor(sessionId: number, handleId: number, node: Node) {
    this.sessionId = sessionId;
    this.handleId = handleId;
    this.node = node;
    this.#ownBytes = handleBytesOf(node.path);
  }

  get sizeBytes(): number {
    return this.#ownBytes + claimBytesOf(this.claims.length);
  }

  get isIdle(): boolean {
    return !this.isOpener && this.holds === LockMode.FREE;
  }
}
