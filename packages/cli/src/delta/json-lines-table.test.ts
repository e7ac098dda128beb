import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { requestOf } from "./column-type.ts";
import { readCsv } from "./csv-table.ts";
import { readJsonLines, writeJsonLines } from "./json-lines-table.ts";
import type { ReadOptions, TextTable } from "./text-table.ts";

const encoder = new TextEncoder();

function read(text: string, options: Partial<ReadOptions> = {}): TextTable {
  return readJsonLines(encoder.encode(text), { onProgress: () => undefined, ...options });
}

function rewrite(text: string): string {
  return [...writeJsonLines(read(text))].join("");
}

function columns(text: string, options: Partial<ReadOptions> = {}): unknown {
  return read(text, options).columns.map(({ key, values }) => [key, values]);
}

describe("JSON lines", () => {
  it("come back to the byte, with the spaces and escapes that they have throughout", () => {
    for (const text of [
      '{"t":"2026-01-02T03:04:05.678Z","p":100.50,"ok":true,"s":"x\\ny"}\n{"t":"2026-01-02T03:04:06.000Z","p":1.25,"ok":false,"s":""}\n',
      '{"a": 1.0, "b": "caf\\u00e9"}\n{"a": 2.5, "b": "\\ud83d\\ude00"}\n',
      '{"a":1}\r\n{}\r\n{"a":2}',
      '{"id":12345678901234567890,"n":null}\n{"id":1,"n":null}\n',
      '1\n2.5\nnull\n"text"\n[1, 2]\n',
      '{"a":1}\n{"a":"1"}\n{"a":null}\n{"a":{"b":[1,"]"]}}\n{}\n',
      '{"a":1e5}\n{"a":1.50}\n{"a":-0}\n',
      '{"__proto__":1,"10":2,"9":3}\n',
      '{"":1,"c1":2}\n',
      '{"a":1,"e":5}\n{"a":1,"c":3,"e":5}\n{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6}\n{"x":0}\n',
      "",
    ]) {
      expect(rewrite(text)).toBe(text);
    }
  });

  it("made from CSV have no byte order mark, which no JSON may begin with", () => {
    const csv = encoder.encode("\ufeffname,age\nZoë,7\n");
    const table = readCsv(csv, { onProgress: () => undefined });
    expect([...writeJsonLines(table)].join("")).toBe('{"name":"Zoë","age":7}\n');
    expect(rewrite('\ufeff{"a":1}\n')).toBe('\ufeff{"a":1}\n');
  });

  it("are refused, with the line, where the type that was asked for alters a value", () => {
    const types = new Map([["id", requestOf("f64")]]);
    expect(() => read('{"id":1}\n\n{"id":12345678901234567890}\n', { types })).toThrow(
      'Line 3, key "id": "12345678901234567890" would be another number as f64. Ask for',
    );
  });

  it("are refused, with the line, where there are more keys than columns may be, or where one does not end", () => {
    const keys = Array.from({ length: 16_384 }, (_, i) => `"id${i}":1`).join();
    expect(() => read(`{${keys}}\n{"one":1}\n`)).toThrow("Line 2: more than 16,384 keys");
    const oneLine = `1\n"${"x".repeat(20 << 20)}"\n`;
    expect(() => read(oneLine)).toThrow("Line 2 does not end");
  });

  it("become typed columns; a key that is missing is not a null", () => {
    expect(columns('{"a":1,"b":"2026-01-02"}\n{"a":2}\n')).toEqual([
      ["a", Int32Array.of(1, 2)],
      ["b", [new Date("2026-01-02"), null]],
    ]);
    expect(columns('{"a":1}\n{"a":null}\n{}\n')).toEqual([["a", ["1", "null", null]]]);
    expect(columns('{}\n{"a":null}\n{"a":1}\n')).toEqual([["a", [null, "null", "1"]]]);
    expect(columns('{"b":1}\n{"a":"x","b":2}\n')).toEqual([
      ["a", [null, "x"]],
      ["b", Int32Array.of(1, 2)],
    ]);
    expect(columns("0.5\n1\n")).toEqual([["value", Float64Array.of(0.5, 1)]]);
    const types = new Map([["a", requestOf("i64")]]);
    expect(columns('{"a":"7","b":1}\n', { types, columns: ["a"] })).toEqual([
      ["a", BigInt64Array.of(7n)],
    ]);
  });

  it("that are malformed are refused, with the line", () => {
    for (const [text, problem] of [
      ['{"a":1}\n{"a":}', "Line 2, at column 6 (}): a value is expected."],
      ['{"a":1,"a":2}', 'the key "a" is there twice'],
      ['{"a":01}', '"}" is expected'],
      ['{"a":"\\x"}', "no JSON"],
      ['{"a":[1,}]}', "no JSON"],
      ['{"a":"b', "a string does not end"],
      ['{"a":[1', "a bracket is not closed"],
      ['{"a":nul}', "a word is no JSON value"],
      ['{"a":1} x', "more text behind the value"],
      ['{"a":1}\n5', '"{" is expected'],
      ["{a:1}", "a key is expected"],
      ["NaN", "a value is expected"],
      ['"\u0001"', "no JSON"],
    ] as const) {
      expect(() => read(text), text).toThrow(problem);
    }
  });

  it("of any objects come back with the same values", () => {
    const object = fc.dictionary(fc.constantFrom("a", "b", "c", ""), fc.jsonValue());
    fc.assert(
      fc.property(fc.array(object, { minLength: 1 }), (objects) => {
        const text = objects.map((each) => `${JSON.stringify(each)}\n`).join("");
        const lines = rewrite(text).trimEnd().split("\n");
        expect(lines.map((line) => JSON.parse(line))).toEqual(JSON.parse(JSON.stringify(objects)));
      }),
    );
  });
});
