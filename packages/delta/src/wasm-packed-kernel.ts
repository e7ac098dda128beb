import * as w from "./wasm-emitter.ts";
import { PATCHES, RAW, SCRATCH } from "./wasm-packed-layout.ts";

/** Parameters: where the words are, and what is added to each field. */
export const KERNEL_TYPE: w.FunctionType = { parameters: [w.I32, w.I32], results: [] };

const VECTORS = 32;

/**
 * A module with kernel `index` as "f": it leaves the 128 fields of a block in `SCRATCH`, in the order
 * of their words, each with base and patch added, and each lane summed up unless it is a raw kernel.
 * Unrolled, since a shift by a constant is one instruction. A module for each keeps them small.
 */
export function kernelModule(index: number): Uint8Array {
  const body = kernel(index % RAW, index < RAW);
  const locals = [w.V128, w.V128, w.V128, w.V128];
  return w.moduleBytes({ pages: 1, functions: [{ type: KERNEL_TYPE, locals, body, name: "f" }] });
}

function kernel(width: number, isSum: boolean): w.Code {
  const [words, base, word, sum, bases, mask] = [0, 1, 2, 3, 4, 5] as const;
  const code: w.Code[] = [
    w.set(bases, w.vSplat32(w.get(base))),
    w.set(mask, w.vSplat32(w.i32(width === 32 ? -1 : 2 ** width - 1))),
  ];
  let loaded = -1;
  for (let k = 0; k < VECTORS; k += 1) {
    const shift = (k * width) % 32;
    const wanted = (k * width - shift) / 32;
    let addend = w.get(bases);
    if (width > 0) {
      if (wanted !== loaded) code.push(w.set(word, w.vLoad(w.get(words), 16 * wanted)));
      loaded = wanted;
      let field = shift === 0 ? w.get(word) : w.vShrU32(w.get(word), w.i32(shift));
      if (shift + width > 32) {
        loaded += 1;
        const next = w.tee(word, w.vLoad(w.get(words), 16 * loaded));
        field = w.vOr(field, w.vShl32(next, w.i32(32 - shift)));
      }
      if (shift + width !== 32) field = w.vAnd(field, w.get(mask));
      addend = w.vAdd32(field, addend);
    }
    const patched = w.vAdd32(addend, w.vLoad(w.i32(PATCHES), 16 * k));
    const value = isSum ? w.tee(sum, w.vAdd32(w.get(sum), patched)) : patched;
    code.push(w.vStore(w.i32(SCRATCH), value, 16 * k));
  }
  return code;
}
