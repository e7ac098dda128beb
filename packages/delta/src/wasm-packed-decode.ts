import * as w from "./wasm-emitter.ts";
import { KERNEL_TYPE } from "./wasm-packed-kernel.ts";
import {
  FRAME,
  HIGHS,
  KERNEL_COUNT,
  LOWS,
  NOWHERE,
  PATCHES,
  RAW,
  READY,
  SEEDS,
  STOPPED,
  WIDE_PATCHES,
} from "./wasm-packed-layout.ts";

/** What the driver answers: all blocks done, or this, or 1 + the kernel that it lacks. */
const REFUSED = -1;

const ZERO = w.v128(new Array<number>(16).fill(0));
/** Bits of an exception that one load of eight bytes is sure to hold. */
const EXCEPTION_BITS_MAX = 56;

// The functions of the module, by index.
const PREFIX_32 = 0;
const PREFIX_64 = 1;
const WIDEN = 2;
const WIDEN_AND_SUM = 3;
const JOIN = 4;

/**
 * The driver: it walks the directory as `BlockCursor` does, for whole blocks, and checks as much; what
 * it does not like it leaves to JavaScript, which says what is wrong.
 */
export function decodeModule(): Uint8Array {
  return w.moduleBytes({
    pages: 1,
    tableSize: KERNEL_COUNT,
    indirectTypes: [KERNEL_TYPE],
    functions: [prefix32(), prefix64(), widen(false), widen(true), join(), driver()],
  });
}

/** Parameters: a block of 32-bit latents. Sums it up in place. */
function prefix32(): w.WasmFunction {
  const [at, end, vector, carried] = [0, 1, 2, 3] as const;
  const step = (by: number): w.Code =>
    w.set(
      vector,
      w.vAdd32(
        w.get(vector),
        w.vShuffle4(
          ZERO,
          w.get(vector),
          [0, 1, 2, 3].map((j) => (j < by ? 0 : 4 + j - by)),
        ),
      ),
    );
  const body = [
    w.set(end, w.i32Add(w.get(at), w.i32(512))),
    w.loop(
      w.set(vector, w.vLoad(w.get(at))),
      step(1),
      step(2),
      w.set(carried, w.vAdd32(w.get(vector), w.get(carried))),
      w.vStore(w.get(at), w.get(carried)),
      w.set(carried, w.vShuffle4(w.get(carried), w.get(carried), [3, 3, 3, 3])),
      w.increase(at, w.i32(16)),
      w.brIf(0, w.i32Ne(w.get(at), w.get(end))),
    ),
  ];
  return { type: { parameters: [w.I32], results: [] }, locals: [w.I32, w.V128, w.V128], body };
}

/** Sums up four 64-bit numbers in two locals and stores them at `out` and beyond. */
function sumPairs(
  first: number,
  second: number,
  sums: number,
  out: w.Code,
  offset: number,
): w.Code {
  const upper = (local: number): w.Code => w.vShuffle4(w.get(local), w.get(local), [2, 3, 2, 3]);
  const within = (local: number): w.Code =>
    w.set(local, w.vAdd64(w.get(local), w.vShuffle4(ZERO, w.get(local), [0, 1, 4, 5])));
  return [
    within(first),
    within(second),
    w.set(second, w.vAdd64(w.get(second), upper(first))),
    w.vStore(out, w.vAdd64(w.get(first), w.get(sums)), offset),
    w.vStore(out, w.vAdd64(w.get(second), w.get(sums)), offset + 16),
    // One addition from one round to the next.
    w.set(sums, w.vAdd64(w.get(sums), upper(second))),
  ];
}

/** Parameters: a block of 64-bit latents. Sums it up in place. */
function prefix64(): w.WasmFunction {
  const [at, end, first, second, sums] = [0, 1, 2, 3, 4] as const;
  const body = [
    w.set(end, w.i32Add(w.get(at), w.i32(1024))),
    w.loop(
      [0, 32, 64, 96].map((offset) => [
        w.set(first, w.vLoad(w.get(at), offset)),
        w.set(second, w.vLoad(w.get(at), offset + 16)),
        sumPairs(first, second, sums, w.get(at), offset),
      ]),
      w.increase(at, w.i32(128)),
      w.brIf(0, w.i32Ne(w.get(at), w.get(end))),
    ),
  ];
  const locals = [w.I32, w.V128, w.V128, w.V128];
  return { type: { parameters: [w.I32], results: [] }, locals, body };
}

/**
 * Parameters: out, base, sum before the block. 64-bit latents of the fields in `LOWS`, base and
 * patches; summed up if `isSum`.
 */
function widen(isSum: boolean): w.WasmFunction {
  const [out, base, sum, at, bases, fields] = [0, 1, 2, 3, 4, 5] as const;
  const [first, second, sums] = [6, 7, 8] as const;
  const added = (half: w.Code, offset: number): w.Code =>
    w.vAdd64(
      w.vAdd64(half, w.get(bases)),
      w.vLoad(w.i32Shl(w.get(at), w.i32(1)), WIDE_PATCHES + offset),
    );
  const body = [
    w.set(bases, w.vSplat64(w.get(base))),
    w.set(sums, w.vSplat64(w.get(sum))),
    w.loop(
      w.set(fields, w.vLoad(w.get(at), LOWS)),
      w.set(first, added(w.vLowU64(w.get(fields)), 0)),
      w.set(second, added(w.vHighU64(w.get(fields)), 16)),
      isSum
        ? sumPairs(first, second, sums, w.get(out), 0)
        : [w.vStore(w.get(out), w.get(first)), w.vStore(w.get(out), w.get(second), 16)],
      w.increase(out, w.i32(32)),
      w.increase(at, w.i32(16)),
      w.brIf(0, w.i32LtU(w.get(at), w.i32(512))),
    ),
  ];
  const locals = [w.I32, ...new Array<number>(5).fill(w.V128)];
  return { type: { parameters: [w.I32, w.I64, w.I64], results: [] }, locals, body };
}

/** Parameters: out, center. 64-bit latents of the words in `LOWS` and `HIGHS`, and the center. */
function join(): w.WasmFunction {
  const [out, center, at, centers] = [0, 1, 2, 3] as const;
  const half = (lanes: readonly number[], offset: number): w.Code =>
    w.vStore(
      w.get(out),
      w.vAdd64(
        w.vShuffle4(w.vLoad(w.get(at), LOWS), w.vLoad(w.get(at), HIGHS), lanes),
        w.get(centers),
      ),
      offset,
    );
  const body = [
    w.set(centers, w.vSplat64(w.get(center))),
    w.loop(
      half([0, 4, 1, 5], 0),
      half([2, 6, 3, 7], 16),
      w.increase(out, w.i32(32)),
      w.increase(at, w.i32(16)),
      w.brIf(0, w.i32LtU(w.get(at), w.i32(512))),
    ),
  ];
  return { type: { parameters: [w.I32, w.I64], results: [] }, locals: [w.I32, w.V128], body };
}

// Parameters of the driver; positions and ends are addresses, `BLOCKS` counts down.
const AT = 0;
const AT_END = 1;
const WORD = 2;
const WORD_END = 3;
const EXCEPTION = 4;
const EXCEPTION_END = 5;
const OUT = 6;
const BLOCKS = 7;
const ORDER = 8;
const IS_PAIRS = 9;
// Its locals.
const HEAD = 10;
const WIDTH = 11;
const IS_WIDE = 12;
const WORD_BYTES = 13;
const COUNT = 14;
const BITS = 15;
const EXCEPTION_BYTES = 16;
const K = 17;
const PLACE = 18;
const LAST = 19;
const SHIFT = 20;
const BYTE = 21;
const VALUE = 22;
const BASE = 23;

const DRIVER_TYPE: w.FunctionType = {
  parameters: new Array<number>(10).fill(w.I32),
  results: [w.I32],
};

const CENTER = w.i64Load(w.i32(FRAME));
const STEP = w.i64Load(w.i32(FRAME), 8);

const refuseIf = (condition: w.Code): w.Code => w.when(condition, w.giveBack(w.i32(REFUSED)));

function driver(): w.WasmFunction {
  const isPatched = w.get(COUNT);
  const body = [
    w.block(
      w.loop(
        w.brIf(1, w.i32Eqz(w.get(BLOCKS))),
        entry(),
        w.when(w.get(IS_WIDE), [
          callKernel(w.i32(RAW + 32), w.i32(0), w.i32(LOWS), w.i32(0)),
          w.increase(WORD, w.i32(512)),
          w.set(WORD_BYTES, w.i32Sub(w.get(WORD_BYTES), w.i32(512))),
        ]),
        w.when(isPatched, exceptions(false)),
        w.when(w.get(IS_PAIRS), pairs(), ints()),
        w.when(isPatched, exceptions(true)),
        w.increase(EXCEPTION, w.get(EXCEPTION_BYTES)),
        w.increase(WORD, w.get(WORD_BYTES)),
        w.increase(OUT, w.i32Shl(w.i32(512), w.get(IS_PAIRS))),
        w.set(BLOCKS, w.i32Sub(w.get(BLOCKS), w.i32(1))),
        w.br(0),
      ),
    ),
    w.i32Store(w.i32(STOPPED), w.get(AT)),
    w.i32Store(w.i32(STOPPED), w.get(WORD), 4),
    w.i32Store(w.i32(STOPPED), w.get(EXCEPTION), 8),
    w.i32(0),
  ];
  const locals = [...new Array<number>(12).fill(w.I32), w.I64, w.I64];
  return { type: DRIVER_TYPE, locals, body, name: "f" };
}

function callKernel(index: w.Code, base: w.Code, out: w.Code, sum: w.Code): w.Code {
  return w.callIndirect(0, index, w.get(WORD), base, out, sum);
}

function needKernel(index: w.Code): w.Code {
  return w.when(w.i32Eqz(w.i32Load8(index, READY)), w.giveBack(w.i32Add(index, w.i32(1))));
}

/** The kernel of the current block. */
function kernelIndex(): w.Code {
  const isSum = w.i32And(w.i32Ne(w.get(ORDER), w.i32(0)), w.i32Eqz(w.get(IS_PAIRS)));
  return w.i32Add(w.get(WIDTH), w.select(w.i32(0), w.i32(RAW), isSum));
}

/** Reads an entry and makes sure of the bytes that it speaks of. Nothing but seeds has changed then. */
function entry(): w.Code {
  return [
    readByte(HEAD),
    seeds(),
    w.set(IS_WIDE, w.i32And(w.get(IS_PAIRS), w.i32Eq(w.i32And(w.get(HEAD), w.i32(63)), w.i32(33)))),
    w.when(w.get(IS_WIDE), [
      refuseIf(w.i32Ne(w.get(HEAD), w.i32(33))),
      readByte(HEAD),
      needKernel(w.i32(RAW + 32)),
    ]),
    w.set(WIDTH, w.i32And(w.get(HEAD), w.i32(63))),
    refuseIf(w.i32GtU(w.get(WIDTH), w.i32(32))),
    needKernel(kernelIndex()),
    w.set(
      WORD_BYTES,
      w.i32Add(w.i32Shl(w.get(WIDTH), w.i32(4)), w.i32Shl(w.get(IS_WIDE), w.i32(9))),
    ),
    refuseIf(w.i32GtU(w.get(WORD_BYTES), w.i32Sub(w.get(WORD_END), w.get(WORD)))),
    base(),
    exceptionHead(),
    refuseIf(w.i32GtU(w.get(AT), w.get(AT_END))),
  ];
}

/** Ends are checked once an entry is read: behind them is memory enough for one. */
function readByte(into: number): w.Code {
  return [w.set(into, w.i32Load8(w.get(AT))), w.increase(AT, w.i32(1))];
}

/** A zigzag number into `VALUE`; of one or two bytes, as most are, without a jump to guess. */
function readSigned(): w.Code {
  const two = w.get(BYTE);
  const hasSecond = w.get(SHIFT);
  // What a second byte may not be is all that has a third one, or none.
  const isLong = w.i32And(
    hasSecond,
    w.i32GtU(w.i32Sub(w.i32ShrU(two, w.i32(8)), w.i32(1)), w.i32(126)),
  );
  const bits = w.i32Or(
    w.i32And(two, w.i32(127)),
    w.i32And(w.i32And(w.i32ShrU(two, w.i32(1)), w.i32(0x3f80)), w.i32Sub(w.i32(0), hasSecond)),
  );
  return [
    w.set(BYTE, w.i32Load16(w.get(AT))),
    w.set(SHIFT, w.i32And(w.i32ShrU(two, w.i32(7)), w.i32(1))),
    w.when(isLong, readLong(), [
      w.set(VALUE, w.i64FromI32U(bits)),
      w.increase(AT, w.i32Add(hasSecond, w.i32(1))),
    ]),
    w.set(
      VALUE,
      w.i64Xor(
        w.i64ShrU(w.get(VALUE), w.i64(1)),
        w.i64Sub(w.i64(0), w.i64And(w.get(VALUE), w.i64(1))),
      ),
    ),
  ];
}

function readLong(): w.Code {
  const bits = w.i64FromI32U(w.i32And(w.get(BYTE), w.i32(127)));
  const more = w.i32And(w.i32ShrU(w.get(BYTE), w.i32(7)), w.i32LtU(w.get(SHIFT), w.i32(70)));
  return [
    w.set(VALUE, w.i64(0)),
    w.set(SHIFT, w.i32(0)),
    w.loop(
      readByte(BYTE),
      w.set(VALUE, w.i64Or(w.get(VALUE), w.i64Shl(bits, w.i64FromI32U(w.get(SHIFT))))),
      w.increase(SHIFT, w.i32(7)),
      w.brIf(0, more),
    ),
    // Idle bytes, and bits above the 64th.
    refuseIf(w.i32And(w.i32Eqz(w.get(BYTE)), w.i32GtU(w.get(SHIFT), w.i32(7)))),
    refuseIf(w.i32And(w.i32Eq(w.get(SHIFT), w.i32(70)), w.i32GtU(w.get(BYTE), w.i32(1)))),
    refuseIf(
      w.i32And(w.i32Eqz(w.get(IS_PAIRS)), w.i64Ne(w.i64ShrU(w.get(VALUE), w.i64(32)), w.i64(0))),
    ),
  ];
}

const seedAt = (place: w.Code): w.Code => w.i32Shl(place, w.i32(3));

function seeds(): w.Code {
  return [
    w.set(K, w.i32(0)),
    w.block(
      w.loop(
        w.brIf(1, w.i32Eq(w.get(K), w.get(ORDER))),
        readSigned(),
        w.when(w.i32Eqz(w.get(K)), w.set(VALUE, w.i64Add(w.get(VALUE), STEP))),
        w.i64Store(
          seedAt(w.get(K)),
          w.i64Add(w.i64Load(seedAt(w.get(K)), SEEDS), w.get(VALUE)),
          SEEDS,
        ),
        w.increase(K, w.i32(1)),
        w.br(0),
      ),
    ),
  ];
}

function base(): w.Code {
  return [
    w.when(
      w.i32And(w.get(HEAD), w.i32(64)),
      [readSigned(), w.set(BASE, w.get(VALUE))],
      w.when(
        w.get(WIDTH),
        w.set(BASE, w.i64FromI32S(w.i32Shl(w.i32(-1), w.i32Sub(w.get(WIDTH), w.i32(1))))),
        w.set(BASE, w.i64(0)),
      ),
    ),
    w.when(w.i32Eqz(w.get(IS_WIDE)), w.set(BASE, w.i64Add(w.get(BASE), CENTER))),
  ];
}

function exceptionHead(): w.Code {
  return [
    w.set(COUNT, w.i32(0)),
    w.set(EXCEPTION_BYTES, w.i32(0)),
    w.when(w.i32And(w.get(HEAD), w.i32(128)), [
      readByte(BYTE),
      w.set(COUNT, w.i32Add(w.i32And(w.get(BYTE), w.i32(31)), w.i32(1))),
      w.set(BITS, w.i32Add(w.i32ShrU(w.get(BYTE), w.i32(5)), w.i32(1))),
      w.when(w.i32Eq(w.get(BITS), w.i32(8)), [
        readByte(BYTE),
        w.set(BITS, w.i32Add(w.i32And(w.get(BYTE), w.i32(63)), w.i32(1))),
        w.increase(COUNT, w.i32Shl(w.i32ShrU(w.get(BYTE), w.i32(6)), w.i32(5))),
      ]),
      refuseIf(
        w.i32GtU(w.get(BITS), w.select(w.i32(EXCEPTION_BITS_MAX), w.i32(32), w.get(IS_PAIRS))),
      ),
      w.set(
        EXCEPTION_BYTES,
        w.i32Add(
          w.get(COUNT),
          w.i32ShrU(w.i32Add(w.i32Mul(w.get(COUNT), w.get(BITS)), w.i32(7)), w.i32(3)),
        ),
      ),
      refuseIf(w.i32GtU(w.get(EXCEPTION_BYTES), w.i32Sub(w.get(EXCEPTION_END), w.get(EXCEPTION)))),
    ]),
  ];
}

/** Exceptions are taken so many at a time, whether or not so many are left: few jumps to guess. */
const TOGETHER = 2;

/** Puts exceptions among the patches, or zeros in their places. */
function exceptions(isClearing: boolean): w.Code {
  const isNarrowPair = w.i32GtU(w.get(IS_PAIRS), w.get(IS_WIDE));
  const each = isClearing ? clearPatch : putPatch;
  const round = (isWide: boolean): w.Code => [
    Array.from({ length: TOGETHER }, (_, j) => each(j, isWide)),
  ];
  return [
    w.set(K, w.i32(0)),
    w.set(LAST, w.i32(-1)),
    w.set(SHIFT, w.i32(0)),
    w.set(BYTE, w.i32(0)),
    w.loop(
      w.when(isNarrowPair, round(true), round(false)),
      w.increase(K, w.i32(TOGETHER)),
      w.brIf(0, w.i32LtU(w.get(K), w.get(COUNT))),
    ),
    // Patches stay behind; whoever is refused clears them.
    isClearing ? [] : refuseIf(w.get(BYTE)),
  ];
}

const exceptionPlace = (j: number): w.Code => w.i32Load8(w.i32Add(w.get(EXCEPTION), w.get(K)), j);

/** Where the patch of `PLACE` is, which may be anything. */
function patchAddress(isWide: boolean): w.Code {
  const place = w.get(PLACE);
  if (isWide) return w.i32Shl(w.i32And(place, w.i32(127)), w.i32(3));
  return w.i32Or(
    w.i32Shl(w.i32And(place, w.i32(31)), w.i32(4)),
    w.i32And(w.i32ShrU(place, w.i32(3)), w.i32(12)),
  );
}

function storePatch(address: w.Code, value: w.Code, isWide: boolean): w.Code {
  return isWide
    ? w.i64Store(address, value, WIDE_PATCHES)
    : w.i32Store(address, w.i32FromI64(value), PATCHES);
}

/** A place too many is zero already, or becomes so. */
function clearPatch(j: number, isWide: boolean): w.Code {
  return [w.set(PLACE, exceptionPlace(j)), storePatch(patchAddress(isWide), w.i64(0), isWide)];
}

/** The bits above the width, which are never zero: zero stands for one. `BYTE` is set by a wrong place. */
function putPatch(j: number, isWide: boolean): w.Code {
  const bytes = w.i32Add(
    w.i32Add(w.get(EXCEPTION), w.get(COUNT)),
    w.i32ShrU(w.get(SHIFT), w.i32(3)),
  );
  const unused = w.i64Sub(w.i64(64), w.i64FromI32U(w.get(BITS)));
  const skipped = w.i64FromI32U(w.i32And(w.get(SHIFT), w.i32(7)));
  const isThere = w.i32LtU(w.i32Add(w.get(K), w.i32(j)), w.get(COUNT));
  const isWrong = w.i32Or(
    w.i32GtU(w.get(PLACE), w.i32(127)),
    w.i32Eqz(w.i32GtS(w.get(PLACE), w.get(LAST))),
  );
  // What is too many goes where nothing is read.
  const nowhere = w.i32(isWide ? NOWHERE - WIDE_PATCHES : NOWHERE - PATCHES);
  return [
    w.set(PLACE, exceptionPlace(j)),
    w.set(BYTE, w.i32Or(w.get(BYTE), w.i32And(isThere, isWrong))),
    w.set(LAST, w.get(PLACE)),
    w.set(VALUE, w.i64ShrS(w.i64Shl(w.i64ShrU(w.i64Load(bytes), skipped), unused), unused)),
    w.set(
      VALUE,
      w.i64Shl(
        w.i64Add(w.get(VALUE), w.i64Xor(w.i64ShrU(w.get(VALUE), w.i64(63)), w.i64(1))),
        w.i64FromI32U(w.get(WIDTH)),
      ),
    ),
    storePatch(w.select(patchAddress(isWide), nowhere, isThere), w.get(VALUE), isWide),
    w.increase(SHIFT, w.get(BITS)),
  ];
}

function ints(): w.Code {
  const base = w.i32FromI64(w.get(BASE));
  return [
    callKernel(
      kernelIndex(),
      base,
      w.get(OUT),
      // The fields that seeds stand in for are zero: the sum arrives at the last seed by itself.
      w.i32Sub(w.i32Load(seedAt(w.get(ORDER)), SEEDS - 8), w.i32Mul(w.get(ORDER), base)),
    ),
    w.set(K, w.i32Sub(w.get(ORDER), w.i32(1))),
    w.block(
      w.loop(
        w.brIf(1, w.i32Eqz(w.i32GtS(w.get(K), w.i32(0)))),
        w.set(K, w.i32Sub(w.get(K), w.i32(1))),
        // Places before the seed's are zero; those of later differences get their own seeds.
        w.i32Store(w.get(OUT), w.i32(0)),
        w.i32Store(
          w.i32Add(w.get(OUT), w.i32Shl(w.get(K), w.i32(2))),
          w.i32Load(seedAt(w.get(K)), SEEDS),
        ),
        w.call(PREFIX_32, w.get(OUT)),
        w.br(0),
      ),
    ),
  ];
}

function pairs(): w.Code {
  return [
    w.set(K, w.get(ORDER)),
    w.when(
      w.get(IS_WIDE),
      [
        callKernel(kernelIndex(), w.i32FromI64(w.get(BASE)), w.i32(HIGHS), w.i32(0)),
        w.call(JOIN, w.get(OUT), CENTER),
      ],
      [
        callKernel(kernelIndex(), w.i32(0), w.i32(LOWS), w.i32(0)),
        w.when(
          w.get(ORDER),
          [sumBefore(), w.call(WIDEN_AND_SUM, w.get(OUT), w.get(BASE), w.get(VALUE))],
          w.call(WIDEN, w.get(OUT), w.get(BASE), w.i64(0)),
        ),
      ],
    ),
    w.block(
      w.loop(
        w.brIf(1, w.i32Eqz(w.get(K))),
        w.set(K, w.i32Sub(w.get(K), w.i32(1))),
        w.set(BYTE, w.i32(0)),
        w.block(
          w.loop(
            w.brIf(1, w.i32Eq(w.get(BYTE), w.get(K))),
            w.i64Store(w.i32Add(w.get(OUT), seedAt(w.get(BYTE))), w.i64(0)),
            w.increase(BYTE, w.i32(1)),
            w.br(0),
          ),
        ),
        w.i64Store(w.i32Add(w.get(OUT), seedAt(w.get(K))), w.i64Load(seedAt(w.get(K)), SEEDS)),
        w.call(PREFIX_64, w.get(OUT)),
        w.br(0),
      ),
    ),
  ];
}

/** Into `VALUE`: with it, the sum is the last seed where that stands. Makes `K` one less. */
function sumBefore(): w.Code {
  const place = w.get(BYTE);
  const added = w.i64Add(
    w.i64FromI32U(w.i32Load(w.i32Shl(place, w.i32(2)), LOWS)),
    w.i64Load(seedAt(place), WIDE_PATCHES),
  );
  return [
    w.set(K, w.i32Sub(w.get(K), w.i32(1))),
    w.set(VALUE, w.i64Load(seedAt(w.get(K)), SEEDS)),
    w.set(BYTE, w.i32(0)),
    w.loop(
      w.set(VALUE, w.i64Sub(w.i64Sub(w.get(VALUE), w.get(BASE)), added)),
      w.increase(BYTE, w.i32(1)),
      w.brIf(0, w.i32LtU(place, w.get(ORDER))),
    ),
  ];
}
