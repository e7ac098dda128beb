import { describe, expect, test } from "vitest";
import { parseSeedList, readSeedList, seedLine } from "./seed-list.ts";

describe("the list of seeds that failed once", () => {
  test("can be read, and names each seed once", () => {
    const seeds = readSeedList().map(({ seed }) => seed);
    expect(new Set(seeds).size).toBe(seeds.length);
  });

  test("takes the line that a failure prints", () => {
    const listed = { seed: "42", date: "2026-11-26", why: "safety 16 one-believer" };
    expect(parseSeedList(`# why\n\n${seedLine(listed)}\n`)).toEqual([listed]);
  });

  test("refuses a line without a reason", () => {
    expect(() => parseSeedList("42  2026-11-26")).toThrow("is not a seed, a date, and why");
  });
});
