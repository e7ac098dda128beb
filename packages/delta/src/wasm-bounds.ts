import * as w from "./wasm-emitter.ts";

const [FROM, END, TO, LEAST, MOST, FOUR] = [0, 1, 2, 3, 4, 5] as const;

/**
 * A module with "b": least and greatest of the 32-bit integers from one address to another, which are a
 * multiple of four and not none, each lane for itself. They are left at the third address, as vectors.
 */
export function boundsModule(): Uint8Array {
  const body = [
    w.set(LEAST, w.tee(MOST, w.vLoad(w.get(FROM)))),
    w.loop(
      w.set(LEAST, w.vMinS32(w.get(LEAST), w.tee(FOUR, w.vLoad(w.get(FROM))))),
      w.set(MOST, w.vMaxS32(w.get(MOST), w.get(FOUR))),
      w.increase(FROM, w.i32(16)),
      w.brIf(0, w.i32LtU(w.get(FROM), w.get(END))),
    ),
    w.vStore(w.get(TO), w.get(LEAST)),
    w.vStore(w.get(TO), w.get(MOST), 16),
  ];
  const type = { parameters: [w.I32, w.I32, w.I32], results: [] };
  const locals = [w.V128, w.V128, w.V128];
  return w.moduleBytes({ pages: 1, functions: [{ type, locals, body, name: "b" }] });
}
