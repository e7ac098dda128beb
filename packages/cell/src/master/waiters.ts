import { assert } from "@cubby/base";
import { LockMode } from "@cubby/protocol";
import { isGrantable } from "../state/locks.ts";
import type { Node } from "../state/node.ts";
import type { Call } from "./call.ts";

/** Blocking Acquires of one lock that may be unanswered at once. */
export const WAITERS_PER_LOCK_MAX = 16_384;
/** Of all locks. They have a limit of their own: what would free a lock must not be refused for them. */
const WAITERS_MAX = 131_072;

/** A Set keeps the order of arrival, and gives one up from the middle at no cost. */
type Queue = { readonly places: Set<Place>; exclusive: number };

/** Where a call stands in a queue. */
export type Place = { call: Call };

/**
 * Those who wait for locks, first in first out (GAP-7): a shared request does not overtake an older
 * exclusive one. An Acquire is proposed only when it may be granted; it keeps its place while it is
 * proposed, and takes it up again if the race was lost.
 */
export class Waiters {
  readonly #queues = new Map<Node, Queue>();
  readonly #propose: (call: Call) => void;
  readonly #isOverloaded: () => boolean;
  /** Locks whose waiters may be granted, and who wait for what is under way already. */
  readonly #stalled = new Set<Node>();
  #size = 0;

  constructor(propose: (call: Call) => void, isOverloaded: () => boolean) {
    this.#propose = propose;
    this.#isOverloaded = isOverloaded;
  }

  isFull(node: Node): boolean {
    if (this.#size >= WAITERS_MAX) return true;
    return (this.#queues.get(node)?.places.size ?? 0) >= WAITERS_PER_LOCK_MAX;
  }

  /** Queues a blocking Acquire, and proposes it if its turn has come. */
  add(node: Node, call: Call): void {
    assert(call.node === node && call.claim !== undefined, "a waiter has a lock and a claim");
    let queue = this.#queues.get(node);
    if (queue === undefined) {
      queue = { places: new Set(), exclusive: 0 };
      this.#queues.set(node, queue);
    }
    const { mode } = call.claim;
    call.place = { call };
    queue.places.add(call.place);
    if (mode === LockMode.EXCLUSIVE) queue.exclusive += 1;
    this.#size += 1;
    // Whoever of those before it may be granted with it has been proposed: there is no need to look.
    const isItsTurn = queue.places.size === 1 || queue.exclusive === 0;
    if (isItsTurn && isGrantable(node, mode) && !this.#stalled.has(node)) this.#propose(call);
  }

  /** The call has its answer, or will get it elsewhere. */
  remove(call: Call): void {
    const node = call.node;
    if (node === undefined) return;
    const queue = this.#queues.get(node);
    const { place } = call;
    if (queue === undefined || place === undefined || !queue.places.delete(place)) return;
    call.place = undefined;
    if (call.claim?.mode === LockMode.EXCLUSIVE) queue.exclusive -= 1;
    this.#size -= 1;
    if (queue.places.size === 0) this.#queues.delete(node);
  }

  /** Two that wait for one lock change places. */
  swap(one: Call, other: Call): void {
    const { place } = one;
    if (place === undefined || other.place === undefined) return;
    one.place = other.place;
    one.place.call = one;
    place.call = other;
    other.place = place;
  }

  /** True when a claim in `mode` would have to stand behind someone. */
  mustQueue(node: Node, mode: LockMode): boolean {
    const queue = this.#queues.get(node);
    return queue !== undefined && (mode === LockMode.EXCLUSIVE || queue.exclusive > 0);
  }

  /** Proposes from the head on, as far as what is proposed can all be granted together. */
  pump(node: Node): void {
    const queue = this.#queues.get(node);
    if (queue === undefined) return;
    let isFirst = true;
    for (const { call } of queue.places) {
      const mode = call.claim?.mode ?? LockMode.EXCLUSIVE;
      // An exclusive claim is granted alone, so nothing passes one and it passes nothing.
      if (mode === LockMode.EXCLUSIVE && !isFirst) return;
      if (!call.isProposed) {
        if (!isGrantable(node, mode)) return;
        if (this.#isOverloaded()) {
          this.#stalled.add(node);
          return;
        }
        this.#propose(call);
      }
      if (mode === LockMode.EXCLUSIVE) return;
      isFirst = false;
    }
  }

  /** There is room again for what was held back. */
  resume(): void {
    if (this.#stalled.size === 0) return;
    const nodes = [...this.#stalled];
    this.#stalled.clear();
    for (const node of nodes) this.pump(node);
  }

  /** All who wait for a node that is gone. */
  takeAll(node: Node): Call[] {
    const queue = this.#queues.get(node);
    if (queue === undefined) return [];
    this.#queues.delete(node);
    this.#stalled.delete(node);
    this.#size -= queue.places.size;
    return [...queue.places].map(({ call }) => call);
  }
}
