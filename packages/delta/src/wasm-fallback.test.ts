import { afterEach, expect, it, vi } from "vitest";
import { EXAMPLES } from "./test-support/series-examples.ts";
import type { Values } from "./values.ts";

afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetModules();
});

async function roundTrip(values: Values): Promise<void> {
  vi.resetModules();
  const { decode, encode } = await import("./complete.ts");
  for (const backend of ["fast", "small"] as const) {
    expect(decode(encode(values, { backend }))).toEqual(values);
  }
}

it("JavaScript does it all where WebAssembly is forbidden by a policy, too old, or not there", async () => {
  const values = Int32Array.from({ length: 20_000 }, (_, i) => (i * 37) % 1009);
  let refusals = 0;
  class Forbidden {
    constructor() {
      refusals += 1;
      throw new Error("Refused to compile WebAssembly: 'wasm-unsafe-eval' is not allowed");
    }
  }
  const engine = (globalThis as unknown as { WebAssembly: object }).WebAssembly;
  vi.stubGlobal("WebAssembly", Object.assign(Object.create(engine), { Module: Forbidden }));
  await roundTrip(values);
  await roundTrip(EXAMPLES["cents"]?.() as Values);
  expect(refusals).toBeGreaterThan(0);
  vi.stubGlobal("WebAssembly", undefined);
  await roundTrip(values);
});
