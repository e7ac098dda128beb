import "./complete.ts";
import { describe, expect, it, vi } from "vitest";
import { DeltaError } from "./delta-error.ts";
import {
  decodePacked32,
  decodePacked64,
  decodePackedBlock32,
  describePacked,
  encodePacked32,
  encodePacked64,
} from "./packed.ts";

const ENGINES = [false, "now"] as const;

/** A walk of small steps with an outlier in every `every`th place. */
function walk(count: number, every: number): Int32Array {
  const latents = new Int32Array(count);
  let state = 7;
  for (let i = 1; i < count; i += 1) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) | 0;
    const step = (state >> 20) % 16;
    latents[i] = (latents[i - 1] as number) + (i % every === 0 ? step * 100_000 : step);
  }
  return latents;
}

describe("packed blocks", () => {
  it("are these bytes, and stay so", () => {
    const latents = Int32Array.of(100, 103, 101, 101, 108, 90_000, 90_001, 89_999);
    expect([...encodePacked32(latents, 1)]).toEqual([
      // Center 1, no step; one word, a directory of five bytes.
      2, 0, 1, 5,
      // Fields of four bits; a seed of 100; one exception, of fourteen bits.
      0x84, 0xc8, 0x01, 0xe0, 13,
      // The eight fields; what the sixth lacks: 5618 * 16, less one of the 5618.
      0xa0, 0x75, 0xbe, 0x58, 5, 0xf1, 0x15,
    ]);
  });

  it("hold a few outliers as exceptions and keep fields narrow", () => {
    const latents = walk(1280, 100);
    const blocks = describePacked(encodePacked32(latents, 1), latents.length, 1, false);
    expect(Math.max(...blocks.map(({ bits }) => bits))).toBeLessThanOrEqual(5);
    expect(blocks.reduce((sum, { exceptions }) => sum + exceptions, 0)).toBeGreaterThan(5);
  });

  it("of a straight line take two bytes each and no words", () => {
    const latents = Int32Array.from({ length: 65_536 }, (_, i) => 1000 * i - 7);
    expect(encodePacked32(latents, 1).length).toBeLessThan(2 * 512 + 16);
    const words = new Uint32Array(BigInt64Array.from(latents, BigInt).map((t) => t << 20n).buffer);
    expect(encodePacked64(words, 1).length).toBeLessThan(2 * 512 + 24);
  });

  it("of noise take no more than their values and one part in a hundred", () => {
    const latents = Int32Array.from({ length: 4096 }, (_, i) =>
      Math.imul(i ^ (i << 7), 0x9e3779b1),
    );
    for (const order of [0, 1, 2, 3] as const) {
      expect(encodePacked32(latents, order).length).toBeLessThan(4 * 4096 * 1.03);
    }
  });

  it("are found at any offset of a buffer", () => {
    const latents = walk(1000, 50);
    const payload = encodePacked32(latents, 1);
    for (let offset = 0; offset < 8; offset += 1) {
      const moved = new Uint8Array(payload.length + 8).subarray(offset, offset + payload.length);
      moved.set(payload);
      for (const wasm of ENGINES) {
        const out = new Int32Array(1000);
        decodePacked32(moved, 1, out, { wasm });
        expect(out).toEqual(latents);
      }
    }
  });

  it("of a chunk larger than the memory was before come back, and smaller ones after it", () => {
    for (const count of [300, 2 ** 18, 300]) {
      const latents = walk(count, 1000);
      const payload = encodePacked32(latents, 1, { wasm: "now" });
      const out = new Int32Array(count);
      decodePacked32(payload, 1, out, { wasm: "now" });
      expect(Buffer.compare(new Uint8Array(out.buffer), new Uint8Array(latents.buffer))).toBe(0);
      const words = new Uint32Array(BigInt64Array.from(latents, BigInt).buffer);
      const pairs = new Uint32Array(2 * count);
      decodePacked64(encodePacked64(words, 2, { wasm: "now" }), 2, pairs, { wasm: "now" });
      expect(Buffer.compare(new Uint8Array(pairs.buffer), new Uint8Array(words.buffer))).toBe(0);
    }
  });

  it("cost one block to read, whatever happened to the words of the others", () => {
    const latents = walk(128 * 5, 60);
    const payload = encodePacked32(latents, 1);
    const out = new Int32Array(128);
    // Head and directory are not as long as this.
    const damaged = payload.slice();
    damaged.fill(0x5a, 50, 50 + 3 * 16 * 4);
    expect(decodePackedBlock32(damaged, latents.length, 1, 4, out)).toBe(128);
    expect(out).toEqual(latents.slice(512));
    expect(decodePackedBlock32(damaged, latents.length, 1, 1, out)).toBe(128);
    expect(out).not.toEqual(latents.slice(128, 256));
  });

  it("of 64 bits come back where residuals are just above 31 and 32 bits", () => {
    for (const far of [2n ** 30n, 2n ** 31n + 5n, 2n ** 32n + 1_196_930_477n, -(2n ** 33n) + 5n]) {
      const values = BigInt64Array.from({ length: 200 }, (_, i) =>
        i % 128 < 2 ? 0n : far + BigInt(i & 1),
      );
      const words = new Uint32Array(values.buffer);
      const payload = encodePacked64(words, 0);
      for (const wasm of ENGINES) {
        const out = new Uint32Array(400);
        decodePacked64(payload, 0, out, { wasm });
        expect(out).toEqual(words);
      }
    }
  });

  it("that are not there are refused", () => {
    const payload = encodePacked32(walk(300, 50), 1);
    expect(() => decodePackedBlock32(payload, 300, 1, 3, new Int32Array(128))).toThrow(DeltaError);
  });

  it("that would need more blocks than there are bytes are refused before memory is taken", () => {
    const payload = encodePacked32(Int32Array.of(1, 2, 3), 1);
    expect(() => describePacked(payload, 2 ** 40, 1, false)).toThrow(DeltaError);
  });
});

describe("WebAssembly", () => {
  it("is done without where a policy forbids it", async () => {
    vi.resetModules();
    const engine = globalThis as { WebAssembly?: unknown };
    const saved = engine.WebAssembly;
    const refuse = class {
      constructor() {
        throw new Error("refused by a policy");
      }
    };
    engine.WebAssembly = { Memory: refuse, Table: refuse, Module: refuse, Instance: refuse };
    try {
      await import("./complete.ts");
      const fresh = await import("./packed.ts");
      const latents = walk(1000, 50);
      const payload = fresh.encodePacked32(latents, 1, { wasm: "now" });
      const out = new Int32Array(1000);
      fresh.decodePacked32(payload, 1, out, { wasm: "now" });
      expect(out).toEqual(latents);
      expect(fresh.decodePacked32Resident(payload, 1, 1000, { wasm: "now" })).toEqual(latents);
    } finally {
      engine.WebAssembly = saved;
      vi.resetModules();
    }
  });
});
