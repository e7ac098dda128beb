import { Rng } from "@cubby/base";
import { Command, LockMode } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import { RandomCommands } from "../test-support/random-commands.ts";
import { apply, decodeCommand, type Outcome } from "./apply.ts";
import { CellState } from "./cell-state.ts";
import { checkInvariants } from "./invariants.ts";
import { decodeSnapshot, encodeSnapshot, stateHash } from "./snapshot.ts";

const SEEDS = Array.from({ length: 12 }, (_, i) => `apply-${i}`);
const COMMANDS = 300;

/** A command as a replica meets it: out of bytes. */
function applied(state: CellState, index: number, command: Command): Outcome {
  return apply(state, index, decodeCommand(Command.encode(command).finish()));
}

describe("apply", () => {
  it.each(SEEDS)("acts alike on a state from a snapshot and on one from replay (%s)", (seed) => {
    const commands = new RandomCommands(seed);
    const rng = new Rng(`${seed}/snapshots`);
    const replayed = new CellState("local");
    let restored = new CellState("local");
    let nodes = 0;
    for (let index = 1; index <= COMMANDS; index += 1) {
      if (rng.chance(0.05)) {
        const bytes = encodeSnapshot(replayed);
        restored = decodeSnapshot(bytes, "local");
        expect(encodeSnapshot(restored)).toEqual(bytes);
      }
      const command = commands.next(replayed);
      expect(applied(restored, index, command)).toEqual(applied(replayed, index, command));
      expect(stateHash(restored)).toBe(stateHash(replayed));
      nodes = Math.max(nodes, replayed.namespace.size);
    }
    expect(nodes).toBeGreaterThan(2);
  });

  // Reliability §3, invariants 13, 14 and 17, and the rest of checkInvariants, at every index.
  it.each(SEEDS)("keeps locks exclusive and generations rising, at every index (%s)", (seed) => {
    const commands = new RandomCommands(seed);
    const state = new CellState("local");
    const lockGenerations = new Map<string, number>();
    let grants = 0;
    for (let index = 1; index <= COMMANDS; index += 1) {
      const wasHeld = heldPaths(state);
      applied(state, index, commands.next(state));
      checkInvariants(state);
      for (const [path, generation] of heldPaths(state)) {
        const before = lockGenerations.get(path) ?? 0;
        if (wasHeld.get(path) === generation) continue;
        expect(generation).toBeGreaterThan(before);
        lockGenerations.set(path, generation);
        grants += 1;
      }
    }
    expect(grants).toBeGreaterThan(3);
  });

  it.each(SEEDS.slice(0, 6))("never throws, whatever the bytes of an entry (%s)", (seed) => {
    const commands = new RandomCommands(seed);
    const rng = new Rng(`${seed}/damage`);
    const state = new CellState("local");
    const seen = new Set<string>();
    for (let index = 1; index <= 4 * COMMANDS; index += 1) {
      const bytes = Command.encode(commands.next(state)).finish();
      for (let hits = rng.below(4); hits > 0; hits -= 1) {
        bytes[rng.below(bytes.length)] = rng.below(256);
      }
      const outcome = apply(state, index, decodeCommand(rng.chance(0.02) ? rng.bytes(40) : bytes));
      seen.add(outcome.kind === "refused" ? outcome.reason : outcome.kind);
      if (index % 50 === 0) checkInvariants(state);
    }
    expect([...seen]).toEqual(expect.arrayContaining(["undecodable", "epoch", "result"]));
  });
});

function heldPaths(state: CellState): Map<string, number> {
  const held = new Map<string, number>();
  for (const path of state.namespace.sortedPaths()) {
    const node = state.namespace.get(path);
    if (node !== undefined && node.lockMode !== LockMode.FREE) held.set(path, node.lockGeneration);
  }
  return held;
}
