import fc from "fast-check";
import { expect, test } from "vitest";
import { packedWasm } from "./packed-wasm.ts";

const int = fc.oneof(fc.integer(), fc.constantFrom(0, -1, 2 ** 31 - 1, -(2 ** 31)));

test("the bounds that WebAssembly finds are the least and the greatest, wherever they stand", () => {
  const wasm = packedWasm();
  if (wasm === undefined) throw new Error("WebAssembly is wanted");
  fc.assert(
    fc.property(fc.array(int, { minLength: 4, maxLength: 300 }), (values) => {
      const expected = [Math.min(...values), Math.max(...values)];
      expect([...(wasm.bounds(Int32Array.from(values)) ?? [])]).toEqual(expected);
    }),
  );
});
