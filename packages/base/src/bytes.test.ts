import { describe, expect, it } from "vitest";
import { concatBytes, EMPTY_BYTES, equalBytes, fromHex, toHex } from "./bytes.ts";
import { DecodeError } from "./decode-error.ts";

const bytes = (...list: number[]) => Uint8Array.from(list);

describe("bytes", () => {
  it("joins parts in order", () => {
    expect(concatBytes([bytes(1), EMPTY_BYTES, bytes(2, 3)])).toEqual(bytes(1, 2, 3));
    expect(concatBytes([])).toEqual(EMPTY_BYTES);
  });

  it("tells equal from different in length or content", () => {
    expect(equalBytes(bytes(1, 2), bytes(1, 2))).toBe(true);
    expect(equalBytes(bytes(1, 2), bytes(1, 3))).toBe(false);
    expect(equalBytes(bytes(1, 2), bytes(1))).toBe(false);
  });

  it("writes hex in lower case and reads either", () => {
    expect(toHex(bytes(0, 15, 171))).toBe("000fab");
    expect(fromHex("00Ab")).toEqual(bytes(0, 171));
  });

  it.each(["0", "0g", "-1", "  ", "0\u0660"])("refuses %j as hex", (text) => {
    expect(() => fromHex(text)).toThrow(DecodeError);
  });
});
