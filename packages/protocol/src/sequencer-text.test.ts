import { describe, expect, it } from "vitest";
import { CubbyError } from "./errors.ts";
import { LockMode } from "./generated/cubby.ts";
import {
  compareSequencers,
  decodeSequencer,
  encodeSequencer,
  sequencerFromText,
  sequencerToText,
} from "./sequencer-text.ts";

const token = { name: "/ls/local/a", instance: 7, mode: LockMode.EXCLUSIVE, lockGeneration: 9 };

function code(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof CubbyError) return error.code;
    throw error;
  }
  return "none";
}

describe("sequencers as text", () => {
  it("come back as they were", () => {
    const text = sequencerToText(encodeSequencer(token));
    expect(text.startsWith("cs1.")).toBe(true);
    expect(decodeSequencer(sequencerFromText(text))).toEqual(token);
  });

  it("order holders of one name by lock generation", () => {
    expect(compareSequencers(token, { ...token, lockGeneration: 10 })).toBeLessThan(0);
  });

  it("are refused when malformed, whatever is wrong", () => {
    const texts = ["", "cs1.", "cs2.abcd", "cs1.!!!!", `cs1.${"A".repeat(10_000)}`];
    for (const text of texts) {
      expect(code(() => decodeSequencer(sequencerFromText(text)))).toBe("sequencer_malformed");
    }
    for (const bad of [
      { ...token, name: "not a path" },
      { ...token, mode: LockMode.FREE },
      { ...token, lockGeneration: 0 },
    ]) {
      expect(code(() => decodeSequencer(encodeSequencer(bad)))).toBe("sequencer_malformed");
    }
  });
});
