import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { requestOf } from "./column-type.ts";
import { type CsvOptions, readCsv, writeCsv } from "./csv-table.ts";
import { readJsonLines } from "./json-lines-table.ts";
import type { TextTable } from "./text-table.ts";

const encoder = new TextEncoder();

function read(text: string, options: Partial<CsvOptions> = {}): TextTable {
  return readCsv(encoder.encode(text), { onProgress: () => undefined, ...options });
}

function rewrite(text: string, options: Partial<CsvOptions> = {}): string {
  return [...writeCsv(read(text, options))].join("");
}

function column(text: string, options: Partial<CsvOptions> = {}): unknown {
  const [first] = read(text, options).columns;
  return first?.values;
}

const formats = (text: string): unknown[] =>
  read(text).layout.columns.map(({ key, format }) => [key, format.kind]);

describe("CSV", () => {
  it("comes back to the byte, whatever its dialect", () => {
    for (const text of [
      "ts,price,volume,symbol\n1600000000,100.50,12,ABC\n1600000060,100.75,,DEF\n",
      "a;b\r\n1;x\r\n2;y\r\n",
      "a\tb\n1\t2",
      "\ufeffname,age\nZoë,7\n",
      '"a","b"\n"1","x, y"\n"2",""\n"3",\n',
      'text,n\n"two\nlines",1\n"a ""quote""",2\n,3\n"",4\n',
      "1.50\n-0.25\n0.00\n-0.00\n",
      ",a,b\n0,1.0,x\n1,2.5,y\n",
      "only,a,header\n",
      "a\n\n1\n\n",
      "",
      "x",
      "a,b,a\n1,2,3\n",
    ]) {
      expect(rewrite(text)).toBe(text);
    }
  });

  it("has a last row also where that is empty and the text had no final newline", () => {
    const values = (text: string): unknown => {
      const bytes = encoder.encode(text);
      const table = readJsonLines(bytes, { onProgress: () => undefined });
      const csv = [...writeCsv(table)].join("");
      return [csv, Array.from(column(csv, { header: true }) as Iterable<unknown>)];
    };
    expect(values('{"a":1}\n{"a":null}')).toEqual(["a\n1\n\n", [1, null]]);
    expect(values('{"a":1}\n{"a":2}')).toEqual(["a\n1\n2", [1, 2]]);
  });

  it("becomes typed columns", () => {
    const text = [
      "int,big,unsigned,money,float,python,padded,day,time,nano,flag,word",
      "1,9223372036854775807,18446744073709551615,$1.50,1e-7,1.0,007,2026-01-02,2026-01-02T03:04:05Z,2026-01-02 03:04:05.000000001,True,x",
      "-2,-9223372036854775808,0,-$0.25,0.1,1e-05,010,2026-01-03,2026-01-02T03:04:06Z,2026-01-02 03:04:05.000000002,False,",
      "",
    ].join("\n");
    const { columns, rows } = read(text);
    expect(rows).toBe(2);
    expect(Object.fromEntries(columns.map(({ key, values }) => [key, values]))).toEqual({
      int: Int32Array.of(1, -2),
      big: BigInt64Array.of(2n ** 63n - 1n, -(2n ** 63n)),
      unsigned: BigUint64Array.of(2n ** 64n - 1n, 0n),
      money: Float64Array.of(1.5, -0.25),
      float: Float64Array.of(1e-7, 0.1),
      python: Float64Array.of(1, 1e-5),
      padded: Int32Array.of(7, 10),
      day: [new Date("2026-01-02"), new Date("2026-01-03")],
      time: [new Date("2026-01-02T03:04:05Z"), new Date("2026-01-02T03:04:06Z")],
      nano: BigInt64Array.of(1_767_323_045_000_000_001n, 1_767_323_045_000_000_002n),
      flag: [true, false],
      word: ["x", null],
    });
    expect(rewrite(text)).toBe(text);
  });

  it("is text where a number would not give the same text back", () => {
    for (const odd of ["+3", "1e5", "1.50", " 1", "0x10", ".5", "5.", "1,5", "-0.0e1", "١"]) {
      const text = `n;m\n1.5;0\n${odd};0\n`;
      expect([odd, formats(text)[0]]).toEqual([odd, ["n", "text"]]);
      expect(rewrite(text)).toBe(text);
    }
  });

  it("changes its mind about a column as late as it must", () => {
    const integers = Array.from({ length: 5_000 }, (_, i) => `${i}`);
    const mixed = ["n", ...integers, "0.5", "12345678901234567890", ...integers].join("\n");
    expect(formats(`${mixed}\n`)).toEqual([["n", "text"]]);
    expect(rewrite(mixed)).toBe(mixed);
    expect(formats(["n", ...integers, "0.5", ""].join("\n"))).toEqual([["n", "number"]]);
    expect(formats(["n", ...integers, "9007199254740993", ""].join("\n"))).toEqual([
      ["n", "bigint"],
    ]);
    // uint64 arrays know no null.
    const gap = ["n,m", "18446744073709551615,0", ",0", ""].join("\n");
    expect(formats(gap)[0]).toEqual(["n", "text"]);
  });

  it("has a header if its first line names columns", () => {
    expect(read("1,2\n3,4\n").layout.csv.header).toBe("none");
    expect(read("apple\npear\n").layout.csv.header).toBe("none");
    expect(read("price\n1\n").layout.csv.header).toBe("plain");
    expect(read("a,a\nb,c\n").layout.csv.header).toBe("none");
    expect(read("1,2\n3,4\n", { header: true }).layout.columns.map(({ key }) => key)).toEqual([
      "1",
      "2",
    ]);
  });

  it("tells its delimiter from commas in decimals and from quoted ones", () => {
    expect(read("a;b\n1,5;2,5\n3,5;4,5\n").layout.csv.delimiter).toBe(";");
    expect(read('a,b\n"x;y",1\n"p;q",2\n').layout.csv.delimiter).toBe(",");
    expect(read("a|b\n1|2\n", { delimiter: "|" }).columns).toHaveLength(2);
  });

  it("reads what is asked for: types, columns, marks of missing values", () => {
    const types = (type: string): Partial<CsvOptions> => ({
      types: new Map([["n", requestOf(type)]]),
    });
    expect(column("n\n1\n2\n", types("f64"))).toEqual(Float64Array.of(1, 2));
    expect(column("n\n1\n2\n", types("u8"))).toEqual(Uint8Array.of(1, 2));
    expect(column("n\n1\n2\n", types("string"))).toEqual(["1", "2"]);
    expect(column("n\n1\n2\n", types("bigint"))).toEqual([1n, 2n]);
    expect(column("n\n+1\n1e2\n1.50\n", types("number"))).toEqual([1, 100, 1.5]);
    expect(column("n\n1\nNA\n", { nullText: "NA" })).toEqual([1, null]);
    expect(read("a,b\n1,2\n", { columns: ["b"] }).columns).toEqual([
      { key: "b", type: "i32", values: Int32Array.of(2) },
    ]);
    const marks = 'a,b\nNA,"NA"\n,x\n';
    expect(rewrite(marks, { nullText: "NA" })).toBe(marks);
  });

  it("that is malformed is refused, with the line", () => {
    expect(() => read("a,b\n1,2\n3\n")).toThrow("Line 3 has 1 fields, and the first line 2.");
    expect(() => read('a,b\n"x"y,2\n')).toThrow("Line 2: a field goes on behind its closing quote");
    expect(() => read('a,b\n1,"x\n')).toThrow("Line 2: a quote is not closed");
    expect(() => read("a\n1\nx\n", { types: new Map([["a", requestOf("number")]]) })).toThrow(
      'Line 3, column "a": "x" is not of the type that was asked for.',
    );
    const altered = 'a,b\n"x\ny",1\n\nz,9007199254740993\n';
    for (const type of ["f64", "number", "i32"]) {
      expect(() => read(altered, { types: new Map([["b", requestOf(type)]]) })).toThrow(
        `Line 5, column "b": "9007199254740993" would be another number as ${type}. Ask for`,
      );
    }
    expect(() => read("a\n300\n", { types: new Map([["a", requestOf("u8")]]) })).toThrow(
      "u8 cannot hold 300",
    );
    expect(() => read("a\n-0\n", { types: new Map([["a", requestOf("i32")]]) })).toThrow(
      "i32 cannot hold -0",
    );
    for (const fine of ["2026-01-02 03:04:05.000001", "2026-01-02T03:04:05.000000001Z"]) {
      const text = `a\n${fine}\n`;
      expect(() => read(text, { types: new Map([["a", requestOf("date")]]) })).toThrow("are finer");
      expect(column(text)).toBeInstanceOf(BigInt64Array);
    }
    expect(() => read("a\n1\n", { types: new Map([["b", requestOf("u8")]]) })).toThrow(
      'There is no column "b": a.',
    );
  });

  it("of any fields comes back to the byte", () => {
    const field = fc.oneof(
      fc.constantFrom(
        "",
        "0",
        "-0",
        "1.5",
        "1.50",
        "007",
        "NaN",
        "-Infinity",
        "true",
        "$5",
        "€ 7%",
      ),
      fc.integer().map(String),
      fc.double().map(String),
      fc.bigInt().map(String),
      fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
      fc.string({ unit: fc.constantFrom("a", '"', ",", "\n", "\r", ";", "é", " ") }),
    );
    const rows = fc
      .integer({ min: 1, max: 4 })
      .chain((width) =>
        fc.array(fc.array(field, { minLength: width, maxLength: width }), { minLength: 1 }),
      );
    fc.assert(
      fc.property(rows, fc.boolean(), (table, quoteAll) => {
        const text = table
          .map((row) => {
            const fields = row.map((each) =>
              quoteAll || /[",\n\r]/.test(each) ? `"${each.replaceAll('"', '""')}"` : each,
            );
            return `${fields.join(",")}\n`;
          })
          .join("");
        expect(rewrite(text, { delimiter: ",", header: false })).toBe(text);
      }),
    );
  });

  it("is read the same in pieces, wherever they are cut", () => {
    const long = `${"x".repeat(1_200_000)}\n"" and, more`;
    const text = `a,b\n"${long.replaceAll('"', '""')}",1\n"${long.replaceAll('"', '""')}",2\n`;
    expect(column(text)).toEqual([long, long]);
    expect(rewrite(text) === text).toBe(true);
    // Also where the first record alone is longer than what is looked at first.
    const names = Array.from({ length: 1_000 }, (_, i) => "n".repeat(1_000 + i));
    for (const [rows, more] of [
      [`"${long.replaceAll('"', '""')}",1\nx,2\n`, 2],
      [`${names.join(",")}\r\n${names.map((_, i) => i).join(",")}\r\n`, 1_000],
      ["x".repeat(1_200_000), 1],
    ] as const) {
      expect(read(rows).columns).toHaveLength(more);
      expect(rewrite(rows) === rows).toBe(true);
    }
  });
});
