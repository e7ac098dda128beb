import { describe, expect, it } from "vitest";
import { AssertionError } from "./assert.ts";
import { toHex } from "./bytes.ts";
import { Rng } from "./rng.ts";

describe("Rng", () => {
  it("never changes for a seed: recorded seeds must replay", () => {
    const rng = new Rng("golden");
    expect([rng.next32(), rng.next32(), rng.next32(), rng.next32()]).toEqual([
      2280342519, 2160375479, 1403038439, 1940551343,
    ]);
    expect(rng.below(1000)).toBe(413);
    expect(rng.between(-5, 5)).toBe(1);
    expect(toHex(rng.bytes(6))).toBe("948a08faf4be");
    expect(new Rng("golden").fork("x").next32()).toBe(937481522);
  });

  it("differs between seeds", () => {
    expect(new Rng("1").next32()).not.toBe(new Rng("2").next32());
    expect(new Rng("").next32()).not.toBe(new Rng("\u0000").next32());
  });

  it("forks by label, whatever was drawn before", () => {
    const drawn = new Rng("seed");
    drawn.next32();
    const fork = drawn.fork("disk").next32();
    expect(fork).toBe(new Rng("seed").fork("disk").next32());
    expect(fork).not.toBe(new Rng("seed").fork("net").next32());
  });

  it("draws every number below n about as often as the others", () => {
    const rng = new Rng("uniform");
    const counts = [0, 0, 0, 0, 0, 0];
    for (let i = 0; i < 60_000; i += 1) {
      const draw = rng.below(6);
      counts[draw] = (counts[draw] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
  });

  it("reaches beyond 32 bits", () => {
    const rng = new Rng("wide");
    const draws = Array.from({ length: 100 }, () => rng.below(Number.MAX_SAFE_INTEGER));
    expect(Math.max(...draws)).toBeGreaterThan(2 ** 52);
    expect(draws.every((draw) => Number.isSafeInteger(draw) && draw >= 0)).toBe(true);
  });

  it("is never true at 0, always at 1, and draws once either way", () => {
    const rng = new Rng("chance");
    const twin = new Rng("chance");
    for (let i = 0; i < 100; i += 1) {
      expect(rng.chance(0)).toBe(false);
      expect(rng.chance(1)).toBe(true);
      twin.next32();
      twin.next32();
    }
    expect(rng.next32()).toBe(twin.next32());
  });

  it("refuses bounds that hold nothing", () => {
    const rng = new Rng("bounds");
    expect(() => rng.below(0)).toThrow(AssertionError);
    expect(() => rng.between(2, 1)).toThrow(AssertionError);
    expect(() => rng.chance(1.5)).toThrow(AssertionError);
  });
});
