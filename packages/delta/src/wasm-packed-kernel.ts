import * as w from "./wasm-emitter.ts";
import { PATCHES, RAW } from "./wasm-packed-layout.ts";

/** Parameters: where the words are, what is added to each field, out, sum before the block. */
export const KERNEL_TYPE: w.FunctionType = {
  parameters: [w.I32, w.I32, w.I32, w.I32],
  results: [],
};

const VECTORS = 32;
/** Those of a lane. */
const LANE_VECTORS = VECTORS / 4;
const ZERO = w.v128(new Array<number>(16).fill(0));

const WORDS = 0;
const BASE = 1;
const OUT = 2;
const SUM = 3;
const WORD = 4;
const LANE_SUMS = 5;
const BASES = 6;
const MASK = 7;
const OFFSET = 8;
const ROWS = [9, 10, 11, 12];
const TEMPORARIES = [13, 14, 15, 16] as const;

/**
 * A module with kernel `index` as "f": it takes out the 128 fields of a block, each with base and
 * patch added, and sums them up unless it is a raw kernel. Unrolled, since a shift by a constant is
 * one instruction. A module for each keeps them small.
 */
export function kernelModule(index: number): Uint8Array {
  const isSum = index < RAW;
  const body = [unpack(index % RAW, isSum), isSum ? offsetLanes() : []];
  const locals = new Array<number>(13).fill(w.V128);
  return w.moduleBytes({ pages: 1, functions: [{ type: KERNEL_TYPE, locals, body, name: "f" }] });
}

/** Puts the four lanes behind one another, each summed up by itself. */
function unpack(width: number, isSum: boolean): w.Code {
  const code: w.Code[] = [
    w.set(BASES, w.vSplat32(w.get(BASE))),
    w.set(MASK, w.vSplat32(w.i32(width === 32 ? -1 : 2 ** width - 1))),
    isSum ? w.set(LANE_SUMS, w.vReplace32(ZERO, 0, w.get(SUM))) : [],
  ];
  const { code: transposition, columns } = transpose(ROWS, TEMPORARIES);
  let loaded = -1;
  for (let k = 0; k < VECTORS; k += 1) {
    const shift = (k * width) % 32;
    const wanted = (k * width - shift) / 32;
    let addend = w.get(BASES);
    if (width > 0) {
      if (wanted !== loaded) code.push(w.set(WORD, w.vLoad(w.get(WORDS), 16 * wanted)));
      loaded = wanted;
      let field = shift === 0 ? w.get(WORD) : w.vShrU32(w.get(WORD), w.i32(shift));
      if (shift + width > 32) {
        loaded += 1;
        const next = w.tee(WORD, w.vLoad(w.get(WORDS), 16 * loaded));
        field = w.vOr(field, w.vShl32(next, w.i32(32 - shift)));
      }
      if (shift + width !== 32) field = w.vAnd(field, w.get(MASK));
      addend = w.vAdd32(field, addend);
    }
    const patched = w.vAdd32(addend, w.vLoad(w.i32(PATCHES), 16 * k));
    const value = isSum ? w.tee(LANE_SUMS, w.vAdd32(w.get(LANE_SUMS), patched)) : patched;
    code.push(w.set(ROWS[k % 4] as number, value));
    if (k % 4 < 3) continue;
    code.push(transposition);
    columns.forEach((column, lane) => {
      code.push(w.vStore(w.get(OUT), column, 128 * lane + 4 * (k - 3)));
    });
  }
  return code;
}

/** Adds to each lane the sums of those before it, which the first one's began with. */
function offsetLanes(): w.Code {
  return [1, 2, 3].map((lane) => [
    w.set(
      OFFSET,
      lane === 1
        ? w.vSplat32(w.vLane32(w.get(LANE_SUMS), 0))
        : w.vAdd32(w.get(OFFSET), w.vSplat32(w.vLane32(w.get(LANE_SUMS), lane - 1))),
    ),
    Array.from({ length: LANE_VECTORS }, (_, i) => {
      const at = 128 * lane + 16 * i;
      return w.vStore(w.get(OUT), w.vAdd32(w.get(OFFSET), w.vLoad(w.get(OUT), at)), at);
    }),
  ]);
}

/** Makes the four columns of four rows of four, by way of four more locals. */
export function transpose(
  rows: readonly number[],
  [a, b, c, d]: readonly [number, number, number, number],
): { readonly code: w.Code; readonly columns: readonly w.Code[] } {
  const [first, second, third, fourth] = rows.map(w.get) as [w.Code, w.Code, w.Code, w.Code];
  const code = [
    w.set(a, w.vShuffle4(first, second, [0, 4, 1, 5])),
    w.set(b, w.vShuffle4(third, fourth, [0, 4, 1, 5])),
    w.set(c, w.vShuffle4(first, second, [2, 6, 3, 7])),
    w.set(d, w.vShuffle4(third, fourth, [2, 6, 3, 7])),
  ];
  const columns = [
    w.vShuffle4(w.get(a), w.get(b), [0, 1, 4, 5]),
    w.vShuffle4(w.get(a), w.get(b), [2, 3, 6, 7]),
    w.vShuffle4(w.get(c), w.get(d), [0, 1, 4, 5]),
    w.vShuffle4(w.get(c), w.get(d), [2, 3, 6, 7]),
  ];
  return { code, columns };
}
