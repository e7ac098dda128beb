import * as w from "./wasm-emitter.ts";
import { SCALE } from "./wasm-packed-layout.ts";

const [FROM, TO, END] = [0, 1, 2] as const;
const [INTEGERS, STEP, START, FACTOR, OTHER] = [3, 4, 5, 6, 7] as const;

/**
 * A module that makes doubles at one address of the integers at another, four at a time until that
 * one has reached the third parameter, at least once: with "d" (q × step + start) × factor / other,
 * with "m" (q × step + start) × factor + (q × step + start) × other. The operations are those of
 * JavaScript, in its order.
 */
export function scaleModule(): Uint8Array {
  const functions = [
    scaler("d", (product) => w.fDiv(product, w.get(OTHER))),
    scaler("m", (product) => w.fAdd(product, w.fMul(w.get(INTEGERS), w.get(OTHER)))),
  ];
  return w.moduleBytes({ pages: 1, functions });
}

function scaler(name: string, finish: (product: w.Code) => w.Code): w.WasmFunction {
  const ints = 8;
  const two = (pair: w.Code, offset: number): w.Code => [
    w.set(INTEGERS, w.fAdd(w.fMul(w.fConvertLow(pair), w.get(STEP)), w.get(START))),
    w.vStore(w.get(TO), finish(w.fMul(w.get(INTEGERS), w.get(FACTOR))), offset),
  ];
  const body = [
    [STEP, START, FACTOR, OTHER].map((constant, i) =>
      w.set(constant, w.vLoadSplat64(w.i32(SCALE), 8 * i)),
    ),
    w.loop(
      two(w.tee(ints, w.vLoad(w.get(FROM))), 0),
      two(w.vShuffle4(w.get(ints), w.get(ints), [2, 3, 2, 3]), 16),
      w.increase(FROM, w.i32(16)),
      w.increase(TO, w.i32(32)),
      w.brIf(0, w.i32LtU(w.get(FROM), w.get(END))),
    ),
  ];
  const type = { parameters: [w.I32, w.I32, w.I32], results: [] };
  return { type, locals: new Array<number>(6).fill(w.V128), body, name };
}
