import fc from "fast-check";
import { expect, test } from "vitest";
import { planSegments } from "./match-plan.ts";

const COSTS = { literal: 1024, hit: 8, miss: 2304, missAgain: 1536, leave: 2560, enter: 2560 };
const bytes = fc.array(fc.integer({ min: 97, max: 99 }), { maxLength: 400 });

test("segments cover the new file, copy from what is known, and begin with a byte that agrees", () => {
  fc.assert(
    fc.property(bytes, bytes, (before, after) => {
      const history = Uint8Array.from([...before, ...after]);
      let at = before.length;
      let wasLiteral = false;
      for (const { start, end, offset } of planSegments(history, before.length, COSTS)) {
        expect(start).toBe(at);
        expect(end).toBeGreaterThan(start);
        at = end;
        expect(wasLiteral && offset === 0).toBe(false);
        wasLiteral = offset === 0;
        if (offset === 0) continue;
        expect(offset).toBeLessThan(0);
        expect(start + offset).toBeGreaterThanOrEqual(0);
        if (start > before.length) expect(history[start + offset]).toBe(history[start]);
      }
      expect(at).toBe(history.length);
    }),
  );
});

test("a file that did not change is one copy", () => {
  const file = Array.from({ length: 500 }, (_, at) => (at * at) & 255);
  const history = Uint8Array.from([...file, ...file]);
  expect(planSegments(history, 500, COSTS)).toEqual([{ start: 500, end: 1000, offset: -500 }]);
});

test("a byte that differs does not end a copy; what was put in comes between two", () => {
  const file = Array.from({ length: 500 }, (_, at) => (Math.imul(at, 2654435761) >>> 13) & 255);
  const put = Array.from({ length: 30 }, (_, at) => (Math.imul(at + 7, 1597334677) >>> 11) & 255);
  const after = [...file.slice(0, 100), 1, ...file.slice(101, 300), ...put, ...file.slice(300)];
  const history = Uint8Array.from([...file, ...after]);
  expect(planSegments(history, 500, COSTS)).toEqual([
    { start: 500, end: 800, offset: -500 },
    { start: 800, end: 830, offset: 0 },
    { start: 830, end: 1030, offset: -530 },
  ]);
});
