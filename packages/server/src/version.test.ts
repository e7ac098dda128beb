import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { VERSION } from "./version.ts";

test("the version that a replica tells is that of every package", () => {
  const packages = new URL("../../", import.meta.url);
  const versions = readdirSync(packages).map((name) => {
    const text = readFileSync(new URL(`${name}/package.json`, packages), "utf8");
    return (JSON.parse(text) as { version: string }).version;
  });
  expect(versions.length).toBeGreaterThan(5);
  expect(new Set(versions)).toEqual(new Set([VERSION]));
});
