import { CLASSES_MAX } from "./block-classes.ts";
import { CHUNK_VALUES_MAX } from "./limits.ts";
import { checkEnd, PACKED_LOG, PACKED_SYMBOLS_MAX, type SymbolSource } from "./rans.ts";
import * as w from "./wasm-emitter.ts";
import { type Linked, link } from "./wasm-runtime.ts";

// Where things lie in memory. Words and offsets have room for the most that so many values can take,
// so that no input makes the loop read outside.
const STATES = 0;
const CLASSES = 64;
/** Low end, mask of the offset and number of its bits, 16 bytes each. */
const BINS = CLASSES + CHUNK_VALUES_MAX / 32;
const SLOTS = BINS + 16 * PACKED_SYMBOLS_MAX;
const WORDS = SLOTS + 4 * (CLASSES_MAX << PACKED_LOG);
const OFFSETS = WORDS + 2 * CHUNK_VALUES_MAX + 16;
const OUT = OFFSETS + CHUNK_VALUES_MAX * 4;
/** Values decoded at a time: they are copied out while they are still near. */
const SLICE = 32_768;
const OUT_END = OUT + SLICE * 4;
const PAGES = Math.ceil(OUT_END / 65_536);

/** Below this the copies cost more than they save. */
const VALUES_MIN = 2048;

/** Up to so many bits, the offsets of four values are sure to be in one load of eight bytes. */
const SHORT_BITS = 14;

/** Goes on from the states, words and bits in memory; answers the last sum. */
type Decode = (count: number, blockLog: number, sum: number, classes: number) => number;

let linked: Linked | null | undefined;

function linkOnce(): Linked | null {
  if (linked === undefined) {
    const functions = [true, false].flatMap((isSum) => [decoder(isSum, 4), decoder(isSum, 2)]);
    linked = link(() => w.moduleBytes({ functions, pages: PAGES }), PAGES) ?? null;
  }
  return linked;
}

function functionName(isSum: boolean, together: number): string {
  return `${isSum ? "sums" : "each"}${together}`;
}

/** `decodePackedSlots` in WebAssembly; false, and nothing done, where that cannot be. */
export function decodePackedSlotsWasm(
  source: SymbolSource,
  tables: readonly Int32Array[],
  out: Int32Array,
  sumFrom: number | undefined,
): boolean {
  const { classes, states, words, wordCount, lows, bits, offsets, offsetBytes, blockLog } = source;
  const count = out.length;
  // The lengths of runs may be one more than a chunk has values.
  if (count < VALUES_MIN || count > CHUNK_VALUES_MAX) return false;
  if (wordCount > count || offsetBytes > count * 4) return false;
  const wasm = linkOnce();
  if (wasm === null) return false;
  const { buffer } = wasm.memory;
  new Uint32Array(buffer, STATES, states.length).set(states);
  new Uint8Array(buffer, CLASSES, classes.length).set(classes);
  const bins = new Int32Array(buffer, BINS, 4 * lows.length);
  let longest = 0;
  for (let s = 0; s < lows.length; s += 1) {
    const width = bits[s] as number;
    if (width > longest) longest = width;
    bins[4 * s] = lows[s] as number;
    bins[4 * s + 1] = (1 << width) - 1;
    bins[4 * s + 2] = width;
  }
  tables.forEach((table, k) => {
    new Int32Array(buffer, SLOTS + 4 * (k << PACKED_LOG), table.length).set(table);
  });
  new Uint16Array(buffer, WORDS, wordCount).set(words.subarray(0, wordCount));
  new Uint8Array(buffer, OFFSETS, offsetBytes).set(offsets.subarray(0, offsetBytes));
  const state = new Uint32Array(buffer, STATES, 6);
  state[4] = WORDS;
  state[5] = 0;
  const name = functionName(sumFrom !== undefined, longest > SHORT_BITS ? 2 : 4);
  const decode = wasm.exports[name] as Decode;
  let sum = sumFrom ?? 0;
  for (let start = 0; start < count; start += SLICE) {
    const size = Math.min(SLICE, count - start);
    sum = decode(size, blockLog, sum, CLASSES + (start >>> blockLog));
    out.set(new Int32Array(buffer, OUT, size), start);
  }
  checkEnd(
    Array.from(state.subarray(0, 4)),
    ((state[4] as number) - WORDS) / 2,
    state[5] as number,
    source,
  );
  return true;
}

// Parameters and locals of a decoder.
const [COUNT, BLOCK_LOG, SUM, CLASS] = [0, 1, 2, 3] as const;
const STATE = [4, 5, 6, 7] as const;
const ENTRY = [8, 9, 10, 11] as const;
const [TABLE, WORD, BIT, AT, END, STOP, NEED] = [12, 13, 14, 15, 16, 17, 18] as const;
const WINDOW = 19;

/** The loop of `decodePackedSlots`; sums or residuals alone, offsets of so many values in one load. */
function decoder(isSum: boolean, together: 2 | 4): w.WasmFunction {
  const body = [
    STATE.map((state, lane) => w.set(state, w.i32Load(w.i32(STATES + 4 * lane)))),
    w.set(WORD, w.i32Load(w.i32(STATES + 16))),
    w.set(BIT, w.i32Load(w.i32(STATES + 20))),
    w.set(AT, w.i32(OUT)),
    w.set(STOP, w.i32Add(w.i32(OUT), w.i32Shl(w.get(COUNT), w.i32(2)))),
    w.loop(
      w.set(
        TABLE,
        w.i32Add(w.i32(SLOTS), w.i32Shl(w.i32Load8(w.get(CLASS)), w.i32(PACKED_LOG + 2))),
      ),
      w.increase(CLASS, w.i32(1)),
      w.set(END, w.i32Add(w.get(AT), w.i32Shl(w.i32(4), w.get(BLOCK_LOG)))),
      w.set(END, w.select(w.get(END), w.get(STOP), w.i32LtU(w.get(END), w.get(STOP)))),
      w.loop(
        STATE.map((state, lane) => step(state, ENTRY[lane] as number)),
        ENTRY.map((entry, lane) => [
          lane % together === 0 ? openWindow() : [],
          value(entry, lane, isSum),
        ]),
        w.increase(AT, w.i32(16)),
        w.brIf(0, w.i32LtU(w.get(AT), w.get(END))),
      ),
      w.brIf(0, w.i32LtU(w.get(AT), w.get(STOP))),
    ),
    STATE.map((state, lane) => w.i32Store(w.i32(STATES + 4 * lane), w.get(state))),
    w.i32Store(w.i32(STATES + 16), w.get(WORD)),
    w.i32Store(w.i32(STATES + 20), w.get(BIT)),
    w.get(SUM),
  ];
  const locals = [...new Array<number>(15).fill(w.I32), w.I64];
  const type = { parameters: [w.I32, w.I32, w.I32, w.I32], results: [w.I32] };
  return { type, locals, body, name: functionName(isSum, together) };
}

/** One symbol of one lane: its entry, the state onward, a word taken if it fell too low. */
function step(state: number, entry: number): w.Code {
  const slot = w.i32Shl(w.i32And(w.get(state), w.i32((1 << PACKED_LOG) - 1)), w.i32(2));
  const frequency = w.i32Add(w.i32ShrU(w.get(entry), w.i32(20)), w.i32(1));
  const distance = w.i32And(w.i32ShrU(w.get(entry), w.i32(8)), w.i32(4095));
  const refilled = w.i32Or(w.i32Shl(w.get(state), w.i32(16)), w.i32Load16(w.get(WORD)));
  return [
    w.set(entry, w.i32Load(w.i32Add(w.get(TABLE), slot))),
    w.set(
      state,
      w.i32Add(w.i32Mul(frequency, w.i32ShrU(w.get(state), w.i32(PACKED_LOG))), distance),
    ),
    w.set(NEED, w.i32LtU(w.get(state), w.i32(0x10000))),
    w.set(state, w.select(refilled, w.get(state), w.get(NEED))),
    w.increase(WORD, w.i32Shl(w.get(NEED), w.i32(1))),
  ];
}

/** The next offsets, from the lowest bit up. */
function openWindow(): w.Code {
  const bytes = w.i64Load(w.i32ShrU(w.get(BIT), w.i32(3)), OFFSETS);
  return w.set(WINDOW, w.i64ShrU(bytes, w.i64FromI32U(w.i32And(w.get(BIT), w.i32(7)))));
}

function value(entry: number, lane: number, isSum: boolean): w.Code {
  const bin = w.get(entry);
  const offset = w.i32And(w.i32FromI64(w.get(WINDOW)), w.i32Load(bin, BINS + 4));
  const residual = w.i32Add(offset, w.i32Load(bin, BINS));
  return [
    w.set(entry, w.i32And(w.i32Shl(w.get(entry), w.i32(4)), w.i32(0xff0))),
    isSum ? w.increase(SUM, residual) : w.set(SUM, residual),
    w.i32Store(w.get(AT), w.get(SUM), 4 * lane),
    w.set(entry, w.i32Load(bin, BINS + 8)),
    w.increase(BIT, w.get(entry)),
    w.set(WINDOW, w.i64ShrU(w.get(WINDOW), w.i64FromI32U(w.get(entry)))),
  ];
}
