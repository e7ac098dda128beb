import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeTable, encode, encodeTable, tableMetadata, type Values } from "@cubby/delta";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { addDeltaCommands } from "../commands/delta.ts";
import type { Context } from "../context.ts";
import { runCubby } from "../program.ts";
import { decodeText } from "./cdl-file.ts";

let directory: string;
let out: Buffer;
let error: string;
let input: string;
const terminal = { isOut: false, isError: false };

const context: Context = {
  env: {},
  writeOut: (data) => {
    out = Buffer.concat([out, typeof data === "string" ? Buffer.from(data) : data]);
  },
  writeError: (text) => {
    error += text;
  },
  readInput: async () => Buffer.from(input),
  cells: {
    connect: async () => Promise.reject(new Error("no cell is asked")),
    statuses: async () => [],
  },
};

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cubby-delta-"));
  out = Buffer.alloc(0);
  error = "";
  input = "";
});

afterEach(() => rmSync(directory, { recursive: true }));

const at = (name: string): string => join(directory, name);
const put = (name: string, text: string | Uint8Array): void => writeFileSync(at(name), text);
const get = (name: string): string => readFileSync(at(name), "utf8");

async function delta(...args: string[]): Promise<number> {
  return runCubby(["delta", ...args], context, async (program, onExitCode) =>
    addDeltaCommands(program, context, onExitCode, terminal),
  );
}

const PRICES = [
  "time,symbol,price,volume,note",
  ...Array.from({ length: 600 }, (_, i) => {
    const time = new Date(Date.UTC(2026, 10, 26, 9, 30, i)).toISOString().slice(0, 19);
    const price = (100 + Math.round(50 * Math.sin(i / 20)) / 100).toFixed(2);
    return `${time}Z,ABC,${price},${(i * 7919) % 1000},${i % 100 === 0 ? '"a ""quoted"", note"' : ""}`;
  }),
  "",
].join("\n");

describe("cubby delta encode and decode", () => {
  it("give back a CSV file to the byte, and its columns to a program", async () => {
    put("prices.csv", PRICES);
    expect(await delta("encode", at("prices.csv"), "-o", at("prices.cdl"))).toBe(0);
    expect(error).toBe("");
    expect(out.toString()).toContain("600 rows");
    expect(out.toString()).toContain("decodes to the same text");
    expect(readFileSync(at("prices.cdl")).length).toBeLessThan(PRICES.length / 4);
    expect(await delta("decode", at("prices.cdl"), "-o", at("again.csv"))).toBe(0);
    expect(get("again.csv")).toBe(PRICES);
    const columns = decodeTable(readFileSync(at("prices.cdl")));
    expect(Object.keys(columns)).toEqual(["time", "symbol", "price", "volume", "note"]);
    expect([columns["price"]?.[0], columns["time"]?.[0]]).toEqual([
      100,
      new Date("2026-11-26T09:30:00Z"),
    ]);
  });

  it("read standard input and write standard output, and nothing else there", async () => {
    input = '{"a":1.5,"b":null}\n{"a":2.5,"b":null}\n';
    expect(await delta("encode", "-")).toBe(0);
    put("file.cdl", out);
    out = Buffer.alloc(0);
    expect(await delta("decode", at("file.cdl"))).toBe(0);
    expect([out.toString(), error]).toEqual([input, ""]);
  });

  it("keep the rows of objects that have no key", async () => {
    put("a.jsonl", "{}\n{}\n");
    expect(await delta("encode", at("a.jsonl"), "-o", at("a.cdl"), "--exact")).toBe(0);
    expect(await delta("decode", at("a.cdl"), "-o", at("again.jsonl"))).toBe(0);
    expect(get("again.jsonl")).toBe("{}\n{}\n");
    put("both.cdl", Buffer.concat([readFileSync(at("a.cdl")), readFileSync(at("a.cdl"))]));
    expect(await delta("decode", at("both.cdl"), "-o", at("both.jsonl"))).toBe(0);
    expect(get("both.jsonl")).toBe("{}\n{}\n{}\n{}\n");
    put("keyed.jsonl", '{"a":1}\n');
    expect(await delta("encode", at("keyed.jsonl"), "-o", at("keyed.cdl"))).toBe(0);
    put("mixed.cdl", Buffer.concat([readFileSync(at("keyed.cdl")), readFileSync(at("a.cdl"))]));
    expect(await delta("decode", at("mixed.cdl"), "-o", at("mixed.jsonl"))).toBe(64);
    expect(error).toContain("Table 2 of the file is of objects without a key");
  });

  it("turn one kind of text into another, and into raw numbers", async () => {
    put("a.csv", "zip,n,when\n00501,1.50,2026-01-02\n10001,-2.25,2026-01-03\n");
    await delta("encode", at("a.csv"), "-o", at("a.cdl"));
    expect(await delta("decode", at("a.cdl"), "-o", at("a.jsonl"))).toBe(0);
    expect(get("a.jsonl")).toBe(
      '{"zip":"00501","n":1.50,"when":"2026-01-02"}\n{"zip":"10001","n":-2.25,"when":"2026-01-03"}\n',
    );
    expect(await delta("decode", at("a.cdl"), "--columns", "n", "-o", at("n.raw"))).toBe(0);
    expect(new Float64Array(readFileSync(at("n.raw")).buffer.slice(0))).toBeDefined();
    expect(readFileSync(at("n.raw")).readDoubleLE(8)).toBe(-2.25);
    out = Buffer.alloc(0);
    expect(await delta("decode", at("a.cdl"), "--columns", "n,zip", "--json")).toBe(0);
    expect(JSON.parse(out.toString())).toEqual({
      rows: 2,
      columns: [
        { name: "n", type: "f64", values: [1.5, -2.25] },
        { name: "zip", type: "i32", values: [501, 10001] },
      ],
    });
  });

  it("put tabs into what a name says has tabs, and read it so", async () => {
    put("a.jsonl", '{"n":1,"word":"x,y"}\n{"n":2,"word":"z\\t"}\n');
    await delta("encode", at("a.jsonl"), "-o", at("a.cdl"));
    expect(await delta("decode", at("a.cdl"), "-o", at("a.tsv"))).toBe(0);
    expect(get("a.tsv")).toBe('n\tword\n1\tx,y\n2\t"z\t"\n');
    expect(await delta("decode", at("a.cdl"), "--format", "csv", "-o", at("b.tsv"))).toBe(0);
    expect(get("b.tsv")).toBe('n,word\n1,"x,y"\n2,z\t\n');
    expect(error).toBe("");
    put("one.TSV", "pair\n1,5\n2,5\n");
    const columns = async (...options: string[]): Promise<string[]> => {
      await delta("encode", at("one.TSV"), "-o", at("one.cdl"), "--force", ...options);
      return Object.keys(decodeTable(readFileSync(at("one.cdl"))));
    };
    expect(await columns("--header")).toEqual(["pair"]);
    put("one.TSV", "a,b\n1,5\n2,5\n");
    expect(await columns("--delimiter", ",")).toEqual(["a", "b"]);
    expect(await columns("--from", "csv")).toEqual(["a", "b"]);
    // What this one was made from is no longer what comes back.
    expect(await delta("decode", at("one.cdl"), "-o", at("two.tsv"))).toBe(0);
    expect(get("two.tsv")).toBe("a\tb\n1\t5\n2\t5\n");
    expect(error).toContain('two.tsv has tabs, as its name says, where the text had ",".');
    error = "";
    expect(await delta("decode", at("one.cdl"), "-o", at("same.tsv"), "--format", "csv")).toBe(0);
    expect([get("same.tsv"), error]).toEqual([get("one.TSV"), ""]);
  });

  it("show names of files as they are, with no escape that a terminal obeys", async () => {
    const bad = at("\u001b[31m");
    put("a.csv", "a\n1\n");
    put("old", "a");
    expect(await delta("encode", at("a.csv"), "-o", `${bad}.cdl`)).toBe(0);
    expect(await delta("inspect", `${bad}.cdl`)).toBe(0);
    expect(await delta("decode", `${bad}.cdl`, "-o", `${bad}.csv`)).toBe(0);
    expect(await delta("decode", `${bad}.cdl`, "-o", `${bad}.tsv`)).toBe(0);
    expect(await delta("diff", at("old"), at("a.csv"), "-o", `${bad}.patch`)).toBe(0);
    expect(await delta("inspect", `${bad}.patch`)).toBe(0);
    expect(out.toString().match(/\\u\{1b\}\[31m\.(cdl|csv|tsv|patch):/g)).toHaveLength(6);
    expect(`${out}${error}`).not.toContain("\u001b");
  });

  it("take raw numbers, and series that programs made", async () => {
    put("raw", Buffer.from(Int16Array.of(5, -5, 6).buffer));
    expect(await delta("encode", at("raw"), "--raw", "i16", "-o", at("s.cdl"))).toBe(0);
    expect(await delta("decode", at("s.cdl"), "-o", at("s.bin"))).toBe(0);
    expect(readFileSync(at("s.bin"))).toEqual(readFileSync(at("raw")));
    put("f.cdl", encode(Float32Array.of(0.1, -0, Number.NaN)));
    out = Buffer.alloc(0);
    expect(await delta("decode", at("f.cdl"))).toBe(0);
    expect(out.toString()).toBe("0.1\n-0\nNaN\n");
  });

  it("write files of other origin, also where what they say of their text does not fit", async () => {
    const values = new Map<string, Values>([
      ["n", [1.5, null]],
      ["d", [new Date(Number.NaN), new Date("+012026-01-01T00:00:00Z")]],
      ["2", BigUint64Array.of(2n ** 64n - 1n, 0n)],
      ["", ["", null]],
      ["all null", [null, null]],
    ]);
    put("other.cdl", encodeTable(values));
    expect(await delta("decode", at("other.cdl"))).toBe(0);
    expect(out.toString()).toBe(
      '2,n,d,,all null\n18446744073709551615,1.5,NaN,"",\n0,,+012026-01-01T00:00:00.000Z,,\n',
    );
    const column = (key: string, format: object): object => ({ key, format });
    const layout = {
      source: "csv",
      rows: 2,
      newline: "\n",
      finalNewline: true,
      mark: false,
      columns: [
        column("n", { kind: "boolean", no: "no", yes: "yes" }),
        column("d", { kind: "decimal", digits: 2 }),
        column("2", {
          kind: "time",
          time: { separator: "", seconds: true, fraction: 0, zone: "" },
        }),
      ],
    };
    const metadata = { "cubby.text": JSON.stringify(layout) };
    put("wrong.cdl", encodeTable(values, { metadata }));
    out = Buffer.alloc(0);
    expect(await delta("decode", at("wrong.cdl"), "--columns", "n,d,2")).toBe(0);
    expect(out.toString()).toBe(
      "n,d,2\n1.5,NaN,18446744073709551615\n,317336745600000.00,1970-01-01\n",
    );
    for (const text of ["{}", "no JSON", '{"columns":[]}', '{"columns":[null]}']) {
      put("odd.cdl", encodeTable(values, { metadata: { "cubby.text": text } }));
      expect([text, await delta("decode", at("odd.cdl"))]).toEqual([text, 69]);
    }
  });

  it("of two tables one after the other keep all values, as text that is not shorter", async () => {
    put("a.csv", "p\n1.50\n2.25\n");
    put("b.csv", "p\n1.125\n");
    await delta("encode", at("a.csv"), "-o", at("a.cdl"));
    await delta("encode", at("b.csv"), "-o", at("b.cdl"));
    put("both.cdl", Buffer.concat([readFileSync(at("b.cdl")), readFileSync(at("a.cdl"))]));
    out = Buffer.alloc(0);
    expect(await delta("decode", at("both.cdl"))).toBe(0);
    expect(out.toString()).toBe("p\n1.125\n1.50\n2.25\n");
  });

  it("of tables one after the other write each by what it was made from", async () => {
    const parts = [
      '{"v":"x"}\n{"v":1}\n{"v":{"a":[2]}}\n',
      '{"v":"1"}\n{"v":"{}"}\n{"v":"\\"q\\""}\n',
      '{"v":"007"}\n{}\n{"v":"012"}\n',
      '{"v":"z"}\n{"v":null}\n',
    ];
    const pieces: Buffer[] = [];
    for (const [i, text] of parts.entries()) {
      put(`${i}.jsonl`, text);
      expect(await delta("encode", at(`${i}.jsonl`), "-o", at(`${i}.cdl`), "--exact")).toBe(0);
      pieces.push(readFileSync(at(`${i}.cdl`)));
    }
    for (const order of [
      [0, 1, 2, 3],
      [3, 2, 1, 0],
      [1, 0, 1],
      [0, 3, 0],
      [2, 3],
    ]) {
      const both = order.map((i) => pieces[i] as Buffer);
      put("both.cdl", Buffer.concat(both));
      out = Buffer.alloc(0);
      expect(await delta("decode", at("both.cdl"), "--format", "jsonl")).toBe(0);
      expect(out.toString()).toBe(order.map((i) => parts[i]).join(""));
    }
    // What a program appended says nothing of its looks: its strings are text.
    put("more.cdl", Buffer.concat([pieces[0] as Buffer, encodeTable({ v: ["1", null] })]));
    out = Buffer.alloc(0);
    expect(await delta("decode", at("more.cdl"), "--format", "jsonl")).toBe(0);
    expect(out.toString()).toBe(`${parts[0]}{"v":"1"}\n{"v":null}\n`);
  });

  it("refuse a file that claims an impossible number of rows", async () => {
    put("a.jsonl", "{}\n{}\n");
    await delta("encode", at("a.jsonl"), "-o", at("a.cdl"));
    for (const rows of ["-5", "2.5", "1e999"]) {
      const text = tableMetadata(readFileSync(at("a.cdl")))["cubby.text"] ?? "";
      const metadata = { "cubby.text": text.replace('"rows":2', `"rows":${rows}`) };
      put("b.cdl", encodeTable({}, { metadata }));
      expect(await delta("decode", at("b.cdl"), "-o", at("b.jsonl"))).not.toBe(0);
      expect(error).toContain("is not known here");
    }
  });

  it("keep nothing of tables in a row that have no rows, however many", async () => {
    put("a.csv", "a,b\n1,2\n");
    await delta("encode", at("a.csv"), "-o", at("a.cdl"));
    const joined = Buffer.concat([readFileSync(at("a.cdl")), ...Array(50).fill(encodeTable({}))]);
    expect(decodeText(joined).table.parts).toHaveLength(1);
  });

  it("take files of nothing", async () => {
    for (const text of ["", "a,b\n", "\n", "\n\n"]) {
      put("empty.csv", text);
      expect(await delta("encode", at("empty.csv"), "-o", at("e.cdl"), "--force")).toBe(0);
      expect(await delta("inspect", at("e.cdl"))).toBe(0);
      expect(await delta("decode", at("e.cdl"), "-o", at("e.csv"), "--force")).toBe(0);
      expect(get("e.csv")).toBe(text);
    }
    put("none", "");
    expect(await delta("encode", at("none"), "--raw", "f64", "-o", at("n.cdl"))).toBe(0);
    expect(await delta("bench", at("empty.csv"), "--json")).toBe(0);
  });

  it("say what of the text is not kept, and refuse that when asked to be exact", async () => {
    put("odd.csv", 'a,b\n"1",x\n2,y\n');
    expect(await delta("encode", at("odd.csv"), "-o", at("odd.cdl"))).toBe(0);
    expect(error).toContain('from line 2 on, "\\"1\\",x\\n" will be "1,x\\n"');
    expect(await delta("encode", at("odd.csv"), "-o", at("exact.cdl"), "--exact")).toBe(65);
    expect(readdirSync(directory).sort()).toEqual(["odd.cdl", "odd.csv"]);
  });

  it("refuse half a character, which JSON can say and CSV cannot", async () => {
    put("half.jsonl", '{"a":"\\ud800","n":1}\n');
    await delta("encode", at("half.jsonl"), "-o", at("half.cdl"));
    expect(await delta("decode", at("half.cdl"), "-o", at("half.csv"))).toBe(65);
    expect(error).toContain("--format jsonl");
    expect(readdirSync(directory).sort()).toEqual(["half.cdl", "half.jsonl"]);
    expect(await delta("decode", at("half.cdl"), "-o", at("again.jsonl"))).toBe(0);
    expect(get("again.jsonl")).toBe(get("half.jsonl"));
  });

  it("refuse a type that would alter a value, and write nothing", async () => {
    put("id.csv", "id\n9007199254740993\n");
    for (const more of [[], ["--columns", "id"]]) {
      const command = ["encode", at("id.csv"), "-o", at("id.cdl"), "--type", "id=f64", ...more];
      expect(await delta(...command)).toBe(65);
    }
    expect(readdirSync(directory)).toEqual(["id.csv"]);
  });

  it("report in JSON", async () => {
    put("p.csv", "t,p\n1,100.50\n2,100.75\n");
    expect(await delta("encode", at("p.csv"), "-o", at("p.cdl"), "--json")).toBe(0);
    expect(JSON.parse(out.toString())).toEqual({
      input: at("p.csv"),
      output: at("p.cdl"),
      source: "csv",
      rows: 2,
      columns: [
        { key: "t", type: "i32", writtenAs: "whole numbers" },
        { key: "p", type: "f64", writtenAs: "numbers with 2 decimals" },
      ],
      inputBytes: 22,
      outputBytes: readFileSync(at("p.cdl")).length,
      sameText: true,
      difference: null,
    });
    out = Buffer.alloc(0);
    expect(await delta("decode", at("p.cdl"), "-o", at("q.csv"), "--json")).toBe(0);
    expect(JSON.parse(out.toString())).toEqual({
      input: at("p.cdl"),
      output: at("q.csv"),
      format: "csv",
      rows: 2,
      bytes: 22,
    });
  });
});

describe("cubby delta inspect", () => {
  it("shows columns, chunks, why, and plots, 80 characters wide", async () => {
    put("prices.csv", PRICES);
    await delta("encode", at("prices.csv"), "-o", at("prices.cdl"), "--backend", "fast");
    out = Buffer.alloc(0);
    expect(await delta("inspect", at("prices.cdl"))).toBe(0);
    const text = out.toString();
    expect(text).toContain("a table of 5 columns, 600 rows");
    expect(text).toContain("numbers with 2 decimals");
    expect(text).toContain("── price: f64, numbers with 2 decimals ──");
    expect(text).toContain("deltas\n");
    expect(text).toMatch(/bits per value, \d+ blocks of 128, from/);
    expect(text).not.toContain("\u001b");
    out = Buffer.alloc(0);
    expect(await delta("inspect", at("prices.cdl"), "--column", "price", "--json")).toBe(0);
    expect(JSON.parse(out.toString())).toMatchObject({ type: "f64", values: 600 });
    expect(await delta("inspect", at("prices.cdl"), "--column", "none")).toBe(64);
  });

  it("shows what in a name a terminal would act on, as encode and bench and errors do", async () => {
    put("names.csv", "\u001b]0;a\u0007,b\n1,2\n3,4\n");
    await delta("encode", at("names.csv"), "-o", at("names.cdl"));
    await delta("inspect", at("names.cdl"));
    await delta("bench", at("names.csv"));
    expect(await delta("encode", at("names.csv"), "--columns", "c")).toBe(64);
    const said = `${out.toString()}${error}`;
    expect(said).not.toMatch(/[^\P{Cc}\n]/u);
    // The tables of encode and inspect, the title, bench and the error.
    expect(said.split("\\u{1b}]0;a\\u{7}").length - 1).toBe(5);
  });

  it("prints 64-bit bounds as text in JSON", async () => {
    writeFileSync(at("big.cdl"), encode(BigInt64Array.of(1n, 2n ** 60n)));
    out = Buffer.alloc(0);
    expect(await delta("inspect", at("big.cdl"), "--json")).toBe(0);
    expect(JSON.parse(out.toString())).toMatchObject({
      chunks: [{ min: "1", max: String(2n ** 60n) }],
    });
  });
});

describe("cubby delta diff and patch", () => {
  it("lead from one version to the other", async () => {
    put("old", PRICES);
    put("new", PRICES.replace("ABC", "ABCD"));
    expect(await delta("diff", at("old"), at("new"), "-o", at("patch"))).toBe(0);
    expect(readFileSync(at("patch")).length).toBeLessThan(300);
    expect(await delta("patch", at("old"), at("patch"), "-o", at("again"), "--json")).toBe(0);
    expect(get("again")).toBe(get("new"));
    expect(await delta("patch", at("new"), at("patch"), "-o", at("wrong"))).toBe(65);
    out = Buffer.alloc(0);
    expect(await delta("inspect", at("patch"))).toBe(0);
    expect(out.toString()).toContain("a patch of");
  });

  it("take files of one size: what diff takes is not too large for patch", async () => {
    put("old", "");
    put("new", "x");
    expect(await delta("diff", at("old"), at("new"), "-o", at("patch"))).toBe(0);
    const [sizesAt, oldSize, newSize] = [5, 0, 1];
    const patch = readFileSync(at("patch"));
    expect([...patch.subarray(sizesAt, sizesAt + 2)]).toEqual([oldSize, newSize]);
    // 2^28 + 1: a patch that is cut off, and not too large.
    const larger = [oldSize, 0x81, 0x80, 0x80, 0x80, 0x01];
    put(
      "larger",
      Buffer.concat([patch.subarray(0, 5), Uint8Array.from(larger), patch.subarray(7)]),
    );
    expect(await delta("patch", at("old"), at("larger"), "-o", at("made"))).toBe(65);
    expect(error).not.toContain("limit_exceeded");
  });
});

describe("cubby delta bench", () => {
  it("compares on the text and on its columns", async () => {
    put("prices.csv", PRICES);
    expect(await delta("bench", at("prices.csv"), "--json")).toBe(0);
    const { sections } = JSON.parse(out.toString());
    expect(sections).toHaveLength(2);
    for (const { bytes, rows } of sections) {
      const codecs = rows.map(({ codec }: { codec: string }) => codec);
      expect(codecs).toEqual(
        expect.arrayContaining(["cubby delta fast", "cubby delta small", "gzip -6", "brotli -q 5"]),
      );
      for (const row of rows) expect(row.ratio).toBeCloseTo(row.bytes / bytes);
    }
    out = Buffer.alloc(0);
    expect(await delta("bench", at("prices.csv"))).toBe(0);
    expect(out.toString()).toContain("encode MB/s");
  });
});

describe("exit codes of cubby delta", () => {
  it("tell what is wrong: the call, the data, the input, the output", async () => {
    put("a.csv", "a,b\n10,2\n");
    put("ragged.csv", "a,b\n1\n");
    put("a.cdl", "CDL");
    for (const [code, ...args] of [
      [64, "encode"],
      [64, "encode", at("a.csv"), "--json"],
      [64, "encode", at("a.csv"), "-o", at("x"), "--type", "a=i128"],
      [64, "encode", at("a.csv"), "-o", at("x"), "--type", "i32"],
      [64, "encode", at("a.csv"), "-o", at("x"), "--columns", "c"],
      [64, "encode", at("a.csv"), "-o", at("x"), "--delimiter", "ab"],
      [64, "encode", at("a.csv"), "-o", at("x"), "--from", "xml"],
      [64, "encode", at("a.csv"), "-o", at("x"), "--columns", "a,a"],
      [64, "decode", at("a.cdl"), "-o", at("x"), "--columns", "a,a"],
      [64, "diff", at("a.csv"), at("a.csv"), "--json"],
      [65, "encode", at("ragged.csv"), "-o", at("x")],
      [65, "encode", at("a.csv"), "-o", at("x"), "--raw", "f64"],
      [65, "decode", at("a.csv")],
      [65, "decode", at("a.cdl")],
      [65, "inspect", at("a.csv")],
      [65, "patch", at("a.csv"), at("a.csv"), "-o", at("x")],
      [66, "encode", at("none.csv"), "-o", at("x")],
      [66, "decode", directory],
      [66, "inspect", at("none")],
      [66, "bench", at("none")],
      [73, "encode", at("a.csv"), "-o", at("a.cdl")],
      [73, "encode", at("a.csv"), "-o", at("none/x")],
      [73, "decode", at("a.cdl"), "-o", at("a.csv")],
    ] as const) {
      error = "";
      expect([await delta(...args), args]).toEqual([code, args]);
      expect(error).not.toBe("");
    }
    expect(readdirSync(directory).sort()).toEqual(["a.cdl", "a.csv", "ragged.csv"]);
  });

  it("are 64 for options that cannot apply to the file", async () => {
    put("raw", Uint8Array.of(1, 2, 3, 4));
    await delta("encode", at("raw"), "--raw", "u8", "-o", at("s.cdl"));
    put("a.csv", "a\n1\n");
    await delta("encode", at("a.csv"), "-o", at("t.cdl"));
    await delta("diff", at("raw"), at("a.csv"), "-o", at("patch"));
    for (const args of [
      ["decode", at("s.cdl"), "--columns", "nosuch"],
      ["decode", at("s.cdl"), "--columns", "value,nosuch"],
      ["decode", at("t.cdl"), "--columns", "nosuch"],
      ["inspect", at("s.cdl"), "--column", "nosuch"],
      ["inspect", at("s.cdl"), "--column", "nosuch", "--json"],
      ["inspect", at("patch"), "--column", "value"],
      ["inspect", at("patch"), "--column", "value", "--json"],
      ["encode", at("raw"), "-o", at("x"), "--raw", "u8", "--type", "x=y"],
      ["encode", at("raw"), "-o", at("x"), "--raw", "u8", "--columns", "z"],
      ["encode", at("raw"), "-o", at("x"), "--raw", "u8", "--from", "csv"],
      ["encode", at("raw"), "-o", at("x"), "--raw", "u8", "--no-header"],
      ["bench", at("raw"), "--raw", "u8", "--delimiter", ";"],
      ["bench", at("raw"), "--raw", "u8", "--null", "NA"],
      ["encode", at("a.csv"), "-o", at("x"), "--exact", "--columns", "a"],
      ["bench", at("a.csv"), "--delimiter", "ab"],
      ["bench", at("a.csv"), "--delimiter", ""],
    ]) {
      out = Buffer.alloc(0);
      error = "";
      expect([await delta(...args), args, out.toString()]).toEqual([64, args, ""]);
      expect(error).toContain("[invalid_argument]");
    }
    expect(await delta("decode", at("s.cdl"), "--columns", "value")).toBe(0);
    expect(out.toString()).toBe("1\n2\n3\n4\n");
    for (const more of [[], ["--json"]]) {
      expect(await delta("inspect", at("s.cdl"), "--column", "value", ...more)).toBe(0);
    }
  });

  it("are 65 for standard input that is larger than a file may be", async () => {
    const endless = Object.defineProperty(new Uint8Array(0), "length", { value: 2 ** 31 + 1 });
    const readInput = async (): Promise<Uint8Array> => endless;
    const world = { ...context, readInput };
    const code = await runCubby(["delta", "decode", "-"], world, async (program, onExitCode) =>
      addDeltaCommands(program, world, onExitCode, terminal),
    );
    expect([code, error]).toEqual([65, expect.stringContaining("larger than 2 GiB")]);
  });

  it("are 64 for what only CSV has, said of JSON lines", async () => {
    put("a.jsonl", '{"a":1}\n{"a":2}\n');
    put("a", '{"a":1}\n');
    const said = [["--null", "NA"], ["--header"], ["--no-header"], ["--delimiter", ";"]];
    for (const command of [["encode", "-o", at("x")], ["bench"]]) {
      for (const options of said) {
        for (const file of [at("a.jsonl"), at("a")]) {
          error = "";
          expect([file, options, await delta(...command, file, ...options)]).toEqual([
            file,
            options,
            64,
          ]);
          expect(error).toContain(`${options[0]} has no meaning for JSON lines`);
        }
      }
    }
    expect(await delta("encode", at("a"), "--from", "csv", "--null", "NA", "-o", at("y"))).toBe(0);
  });

  it("come with one JSON document that names the file", async () => {
    put("ragged.csv", "a,b\n1\n");
    expect(await delta("encode", at("ragged.csv"), "-o", at("x"), "--json")).toBe(65);
    expect(JSON.parse(error)).toMatchObject({
      error: {
        code: "file_malformed",
        message: `[file_malformed] ${at("ragged.csv")}: Line 2 has 1 fields, and the first line 2.`,
      },
    });
  });

  it("are 0 for help, which shows an example of each command", async () => {
    for (const name of ["encode", "decode", "inspect", "bench", "diff", "patch"]) {
      out = Buffer.alloc(0);
      expect(await delta(name, "--help")).toBe(0);
      expect(out.toString()).toContain(`Examples:\n  $ cubby delta ${name}`);
      expect(out.toString()).toContain("--json");
    }
  });
});
