import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isFine, parseTime, type TimeFormat, timeFormatOf, writeTime } from "./time-text.ts";

function instantOf(text: string): number | bigint | undefined {
  const format = timeFormatOf(text);
  return format === undefined ? undefined : parseTime(text, format);
}

describe("times in text", () => {
  it("are read as instants, with their zone", () => {
    expect(instantOf("1970-01-02")).toBe(86_400_000);
    expect(instantOf("2026-11-26T01:02:03Z")).toBe(Date.UTC(2026, 10, 26, 1, 2, 3));
    expect(instantOf("2026-11-26 01:02")).toBe(Date.UTC(2026, 10, 26, 1, 2));
    expect(instantOf("2026-11-26T01:02:03.5+02:30")).toBe(Date.UTC(2026, 10, 25, 22, 32, 3, 500));
    expect(instantOf("0099-01-01")).toBe(Date.parse("0099-01-01"));
  });

  it("are bigints where a Date is too coarse", () => {
    expect(instantOf("1970-01-01T00:00:01.000001Z")).toBe(1_000_001n);
    expect(instantOf("1969-12-31T23:59:59.999999999Z")).toBe(-1n);
  });

  it("are no times when there is no such day or hour, or when 64 bits do not reach", () => {
    for (const text of ["2026-02-29", "2026-13-01", "2026-01-00", "2026-01-01T24:00", "26-1-1"]) {
      expect([text, instantOf(text)]).toEqual([text, undefined]);
    }
    expect(instantOf("2016-12-31T23:59:60Z")).toBeUndefined();
    expect(instantOf("9999-01-01T00:00:00.000000000Z")).toBeUndefined();
  });

  it("of another form than the column's do not fit, even at the same length", () => {
    const format = timeFormatOf("2026-01-01T00:00:00.123") as TimeFormat;
    expect(parseTime("2026-01-01T00:00:00 UTC", format)).toBeUndefined();
    expect(parseTime("2026-01-01 00:00:00.123", format)).toBeUndefined();
  });

  it("come back as they were written", () => {
    const formats = fc.record<TimeFormat>({
      separator: fc.constantFrom("T", " "),
      seconds: fc.constant(true),
      fraction: fc.integer({ min: 0, max: 9 }),
      zone: fc.constantFrom("", "Z", " UTC", "+02:00", "-1130"),
    });
    fc.assert(
      fc.property(formats, fc.integer({ min: -62e8, max: 62e8 }), (format, second) => {
        const units = 10n ** BigInt(format.fraction);
        const instant = isFine(format) ? BigInt(second) * units + units / 3n : second * 1_000;
        const text = writeTime(instant, format) as string;
        expect(timeFormatOf(text)).toEqual(format);
        expect(parseTime(text, format)).toBe(instant);
      }),
    );
  });

  it("have no text beyond four digits of a year", () => {
    const format = timeFormatOf("2026-01-01") as TimeFormat;
    expect(writeTime(Date.parse("+010000-01-01"), format)).toBeUndefined();
    expect(writeTime(Number.NaN, format)).toBeUndefined();
  });
});
