import { DecodeError, Rng } from "@cubby/base";
import { describe, expect, it } from "vitest";
import { RandomCommands } from "../test-support/random-commands.ts";
import { apply } from "./apply.ts";
import { CellState } from "./cell-state.ts";
import { decodeSnapshot, encodeSnapshot } from "./snapshot.ts";

function busyState(seed: string): CellState {
  const commands = new RandomCommands(seed);
  const state = new CellState("local");
  for (let index = 1; index <= 300; index += 1) apply(state, index, commands.next(state));
  return state;
}

describe("a snapshot", () => {
  it("of an empty cell holds its root alone", () => {
    const state = decodeSnapshot(encodeSnapshot(new CellState("local")), "local");
    expect([state.namespace.size, state.sessions.size]).toEqual([1, 0]);
  });

  it("of another cell, another version or another kind is refused by name", () => {
    const bytes = encodeSnapshot(new CellState("local"));
    expect(() => decodeSnapshot(bytes, "other")).toThrow("another cell, local");
    const newer = bytes.slice();
    newer[4] = 99;
    expect(() => decodeSnapshot(newer, "local")).toThrow("version 99");
    expect(() => decodeSnapshot(bytes.slice(1), "local")).toThrow("not a snapshot");
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
