import { DeltaError, decodeTable, type TableOptions } from "@cubby/delta";
import { describe, expect, it, vi } from "vitest";
import { encodeText } from "./cdl-file.ts";
import { readJsonLines } from "./json-lines-table.ts";

const asked: (number | undefined)[] = [];

// As if the texts of more than 5,000 rows were longer than a chunk may be.
vi.mock("@cubby/delta", async (importOriginal) => {
  const delta = await importOriginal<typeof import("@cubby/delta")>();
  const encodeTable = (columns: never, options: TableOptions): Uint8Array => {
    asked.push(options.chunkValues);
    if ((options.chunkValues ?? 2 ** 18) > 5_000) {
      throw new DeltaError("limit_exceeded", "more bytes of strings in one chunk than it may have");
    }
    return delta.encodeTable(columns, options);
  };
  return { ...delta, encodeTable };
});

describe("a text whose strings are too long together for a chunk", () => {
  it("is cut into chunks of fewer rows", () => {
    const text = Array.from({ length: 6_000 }, (_, i) => `{"a":"x${i}"}\n`).join("");
    const table = readJsonLines(new TextEncoder().encode(text), { onProgress: () => undefined });
    const bytes = encodeText(table);
    expect(asked).toEqual([undefined, 2 ** 15, 2 ** 12]);
    expect(decodeTable(bytes)["a"]?.[5_999]).toBe("x5999");
  });
});
