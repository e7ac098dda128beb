import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { transformSync } from "esbuild";
import { describe, expect, test } from "vitest";
import { editsOf, plant } from "./planted-bug.ts";
import { bugNamed, PLANTED_BUGS } from "./planted-bugs.ts";

const ROOT = new URL("../../", import.meta.url);
const BUGS_MIN = 34;

function sourceOf(file: string): string {
  return readFileSync(fileURLToPath(new URL(file, ROOT)), "utf8");
}

describe("planted bugs", () => {
  test("are many, each with a name of its own", () => {
    const names = PLANTED_BUGS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names.length).toBeGreaterThanOrEqual(BUGS_MIN);
    expect(names.every((name) => bugNamed(name)?.name === name)).toBe(true);
  });

  test.each(PLANTED_BUGS)("$name replaces what is there once, and leaves TypeScript", (bug) => {
    const files = new Set(editsOf(bug).map(({ file }) => file));
    for (const file of files) {
      const planted = plant(bug, file, sourceOf(file));
      expect(planted).not.toBe(sourceOf(file));
      expect(transformSync(planted, { loader: "ts" }).code.length).toBeGreaterThan(0);
    }
  });

  test("change production code alone, and plant no assertion in it", () => {
    for (const { file, find, replace } of PLANTED_BUGS.flatMap(editsOf)) {
      expect(file).toMatch(/^packages\/(base|protocol|paxos|cell|server|client)\/src\//);
      const asserts = (text: string): number => text.split("assert(").length;
      expect(asserts(replace)).toBeLessThanOrEqual(asserts(find));
    }
  });
});
