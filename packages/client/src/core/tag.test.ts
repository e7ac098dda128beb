import { describe, expect, it } from "vitest";
import { freeTagFrom, TAG_MAX, tagAfter } from "./tag.ts";

const used = (...tags: number[]): Map<number, undefined> =>
  new Map(tags.map((tag) => [tag, undefined]));

describe("tags", () => {
  it("begin again at 1 after the last one", () => {
    expect(tagAfter(1)).toBe(2);
    expect(tagAfter(TAG_MAX)).toBe(1);
  });

  it("are taken in turn while they are free", () => {
    expect(freeTagFrom(1, used())).toBe(1);
    expect(freeTagFrom(7, used(5, 6))).toBe(7);
  });

  it("pass those under which something waits, also where they come round", () => {
    expect(freeTagFrom(7, used(7, 8, 10))).toBe(9);
    expect(freeTagFrom(TAG_MAX, used(TAG_MAX, 1, 2))).toBe(3);
  });
});
