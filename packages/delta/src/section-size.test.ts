import { expect, it, vi } from "vitest";
import { decodeTable, encodeTable } from "./complete.ts";

// Ten thousand bytes instead of 2^30, which would take gigabytes to fill.
vi.mock("./limits.ts", async (importOriginal) => {
  return { ...(await importOriginal<object>()), SECTION_BYTES_MAX: 10_000 };
});

it("a column or text that no reader would take is refused when it is written", () => {
  const noise = (count: number): Float64Array =>
    Float64Array.from({ length: count }, (_, i) => Math.sin(i) * 10 ** (i % 50));
  const chunkValues = 100;
  const most = { a: noise(1_200) };
  expect(decodeTable(encodeTable(most, { chunkValues }))).toEqual({ ...most });
  expect(() => encodeTable({ a: noise(1_300) }, { chunkValues })).toThrow(/limit_exceeded/);
  const metadata = { text: "x".repeat(10_000) };
  expect(() => encodeTable(most, { chunkValues, metadata })).toThrow(/limit_exceeded/);
});
