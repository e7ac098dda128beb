import * as w from "./wasm-emitter.ts";
import { SCALE } from "./wasm-packed-layout.ts";

const [FROM, TO, END] = [0, 1, 2] as const;
const [FIRST, STEP, START, MULTIPLIER, DIVISOR] = [3, 4, 5, 6, 7] as const;

/**
 * A module with "s": integers from an address on become doubles at another, (q × step + start) ×
 * multiplier / divisor with the operations of JavaScript in its order, four at a time until the first
 * address has reached the third parameter. At least one round.
 */
export function scaleModule(): Uint8Array {
  const two = (ints: w.Code, offset: number): w.Code =>
    w.vStore(w.get(TO), divided(w.fConvertLow(ints)), offset);
  const body = [
    [STEP, START, MULTIPLIER, DIVISOR].map((constant, i) =>
      w.set(constant, w.vLoadSplat64(w.i32(SCALE), 8 * i)),
    ),
    w.loop(
      two(w.tee(FIRST, w.vLoad(w.get(FROM))), 0),
      two(w.vShuffle4(w.get(FIRST), w.get(FIRST), [2, 3, 2, 3]), 16),
      w.increase(FROM, w.i32(16)),
      w.increase(TO, w.i32(32)),
      w.brIf(0, w.i32LtU(w.get(FROM), w.get(END))),
    ),
  ];
  const type = { parameters: [w.I32, w.I32, w.I32], results: [] };
  const locals = new Array<number>(5).fill(w.V128);
  return w.moduleBytes({ pages: 1, functions: [{ type, locals, body, name: "s" }] });
}

function divided(integers: w.Code): w.Code {
  const offsets = w.fAdd(w.fMul(integers, w.get(STEP)), w.get(START));
  return w.fDiv(w.fMul(offsets, w.get(MULTIPLIER)), w.get(DIVISOR));
}
