import { readFileSync } from "node:fs";
import { encode } from "@cubby/delta";
import { describe, expect, it, vi } from "vitest";
import { decodeText } from "./cdl-file.ts";
import { assertSameRaw } from "./encode-raw.ts";

const limits: (number | undefined)[] = [];

vi.mock("@cubby/delta", async (importOriginal) => {
  const library = await importOriginal<typeof import("@cubby/delta")>();
  const decode: typeof library.decode = (bytes, options) => {
    limits.push(options?.maxValues);
    return library.decode(bytes, options);
  };
  const decodeTable: typeof library.decodeTable = (bytes, options) => {
    limits.push(options?.maxValues);
    return library.decodeTable(bytes, options);
  };
  return { ...library, decode, decodeTable };
});

const RAW = new Uint8Array(Int16Array.of(5, -5, 6).buffer);

describe("raw numbers", () => {
  it("are as many as bytes of input are taken when they are decoded", () => {
    decodeText(encode(Uint8Array.of(1, 2, 3)));
    expect(limits).toEqual([2 ** 31]);
  });

  it("are compared with what decoding gives", async () => {
    await assertSameRaw(RAW, encode(Int16Array.of(5, -5, 6)));
    await assertSameRaw(new Uint8Array(0), encode(new Int16Array(0)));
    const random = new Uint8Array(readFileSync(new URL(import.meta.url)));
    await assertSameRaw(random, encode(random, { chunkValues: 100 }));
  });

  it("are refused where decoding gives others, or not as many, or nothing at all", async () => {
    for (const [bytes, place] of [
      [encode(Int16Array.of(5, -5, 7)), "byte 4"],
      [encode(Int16Array.of(5, -5)), "byte 4"],
      [encode(Int16Array.of(5, -5, 6, 0)), "byte 6"],
      [Uint8Array.of(1, 2, 3), "byte 0"],
    ] as const) {
      const refusal = assertSameRaw(RAW, bytes);
      await expect(refusal).rejects.toMatchObject({ code: "internal" });
      await expect(refusal).rejects.toThrow(place);
    }
  });
});
