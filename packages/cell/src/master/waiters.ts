import { assert } from "@cubby/base";
import { LockMode } from "@cubby/protocol";
import { isGrantable } from "../state/locks.ts";
import type { Node } from "../state/node.ts";
import type { Call } from "./call.ts";

/** Blocking Acquires of one lock that may be unanswered at once. */
export const WAITERS_PER_LOCK_MAX = 16_384;
/** Of all locks. They have a limit of their own: what would free a lock must not be refused for them. */
const WAITERS_MAX = 131_072;

/**
 * Those who wait for locks, first in first out (GAP-7): a shared request does not overtake an older
 * exclusive one. An Acquire is proposed only when it may be granted; it keeps its place while it is
 * proposed, and takes it up again if the race was lost.
 */
export class Waiters {
  /** Sets keep the order of arrival, and give one up from the middle at no cost. */
  readonly #queues = new Map<Node, Set<Call>>();
  readonly #propose: (call: Call) => void;
  #size = 0;

  constructor(propose: (call: Call) => void) {
    this.#propose = propose;
  }

  isFull(node: Node): boolean {
    if (this.#size >= WAITERS_MAX) return true;
    return (this.#queues.get(node)?.size ?? 0) >= WAITERS_PER_LOCK_MAX;
  }

  /** Queues a blocking Acquire, and proposes it if its turn has come. */
  add(node: Node, call: Call): void {
    assert(call.node === node && call.claim !== undefined, "a waiter has a lock and a claim");
    let queue = this.#queues.get(node);
    if (queue === undefined) {
      queue = new Set();
      this.#queues.set(node, queue);
    }
    queue.add(call);
    this.#size += 1;
    this.pump(node);
  }

  /** The call has its answer, or will get it elsewhere. */
  remove(call: Call): void {
    const node = call.node;
    if (node === undefined) return;
    const queue = this.#queues.get(node);
    if (queue === undefined || !queue.delete(call)) return;
    this.#size -= 1;
    if (queue.size === 0) this.#queues.delete(node);
  }

  /** True when a claim in `mode` would have to stand behind someone. */
  mustQueue(node: Node, mode: LockMode): boolean {
    const queue = this.#queues.get(node);
    if (queue === undefined) return false;
    if (mode === LockMode.EXCLUSIVE) return true;
    for (const call of queue) if (call.claim?.mode === LockMode.EXCLUSIVE) return true;
    return false;
  }

  /** Proposes from the head on, as far as what is proposed can all be granted together. */
  pump(node: Node): void {
    const queue = this.#queues.get(node);
    if (queue === undefined) return;
    let isFirst = true;
    for (const call of queue) {
      const mode = call.claim?.mode ?? LockMode.EXCLUSIVE;
      // An exclusive claim is granted alone, so nothing passes one and it passes nothing.
      if (mode === LockMode.EXCLUSIVE && !isFirst) return;
      if (!call.isProposed) {
        if (!isGrantable(node, mode)) return;
        this.#propose(call);
      }
      if (mode === LockMode.EXCLUSIVE) return;
      isFirst = false;
    }
  }

  /** All who wait for a node that is gone. */
  takeAll(node: Node): Call[] {
    const queue = this.#queues.get(node);
    if (queue === undefined) return [];
    this.#queues.delete(node);
    this.#size -= queue.size;
    return [...queue];
  }
}
