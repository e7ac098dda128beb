import { describe, expect, it } from "vitest";
import { AssertionError } from "./assert.ts";
import { OrderedMap } from "./ordered-map.ts";

describe("OrderedMap", () => {
  it("iterates numbers by value, however they were set", () => {
    const map = new OrderedMap([10, 9, 1, 100].map((key): [number, string] => [key, `v${key}`]));
    expect([...map.keys()]).toEqual([1, 9, 10, 100]);
    expect([...map.values()]).toEqual(["v1", "v9", "v10", "v100"]);
    expect([...map]).toEqual([...map.entries()]);
  });

  it("iterates strings by code unit, not by locale", () => {
    const map = new OrderedMap<string, number>();
    for (const key of ["b", "\u00e4", "a", "B", ""]) map.set(key, 0);
    expect([...map.keys()]).toEqual(["", "B", "a", "b", "\u00e4"]);
  });

  it("takes the last value set for a key, once", () => {
    const map = new OrderedMap([[1, "a"]]).set(1, "b");
    expect([...map]).toEqual([[1, "b"]]);
    expect(map.size).toBe(1);
  });

  it("puts a key that was deleted and set again in its place, once", () => {
    const map = new OrderedMap<number, string>([
      [1, "a"],
      [2, "b"],
      [3, "c"],
    ]);
    map.delete(2);
    map.set(2, "b2");
    map.delete(3);
    map.set(3, "c2");
    expect([...map]).toEqual([
      [1, "a"],
      [2, "b2"],
      [3, "c2"],
    ]);
  });

  it("lets an iteration delete what it has seen and what it has not", () => {
    const map = new OrderedMap<number, number>();
    for (let i = 0; i < 100; i += 1) map.set(i, i);
    const seen: number[] = [];
    for (const key of map.keys()) {
      seen.push(key);
      map.delete(key);
      map.delete(key + 1);
    }
    expect(seen).toEqual(Array.from({ length: 50 }, (_, i) => 2 * i));
    expect(map.size).toBe(0);
  });

  it("does not show an iteration the keys added after it began", () => {
    const map = new OrderedMap<number, number>([
      [5, 0],
      [6, 0],
    ]);
    const seen: number[] = [];
    for (const key of map.keys()) {
      seen.push(key);
      map.set(key + 10, 0);
      map.set(key - 10, 0);
      expect([...map.keys()][0]).toBe(-5);
    }
    expect(seen).toEqual([5, 6]);
    expect([...map.keys()]).toEqual([-5, -4, 5, 6, 15, 16]);
  });

  it("works as a queue: keys come in at the end and go at the front", () => {
    const map = new OrderedMap<number, number>();
    for (let i = 0; i < 10_000; i += 1) {
      map.set(i, i);
      if (i < 100) continue;
      const [first] = map.keys();
      expect(first).toBe(i - 100);
      map.delete(i - 100);
    }
    expect([...map.keys()]).toEqual(Array.from({ length: 100 }, (_, i) => 9_900 + i));
  });

  it("has no key when it was cleared", () => {
    const map = new OrderedMap<string, number>([["a", 1]]);
    map.clear();
    expect([map.size, ...map.keys()]).toEqual([0]);
  });

  it("refuses a key that compares with nothing", () => {
    expect(() => new OrderedMap<number, number>().set(Number.NaN, 1)).toThrow(AssertionError);
  });
});
