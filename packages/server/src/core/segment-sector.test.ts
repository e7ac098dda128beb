import { describe, expect, test } from "vitest";
import {
  gatherData,
  isZero,
  PAGE_BYTES,
  PAGE_DATA_BYTES,
  readSector,
  SECTOR_BYTES,
  SECTOR_DATA_BYTES,
  sectorData,
  stampWrite,
} from "./segment-sector.ts";

describe("isZero", () => {
  test("finds one byte wherever it lies, and none outside the range, at any alignment", () => {
    for (const [offset, from, length] of cases()) {
      const bytes = new Uint8Array(new ArrayBuffer(offset + 200), offset);
      const to = from + length;
      for (let at = 0; at < bytes.length; at += 1) {
        bytes[at] = 1;
        expect(isZero(bytes, from, to)).toBe(at < from || at >= to);
        bytes[at] = 0;
      }
    }
  });

  test("what is not there is not zero", () => {
    const bytes = new Uint8Array(new ArrayBuffer(200), 0, 100);
    expect(isZero(bytes, 0, 100)).toBe(true);
    for (const to of [101, 104, 160]) expect(isZero(bytes, 0, to)).toBe(false);
  });
});

describe("readSector", () => {
  const place = { seed: 7, sector: 8 };
  const data = new Uint8Array(PAGE_DATA_BYTES).fill(5);
  const page = stampWrite(data, { seed: 7, firstSector: 8, write: 1 }, new Uint8Array(PAGE_BYTES));
  const whole = page.subarray(0, SECTOR_BYTES);

  test("takes a sector for partly written, wherever its write and a zeroing after that stopped", () => {
    for (let written = 0; written < 12; written += 1) {
      for (let zeroed = 0; zeroed < 12; zeroed += 1) {
        const sector = new Uint8Array(SECTOR_BYTES);
        sector.set(whole.subarray(0, written));
        sector.fill(0, 0, zeroed);
        const isAllZero = sector.every((byte) => byte === 0);
        expect(readSector(sector, 0, place).kind).toBe(isAllZero ? "zero" : "partial");
      }
    }
  });

  test("takes one for alien of which a byte in the stamp is another one", () => {
    for (let at = 0; at < 4; at += 1) {
      for (let bit = 0; bit < 8; bit += 1) {
        const sector = whole.slice();
        sector[at] = (sector[at] ?? 0) ^ (1 << bit);
        expect(readSector(sector, 0, place).kind).toBe("alien");
      }
    }
  });
});

test("what was laid out as sectors is gathered again, wherever it lies and whatever was there", () => {
  const data = Uint8Array.from({ length: 2 * PAGE_DATA_BYTES }, (_, at) => at * 7 + (at >> 8));
  const before = data.slice();
  const out = new Uint8Array(new ArrayBuffer(3 * PAGE_BYTES), 24).fill(0xaa);
  const bytes = stampWrite(data, { seed: 7, firstSector: 8, write: 3 }, out);
  expect(data).toEqual(before);
  const file = new Uint8Array(new ArrayBuffer(40 + 3 * PAGE_BYTES), 40);
  file.set(bytes, PAGE_BYTES);
  const written = file.slice();
  const count = bytes.length / SECTOR_BYTES;
  expect(gatherData(file, PAGE_BYTES, count)).toEqual(data);
  expect(file).toEqual(written);
  for (let index = 0; index < count; index += 1) {
    const place = { seed: 7, sector: 8 + index };
    const found = readSector(bytes, index * SECTOR_BYTES, place);
    expect(found).toEqual({ kind: "written", write: 3, index, count });
    expect(sectorData(bytes, index * SECTOR_BYTES)).toEqual(
      data.subarray(index * SECTOR_DATA_BYTES, (index + 1) * SECTOR_DATA_BYTES),
    );
  }
});

function* cases(): Iterable<readonly [offset: number, from: number, length: number]> {
  for (const offset of [0, 1, 2, 3]) {
    for (const from of [0, 1, 6, 7]) {
      for (const length of [0, 3, 63, 64, 65, 66, 67, 130]) yield [offset, from, length];
    }
  }
}
