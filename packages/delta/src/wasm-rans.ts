import { CLASSES_MAX } from "./block-classes.ts";
import { CHUNK_VALUES_MAX } from "./limits.ts";
import { checkEnd, PACKED_LOG, PACKED_SYMBOLS_MAX, type SymbolSource } from "./rans.ts";
import {
  brIf,
  type Code,
  get,
  I32,
  I64,
  i32,
  i32Add,
  i32And,
  i32FromI64,
  i32Load,
  i32Load8,
  i32Load16,
  i32LtU,
  i32Mul,
  i32Or,
  i32Shl,
  i32ShrS,
  i32ShrU,
  i32Store,
  i32Sub,
  i64FromI32U,
  i64Load,
  i64ShrU,
  increase,
  loop,
  moduleBytes,
  select,
  set,
} from "./wasm-emitter.ts";
import { type Linked, link } from "./wasm-runtime.ts";

// Where things lie in memory. Words and offsets have room for the most that so many values can take,
// so that no input makes the loop read outside.
const STATES = 0;
const CLASSES = 64;
const BINS = CLASSES + CHUNK_VALUES_MAX / 32;
const SLOTS = BINS + 4 * PACKED_SYMBOLS_MAX;
const WORDS = SLOTS + 4 * (CLASSES_MAX << PACKED_LOG);
const OFFSETS = WORDS + 2 * CHUNK_VALUES_MAX + 16;
const OUT = OFFSETS + CHUNK_VALUES_MAX * 4;
/** Values decoded at a time: they are copied out while they are still near. */
const SLICE = 32_768;
const END = OUT + SLICE * 4;
const PAGES = Math.ceil(END / 65_536);

/** Below this the copies cost more than they save. */
const VALUES_MIN = 2048;

/** Goes on from the states, words and bits in memory; answers the last sum. */
type Decode = (
  count: number,
  blockLog: number,
  keep: number,
  sum: number,
  classes: number,
) => number;

let linked: (Linked & { readonly decode: Decode }) | null | undefined;

function linkOnce(): (Linked & { readonly decode: Decode }) | null {
  if (linked === undefined) {
    const found = link(() => moduleBytes({ functions: [decoder()], pages: PAGES }), PAGES);
    linked = found === undefined ? null : { ...found, decode: found.exports["d"] as Decode };
  }
  return linked;
}

/** `decodePackedSlots` in WebAssembly; false, and nothing done, where that cannot be. */
export function decodePackedSlotsWasm(
  source: SymbolSource,
  tables: readonly Int32Array[],
  out: Int32Array,
  sumFrom: number | undefined,
): boolean {
  const { classes, states, words, wordCount, lows, bits, offsets, offsetBytes, blockLog } = source;
  if (out.length < VALUES_MIN || wordCount > out.length || offsetBytes > out.length * 4)
    return false;
  const wasm = linkOnce();
  if (wasm === null) return false;
  const { buffer } = wasm.memory;
  new Uint32Array(buffer, STATES, states.length).set(states);
  new Uint8Array(buffer, CLASSES, classes.length).set(classes);
  const bins = new Int32Array(buffer, BINS, lows.length);
  for (let s = 0; s < lows.length; s += 1) {
    bins[s] = ((lows[s] as number) << 5) | (bits[s] as number);
  }
  tables.forEach((table, k) => {
    new Int32Array(buffer, SLOTS + 4 * (k << PACKED_LOG), table.length).set(table);
  });
  new Uint16Array(buffer, WORDS, wordCount).set(words.subarray(0, wordCount));
  new Uint8Array(buffer, OFFSETS, offsetBytes).set(offsets.subarray(0, offsetBytes));
  const state = new Uint32Array(buffer, STATES, 6);
  state[4] = WORDS;
  state[5] = 0;
  const keep = sumFrom === undefined ? 0 : -1;
  let sum = sumFrom ?? 0;
  for (let start = 0; start < out.length; start += SLICE) {
    const count = Math.min(SLICE, out.length - start);
    sum = wasm.decode(count, blockLog, keep, sum, CLASSES + (start >>> blockLog));
    out.set(new Int32Array(buffer, OUT, count), start);
  }
  checkEnd(
    Array.from(state.subarray(0, 4)),
    ((state[4] as number) - WORDS) / 2,
    state[5] as number,
    source,
  );
  return true;
}

/** The loop of `decodePackedSlots`, instruction by instruction. */
function decoder() {
  const [count, blockLog, keep, sum, block] = [0, 1, 2, 3, 4] as const;
  const x = [5, 6, 7, 8] as const;
  const e = [9, 10, 11, 12] as const;
  const [base, words, bit, at, end, stop, need, width] = [13, 14, 15, 16, 17, 18, 19, 20] as const;
  const window = 21;
  const body: Code[] = [
    x.map((state, lane) => set(state, i32Load(i32(STATES + 4 * lane)))),
    set(words, i32Load(i32(STATES + 16))),
    set(bit, i32Load(i32(STATES + 20))),
    set(at, i32(OUT)),
    set(stop, i32Add(i32(OUT), i32Shl(get(count), i32(2)))),
    loop(
      set(base, i32Add(i32(SLOTS), i32Shl(i32Load8(get(block)), i32(PACKED_LOG + 2)))),
      increase(block, i32(1)),
      set(end, i32Add(get(at), i32Shl(i32(4), get(blockLog)))),
      set(end, select(get(end), get(stop), i32LtU(get(end), get(stop)))),
      loop(
        x.map((state, lane) => step(state, e[lane] as number, base, words, need)),
        [0, 2].map((lane) => [
          set(
            window,
            i64ShrU(i64Load(i32Add(i32(OFFSETS), i32ShrU(get(bit), i32(3)))), bitInByte(bit)),
          ),
          [lane, lane + 1].map((each) => [
            set(
              e[each] as number,
              i32Load(i32Shl(i32And(get(e[each] as number), i32(255)), i32(2)), BINS),
            ),
            set(width, i32And(get(e[each] as number), i32(31))),
            increase(bit, get(width)),
            set(sum, i32Add(i32And(get(sum), get(keep)), i32ShrS(get(e[each] as number), i32(5)))),
            increase(sum, i32And(i32FromI64(get(window)), lowMask(width))),
            i32Store(get(at), get(sum), 4 * each),
            set(window, i64ShrU(get(window), i64FromI32U(get(width)))),
          ]),
        ]),
        increase(at, i32(16)),
        brIf(0, i32LtU(get(at), get(end))),
      ),
      brIf(0, i32LtU(get(at), get(stop))),
    ),
    x.map((state, lane) => i32Store(i32(STATES + 4 * lane), get(state))),
    i32Store(i32(STATES + 16), get(words)),
    i32Store(i32(STATES + 20), get(bit)),
    get(sum),
  ];
  const locals = [...Array.from({ length: 16 }, () => I32), I64];
  const type = { parameters: [I32, I32, I32, I32, I32], results: [I32] };
  return { type, locals, body, name: "d" };
}

/** One symbol of one lane: its entry into `entry`, the state onward, a word taken if it fell too low. */
function step(state: number, entry: number, base: number, words: number, need: number): Code {
  const slot = i32Shl(i32And(get(state), i32(4095)), i32(2));
  const frequency = i32Add(i32ShrU(get(entry), i32(20)), i32(1));
  const distance = i32And(i32ShrU(get(entry), i32(8)), i32(4095));
  const refilled = i32Or(i32Shl(get(state), i32(16)), i32Load16(get(words)));
  return [
    set(entry, i32Load(i32Add(get(base), slot))),
    set(state, i32Add(i32Mul(frequency, i32ShrU(get(state), i32(12))), distance)),
    set(need, i32LtU(get(state), i32(0x10000))),
    set(state, select(refilled, get(state), get(need))),
    increase(words, i32Shl(get(need), i32(1))),
  ];
}

function bitInByte(bit: number): Code {
  return i64FromI32U(i32And(get(bit), i32(7)));
}

function lowMask(width: number): Code {
  return i32Sub(i32Shl(i32(1), get(width)), i32(1));
}
