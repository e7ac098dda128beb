import { describe, expect, it } from "vitest";
import { rawBytes, readRaw } from "./raw-values.ts";
import { findDifference, readText, sourceOfName } from "./text-source.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const ignore = (): void => undefined;

describe("what a file is", () => {
  it("tells its name, or its first character", () => {
    expect(["a.csv", "b.TSV", "c.jsonl", "d.ndjson", "e.txt", "csv"].map(sourceOfName)).toEqual([
      "csv",
      "csv",
      "jsonl",
      "jsonl",
      undefined,
      undefined,
    ]);
    const sourceOf = (path: string, text: string): string =>
      readText(bytes(text), { path, onProgress: ignore }).layout.source;
    expect(sourceOf("-", '  {"a":1}\n')).toBe("jsonl");
    expect(sourceOf("-", "1\n2\n")).toBe("csv");
    expect(sourceOf("x.jsonl", "1\n2\n")).toBe("jsonl");
  });

  it("is refused if it is no UTF-8, or one JSON array", () => {
    const read = (content: Uint8Array) => () =>
      readText(content, { path: "-", onProgress: ignore });
    expect(read(Uint8Array.of(0x61, 0xff))).toThrow("not UTF-8");
    expect(read(bytes("[\n1\n]"))).toThrow("one value on each line");
  });
});

describe("the first difference", () => {
  it("is found wherever it is, with its line as read and as written", () => {
    const source = bytes("a,b\n1,2\n3,4\n");
    const find = (...pieces: string[]): unknown => findDifference(source, pieces, ignore);
    expect(find("a,b\n1,", "2\n3,4\n")).toBeUndefined();
    expect(find("a,b\n1,2\n", "3,5\n")).toEqual({ line: 3, read: "3,4\n", written: "3,5\n" });
    expect(find("a,b\n1,2\n3,4")).toEqual({ line: 3, read: "3,4\n", written: "3,4" });
    expect(find("a,b\n1,2\n3,4\n5\n")).toEqual({ line: 4, read: "", written: "5\n" });
    expect(find("x")).toEqual({ line: 1, read: "a,b\n", written: "x" });
    expect(findDifference(bytes("\na"), ["b"], ignore)).toEqual({
      line: 1,
      read: "\n",
      written: "b",
    });
  });
});

describe("raw numbers", () => {
  it("are whole values, and come back", () => {
    const raw = Uint8Array.of(9, 1, 0, 2, 0).subarray(1);
    expect(readRaw(raw, "i16")).toEqual(Int16Array.of(1, 2));
    expect(rawBytes(readRaw(raw, "i16"), "i16")).toEqual(Uint8Array.of(1, 0, 2, 0));
    expect(() => readRaw(raw.subarray(1), "i16")).toThrow("3 bytes are no whole number of values");
    expect(() => readRaw(raw, "i17")).toThrow('--raw "i17" is none of f64');
    expect(rawBytes([1n, 2n], "bigint")).toHaveLength(16);
    expect(() => rawBytes([1, null], "number")).toThrow("Value 2 is missing");
    expect(() => rawBytes(["a"], "string")).toThrow("Text has no raw form");
  });
});
