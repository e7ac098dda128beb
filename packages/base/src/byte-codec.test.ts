import { describe, expect, it } from "vitest";
import { AssertionError } from "./assert.ts";
import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { fromHex, toHex } from "./bytes.ts";
import { DecodeError } from "./decode-error.ts";

function written(write: (writer: ByteWriter) => void): string {
  const writer = new ByteWriter();
  write(writer);
  return toHex(writer.finish());
}

const reader = (hex: string) => new ByteReader(fromHex(hex));

describe("ByteWriter", () => {
  it("writes whole numbers lowest byte first", () => {
    expect(written((w) => w.u8(0xab))).toBe("ab");
    expect(written((w) => w.u16(0x1234))).toBe("3412");
    expect(written((w) => w.u32(0xfedcba98))).toBe("98badcfe");
  });

  it("writes varints seven bits a byte, up to 2^53 - 1", () => {
    expect(written((w) => w.varint(0))).toBe("00");
    expect(written((w) => w.varint(127))).toBe("7f");
    expect(written((w) => w.varint(300))).toBe("ac02");
    expect(written((w) => w.varint(2 ** 32))).toBe("8080808010");
    expect(written((w) => w.varint(Number.MAX_SAFE_INTEGER))).toBe("ffffffffffffff0f");
  });

  it("puts the length in bytes before bytes and text", () => {
    expect(written((w) => w.bytes(fromHex("0102")))).toBe("020102");
    expect(written((w) => w.string("\u20ac"))).toBe("03e282ac");
    expect(written((w) => w.raw(fromHex("0102")))).toBe("0102");
  });

  it("grows past its first buffer and keeps what it had", () => {
    const writer = new ByteWriter();
    for (let i = 0; i < 1000; i += 1) writer.u16(i);
    const read = new ByteReader(writer.finish());
    for (let i = 0; i < 1000; i += 1) expect(read.u16()).toBe(i);
    expect(writer.position).toBe(2000);
  });

  it("hands out copies that later writes leave alone", () => {
    const writer = new ByteWriter();
    writer.u8(1);
    const first = writer.finish();
    writer.reset();
    writer.u8(2);
    expect(first).toEqual(fromHex("01"));
    expect(writer.finish()).toEqual(fromHex("02"));
  });

  it("shows what is written without a copy, and no more than that", () => {
    const writer = new ByteWriter();
    writer.raw(new Uint8Array(1_000).fill(7));
    writer.reset();
    writer.u16(0x0201);
    const written = writer.written();
    expect(written).toEqual(fromHex("0102"));
    writer.reset();
    writer.u8(9);
    expect(written).toEqual(fromHex("0902"));
  });

  it.each([-1, 256, 0.5, Number.NaN])("stops the program at u8(%d)", (value) => {
    expect(() => new ByteWriter().u8(value)).toThrow(AssertionError);
  });

  it.each([-1, 2 ** 53, 0.5, Number.POSITIVE_INFINITY])("and at varint(%d)", (value) => {
    expect(() => new ByteWriter().varint(value)).toThrow(AssertionError);
  });
});

describe("ByteReader", () => {
  it("reads within its range only", () => {
    const read = new ByteReader(fromHex("00112233"), 1, 3);
    expect(read.remaining).toBe(2);
    expect(read.u16()).toBe(0x2211);
    expect(read.position).toBe(3);
    expect(() => read.u8()).toThrow(DecodeError);
  });

  it("reads u32 as unsigned", () => {
    expect(reader("ffffffff").u32()).toBe(0xffffffff);
  });

  const overruns: [string, (r: ByteReader) => unknown][] = [
    ["u8", (r) => r.u8()],
    ["u16", (r) => r.u16()],
    ["u32", (r) => r.u32()],
    ["varint", (r) => r.varint()],
    ["bytes", (r) => r.bytes()],
    ["string", (r) => r.string()],
    ["raw", (r) => r.raw(1)],
  ];
  it.each(overruns)("refuses %s at the end", (_name, read) => {
    expect(() => read(reader(""))).toThrow(DecodeError);
  });

  it("refuses a varint that is cut, idle, too long, or too great", () => {
    for (const hex of [
      "80",
      "8000",
      "ffffffffffffffff01",
      "ffffffffffffff1f",
      "8080808080808080",
    ]) {
      expect(() => reader(hex).varint()).toThrow(DecodeError);
    }
  });

  it("refuses a declared size beyond what remains, before it allocates", () => {
    expect(() => reader("ffffffffffffff0f00").bytes()).toThrow(
      new DecodeError("9007199254740991 bytes wanted, 1 left", 8),
    );
  });

  it("gives views, not copies", () => {
    const bytes = fromHex("02aabb");
    expect(new ByteReader(bytes).bytes().buffer).toBe(bytes.buffer);
  });

  it("says where a string that is not UTF-8 begins", () => {
    const read = reader("0001ff");
    read.u8();
    expect(() => read.string()).toThrow(new DecodeError("a string that is not UTF-8", 2));
  });

  it("refuses what follows the last field", () => {
    expect(() => reader("").expectEnd()).not.toThrow();
    expect(() => reader("0000").expectEnd()).toThrow(new DecodeError("2 bytes too many", 0));
  });
});
