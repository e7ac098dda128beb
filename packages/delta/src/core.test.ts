import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { EXAMPLES } from "./test-support/series-examples.ts";

type Core = typeof import("./core.ts");
type Whole = typeof import("./complete.ts");

/** Both know nothing of each other, as in two programs. */
let core: Core;
let whole: Whole;

beforeEach(async () => {
  vi.resetModules();
  core = await import("./core.ts");
  vi.resetModules();
  whole = await import("./complete.ts");
});
afterEach(() => vi.resetModules());

const isText = (name: string): boolean =>
  ["strings", "categories", "nullableStrings"].includes(name);

describe("the core", () => {
  it("writes the same bytes as the whole library, and reads them, for all but strings", {
    timeout: 60_000,
  }, () => {
    for (const [name, make] of Object.entries(EXAMPLES)) {
      if (isText(name)) continue;
      for (const backend of ["fast", "small", undefined] as const) {
        const bytes = whole.encode(make(), { backend, chunkValues: 1_000 });
        expect(core.encode(make(), { backend, chunkValues: 1_000 }), name).toEqual(bytes);
        expect(core.decode(bytes), name).toEqual(make());
      }
    }
  });

  it("writes what WebAssembly writes, once there is enough to do for that to be used", () => {
    const many = Int32Array.from({ length: 300_000 }, (_, i) => (i * 37) % 1_009);
    const same = (a: object, b: object): boolean =>
      Buffer.compare(
        Buffer.from((a as Int32Array).buffer),
        Buffer.from((b as Int32Array).buffer),
      ) === 0;
    const { WebAssembly: engine } = globalThis as unknown as {
      WebAssembly: { Module: () => object };
    };
    const module = vi.spyOn(engine, "Module");
    for (const backend of ["fast", "small"] as const) {
      const bytes = core.encode(many, { backend });
      expect(same(core.decode(bytes), many)).toBe(true);
      expect(module).not.toHaveBeenCalled();
      const byWebAssembly = whole.encode(many, { backend });
      expect(same(whole.decode(byWebAssembly), many)).toBe(true);
      expect(module).toHaveBeenCalled();
      module.mockClear();
      expect(Buffer.compare(bytes, byWebAssembly)).toBe(0);
    }
    module.mockRestore();
  });

  it("refuses strings and compressors that nobody passes, and says why", () => {
    const refused = { code: "unsupported_feature" };
    expect(() => core.encode(["a"])).toThrow(expect.objectContaining(refused));
    expect(() => core.decode(whole.encode(["a"]))).toThrow(/@cubby\/delta\/core/);
    expect(() => core.encode([1], { backend: "handoff" })).toThrow(/pass one/);
  });

  it("takes compressors from the caller", () => {
    const reversed = (bytes: Uint8Array): Uint8Array => bytes.slice().reverse();
    const own = { id: 64, name: "reverse", compress: reversed, decompress: reversed };
    const values = Int32Array.from({ length: 100 }, (_, i) => i * i);
    const bytes = core.encode(values, { backend: "handoff", compressor: own });
    expect(core.decode(bytes, { compressors: [own] })).toEqual(values);
  });
});
