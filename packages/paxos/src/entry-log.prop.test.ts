import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EntryLog } from "./entry-log.ts";
import { entrySize, type LogEntry } from "./log-entry.ts";

const entry: fc.Arbitrary<LogEntry> = fc.oneof(
  { weight: 9, arbitrary: fc.uint8Array({ maxLength: 20 }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("masterLease" as const), leaseMs: fc.nat() }),
  },
);
const entries = fc.array(entry, { maxLength: 8 });

const change = fc.oneof(
  fc.record({ kind: fc.constant("append" as const), entries }),
  fc.record({ kind: fc.constant("truncate" as const), at: fc.nat({ max: 30 }) }),
  fc.record({ kind: fc.constant("overwrite" as const), at: fc.nat({ max: 30 }), entries }),
  fc.record({ kind: fc.constant("drop" as const), at: fc.nat({ max: 40 }) }),
);

describe("the entry log", () => {
  it("behaves like an array whose first slots are gone, and weighs any range", () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 20 }), (changes) => {
        const log = new EntryLog(0, []);
        let dropped = 0;
        let model: LogEntry[] = [];
        for (const one of changes) {
          const end = dropped + model.length;
          if (one.kind === "append") {
            log.append(one.entries);
            model = [...model, ...one.entries];
          } else if (one.kind === "truncate") {
            const first = dropped + 1 + one.at;
            log.truncateFrom(first);
            model = model.slice(0, first - dropped - 1);
          } else if (one.kind === "overwrite") {
            const first = Math.min(dropped + 1 + one.at, end + 1);
            log.overwrite(first, one.entries);
            const at = first - dropped - 1;
            model = [
              ...model.slice(0, at),
              ...one.entries,
              ...model.slice(at + one.entries.length),
            ];
          } else {
            log.dropThrough(one.at);
            if (one.at > dropped) model = model.slice(one.at - dropped);
            dropped = Math.max(dropped, one.at);
          }
          expect(log.dropped).toBe(dropped);
          expect(log.length).toBe(dropped + model.length);
          expect(log.bytes).toBe(weigh(model));
          if (model.length === 0) continue;
          expect(log.slice(dropped + 1, log.length)).toEqual(model);
          expect(log.bytesBetween(dropped + 2, log.length)).toBe(weigh(model.slice(1)));
        }
      }),
    );
  });

  it("bounds a range by entries and bytes, but never below one entry", () => {
    fc.assert(
      fc.property(
        fc.array(entry, { minLength: 1, maxLength: 20 }),
        fc.nat(9),
        fc.nat(200),
        (list, count, bytes) => {
          const log = new EntryLog(7, list);
          const last = log.lastWithin(8, log.length, count + 1, bytes);
          const range = log.slice(8, last);
          expect(range.length).toBeGreaterThanOrEqual(1);
          expect(range.length).toBeLessThanOrEqual(count + 1);
          if (range.length > 1) expect(weigh(range)).toBeLessThanOrEqual(bytes);
          const more = list.slice(0, range.length + 1);
          if (range.length < Math.min(list.length, count + 1))
            expect(weigh(more)).toBeGreaterThan(bytes);
        },
      ),
    );
  });

  it("finds how much of its start must go for the rest to fit", () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 20 }), fc.nat(300), (list, bytes) => {
        const log = new EntryLog(7, list);
        const drop = log.dropFor(7, log.length, bytes);
        expect(log.bytesBetween(drop + 1, log.length)).toBeLessThanOrEqual(bytes);
        if (drop > 7) expect(log.bytesBetween(drop, log.length)).toBeGreaterThan(bytes);
      }),
    );
  });

  it("gives out no slot that it does not hold", () => {
    const log = new EntryLog(3, [new Uint8Array(1)]);
    expect(log.at(4)).toEqual(new Uint8Array(1));
    expect(() => log.at(3)).toThrow();
    expect(() => log.at(5)).toThrow();
    expect(() => log.slice(3, 4)).toThrow();
    expect(() => log.truncateFrom(3)).toThrow();
  });
});

function weigh(list: readonly LogEntry[]): number {
  return list.reduce((sum, one) => sum + entrySize(one), 0);
}
