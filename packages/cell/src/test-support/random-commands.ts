import { EMPTY_BYTES, Rng } from "@cubby/base";
import { type Command, LockMode, NodeKind } from "@cubby/protocol";
import type { CellState } from "../state/cell-state.ts";
import type { Node } from "../state/node.ts";

type Body = NonNullable<Command["body"]>;

const NAMES = ["a", "b", "c", "d"];

/**
 * Commands that are likely to do something to a state, and now and then make no sense. They are
 * drawn from the state, so that one state and its equal are given the same ones.
 */
export class RandomCommands {
  readonly #rng: Rng;
  #proposal = 0;

  constructor(seed: string) {
    this.#rng = new Rng(seed);
  }

  next(state: CellState): Command {
    this.#proposal += 1;
    const ids = [...state.sessions.keys()];
    const body = this.#body(state, ids);
    const sessionId = ids.length === 0 ? 0 : this.#pick(ids);
    const session = state.sessions.get(sessionId);
    const lowest = session?.lowestUnanswered ?? 1;
    const isRepeat = this.#rng.chance(0.15);
    const newest = Math.max(lowest, ...(session?.results?.keys() ?? []));
    const requestNumber = isRepeat
      ? this.#rng.between(1, newest)
      : newest + this.#rng.between(1, 2);
    return {
      paxosEpoch: this.#rng.chance(0.03) ? state.paxosEpoch + 1 : state.paxosEpoch,
      proposal: this.#proposal,
      sessionId: this.#rng.chance(0.02) ? 9_999 : sessionId,
      requestNumber,
      lowestUnanswered: this.#rng.chance(0.5) ? lowest : Math.max(lowest, requestNumber - 8),
      guard: this.#rng.chance(0.03) ? Uint8Array.of(1, 2) : EMPTY_BYTES,
      body,
    };
  }

  #body(state: CellState, ids: readonly number[]): Body {
    const rng = this.#rng;
    const node = this.#node(state);
    const { path, instance } = node;
    const roll = state.clientEpoch === 0 ? 0 : rng.below(100);
    if (roll < 1) return this.#beginEpoch(state);
    if (roll < 6 || ids.length === 0) {
      const leaseMs = rng.between(0, 70_000);
      return {
        $case: "beginSession",
        value: { leaseMs, caches: rng.chance(0.5), clientName: "r" },
      };
    }
    if (roll < 7) return { $case: "expireSession", value: { sessionId: this.#pick(ids) } };
    if (roll < 8) return { $case: "setStretch", value: { stretchMs: rng.between(0, 60_000) } };
    if (roll < 9) return { $case: "endSession", value: {} };
    if (roll < 17) return { $case: "endLockDelay", value: this.#delay(state, path) };
    if (roll < 22) return { $case: "cancel", value: { requestNumber: rng.between(1, 30) } };
    if (roll < 42) return this.#open();
    if (roll < 50)
      return { $case: "closeHandle", value: { handleId: this.#handleId(state, node) } };
    if (roll < 60) {
      const contents = rng.bytes(rng.below(20));
      const ifGeneration = node.contentGeneration + rng.below(2);
      const value = { path, instance, contents, hasIfGeneration: rng.chance(0.3), ifGeneration };
      return { $case: "writeContents", value };
    }
    if (roll < 67) return { $case: "deleteNode", value: { path, instance } };
    if (roll < 90) {
      const value = {
        path,
        instance: rng.chance(0.05) ? instance + 1 : instance,
        handleId: this.#handleId(state, node),
        mode: rng.chance(0.5) ? LockMode.EXCLUSIVE : LockMode.SHARED,
        wait: rng.chance(0.5),
        lockDelayMs: rng.chance(0.3) ? 0 : rng.between(1, 60_000),
      };
      return { $case: "acquireLock", value };
    }
    return { $case: "releaseLock", value: { handleId: this.#handleId(state, node) } };
  }

  #beginEpoch(state: CellState): Body {
    const quotas = { sessionsMax: 12, nodesMax: 14, childrenMax: 4, handlesPerSessionMax: 5 };
    const keyMaterial = this.#rng.bytes(16);
    const paxosEpoch = state.paxosEpoch + 1_024;
    return { $case: "beginEpoch", value: { paxosEpoch, masterId: 2, keyMaterial, quotas } };
  }

  #open(): Body {
    const rng = this.#rng;
    const depth = rng.between(1, 3);
    const path = `/ls/local/${Array.from({ length: depth }, () => this.#pick(NAMES)).join("/")}`;
    const value = {
      path,
      access: rng.below(8),
      create: this.#pick([0, 1, 1, 1, 2] as const),
      kind: depth < 3 && rng.chance(0.6) ? NodeKind.DIRECTORY : NodeKind.FILE,
      ephemeral: rng.chance(0.5),
      initialContents: rng.chance(0.2) ? rng.bytes(3) : EMPTY_BYTES,
      lockDelayMs: rng.between(0, 60_000),
      directoryPath: rng.chance(0.1) ? "/ls/local" : "",
      directoryInstance: rng.between(1, 2),
    };
    return { $case: "openNode", value };
  }

  #delay(state: CellState, path: string): { path: string; beganAt: number } {
    const inDelay = state.namespace.sortedPathsInDelay();
    const chosen = inDelay.length === 0 ? path : this.#pick(inDelay);
    const beganAt = state.namespace.delayOf(chosen)?.beganAt ?? 1;
    return { path: chosen, beganAt: this.#rng.chance(0.8) ? beganAt : beganAt + 1 };
  }

  #handleId(state: CellState, node: Node): number {
    const ids: number[] = [];
    for (const session of state.sessions.values()) {
      for (const record of session.sortedHandles()) {
        if (record.node === node || this.#rng.chance(0.1)) ids.push(record.handleId);
      }
    }
    return ids.length > 0 && this.#rng.chance(0.7) ? this.#pick(ids) : this.#rng.between(1, 40);
  }

  #node(state: CellState): Node {
    const node = state.namespace.get(this.#pick(state.namespace.sortedPaths()));
    if (node === undefined) throw new Error("a path has its node");
    return node;
  }

  #pick<T>(list: readonly T[]): T {
    const picked = list[this.#rng.below(list.length)];
    if (picked === undefined) throw new Error("nothing to pick from");
    return picked;
  }
}
