import { describe, expect, it } from "vitest";
import * as w from "./wasm-emitter.ts";
import { decodeModule } from "./wasm-packed-decode.ts";
import { encodeModule } from "./wasm-packed-encode.ts";
import { kernelModule } from "./wasm-packed-kernel.ts";
import { KERNEL_COUNT } from "./wasm-packed-layout.ts";
import { scaleModule } from "./wasm-scale.ts";

type Engine = {
  Memory: new (limits: { initial: number }) => { buffer: ArrayBuffer };
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { exports: Record<string, unknown> };
  validate: (bytes: Uint8Array) => boolean;
};
const engine = (globalThis as unknown as { WebAssembly: Engine }).WebAssembly;

function run(
  parameters: readonly number[],
  results: readonly number[],
  locals: readonly number[],
  body: w.Code,
): { f: (...values: number[]) => number; buffer: ArrayBuffer } {
  const functions = [{ type: { parameters, results }, locals, body, name: "f" }];
  const memory = new engine.Memory({ initial: 1 });
  const module = new engine.Module(w.moduleBytes({ pages: 1, functions }));
  const { exports } = new engine.Instance(module, { e: { m: memory } });
  return { f: exports["f"] as (...values: number[]) => number, buffer: memory.buffer };
}

describe("emitted modules", () => {
  it("compute what their code says", () => {
    const { f } = run(
      [w.I32, w.I32],
      [w.I32],
      [],
      w.i32Sub(w.i32Shl(w.get(0), w.i32(3)), w.get(1)),
    );
    expect(f(5, 2)).toBe(38);
  });

  it("take constants of any size", () => {
    for (const value of [0, 63, 64, -64, -65, 127, 128, 0x7fffffff, -0x80000000]) {
      expect(run([], [w.I32], [], w.i32(value)).f()).toBe(value);
      expect(run([], [w.I32], [], w.i32FromI64(w.i64(value))).f()).toBe(value);
    }
  });

  it("loop, branch and choose", () => {
    const sum = w.block(
      w.loop(
        w.brIf(1, w.i32Eqz(w.get(0))),
        w.when(w.i32And(w.get(0), w.i32(1)), w.increase(1, w.get(0)), w.increase(1, w.i32(100))),
        w.set(0, w.i32Sub(w.get(0), w.i32(1))),
        w.br(0),
      ),
    );
    const { f } = run([w.I32], [w.I32], [w.I32], [sum, w.select(w.get(1), w.i32(-1), w.get(1))]);
    expect(f(4)).toBe(1 + 3 + 200);
    expect(f(0)).toBe(-1);
  });

  it("load and store vectors and bytes", () => {
    const { f, buffer } = run(
      [],
      [w.I32],
      [],
      [
        w.vStore(w.i32(16), w.vAdd32(w.vLoad(w.i32(0)), w.vSplat32(w.i32(10)))),
        w.i32Store8(w.i32(100), w.i32(0x1ff)),
        w.vStore(w.i32(32), w.vShuffle4(w.vLoad(w.i32(0)), w.vLoad(w.i32(16)), [3, 2, 5, 4])),
        w.i32Load8(w.i32(90), 10),
      ],
    );
    new Int32Array(buffer, 0, 4).set([1, 2, 3, 4]);
    expect(f()).toBe(255);
    expect([...new Int32Array(buffer, 16, 8)]).toEqual([11, 12, 13, 14, 4, 3, 12, 11]);
  });

  it("are few enough bytes to be compiled on a browser's main thread, and valid", () => {
    const kernels = Array.from({ length: KERNEL_COUNT }, (_, index) => kernelModule(index));
    for (const bytes of [...kernels, decodeModule(), encodeModule(), scaleModule()]) {
      expect(bytes.length).toBeLessThan(4096);
      expect(engine.validate(bytes)).toBe(true);
    }
  });
});
