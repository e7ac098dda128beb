import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { decode, decodeTable, inspect, Series } from "./complete.ts";
import { patch } from "./patch.ts";
import { goldenExamples, PATCHED } from "./test-support/golden-examples.ts";

const text = readFileSync(new URL("test-support/golden.txt", import.meta.url), "utf8");
const files = new Map(
  text
    .trimEnd()
    .split("\n")
    .map((line) => line.split(" ") as [string, string]),
);

describe("files that were written once", () => {
  for (const { name, make } of goldenExamples()) {
    it(`are read for ever: ${name}`, () => {
      const base64 = files.get(name);
      expect(base64, "npx tsx tools/delta-golden.ts adds it").toBeDefined();
      const bytes = new Uint8Array(Buffer.from(base64 ?? "", "base64"));
      for (const wasm of [true, false]) {
        const read = name.startsWith("patch")
          ? patch(PATCHED, bytes)
          : name.startsWith("table")
            ? { ...decodeTable(bytes, { wasm }) }
            : decode(bytes, { wasm });
        expect(read).toEqual(make());
      }
    });
  }

  it("are read value by value too, and what their index says of them is true", () => {
    for (const { name, make } of goldenExamples()) {
      if (!/^(series|chunks)/.test(name)) continue;
      const bytes = new Uint8Array(Buffer.from(files.get(name) ?? "", "base64"));
      expect([...Series.fromBytes(bytes)], name).toEqual([...(make() as Iterable<unknown>)]);
      expect(() => inspect(bytes), name).not.toThrow();
    }
  });

  it("are all still tried", () => {
    expect([...files.keys()]).toEqual(goldenExamples().map(({ name }) => name));
  });
});
