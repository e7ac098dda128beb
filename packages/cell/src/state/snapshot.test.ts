import { checksum64, DecodeError, Rng } from "@cubby/base";
import { Command, LockMode, NodeKind } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import { RandomCommands } from "../test-support/random-commands.ts";
import { apply } from "./apply.ts";
import { CellState } from "./cell-state.ts";
import { decodeSnapshot, encodeSnapshot } from "./snapshot.ts";

type Body = NonNullable<Command["body"]>;

function busyState(seed: string): CellState {
  const commands = new RandomCommands(seed);
  const state = new CellState("local");
  for (let index = 1; index <= 300; index += 1) apply(state, index, commands.next(state));
  return state;
}

/** Two sessions hold the root's lock in shared mode. */
function sharedLock(): CellState {
  const state = new CellState("local");
  const keyMaterial = Uint8Array.from({ length: 16 }, (_, i) => i);
  let index = 0;
  const run = (body: Body, numbers: Partial<Command> = {}): void => {
    index += 1;
    apply(state, index, { ...Command.create(), paxosEpoch: 7, ...numbers, body });
  };
  const epoch = { paxosEpoch: 7, masterId: 1, keyMaterial, quotas: undefined };
  run({ $case: "beginEpoch", value: epoch });
  run({ $case: "beginSession", value: { leaseMs: 12_000, caches: false, clientName: "one" } });
  run({ $case: "beginSession", value: { leaseMs: 60_000, caches: true, clientName: "two" } });
  const terms = { path: "/ls/local", instance: 1, wait: false, lockDelayMs: 5_000 };
  const value = { ...terms, handleId: 1, mode: LockMode.SHARED };
  for (const sessionId of [2, 3]) {
    run({ $case: "acquireLock", value }, { sessionId, requestNumber: 2, lowestUnanswered: 1 });
  }
  return state;
}

describe("a snapshot", () => {
  it("of an empty cell holds its root alone", () => {
    const state = decodeSnapshot(encodeSnapshot(new CellState("local")), "local");
    expect([state.namespace.size, state.sessions.size]).toEqual([1, 0]);
  });

  // Replicas must not read the others' bytes as something else: who changes this raises SNAPSHOT_VERSION.
  it("of this version is byte for byte as ever", () => {
    expect(checksum64(encodeSnapshot(sharedLock()))).toBe("351bdfd2c7544e5c");
  });

  it("of another cell, another version or another kind is refused by name", () => {
    const bytes = encodeSnapshot(new CellState("local"));
    expect(() => decodeSnapshot(bytes, "other")).toThrow("another cell, local");
    const newer = bytes.slice();
    newer[4] = 99;
    expect(() => decodeSnapshot(newer, "local")).toThrow("version 99");
    expect(() => decodeSnapshot(bytes.slice(1), "local")).toThrow("not a snapshot");
  });

  it("in which an exclusive lock has a second holder is refused", () => {
    const { EXCLUSIVE, SHARED } = LockMode;
    for (const modes of [
      [SHARED, EXCLUSIVE],
      [EXCLUSIVE, SHARED],
      [EXCLUSIVE, EXCLUSIVE],
    ]) {
      const state = sharedLock();
      expect(decodeSnapshot(encodeSnapshot(state), "local").locksHeld).toBe(1);
      [...state.sessions.values()].forEach((session, i) => {
        for (const record of session.sortedHandles()) record.holds = modes[i] ?? SHARED;
      });
      expect(() => decodeSnapshot(encodeSnapshot(state), "local")).toThrow("two holders");
    }
  });

  it("has one delay of a name, and none beside its node", () => {
    const state = new CellState("local");
    const delay = { lengthMs: 1_000, mode: LockMode.EXCLUSIVE, beganAt: 1 };
    for (const name of ["a", "b"]) state.namespace.leaveDelay(`/ls/local/${name}`, delay);
    const bytes = encodeSnapshot(state);
    expect(decodeSnapshot(bytes, "local").namespace.delayMarkers.size).toBe(2);
    const twice = bytes.map((byte, at) => (byte === 0x62 && bytes[at - 1] === 0x2f ? 0x61 : byte));
    expect(() => decodeSnapshot(twice, "local")).toThrow("is there, or twice");
    state.namespace.create("/ls/local/c", NodeKind.FILE, state.namespace.root, false);
    const beside = encodeSnapshot(state);
    beside[beside.lastIndexOf(0x62)] = 0x63;
    expect(() => decodeSnapshot(beside, "local")).toThrow("is there, or twice");
  });

  it("cut short or with bytes too many is refused, wherever it is cut", () => {
    const bytes = encodeSnapshot(busyState("cut"));
    for (let size = 0; size < bytes.length; size += 7) {
      expect(() => decodeSnapshot(bytes.slice(0, size), "local")).toThrow(DecodeError);
    }
    const longer = new Uint8Array(bytes.length + 1);
    longer.set(bytes);
    expect(() => decodeSnapshot(longer, "local")).toThrow(DecodeError);
  });

  it("that is damaged is read or refused, and nothing worse", () => {
    const bytes = encodeSnapshot(busyState("damage"));
    const rng = new Rng("damage");
    for (let i = 0; i < 1_000; i += 1) {
      const damaged = bytes.slice();
      damaged[rng.below(damaged.length)] = rng.below(256);
      try {
        decodeSnapshot(damaged, "local");
      } catch (error) {
        expect(error).toBeInstanceOf(DecodeError);
      }
    }
  });
});
