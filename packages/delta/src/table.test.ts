import { runInNewContext } from "node:vm";
import { describe, expect, it, vi } from "vitest";
import { decode, decodeTable, encode, encodeTable, inspect } from "./complete.ts";
import type { DeltaError } from "./delta-error.ts";
import { tableMetadata, tableParts } from "./table.ts";

const columns = {
  time: [new Date(0), new Date(1000), null],
  price: Float64Array.of(100.5, 100.75, 100.6),
  ["__proto__"]: ["a", "b", "a"],
  "\ud800": Uint8Array.of(1, 2, 3),
};

describe("a table", () => {
  it("gives back its columns in order, whatever their names", () => {
    const table = decodeTable(encodeTable(columns));
    expect(Object.keys(table)).toEqual(["time", "price", "__proto__", "\ud800"]);
    expect(Object.values(table)[2]).toEqual(["a", "b", "a"]);
    expect(table["price"]).toEqual(columns.price);
    expect(table["time"]).toEqual(columns.time);
  });

  it("decodes only the columns that are wanted, and refuses one that is not there", () => {
    const bytes = encodeTable(new Map(Object.entries(columns)));
    expect(decodeTable(bytes, { columns: ["price"] })).toEqual({ price: columns.price });
    expect(() => decodeTable(bytes, { columns: ["cost"] })).toThrow(/no column "cost"/);
  });

  it("keeps metadata, options of columns, and goes on in a second table", () => {
    const first = encodeTable({ a: Int32Array.of(1, 2) }, { metadata: { source: "é" } });
    const second = encodeTable({ a: Int32Array.of(3) }, { columns: { a: { backend: "fast" } } });
    const both = Uint8Array.from([...first, ...second]);
    expect(decodeTable(both)).toEqual({ a: Int32Array.of(1, 2, 3) });
    expect(tableMetadata(both)).toEqual({ source: "é" });
    expect(tableParts(both)).toEqual([
      { rows: 2, metadata: { source: "é" } },
      { rows: 1, metadata: {} },
    ]);
    const report = inspect(both);
    expect(report).toMatchObject({ kind: "table", values: 3, metadata: { source: "é" } });
  });

  it("refuses to decode into one array what are several columns", () => {
    const bytes = encodeTable({ a: Float64Array.of(1, 2), b: Float64Array.of(3, 4) });
    const options = { into: new Float64Array(2) } as object;
    expect(() => decodeTable(bytes, options)).toThrow(/invalid_argument.*`into`/);
  });

  it("refuses names and metadata that are no text, which would be lost", () => {
    const named = new Map([[1, [1]]]) as unknown as Map<string, number[]>;
    expect(() => encodeTable(named)).toThrow(/invalid_argument.*name/);
    const metadata = { rows: 5 } as unknown as Record<string, string>;
    expect(() => encodeTable({ a: [1] }, { metadata })).toThrow(/invalid_argument.*"rows"/);
  });

  it("refuses what are no columns", () => {
    for (const wrong of [undefined, null, 7, "text", { a: null }, { a: [1], b: 7 }] as never[]) {
      expect(() => encodeTable(wrong), String(wrong)).toThrow(/invalid_argument/);
    }
  });

  it("refuses options of a column that is not there", () => {
    const columns = { prise: { backend: "fast" } } as const;
    expect(() => encodeTable({ price: [1] }, { columns })).toThrow(/invalid_argument.*"prise"/);
  });

  it("refuses options and metadata that are no plain objects, of which nothing would be kept", () => {
    const foreign = runInNewContext(`new Map([["a", "x"]])`);
    for (const wrong of ["text", 7, true, ["x"], new Map([["a", "x"]]), foreign] as never[]) {
      expect(() => encodeTable({ a: [1] }, { columns: wrong }), `${wrong}`).toThrow(
        /invalid_argument.*columns/,
      );
      expect(() => encodeTable({ a: [1] }, { columns: { a: wrong } }), `${wrong}`).toThrow(
        /invalid_argument.*column "a"/,
      );
      expect(() => encodeTable({ a: [1] }, { metadata: wrong }), `${wrong}`).toThrow(
        /invalid_argument.*metadata/,
      );
    }
  });

  it("goes on in any number of tables", () => {
    const many = Array.from({ length: 2_000 }, (_, i) =>
      encodeTable({ a: Int32Array.of(i), b: [`row ${i}`] }),
    );
    const { a, b } = decodeTable(Buffer.concat(many));
    expect(a).toEqual(Int32Array.from(many, (_, i) => i));
    expect(b).toEqual(many.map((_, i) => `row ${i}`));
  });

  it("looks at no more columns than a part has, however many parts and columns there are", () => {
    const names = Array.from({ length: 300 }, (_, i) => `c${i}`);
    const head = encodeTable(Object.fromEntries(names.map((name) => [name, []])));
    const parts = [head, ...new Array<Uint8Array>(500).fill(encodeTable({ c0: [] }))];
    const bytes = Buffer.concat(parts);
    const add = vi.spyOn(Set.prototype, "add");
    const values = vi.spyOn(Map.prototype, "values");
    expect(Object.keys(decodeTable(bytes))).toEqual(names);
    expect(values).not.toHaveBeenCalled();
    expect(add.mock.calls.length).toBeLessThan(3_000);
    vi.restoreAllMocks();
  });

  it("is limited in its values, all columns together, but not to read its metadata", () => {
    const part = encodeTable({ a: new Uint8Array(2 ** 18) }, { metadata: { source: "here" } });
    const large = Buffer.concat(new Array<Uint8Array>(1_025).fill(part));
    expect(tableMetadata(large)).toEqual({ source: "here" });
    expect(() => decodeTable(large, { columns: [] })).toThrow(/more than 268435456 values/);
    const two = encodeTable({ a: [1, 2], b: [3, 4] });
    expect(() => decodeTable(two, { maxValues: 3 })).toThrow(
      /limit_exceeded.*more than 3 values: raise `maxValues` \(/,
    );
    expect(decodeTable(two, { maxValues: 4 })).toEqual({ a: [1, 2], b: [3, 4] });
  });

  it("tells of which column an error speaks, and its place in the file", () => {
    const failure = (work: () => unknown): DeltaError => {
      try {
        work();
      } catch (error) {
        return error as DeltaError;
      }
      throw new Error("nothing failed");
    };
    const a = Int32Array.of(1, 2, 3);
    const holed = { a: [1, 2], b: [1, undefined] } as never;
    expect(failure(() => encodeTable(holed))).toMatchObject({
      code: "invalid_argument",
      detail: expect.stringMatching(/^in column "b": undefined/),
      offset: 1,
    });
    for (const wrong of [[{}], 7, null]) {
      const told = {
        code: "invalid_argument",
        detail: expect.stringMatching(/^in column "b": [^i]/),
      };
      expect(failure(() => encodeTable({ a: [1], b: wrong } as never))).toMatchObject(told);
    }
    const other = Buffer.concat([encodeTable({ a, b: a }), encodeTable({ a, b: [1, 2, 3] })]);
    for (const read of [decodeTable, inspect]) {
      expect(failure(() => read(other))).toMatchObject({
        code: "corrupt",
        detail: 'in column "b": a column of i32 goes on as number',
      });
    }
    const whole = encodeTable({ a, b: a }, { checksum: false });
    const report = inspect(whole);
    if (report.kind !== "table") throw new Error("a table is wanted");
    const [first, second] = report.columns.map(({ inspection }) => inspection.chunks[0]?.offset);
    // Each of its columns is a file that has its first chunk behind a header of six bytes.
    for (const [at, offset] of [first, second].entries()) {
      expect(whole.subarray((offset ?? 0) - 6).subarray(0, 3), `${at}`).toEqual(
        Uint8Array.of(67, 68, 76),
      );
    }
    expect(second).toBeGreaterThan(first ?? 0);
    const change = (at: number): Uint8Array => {
      const copy = whole.slice();
      copy[at] = 99;
      return copy;
    };
    // The flags of the second column's chunk, and the version of its header.
    for (const [at, told] of [
      [(second ?? 0) + 3, second],
      [(second ?? 0) - 3, (second ?? 0) - 3],
    ] as const) {
      for (const read of [decodeTable, inspect]) {
        expect(failure(() => read(change(at)))).toMatchObject({
          detail: expect.stringMatching(/^in column "b": /),
          offset: told,
        });
      }
    }
  });

  it("may be empty", () => {
    expect(decodeTable(encodeTable({}))).toEqual({});
    expect(decodeTable(encodeTable({ a: [] }))).toEqual({ a: [] });
  });

  it("refuses columns of different lengths, and to be taken for a series", () => {
    expect(() => encodeTable({ a: [1], b: [1, 2] })).toThrow(/column "b" has 2 values, others 1/);
    expect(() => decode(encodeTable({ a: [1] }))).toThrow(/use decodeTable/);
    expect(() => decodeTable(encode([1]))).toThrow(/use decode/);
    const [a, b] = [encodeTable({ a: [1] }), encodeTable({ b: [1, 2] })];
    expect(() => decodeTable(Uint8Array.from([...a, ...b]))).toThrow(/different lengths/);
    const both = encodeTable({ a: [1], b: [2] });
    const wrong = [
      [both, a],
      [a, both],
      [both, encodeTable({ a: [1], b: [2], c: [3] })],
      [both, encodeTable({ c: [] })],
    ];
    for (const parts of wrong)
      expect(() => decodeTable(Buffer.concat(parts))).toThrow(/different lengths/);
    const empty = encodeTable({ c: [], a: [] });
    expect(() => decodeTable(Buffer.concat([empty, a]))).toThrow(/different lengths/);
    const right = Buffer.concat([
      empty,
      encodeTable({}),
      encodeTable({ a: [1], c: [2], d: [3] }),
      encodeTable({ a: [] }),
    ]);
    expect(decodeTable(right)).toEqual({ a: [1], c: [2], d: [3] });
  });
});
