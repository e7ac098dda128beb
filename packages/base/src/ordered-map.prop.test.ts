import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { OrderedMap } from "./ordered-map.ts";

/** Few keys, so that setting, deleting and setting again meet each other. */
const step = fc.record({
  do: fc.constantFrom("set", "set", "set", "delete", "delete", "iterate"),
  key: fc.nat(150),
});

describe("OrderedMap", () => {
  it("behaves as a Map that is sorted whenever it is looked at", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400, size: "max" }), (steps) => {
        const map = new OrderedMap<number, number>();
        const model = new Map<number, number>();
        for (const [at, { do: action, key }] of steps.entries()) {
          if (action === "set") {
            map.set(key, at);
            model.set(key, at);
          } else if (action === "delete") {
            expect(map.delete(key)).toBe(model.delete(key));
          } else {
            expect([...map]).toEqual(sorted(model));
          }
          expect(map.size).toBe(model.size);
          expect(map.get(key)).toBe(model.get(key));
          expect(map.has(key)).toBe(model.has(key));
        }
        expect([...map]).toEqual(sorted(model));
      }),
    );
  });
});

function sorted(model: ReadonlyMap<number, number>): [number, number][] {
  return [...model].sort(([a], [b]) => a - b);
}
